"""Gateways alone: who is there, who is told, and what is not told of whom."""
import signal

import pytest

from bus import BusPeer, now_ms, pack
from client import CAPABILITIES
from gateway_guild import GUILDS, PRESENCES, Guild
from gateway_house import Clients, House, event, until


def friends(house, a, b):
    for one, other in ((a, b), (b, a)):
        house.user_record(one.id).commit(changes=[("rel", other.id, "1")], publish=False)


async def presence_of(client, user, status, where=lambda d: True):
    """The next PRESENCE_UPDATE of that user with that status."""
    return await client.expect("PRESENCE_UPDATE", user={"id": user.id}, status=status, where=where)


def in_guild(guild):
    return lambda d: d.get("guild_id") == guild.id


async def there(house, *people):
    for person in people:
        await until(lambda: house.redis.hlen(f"{{u:{person.id}}}:on"), f"{person.username} to be there")


async def marker(house, client):
    """Something that comes behind all that was told until now."""
    house.user_record(client.id).commit(event("MARKER", {}))
    before = client.cursor
    await client.expect("MARKER")
    return client.events[before:client.cursor]


async def says(client, status, *activities, **more):
    await client.send(3, {"status": status, "since": 0, "activities": list(activities), "afk": False, **more})


async def test_members_of_a_guild_hear_who_comes_what_he_says_and_that_he_goes(house, clients):
    ann, ben = house.users("ann", "ben")
    guild = Guild(house, ann, ben)
    watcher = await clients.login(ann)
    await there(house, ann)
    client = await clients.login(ben)
    update = await presence_of(watcher, ben, "online")
    assert update == {"user": {"id": ben.id}, "guild_id": guild.id, "status": "online", "activities": [],
                      "client_status": {"web": "online"}}
    await says(client, "dnd", {"name": "chess", "type": 0}, "no activity")
    update = await presence_of(watcher, ben, "dnd")
    assert update["activities"] == [{"name": "chess", "type": 0}]
    await says(client, "invisible")
    assert (await presence_of(watcher, ben, "offline"))["client_status"] == {}
    await says(client, "idle")
    await presence_of(watcher, ben, "idle")
    await client.close()
    await presence_of(watcher, ben, "offline")
    await until(lambda: not house.redis.exists(f"{{u:{ben.id}}}:on"), "his row to go")


async def test_a_voice_node_that_listens_to_a_guild_hears_of_nobody_s_presence(house, clients):
    ann, ben = house.users("ann", "ben")
    guild = Guild(house, ann, ben)
    with BusPeer(house.redis, "voice-node") as node, BusPeer(house.redis, "gateway") as other:
        house.redis.sadd(f"{{{guild.id}}}:gw", node.instance, other.instance)
        watcher = await clients.login(ann)
        await there(house, ann)
        client = await clients.login(ben)
        await presence_of(watcher, ben, "online")
        await until(lambda: any(head["instance"].startswith("gateway-") for head in list(other.heads)), "a connection")
        for status in ("idle", "dnd", "online"):
            await says(client, status)
            await presence_of(watcher, ben, status)
        told = [e for e in (await until(lambda: list(other.events.queue), "it to be told")) if e[0] == "presence_told"]
        assert told and not [e for e in list(node.events.queue) if e[0] == "presence_told"]


async def test_friends_hear_of_each_other_without_a_guild(house, clients):
    ann, ben, eve = house.users("ann", "ben", "eve")
    friends(house, ann, ben)
    watcher, stranger = await clients.login(ann), await clients.login(eve)
    await there(house, ann, eve)
    client = await clients.login(ben)
    assert "guild_id" not in await presence_of(watcher, ben, "online")
    assert client.supplemental["merged_presences"]["friends"] == [
        {"user_id": ann.id, "status": "online", "activities": [], "client_status": {"web": "online"}}]
    assert not [e for e in await marker(house, stranger) if e.t == "PRESENCE_UPDATE"]


async def test_ready_tells_who_is_there_in_the_form_that_the_client_reads(house, clients):
    ann, ben, eve = house.users("ann", "ben", "eve")
    friends(house, ann, ben)
    guild = Guild(house, ann, ben, eve)
    await says(await clients.login(ben), "idle")
    await there(house, ben)
    client = await clients.login(ann, capabilities=0)
    assert [p["user"]["id"] for p in client.ready["presences"]] == [ben.id]
    assert [g["id"] for g in client.ready["guilds"]] == [guild.id]
    assert [p["user"]["id"] for p in client.ready["guilds"][0]["presences"]] == [ben.id]
    client = await clients.login(ann, capabilities=CAPABILITIES)
    assert client.ready["presences"] == []
    assert [p["user_id"] for p in client.supplemental["merged_presences"]["friends"]] == [ben.id]
    assert len(client.supplemental["merged_presences"]["guilds"]) == 1


