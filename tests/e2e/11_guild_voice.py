"""Voice channels of guilds, as clients live through them: the captured scenes for who acts, who may see the channel and
who may not; and what grew around them: moves, permissions, moderators, stages."""
import pytest

from replay import Replay, scenes

SCENES = scenes("guild*.json")


def places(guild):
    """{name: id} of a world's guild()."""
    ids = {c["name"]: c["id"] for c in guild["channels"]}
    return {"guild": guild["id"], "general": ids["general"], "lounge": ids["one"], "workshop": ids["two"],
            "stage": ids["stage"]}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
@pytest.mark.parametrize("bystander", ["user", "bot"])
async def test_scene_of_the_capture_is_replayed_and_who_may_not_see_the_channel_hears_nothing(world, scene, bystander):
    owner, a, c = world.users("owner", "a", "c")
    b = world.user("b", bot=bystander == "bot")
    at = places(world.guild(owner, a, b, hidden_from=[c]))
    place = world.quiet_place(c)
    sides = {"A": await world.login(a), "B": await world.login(b)}
    stranger = await world.login(c)
    replay = Replay(sides, **at)
    for step in scene["steps"]:
        await replay.play(step)
    await stranger.quiet_until_call(place)


# -- coming and going -----------------------------------------------------------------------------


async def seated(client, at, channel, *others, first=True, **fields):
    """Joins and is given a server; all see it. Returns his VOICE_SERVER_UPDATE."""
    await client.join(at[channel], guild=at["guild"])
    for seer in (client, *others):
        await seer.next("VOICE_STATE_UPDATE", user_id=client.id, channel_id=at[channel], **fields)
        if first:
            await seer.next("VOICE_CHANNEL_START_TIME_UPDATE", id=at[channel])
    return await client.next("VOICE_SERVER_UPDATE", guild_id=at["guild"])


async def gone(client, at, channel, *others, last=True, guild=None):
    await client.join(None, guild=guild)
    await told_gone(client, at, channel, client, *others, last=last)


async def told_gone(client, at, channel, *seers, last=True):
    for seer in seers:
        await seer.next("VOICE_STATE_UPDATE", user_id=client.id, channel_id=None, guild_id=at["guild"])
        if last:
            await seer.next("VOICE_CHANNEL_START_TIME_UPDATE", id=at[channel], voice_start_time=None)


async def test_flags_change_without_another_voice_server(world):
    a, b = world.users("a", "b")
    at = places(world.guild(a, b))
    one, two = await world.login(a), await world.login(b)
    await seated(one, at, "lounge", two)
    await one.join(at["lounge"], guild=at["guild"], mute=True, deaf=True)
    for seer in (one, two):
        await seer.next("VOICE_STATE_UPDATE", user_id=a.id, self_mute=True, self_deaf=True, channel_id=at["lounge"])
    await gone(one, at, "lounge", two, guild=at["guild"])       # as selfbots leave, with the guild


async def test_who_says_the_same_again_is_given_a_server_anew(world):
    """Libraries do so when their voice socket died, and wait for it."""
    a = world.user("a")
    at = places(world.guild(a))
    one = await world.login(a)
    first = await seated(one, at, "lounge")
    await one.join(at["lounge"], guild=at["guild"])
    await one.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=at["lounge"])
    again = await one.next("VOICE_SERVER_UPDATE", guild_id=at["guild"])
    assert again["endpoint"] == first["endpoint"] and again["token"] != first["token"]


async def test_a_second_client_takes_over_and_the_first_cannot_leave_for_it(world):
    a, b = world.users("a", "b")
    at = places(world.guild(a, b))
    one, two, seer = await world.login(a), await world.login(a), await world.login(b)
    first = await seated(one, at, "lounge", two, seer)
    await two.join(at["lounge"], guild=at["guild"])
    for client in (one, two, seer):
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, session_id=two.session_id)
    second = await two.next("VOICE_SERVER_UPDATE")
    assert second["token"] != first["token"]
    await one.leave()
    await one.heartbeat()
    await gone(two, at, "lounge", one, seer)


async def test_from_a_call_into_a_guild_and_back(world):
    a, b = world.users("a", "b")
    channel, at = world.dm(a, b), places(world.guild(a, b))
    one, two = await world.login(a), await world.login(b)
    await one.join(channel)
    for client in (one, two):
        await client.sequence("MESSAGE_CREATE", "CALL_CREATE", "VOICE_STATE_UPDATE")
    await one.next("VOICE_SERVER_UPDATE", channel_id=channel)
    await one.join(at["lounge"], guild=at["guild"])
    for client in (one, two):
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=None, guild_id=None)
        await client.sequence("MESSAGE_UPDATE", "CALL_DELETE")
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=at["lounge"], guild_id=at["guild"])
        await client.next("VOICE_CHANNEL_START_TIME_UPDATE", id=at["lounge"])
    await one.next("VOICE_SERVER_UPDATE", guild_id=at["guild"])
    await one.join(channel)
    for client in (one, two):
        await told_gone(one, at, "lounge", client)
        await client.sequence("MESSAGE_CREATE", "CALL_CREATE")
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=channel, guild_id=None)
    await one.next("VOICE_SERVER_UPDATE", channel_id=channel)
    await one.leave()


