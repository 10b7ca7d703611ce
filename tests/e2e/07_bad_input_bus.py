"""A peer on the bus that talks nonsense, and nonsense in Redis, cost themselves an error or a line in the log, and a
call of others goes on without a late event: garbage and truncated messages on both ports of each service, commands that
are well-formed and absurd, events of nothing, records that do not decode."""
import asyncio
import contextlib
import random

import aiohttp
import msgpack
import pynng
import pytest
import redis as redis_client

from bus import KINDS, SCHEMAS, BusPeer, instances_of, metrics_of, now_ms, pack
from harness import poll

# Much of this waits in vain for as long as a request may.
SYSTEM = {"env": {"gateway": {"SB_COMMAND_MS": 5000}}}
SERVICES = ("gateway", "call-manager", "region-allocator", "message")
COMMANDS = [name for name, schema in SCHEMAS.items() if 120 <= schema.tag < 220 and name not in ("assigned", "node_announce")]
# One that each service answers at once, whatever was before.
ALIVE = {"gateway": ("typing", -1), "call-manager": ("recipient_add", 50033), "region-allocator": ("regions_list", 0),
         "message": ("user_find", 10013)}
SEED = 20240229
ROWS_MS = 60_000                                # until they are taken away
PEOPLE = 8                                      # whose records are made absurd; a client has 100 connections at most


@pytest.fixture
def rogue(system):
    """It is not in the registry: nobody dials it, nobody asks it for anything."""
    redis = redis_client.Redis(port=system.redis_port)
    peer = BusPeer(redis, "voice-node", register=False)
    yield peer
    peer.close()
    redis.close()


def alive(rogue, kind):
    """The service answers what is asked of it; the answer needs a way back, so the asker shows itself for that."""
    rogue.register()
    name, err = ALIVE[kind]
    fields = {"name": "nobody"} if name == "user_find" else {}
    assert rogue.command(kind, name, **fields)["err"] == err
    rogue.unregister()


def garbage():
    """(what, bytes) that are no messages, or only the beginning of one."""
    head = pack("command", id=7, deadline=now_ms() + 5000, **{"from": "rogue", "kind": 4})
    voice = pack("voice_update", user=1, session="s" * 32, gateway="g", channel=1, regions=["a", "b"])
    batch = pack("bus_head", instance="rogue", epoch=1, seq=1)
    event = pack("place_event", ref=1, version=1, events=[{"name": "X", "body": b"{}"}])
    for what, whole in (("a command", head + voice), ("a batch", batch + event)):
        yield from ((f"{what} cut at {n}", whole[:n]) for n in range(len(whole)))
    for what, data in {
            "nothing": b"", "a word": b"hello", "an array of 2^32": b"\xdd\xff\xff\xff\xff", "a map of 2^32": b"\xdf\xff\xff\xff\xff",
            "a text of 2^32": b"\xdb\xff\xff\xff\xff", "a blob of 2^32": b"\xc6\xff\xff\xff\xff", "an unused byte": b"\xc1",
            "100,000 levels": b"\x91" * 100_000, "100,000 maps": b"\x81\xc0" * 100_000, "nils": b"\xc0" * 100_000,
            "a megabyte of zeros": bytes(1 << 20), "an unknown tag": msgpack.packb([60000, 1]), "a tag of 2^64-1": msgpack.packb([2 ** 64 - 1]),
            "a negative tag": msgpack.packb([-1]), "a text as tag": msgpack.packb(["command"]), "no tag": msgpack.packb([]),
            "a head alone": head, "two heads": head + head, "a batch in a batch": batch + batch, "a record": pack("user", id=1, username="x"),
            "a payload": msgpack.packb([340, "x"]), "a head and an unknown tag": head + msgpack.packb([60000]),
            "a head of floats": msgpack.packb([102, 1.5, 2.5, "x", 1]), "a head of texts": msgpack.packb([102, "1", "2", 3, "4"]),
            "a long name": msgpack.packb([102, 7, now_ms() + 5000, "x" * 49, 4]) + voice,
            "no UTF-8": msgpack.packb([102, 7, now_ms() + 5000, b"\xff\xfe", 4], use_bin_type=False) + voice,
            }.items():
        yield what, data
    noise = random.Random(SEED)
    yield from ((f"noise {n}", noise.randbytes(noise.randrange(1, 400))) for n in range(200))
    for n in range(200):
        whole = bytearray(head + voice if n % 2 else batch + event)
        for _ in range(noise.randrange(1, 4)):
            whole[noise.randrange(len(whole))] = noise.randrange(256)
        yield f"mutant {n}", bytes(whole)
    yield "6 MB", b"\x91" * 6_000_000          # which ends its pipe, and what would follow goes with it