async def test_bots_hear_of_presences_when_they_asked_for_them(house, clients):
    ann, ben = house.users("ann", "ben")
    loud, quiet = house.user("loud", bot=True), house.user("quiet", bot=True)
    guild = Guild(house, ann, ben, loud, quiet)
    await clients.login(ann)
    await there(house, ann)
    hearing, deaf = await clients.login(loud, intents=GUILDS | PRESENCES), await clients.login(quiet, intents=GUILDS)
    creates = [next(e.d for e in bot.events if e.t == "GUILD_CREATE") for bot in (hearing, deaf)]
    assert [[p["user"]["id"] for p in create["presences"]] for create in creates] == [[ann.id], []]
    await there(house, loud, quiet)
    await clients.login(ben)
    await presence_of(hearing, ben, "online", in_guild(guild))
    assert not [e for e in await marker(house, deaf) if e.t == "PRESENCE_UPDATE"]


async def test_of_a_large_guild_a_client_hears_of_those_whom_it_subscribed_to(house, clients):
    ann, ben, eve = house.users("ann", "ben", "eve")
    guild = Guild(house, ann, ben, eve, crowd=300)
    watcher = await clients.login(ann)
    await watcher.send(14, {"guild_id": guild.id, "members": [ben.id]})
    await watcher.heartbeat()
    await there(house, ann)
    await clients.login(eve)
    await there(house, eve)
    await clients.login(ben)
    await presence_of(watcher, ben, "online", in_guild(guild))
    heard = [e.d["user"]["id"] for e in watcher.events if e.t == "PRESENCE_UPDATE"]
    assert eve.id not in heard


async def test_the_best_of_his_sessions_is_shown_and_all_of_them_to_himself(house, clients):
    ann, ben = house.users("ann", "ben")
    Guild(house, ann, ben)
    watcher, one = await clients.login(ann), await clients.login(ben)
    await there(house, ann, ben)
    await says(one, "idle")
    await presence_of(watcher, ben, "idle")
    two = await clients.login(ben)
    await presence_of(watcher, ben, "online")
    assert {s["session_id"]: s["status"] for s in two.ready["sessions"]} == {one.session_id: "idle",
                                                                              two.session_id: "online"}
    await until(lambda: any(e.t == "SESSIONS_REPLACE" and len(e.d) == 2 for e in one.events), "both to be told")
    await says(two, "dnd", {"name": "x", "type": 0})
    await presence_of(watcher, ben, "dnd")
    for client in (one, two):
        await until(lambda: any(e.t == "SESSIONS_REPLACE" and [s for s in e.d if s["status"] == "dnd"]
                                for e in client.events), "the change")
    await two.close()
    await presence_of(watcher, ben, "idle")
    assert not [e for e in one.events + two.events if e.t == "PRESENCE_UPDATE" and e.d["user"]["id"] == ben.id]


async def test_what_identify_says_counts(house, clients):
    ann, ben = house.users("ann", "ben")
    Guild(house, ann, ben)
    watcher = await clients.login(ann)
    await there(house, ann)
    client = await clients.connect(ben)
    await client.identify(presence={"status": "dnd", "since": 0, "activities": [{"name": "go", "type": 0}],
                                    "afk": False}, properties={"os": "Android", "browser": "Discord Android"})
    assert client.ready["sessions"][0]["status"] == "dnd"
    assert await presence_of(watcher, ben, "dnd", lambda d: "guild_id" in d and d["activities"] and
                             d["client_status"] == {"mobile": "dnd"})


async def test_activities_beyond_their_bound_are_left_out_and_the_sixth_presence_is_dropped(house, clients):
    ann, ben = house.users("ann", "ben")
    Guild(house, ann, ben)
    watcher, client = await clients.login(ann), await clients.login(ben)
    await there(house, ann, ben)
    await says(client, "idle", {"name": "x" * 5000, "type": 0})
    assert (await presence_of(watcher, ben, "idle"))["activities"] == []
    for n in range(6):
        await says(client, "dnd", {"name": str(n), "type": 0})
    await presence_of(watcher, ben, "dnd", lambda d: d["activities"][0]["name"] == "3")
    await client.heartbeat()
    await client.close()
    await presence_of(watcher, ben, "offline")
    names = [e.d["activities"][0]["name"] for e in watcher.events if e.t == "PRESENCE_UPDATE" and e.d["activities"]]
    assert "4" not in names