async def test_a_user_is_in_one_guild_at_a_time_and_a_bot_in_each(world):
    a, owner, bot = world.user("a"), world.user("owner"), world.bot("bot")
    here, there = (places(world.guild(owner, a, bot)) for _ in range(2))
    one, dj = await world.login(a), await world.login(bot)
    await seated(one, here, "lounge", dj)
    await one.join(there["lounge"], guild=there["guild"])
    for client in (one, dj):
        await told_gone(one, here, "lounge", client)
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, guild_id=there["guild"], channel_id=there["lounge"])
        await client.next("VOICE_CHANNEL_START_TIME_UPDATE", id=there["lounge"])
    await one.next("VOICE_SERVER_UPDATE", guild_id=there["guild"])
    await seated(dj, here, "lounge", one)
    await seated(dj, there, "workshop", one)
    await gone(dj, here, "lounge", one, guild=here["guild"])
    await gone(dj, there, "workshop", one, guild=there["guild"])


async def test_a_session_that_ends_leaves_every_guild_of_a_bot(world):
    owner, bot = world.user("owner"), world.bot("bot")
    here, there = (places(world.guild(owner, bot)) for _ in range(2))
    seer, dj = await world.login(owner), await world.login(bot)
    for at in (here, there):
        await seated(dj, at, "lounge", seer)
    await dj.close(1000)
    left = {(await seer.expect("VOICE_STATE_UPDATE", user_id=bot.id, channel_id=None))["guild_id"] for _ in range(2)}
    assert left == {here["guild"], there["guild"]}


async def test_who_logs_in_later_finds_who_is_there(world):
    a, b, c, bot = world.user("a"), world.user("b"), world.user("c"), world.bot("bot")
    at = places(world.guild(a, b, bot, hidden_from=[c]))
    one = await world.login(a)
    await seated(one, at, "lounge")
    for account in (b, c):
        client = await world.login(account)
        (guild,) = client.supplemental["guilds"]
        shown = [] if account is c else [(a.id, at["lounge"], one.session_id)]
        assert [(v["user_id"], v["channel_id"], v["session_id"]) for v in guild["voice_states"]] == shown
        assert all("guild_id" not in v and "member" not in v for v in guild["voice_states"])
        members = [m["user_id"] for m in client.supplemental["merged_members"][0]]
        assert (a.id in members) or account is c
    dj = await world.login(bot)
    guild = next(e.d for e in dj.events if e.t == "GUILD_CREATE" and e.d["id"] == at["guild"])
    assert [v["user_id"] for v in guild["voice_states"]] == [a.id]


async def test_a_resume_brings_what_happened_meanwhile(world):
    a, b = world.users("a", "b")
    at = places(world.guild(a, b))
    one, two = await world.login(a), await world.login(b)
    await one.abort()
    await seated(two, at, "lounge")
    missed = await one.reconnect_and_resume()
    assert [(e.t, e.d.get("channel_id", e.d.get("id"))) for e in missed if e.t.startswith("VOICE_")] == [
        ("VOICE_STATE_UPDATE", at["lounge"]), ("VOICE_CHANNEL_START_TIME_UPDATE", at["lounge"])]


# -- who may --------------------------------------------------------------------------------------


def guild_with(world, owner, people, channels, **more):
    """A guild with just these channels; returns {name: id}, "guild" among them."""
    made = world.guild(owner, *people, channels=channels, **more)
    return {c["name"]: c["id"] for c in made["channels"]} | {"guild": made["id"]}


async def test_a_join_that_is_not_allowed_is_met_with_silence(world):
    owner, a, stranger = world.users("owner", "a", "stranger")
    at = guild_with(world, owner, [a], [
        {"name": "text", "type": "text"}, {"name": "full", "type": "voice", "user_limit": 1},
        {"name": "closed", "type": "voice", "overwrites": [{"member": a.username, "deny": ["CONNECT"]}]},
        {"name": "hidden", "type": "voice", "overwrites": [{"role": "@everyone", "deny": ["VIEW_CHANNEL"]}]}])
    place, his = world.quiet_place(a), world.quiet_place(stranger)
    one, two, three = await world.login(a), await world.login(owner), await world.login(stranger)
    await seated(two, at, "full", one)
    for channel in ("text", "full", "closed", "hidden"):
        await one.join(at[channel], guild=at["guild"])
    await one.join(str(int(at["full"]) + 1), guild=at["guild"])
    await one.join(at["full"], guild=None)
    await one.quiet_until_call(place)
    await three.join(at["full"], guild=at["guild"])
    await three.quiet_until_call(his)