@pytest.mark.parametrize("kind", SERVICES)
def test_garbage_on_both_ports(system, bystander, rogue, kind):
    instance, = instances_of(system, kind)
    node = rogue.node_of(kind, instance)
    before = metrics_of(system, kind)["bus_invalid"]
    rows = list(garbage())
    with pynng.Push0(send_timeout=10_000) as commands, pynng.Pub0() as events:
        commands.dial(node["commands_url"], block=True)
        events.send_buffer_size = 4096
        events.dial(node["events_url"], block=True)
        for _, data in rows:
            commands.send(data)
            events.send(data)
        # On either port; some of what was mutilated is still well-formed.
        poll(lambda: metrics_of(system, kind)["bus_invalid"] >= before + 1.75 * len(rows), "most of it to be refused")
    alive(rogue, kind)
    system.check_alive()


def absurd(kind, known, chance):
    """A value that a field of this kind can have on the wire."""
    if kind in ("id", "nid", "oid", "u64", "time", "ntime", "hide"):
        return chance.choice([0, 1, 2 ** 53, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1, *known])
    if kind in ("text", "hush", "ntext", "otext"):
        return chance.choice(["", "x", "\0", "x" * 32, "x" * 48, "x" * 64, "é" * 16, "{u:0}", "0" * 32, "12345"])
    if kind == "ids":
        return [absurd("id", known, chance) for _ in range(chance.choice([0, 1, 2, 10, 32]))]
    if kind == "texts":
        return [absurd("text", known, chance) for _ in range(chance.choice([0, 1, 16]))]
    if kind == "u64":
        return chance.choice([0, 1, 2, 4, 8, 64, 2047, 2 ** 64 - 1])
    if kind in ("raw", "blob"):
        return chance.choice([b"", b"{}", b"[]", b"null", b"{", b"\xff", b'{"users":[{"name":"rogue_x"}]}', b"[" * 5000])
    return chance.choice([True, False])


def absurd_row(name, known, chance):
    """A row that decodes, with at most a few fields that are as they should be."""
    fields = {}
    for kind, field, row in SCHEMAS[name].fields:
        if kind == "list":
            fields[field] = [absurd_row(row, known, chance) for _ in range(chance.choice([0, 1, 2, 10, 32]))]
        elif row is not None:
            fields[field] = chance.choice([None, absurd_row(row, known, chance), absurd_row(row, known, chance)])
        else:
            fields[field] = absurd(kind, known, chance)
    return fields


@pytest.mark.parametrize("kind", SERVICES)
def test_commands_that_are_well_formed_and_absurd(system, world_of_ids, bystander, rogue, kind):
    instance, = instances_of(system, kind)
    chance = random.Random(f"{SEED} {kind}")
    for _ in range(60):
        for name in COMMANDS:
            fields = absurd_row(name, world_of_ids, chance)
            head = pack("command", id=chance.choice([1, 2 ** 64 - 1, 2 ** 64 - 2, *[chance.randrange(1, 2 ** 64)] * 20]),
                        deadline=chance.choice([0, now_ms() + 3000, 2 ** 64 - 1]), **{"from": "", "kind": 255})
            rogue.push(instance, kind, head + pack(name, **fields))
    alive(rogue, kind)
    system.check_alive()