async def test_a_presence_that_is_no_object_is_ignored(house, clients):
    ann, = house.users("ann")
    client = await clients.login(ann)
    await client.send(3, "nonsense")
    await client.send(3, {"status": 7, "activities": "x", "since": "y"})
    await client.heartbeat()


async def test_sessions_of_gateways_that_are_gone_do_not_count(house, clients):
    ann, ben, eve = house.users("ann", "ben", "eve")
    guild = Guild(house, ann, ben, eve)
    row = {"status": 3, "client": "web"}
    house.redis.hset(f"{{u:{ben.id}}}:on", "a" * 32, pack("online", gateway="gone", until=now_ms() + 10**6, **row))
    house.redis.hset(f"{{u:{ben.id}}}:on", "c" * 32, pack("online", gateway=house.gateway, until=now_ms() + 10**6,
                                                          born=5, **row))      # of the same name, and before it
    house.redis.hset(f"{{u:{eve.id}}}:on", "b" * 32, pack("online", gateway=house.gateway, until=now_ms() - 1, **row))
    client = await clients.login(ann, capabilities=0)
    assert client.ready["guilds"][0]["presences"] == []
    await client.send(8, {"guild_id": guild.id, "user_ids": [ben.id, eve.id], "presences": True})
    assert (await client.expect("GUILD_MEMBERS_CHUNK"))["presences"] == []
    await clients.login(eve)
    await presence_of(client, eve, "online")
    await until(lambda: not house.redis.hexists(f"{{u:{eve.id}}}:on", "b" * 32), "what has expired to be swept")


async def test_a_session_that_ends_without_redis_is_not_there_when_redis_is_back(clients):
    house = House()
    own = Clients(house)
    try:
        ben, = house.users("ben")
        client = await own.login(ben)
        await there(house, ben)
        house.redis_dies()
        await client.close()
        house.redis_returns()
        await until(lambda: not house.redis.exists(f"{{u:{ben.id}}}:on"), "his row to go")
    finally:
        await own.close()
        house.close()


# -- two gateways ----------------------------------------------------------------------------------

FIRST, SECOND = "gateway", "gateway-2"


@pytest.fixture
def both():
    """Two gateways of its own."""
    standing = House(2)
    yield standing
    standing.close()


async def acquainted(house):
    """Each gateway has seen in the registry that both are there."""
    def dumps(name):
        service = house.system.services[name]
        service.proc.send_signal(signal.SIGUSR1)
        text = service.log.read_text()
        return sum(f"  gateway {other} batches=" in text for other in house.gateways)
    for name in (FIRST, SECOND):
        await until(lambda: dumps(name) == 2, f"{name} to know the other")


async def log_in_at(house, clients, gateway, account):
    client = clients.client(account)
    client.url = house.system.gateway_url_of(gateway)
    await client.connect()
    await client.hello()
    await client.identify()
    return client


async def test_gateways_tell_each_other_and_a_session_is_there_wherever_it_is_resumed(both):
    clients = Clients(both)
    ann, ben = both.users("ann", "ben")
    friends(both, ann, ben)
    guild = Guild(both, ann, ben)
    try:
        await acquainted(both)
        watcher = await log_in_at(both, clients, SECOND, ann)
        await there(both, ann)
        client = await log_in_at(both, clients, FIRST, ben)
        await presence_of(watcher, ben, "online", in_guild(guild))
        await presence_of(watcher, ben, "online", lambda d: "guild_id" not in d)
        await says(client, "dnd", {"name": "go", "type": 0})
        await presence_of(watcher, ben, "dnd", lambda d: d["activities"] == [{"name": "go", "type": 0}])
        both.system.kill(FIRST)
        gone = await until(lambda: [g for g in both.gateways if not both.redis.exists(f"bus:gateway:{g}")], "it to be gone")
        await client.closed()
        client.url = both.system.gateway_url_of(SECOND)
        await client.reconnect_and_resume()
        row = await until(lambda: (packed := both.redis.hget(f"{{u:{ben.id}}}:on", client.session_id))
                          and gone[0].encode() not in packed and packed, "it to be the other one's")
        assert b'"go"' in row
        fresh = await log_in_at(both, clients, SECOND, ann)
        assert [p["status"] for p in fresh.supplemental["merged_presences"]["friends"]] == ["dnd"]
        await says(client, "idle")
        await presence_of(watcher, ben, "idle")
        await client.close()
        await presence_of(watcher, ben, "offline")
        await until(lambda: not both.redis.exists(f"{{u:{ben.id}}}:on"), "its row to go")
    finally:
        await clients.close()