async def test_who_may_move_others_is_let_into_a_full_channel(world):
    owner, a, b = world.users("owner", "a", "b")
    at = guild_with(world, owner, [a, b], [{"name": "full", "type": "voice", "user_limit": 1}],
                    roles=[{"name": "mover", "permissions": ["MOVE_MEMBERS"], "members": [b.username]}])
    one, two = await world.login(a), await world.login(b)
    await seated(one, at, "full", two)
    await seated(two, at, "full", one, first=False)


async def test_who_may_not_speak_is_suppressed(world):
    owner, a = world.users("owner", "a")
    at = guild_with(world, owner, [a], [
        {"name": "hall", "type": "voice", "overwrites": [{"role": "@everyone", "deny": ["SPEAK"]}]}])
    one, two = await world.login(a), await world.login(owner)
    await seated(one, at, "hall", two, suppress=True)
    await seated(two, at, "hall", one, first=False, suppress=False)


async def test_a_move_is_seen_from_three_sides(world):
    """Who sees both channels, who sees the old one alone, who sees the new one alone."""
    owner, a, old, new = world.users("owner", "a", "old", "new")
    at = guild_with(world, owner, [a, old, new], [
        {"name": "left", "type": "voice", "overwrites": [{"member": new.username, "deny": ["VIEW_CHANNEL"]}]},
        {"name": "right", "type": "voice", "overwrites": [{"member": old.username, "deny": ["VIEW_CHANNEL"]}]}])
    mover, both, first, second = [await world.login(account) for account in (a, owner, old, new)]
    await seated(mover, at, "left", both, first)
    await mover.join(at["right"], guild=at["guild"])
    for seer in (mover, both):
        await seer.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=at["right"])
    await first.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=None)
    await second.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=at["right"])


async def test_a_channel_that_comes_into_view_brings_who_sits_there(world):
    owner, a = world.users("owner", "a")
    at = guild_with(world, owner, [a], [
        {"name": "cellar", "type": "voice", "overwrites": [{"role": "@everyone", "deny": ["VIEW_CHANNEL"]}]}])
    one, two = await world.login(owner), await world.login(a)
    await seated(one, at, "cellar")
    await one.rest.patch(f"/channels/{at['cellar']}", {"permission_overwrites": []})
    await two.next("CHANNEL_CREATE", id=at["cellar"], guild_id=at["guild"])
    await two.next("VOICE_STATE_UPDATE", user_id=owner.id, channel_id=at["cellar"])
    await one.rest.put(f"/channels/{at['cellar']}/permissions/{a.id}", {"type": 1, "deny": "1024", "allow": "0"})
    await two.next("VOICE_STATE_UPDATE", user_id=owner.id, channel_id=None)
    await two.next("CHANNEL_DELETE", id=at["cellar"])


# -- moderators -----------------------------------------------------------------------------------


async def test_a_moderator_silences_moves_and_throws_out(world):
    owner, a = world.users("owner", "a")
    at = places(world.guild(owner, a))
    mod, one = await world.login(owner), await world.login(a)
    rest, member = mod.rest, f"/guilds/{at['guild']}/members/{a.id}"
    (await rest.patch(member, {"mute": True})).refused(400, 40032)
    first = await seated(one, at, "lounge", mod)
    assert (await rest.patch(member, {"mute": True, "deaf": True})).ok()["mute"] is True
    for seer in (one, mod):
        got = await seer.any_order("GUILD_MEMBER_UPDATE", "VOICE_STATE_UPDATE")
        assert got["VOICE_STATE_UPDATE"]["mute"] and got["VOICE_STATE_UPDATE"]["deaf"]
        assert got["GUILD_MEMBER_UPDATE"]["user"]["id"] == a.id
    (await rest.patch(member, {"channel_id": at["workshop"]})).ok()
    for seer in (one, mod):
        await seer.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=at["workshop"], mute=True)
        await seer.any_order("VOICE_CHANNEL_START_TIME_UPDATE")
        await seer.any_order("VOICE_CHANNEL_START_TIME_UPDATE")
    moved = await one.next("VOICE_SERVER_UPDATE", guild_id=at["guild"])
    assert moved["token"] != first["token"]
    (await rest.patch(member, {"channel_id": None})).ok()
    await told_gone(one, at, "workshop", one, mod)
    await seated(one, at, "lounge", mod, mute=True, deaf=True)          # outlives a rejoin
    (await one.rest.patch(f"/guilds/{at['guild']}/members/{owner.id}", {"mute": True})).refused(403, 50013)
    (await one.rest.patch(member, {"channel_id": at["workshop"]})).refused(403, 50013)