@pytest.fixture
def world_of_ids(system):
    """Of people and places that are there, so that commands about them go far; none of them a bystander's."""
    made = [system.admin_ok("POST", "/admin/users", {"username": f"victim{n}_{now_ms()}"}) for n in range(3)]
    names = [user["id"] for user in made]
    dm = system.admin_ok("POST", "/admin/dms", {"users": names[:2]})
    group = system.admin_ok("POST", "/admin/groups", {"users": names})
    guild = system.admin_ok("POST", "/admin/guilds", {
        "name": f"victims{now_ms()}", "owner": made[0]["username"], "members": [user["username"] for user in made],
        "roles": [{"name": "crew", "members": [made[1]["username"]]}],
        "channels": [{"name": kind, "type": kind} for kind in ("text", "voice", "stage", "category")]})
    return [int(thing["id"]) for thing in (*made, dm, group, guild, *guild["channels"], *guild["roles"])]


@pytest.mark.parametrize("kind", SERVICES)
def test_events_of_nothing(system, bystander, rogue, kind):
    """Answers that nobody asked for, entries of records that nobody listens to, nodes that are none."""
    instance, = instances_of(system, kind)
    chance = random.Random(f"{SEED} {kind}")
    rows = []
    for _ in range(60):
        rows.append(pack("answer", id=absurd("id", (), chance), err=chance.choice([0, -1, 2 ** 63 - 1, -2 ** 63]), body=b"x"))
        events = [{"name": absurd("text", (), chance), "to": chance.randrange(4), "user": absurd("id", (), chance),
                   "session": absurd("text", (), chance), "place_op": chance.randrange(3), "place": absurd("id", (), chance),
                   "place_version": absurd("u64", (), chance), "body": absurd("raw", (), chance),
                   **{field: absurd(of, (), chance) for of, field, _ in SCHEMAS["event"].fields[8:]}} for _ in range(chance.choice([0, 1, 64]))]
        rows.append(pack("place_event", ref=chance.choice([0, 1, 2 ** 63 + 1, 2 ** 64 - 1]), version=absurd("u64", (), chance), events=events))
        told = {field: absurd(of, (), chance) for of, field, _ in SCHEMAS["presence_told"].fields}
        fits = {"status": chance.randrange(4), "client": chance.choice(["", "web"]), "activities": chance.choice([b"", b"[]", b"\xff"])}
        rows.append(pack("presence_told", **told | fits))
        rows.append(pack("node_announce", **{field: absurd(of, (), chance) for of, field, _ in SCHEMAS["node_announce"].fields}))
    taken = metrics_of(system, kind)["bus_received"]
    for row in rows:
        rogue.publish(instance, kind, row)
    poll(lambda: metrics_of(system, kind)["bus_received"] >= taken + len(rows), "all of it to be taken")
    for seq, epoch in ((2 ** 64 - 1, rogue.epoch), (0, 0), (1, 2 ** 64 - 1)):
        rogue.link(instance, kind).socket.send(pack("bus_head", instance=rogue.instance, epoch=epoch, seq=seq))
        rogue.link(instance, kind).socket.send(pack("bus_head", instance="", epoch=epoch, seq=seq, beat=True))
    alive(rogue, kind)
    system.check_alive()


NO_ROWS = [b"", b"x", b"\xc0", b"\xdd\xff\xff\xff\xff", pack("user", id=1, username="x"), pack("channel", id=2, type=1), bytes(5000)]


