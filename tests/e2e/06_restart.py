"""The whole house is stopped and started again over the same Redis data: everything is found again.
Redis is stopped too; ports change, ids and tokens do not."""
import asyncio
import json

import calls
from client import snowflake_now
from harness import ROOT


async def stop_and_start(world, system):
    """Clients end properly, then everything is told to stop, and is started again."""
    await world.close()
    system.stop_all()
    system.start_all()
    return type(world)(system)


async def restarted(world, system, body):
    """Runs body(world) after a restart, with a World of its own."""
    anew = await stop_and_start(world, system)
    try:
        await body(anew)
    finally:
        await anew.close()


async def test_users_channels_messages_friends_and_read_states_are_found_again(world, system):
    ann, bob, cat = world.users("ann", "bob", "cat")
    world.friends(ann, bob)
    dm, group, guild = world.dm(ann, bob), world.group(ann, bob, cat), world.guild(ann, bob)
    rest = world.rest(ann)
    said = [await rest.say(dm, f"before {number}") for number in range(5)]
    await rest.ack(dm, said[2]["id"])
    history = (await rest.get(f"/channels/{dm}/messages")).ok()
    listed = (await rest.get("/users/@me/channels")).ok()

    async def after(world):
        client = await world.login(ann)
        assert {channel["id"] for channel in client.ready["private_channels"]} == {dm, group}
        assert [r["user_id"] for r in client.ready["relationships"]] == [bob.id]
        assert [g["id"] for g in client.ready["guilds"]] == [guild["id"]]
        assert {e["id"]: e["last_message_id"] for e in client.ready["read_state"]["entries"]}[dm] == said[2]["id"]
        assert (await client.rest.get(f"/channels/{dm}/messages")).ok() == history
        again = (await client.rest.get("/users/@me/channels")).ok()
        assert sorted(again, key=lambda c: c["id"]) == sorted(listed, key=lambda c: c["id"])
        assert world.dm(bob, ann) == dm

    await restarted(world, system, after)


async def test_tokens_stay_valid_and_revoked_ones_stay_revoked(world, system):
    ann, bob, bot = world.user("ann"), world.user("bob"), world.bot()
    world.guild(ann, bot)
    system.admin_ok("DELETE", f"/admin/users/{bob.id}/tokens")

    async def after(world):
        assert (await world.rest(ann).get("/users/@me")).ok()["id"] == ann.id
        assert (await world.login(bot)).ready["user"]["id"] == bot.id
        (await world.rest(bob).get("/users/@me")).ok(401)
        refused = await world.connect(bob)
        await refused.send(2, refused.identification())
        await refused.closes_with(4004)

    await restarted(world, system, after)


async def test_new_ids_and_versions_go_on_above_the_old_ones(world, system):
    ann, bob = world.users("ann", "bob")
    dm = world.dm(ann, bob)
    before = await world.login(ann)
    old = await before.rest.say(dm, "old")
    await before.rest.ack(dm, old["id"])
    old_version = (await before.expect("MESSAGE_ACK"))["version"]

    async def after(world):
        client = await world.login(ann)
        new = await client.rest.say(dm, "new")
        assert int(new["id"]) > int(old["id"])
        assert int(world.user("cat").id) > int(new["id"])
        await client.rest.ack(dm, snowflake_now())
        assert (await client.expect("MESSAGE_ACK"))["version"] > old_version
        messages = (await client.rest.get(f"/channels/{dm}/messages")).ok()
        assert [m["content"] for m in messages] == ["new", "old"]

    await restarted(world, system, after)


async def test_calls_work_as_before_and_ended_ones_stay_in_the_history(world, system):
    ann, bob = world.users("ann", "bob")
    dm = world.dm(ann, bob)
    a = await world.login(ann)
    old = await calls.start(a, channel=dm)
    over = await calls.leave_last(a, call=old)

    async def after(world):
        a, b = await world.login(ann), await world.login(bob)
        kept = (await a.rest.get(f"/channels/{dm}/messages/{old.message['id']}")).ok()
        assert (kept["type"], kept["call"]) == (3, over["call"])
        await b.ask_for_call(dm)                # the old call is over, so there is nothing to tell
        await b.heartbeat()                     # the question has arrived before the next call starts
        await b.quiet_until_ack(dm)
        call = await calls.start(a, b, channel=dm)
        await calls.join(b, a, call=call)
        await calls.leave(a, b)
        await calls.leave_last(b, a, call=call)

    await restarted(world, system, after)


async def test_a_stopping_gateway_sends_its_clients_away_so_that_they_come_back(world, system):
    client = await world.login(world.user("ann"))
    await asyncio.to_thread(system.stop_all)
    code = await client.closed()
    system.start_all()
    assert code not in (1000, 4004, 4010, 4011, 4012, 4013, 4014), "libraries give up on these"


async def test_the_demo_world_is_loaded_again_with_the_same_ids(world, system):
    before = json.loads(json.dumps(system.demo))
    old_user = world.demo_user(0)

    async def after(world):
        loaded = system.load(json.loads((ROOT / "deploy" / "demo.json").read_text()))
        assert [user["id"] for user in loaded["users"]] == [user["id"] for user in before["users"]]
        assert [bot["id"] for bot in loaded["bots"]] == [bot["id"] for bot in before["bots"]]
        assert loaded["dms"][0]["id"] == before["dm_channel_id"]
        assert loaded["groups"][0]["id"] == before["group_channel_id"]
        assert loaded["guilds"][0]["id"] == before["guild"]["id"]
        assert (await world.rest(old_user).get("/users/@me")).ok()["id"] == old_user.id

    await restarted(world, system, after)