async def test_a_kicked_member_leaves_voice_and_the_guild(world):
    owner, a = world.users("owner", "a")
    at = places(world.guild(owner, a))
    place = world.quiet_place(a)
    mod, one = await world.login(owner), await world.login(a)
    await seated(one, at, "lounge", mod)
    (await mod.rest.delete(f"/guilds/{at['guild']}/members/{a.id}")).ok(204)
    await told_gone(one, at, "lounge", mod)
    await mod.next("GUILD_MEMBER_REMOVE", guild_id=at["guild"])
    await one.expect("GUILD_DELETE", id=at["guild"])
    await one.join(at["lounge"], guild=at["guild"])
    await one.quiet_until_call(place)
    (await one.rest.get(f"/guilds/{at['guild']}")).refused(404, 10004)


async def test_a_channel_that_is_deleted_ends_its_voice(world):
    owner, a = world.users("owner", "a")
    at = places(world.guild(owner, a))
    mod, one = await world.login(owner), await world.login(a)
    await seated(one, at, "lounge", mod)
    (await mod.rest.delete(f"/channels/{at['lounge']}")).ok()
    for seer in (one, mod):
        await seer.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=None)
        await seer.expect("CHANNEL_DELETE", id=at["lounge"])


async def test_another_region_moves_who_is_there(world):
    owner, a = world.users("owner", "a")
    at = places(world.guild(owner, a))
    mod, one = await world.login(owner), await world.login(a)
    before = await seated(one, at, "lounge", mod)
    ids = [r["id"] for r in (await mod.rest.get("/voice/regions")).ok()]
    here = next(r for r in ids if before["endpoint"])
    for region in ids:
        (await mod.rest.patch(f"/channels/{at['lounge']}", {"rtc_region": region})).ok()
        await mod.next("CHANNEL_UPDATE", id=at["lounge"], rtc_region=region)
        await one.next("CHANNEL_UPDATE", id=at["lounge"], rtc_region=region)
        server = await one.expect("VOICE_SERVER_UPDATE", where=lambda d: d["endpoint"] is not None)
        assert server["token"] != before["token"], here
        before = server
    (await mod.rest.patch(f"/channels/{at['lounge']}", {"rtc_region": "nowhere"})).refused(400, 50035)


async def test_hands_are_raised_on_a_stage(world):
    owner, a = world.users("owner", "a")
    at = places(world.guild(owner, a))
    mod, one = await world.login(owner), await world.login(a)
    states = f"/guilds/{at['guild']}/voice-states"
    await seated(mod, at, "stage", one, suppress=False)         # moderators speak at once
    await seated(one, at, "stage", mod, first=False, suppress=True)
    (await one.rest.patch(f"{states}/@me", {"channel_id": at["stage"], "suppress": False})).refused(403, 50013)
    (await one.rest.patch(f"{states}/@me", {"channel_id": at["stage"],
                                            "request_to_speak_timestamp": "2100-01-01T00:00:00+00:00"})).ok(204)
    for seer in (mod, one):
        await seer.next("VOICE_STATE_UPDATE", user_id=a.id, request_to_speak_timestamp=lambda t: t is not None)
    (await mod.rest.patch(f"{states}/{a.id}", {"channel_id": at["stage"], "suppress": False})).ok(204)
    for seer in (mod, one):
        await seer.next("VOICE_STATE_UPDATE", user_id=a.id, suppress=False)
    made = (await mod.rest.post("/stage-instances", {"channel_id": at["stage"], "topic": "news"})).ok()
    for seer in (mod, one):
        await seer.next("STAGE_INSTANCE_CREATE", id=made["id"], topic="news")
    (await mod.rest.post("/stage-instances", {"channel_id": at["stage"], "topic": "again"})).refused(400, 150006)
    (await mod.rest.delete(f"/stage-instances/{at['stage']}")).ok(204)
    for seer in (mod, one):
        await seer.next("STAGE_INSTANCE_DELETE", id=made["id"])


async def test_a_channel_has_a_status_until_it_is_empty(world):
    owner, a = world.users("owner", "a")
    at = places(world.guild(owner, a))
    mod, one = await world.login(owner), await world.login(a)
    await seated(one, at, "lounge", mod)
    (await one.rest.put(f"/channels/{at['lounge']}/voice-status", {"status": "tea"})).ok(204)
    for seer in (one, mod):
        await seer.next("VOICE_CHANNEL_STATUS_UPDATE", id=at["lounge"], status="tea")
    await one.leave()
    await mod.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=None)
    await mod.expect("VOICE_CHANNEL_STATUS_UPDATE", id=at["lounge"], status=None)