@pytest.mark.parametrize("data", NO_ROWS, ids=range(len(NO_ROWS)))
async def test_records_that_do_not_decode(world, system, bystander, rogue, data):
    """They are not there, for whoever asks; everything else of the same people is."""
    redis = rogue.redis
    ann, bob, gone = world.users("ann", "bob", "gone")
    broken, whole, guild = world.dm(ann, gone), world.quiet_place(ann), world.guild(ann, bob)
    redis.hset(f"{{{broken}}}:s", "chan", data)
    redis.hset(f"{{u:{ann.id}}}:ch", "x", "")
    redis.hset(f"{{u:{ann.id}}}:ch", str(2 ** 64 - 1), "")
    redis.hset(f"{{u:{ann.id}}}:rel", mapping={"y": "z", str(2 ** 63): "1", bob.id: "77"})
    redis.hset(f"{{u:{ann.id}}}:rs", mapping={"1": data, whole: data})
    redis.hset(f"{{{guild['id']}}}:r", "9", data)
    redis.hset(f"{{{guild['id']}}}:mb", "8", data)
    client = await world.login(ann)
    assert [channel["id"] for channel in client.ready["private_channels"]] == [whole]
    assert (await client.rest.get(f"/channels/{broken}")).status == 404
    assert (await client.rest.get(f"/guilds/{guild['id']}/members?limit=10")).status == 200
    await client.join(broken)
    await client.ask_for_call(broken)
    await client.rest.send("POST", f"/channels/{broken}/call/ring", {})
    await client.quiet_until_call(whole)
    redis.hset(f"{{{whole}}}:s", "call", data)  # a call that is none; who comes next finds that out
    redis.hset(f"{{{whole}}}:m", "5", data)
    redis.zadd(f"{{{whole}}}:mi", {"00000000000000000005": 0, "x": 0})
    await client.join(whole)
    await client.ask_for_call(whole)
    assert (await client.rest.get(f"/channels/{whole}/messages")).status in (200, 503)
    await client.heartbeat()
    redis.hset(f"{{u:{gone.id}}}:s", "user", data)
    redis.hset(f"{{u:{gone.id}}}:s", "voice", data)
    late = await world.connect(gone)
    await late.send(2, late.identification())
    assert await late.rejected() in (4004, 9) or data == NO_ROWS[4]
    await asyncio.to_thread(system.check_alive)


async def use(world, ann, channel):
    """What people do with a channel, whatever comes of it: much of it waits in vain for as long as it may."""
    client = await world.connect(ann)
    await client.send(2, client.identification())
    asked = [client.rest.send(method, f"/channels/{channel}/{path}".rstrip("/"), body) for method, path, body in (
        ("POST", "call/ring", {}), ("POST", "messages", {"content": "x"}), ("GET", "messages", None), ("GET", "", None),
        ("POST", "call/stop-ringing", {}), ("POST", "messages/1/ack", {}), ("PUT", "recipients/1", {}),
        ("PATCH", "call", {"region": "rotterdam"}), ("PATCH", "", {"name": "x"}))]
    asked += [client.rest.get("/users/@me/channels"), client.rest.get("/users/@me/guilds")]
    with contextlib.suppress(aiohttp.ClientConnectionError):
        for step in ({"channel_id": channel}, {"channel_id": channel, "self_mute": True}, {"channel_id": None}):
            await client.send(4, {"guild_id": None, "self_mute": False, "self_deaf": False} | step)
            await client.send(13, {"channel_id": channel})
    await asyncio.gather(*asked)
    if client.close_code is None:
        await client.close()


@pytest.fixture
def rows_of_guilds():
    """(suffix, field, row) of a guild, by which one can be made absurd: {row: where it stands}."""
    return {"guild": ("s", "guild"), "role": ("r", "role"), "guild_channel": ("ch", "channel"), "member": ("mb", "member"),
            "voice_seat": ("vs", "member"), "voice_room": ("vc", "channel"), "stage": ("st", "channel")}


async def live_in(world, people, guild, channels):
    """What people do in a guild, whatever comes of it."""
    ann, bob = people
    client = await world.connect(bob)
    await client.send(2, client.identification())
    rest, mod, at = world.rest(bob), world.rest(ann), f"/guilds/{guild}"
    asked = [mod.send("PATCH", f"{at}/members/{bob.id}", body) for body in (
        {"nick": "x"}, {"mute": True}, {"channel_id": channels[0]}, {"channel_id": None}, {"roles": []})]
    asked += [mod.send("PATCH", f"/channels/{channel}", {"name": "xx", "user_limit": 3}) for channel in channels]
    asked += [rest.send("GET", f"{at}{path}") for path in ("", "/channels", "/roles", "/members?limit=9", f"/members/{ann.id}")]
    asked += [mod.send("PUT", f"/channels/{channels[0]}/voice-status", {"status": "x"}), mod.send("PATCH", at, {"name": "yy"}),
              mod.send("POST", f"{at}/channels", {"name": "x", "type": 2}), mod.send("POST", f"{at}/roles", {"name": "x"}),
              mod.send("POST", "/stage-instances", {"channel_id": channels[-1], "topic": "x"}),
              mod.send("DELETE", f"/channels/{channels[-1]}")]
    with contextlib.suppress(aiohttp.ClientConnectionError):
        for channel in (*channels, None):
            await client.send(4, {"guild_id": guild, "channel_id": channel, "self_mute": False, "self_deaf": False})
        await client.send(8, {"guild_id": guild, "query": "", "limit": 0, "presences": True})
        await client.send(14, {"guild_id": guild, "channels": {channels[0]: [[0, 99]]}})
        await client.send(43, {"guild_id": guild, "fields": ["status"]})
    await asyncio.gather(*asked)
    if client.close_code is None:
        await client.close()


async def test_guilds_that_decode_and_make_no_sense(world, system, bystander, rogue, rows_of_guilds):
    """Seats of nobody, rooms with other counts, roles above all others, channels of no kind: of a guild of others."""
    chance, lives = random.Random(SEED), []
    for turn in range(PEOPLE):
        people = ann, bob = world.users("ann", "bob")
        made = world.guild(ann, bob, roles=[{"name": "crew", "members": [bob.username]}])
        channels = [channel["id"] for channel in made["channels"] if channel["name"] != "general"]
        at = {"guild": "guild", "role": made["roles"][0]["id"], "member": bob.id, "channel": channels[0]}
        known = [int(id) for id in (*channels, made["id"], ann.id, bob.id)]
        for row in chance.sample(sorted(rows_of_guilds), 1 + turn % 3):
            suffix, field = rows_of_guilds[row]
            rogue.redis.hset(f"{{{made['id']}}}:{suffix}", at[field], pack(row, **absurd_row(row, known, chance)))
        rogue.redis.sadd(f"{{{made['id']}}}:vu:{channels[0]}", bob.id, "x", 2 ** 64 - 1, "17")
        rogue.redis.zadd(f"{{{made['id']}}}:mi", {"x": 0, "17".zfill(20): 0})
        lives.append(live_in(world, people, made["id"], channels))
    await asyncio.gather(*lives)
    await asyncio.to_thread(system.check_alive)


async def test_records_that_decode_and_make_no_sense(world, system, bystander, rogue):
    chance = random.Random(SEED)
    places = []
    for _ in range(PEOPLE):
        ann, bob = world.users("ann", "bob")
        channel = chance.choice([world.dm, world.group])(ann, bob)
        known = [int(ann.id), int(bob.id), int(channel), now_ms(), now_ms() + 500]
        rows = [(f"{{{channel}}}:s", "chan", "channel"), (f"{{{channel}}}:s", "call", "call_rec"), (f"{{{channel}}}:s", "call", "call_rec"),
                (f"{{u:{ann.id}}}:s", "voice", "location"), (f"{{u:{bob.id}}}:s", "user", "user"),
                (f"{{u:{ann.id}}}:rs", channel, "read_state"), (f"{{{channel}}}:m", "7", "message_rec"),
                (f"{{{channel}}}:a", channel, "assignment")]
        for key, field, row in chance.sample(rows, 3):
            rogue.redis.hset(key, field, pack(row, **absurd_row(row, known, chance)))
        if chance.random() < 0.3:
            rogue.redis.hset(f"{{{channel}}}:s", chance.choice(["last", "v"]), absurd("u64", known, chance))
        places.append((ann, channel))
    await asyncio.gather(*[use(world, ann, channel) for ann, channel in places])
    await asyncio.to_thread(system.check_alive)


async def test_sessions_that_do_not_decode(world, system, bystander, rogue):
    """Whatever stands there under the name of a session, who resumes it is told that there is none, or to come again."""
    redis, ann = rogue.redis, world.user("ann")
    good = {"owner": "nobody", "turn": "1", "seq": "5", "bytes": "9", "user": ann.id,
            "is": pack("session_rec", user=int(ann.id), shards=1)}
    rows = [{"is": data} for data in NO_ROWS]
    rows += [{field: value} for field in ("owner", "turn", "seq", "bytes", "user")
             for value in ("", "x", "0", "-1", "1.5", str(2 ** 53 + 2), str(2 ** 63), str(2 ** 64 - 1), str(2 ** 64))]
    rows += [{"is": pack("session_rec", **{"user": int(ann.id), "shards": 1} | more)}
             for more in ({"shards": 0}, {"shard": 1}, {"shards": 2 ** 64 - 1}, {"user": 0}, {"user": 2 ** 64 - 1},
                          {"issued_ms": 2 ** 64 - 1, "intents": 2 ** 64 - 1, "capabilities": 2 ** 64 - 1})]
    for number, row in enumerate(rows):
        session = f"{number + 1:016x}" + 16 * "0"  # the first half is the key of the gateway's table
        redis.hset(f"{{s:{session}}}:h", mapping=good | row)
        redis.hset(f"{{s:{session}}}:p", mapping={"1": "x", "x": "1", "g7": str(2 ** 64), str(2 ** 64 - 1): "1"})
        redis.rpush(f"{{s:{session}}}:r", *['"t":"X","d":{}}'] * 2)
        client = await world.connect(ann)
        await client.send_resume(session_id=session, seq=3)
        outcome = await client.resumed_or_rejected()
        assert outcome in (9, 4000, 4007, "RESUMED"), (row, outcome)
        await client.close()
        redis.delete(*[f"{{s:{session}}}:{suffix}" for suffix in "hpr"])
    await asyncio.to_thread(system.check_alive)


def test_a_registry_and_timers_that_are_none(system, bystander, rogue):
    redis = rogue.redis
    keys, until = [], now_ms() + ROWS_MS
    for number, data in enumerate(NO_ROWS):
        for kind in KINDS:
            redis.set(f"bus:{kind}:rogue-{number}", data, px=ROWS_MS)
            redis.zadd(f"bus:{kind}", {f"rogue-{number}": until, f"nobody-{number}": until})
            keys.append((kind, f"rogue-{number}"))
            keys.append((kind, f"nobody-{number}"))
    redis.set("bus:voice-node:rogue-url", pack("bus_node", instance="rogue-url", events_url="http://x", commands_url="", epoch=1), px=ROWS_MS)
    redis.zadd("bus:voice-node", {"rogue-url": until})
    for kind in SERVICES:
        before = metrics_of(system, kind)["bus_invalid"]
        poll(lambda: metrics_of(system, kind)["bus_invalid"] > before, f"{kind} to have looked")
    for kind, name in [*keys, ("voice-node", "rogue-url")]:
        redis.delete(f"bus:{kind}:{name}")
        redis.zrem(f"bus:{kind}", name)
    for kind in SERVICES:
        alive(rogue, kind)
    system.check_alive()
