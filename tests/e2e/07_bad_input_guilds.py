"""Bad input about guilds on the websocket, in JSON and in Erlang's terms: what is not allowed is met with silence, what
has no form costs its sender a close code where somebody waits for it, and calls and guilds of others go on without a late
event."""
import asyncio
import contextlib
import json
import struct

import pytest

import etf
from client import AMBIENT
from raw import BINARY, CLOSE, Raw, frame

FINE = "fine"
FIELDS = {8: {"guild_id": None, "query": "", "limit": 0, "presences": True, "nonce": "n"},
          14: {"guild_id": None, "typing": True, "threads": True, "activities": True, "channels": {}, "members": [], "thread_member_lists": []},
          37: {"subscriptions": {}}, 36: {"guild_id": None}, 43: {"guild_id": None, "fields": ["status"]}, 31: {"guild_ids": []},
          18: {"type": "guild", "guild_id": None, "channel_id": None, "preferred_region": None}, 20: {"stream_key": "guild:1:2:3"},
          3: {"status": "online", "since": 0, "activities": [], "afk": False}}
VALUES = [None, True, 0, -1, 1.5, 2 ** 63 - 1, "", "x", "17", str(2 ** 64), "x" * 5000, [], [None], [[]], [{}], ["x"] * 1000, {}, {"x": 1},
          {"17": None}, {"17": [[0, 99]]}, {"x": [[0, 99]]}, {"17": [["0", "99"], [1], [-1, 5], [5, 1], [0, 2 ** 62], None]}]
CLOSES = {18: {4002}, 20: {4002}}               # streams are asked for by who waits for an answer
TIMES = 4                                       # that each is said; a session may say 120 things in a minute
GUILDS_MAX = 100                                # that one frame may name, which are all answered


async def session(world, account, query="/?v=9&encoding=json"):
    """A socket that is ready; `says` and `send` go through its encoding."""
    raw = await (await Raw.to(world.system.gateway_url)).upgrade(query)
    raw.etf = "etf" in query
    await said(raw)
    await tell(raw, {"op": 2, "d": {"token": account.token, "properties": {}}})
    assert (await said(raw))["t"] == "READY"
    return raw


async def said(raw):
    """The next message, decoded, or the close code."""
    while True:
        got = await raw.next_frame()
        if got is None:
            return 1006
        op, payload = got
        if op == CLOSE:
            return struct.unpack(">H", payload[:2])[0]
        if op in (1, BINARY):
            return etf.as_json(etf.decode(payload)) if raw.etf else json.loads(payload)


async def tell(raw, message):
    await raw.send(frame(etf.encode(message), BINARY) if raw.etf else frame(json.dumps(message)))


async def outcome(raw):
    """FINE when a heartbeat is answered, or the close code; and the names of what came before."""
    await tell(raw, {"op": 1, "d": None})
    names = []
    while True:
        got = await said(raw)
        if isinstance(got, int):
            return got, names
        if got["op"] == 11:
            return FINE, names
        names.append(got["t"])


async def end(raw):
    with contextlib.suppress(ConnectionError):
        await raw.send(frame(b"\x03\xe8", CLOSE))
    raw.writer.close()


async def all_of(rows, check):
    """Eight at a time; what went wrong with any is told at the end."""
    gate, wrong = asyncio.Semaphore(8), []

    async def one(row):
        async with gate:
            try:
                await check(*row)
            except Exception as trouble:
                wrong.append((str(row)[:200], repr(trouble)[:300]))
    await asyncio.gather(*[one(row) for row in rows])
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("encoding", ["json", "etf"])
@pytest.mark.parametrize("op", FIELDS)
async def test_each_field_of_what_asks_about_guilds_with_each_kind_of_value(world, bystander, op, encoding):
    ann, owner = world.users("ann", "owner")
    guild = world.guild(owner, ann)
    fields = {key: guild["id"] if key == "guild_id" else value for key, value in FIELDS[op].items()}

    async def check(field):
        raw = await session(world, ann, f"/?v=9&encoding={encoding}")
        for n, value in enumerate(VALUES):
            if raw.etf and isinstance(value, list) and value == ["x"] * 1000:
                value = ["x"] * 900
            await tell(raw, {"op": op, "d": {**fields, field: value}})
            got, _ = await outcome(raw)
            if got in CLOSES.get(op, ()) or n % 20 == 19:
                await end(raw)
                raw = await session(world, ann, f"/?v=9&encoding={encoding}")
            else:
                assert got == FINE, (value, got)
        await end(raw)
    await all_of([(field,) for field in fields], check)


async def test_a_join_of_what_is_not_his_is_met_with_silence(world, system, bystander):
    """Guilds of others, channels of another guild, ids of other things, channels that are gone: by op 4, in each mix."""
    ann, eve, owner = world.users("ann", "eve", "owner")
    mine, theirs = world.guild(ann, owner), world.guild(eve)
    gone = (await world.rest(ann).post(f"/guilds/{mine['id']}/channels", {"name": "x", "type": 2})).ok(201)["id"]
    (await world.rest(ann).delete(f"/channels/{gone}")).ok()
    group, place = world.group(ann, eve), world.quiet_place(ann)
    at, there = ({c["name"]: c["id"] for c in guild["channels"]} for guild in (mine, theirs))
    guilds = [mine["id"], theirs["id"], group, at["one"], ann.id, "1", "0", None]
    channels = [at["one"], at["general"], there["one"], there["stage"], gone, mine["id"], theirs["id"], ann.id, owner.id, "1", "0"]
    client = await world.login(ann)
    fine = {(mine["id"], at["one"]), (None, group)}
    left = {None, "0"}                          # no channel: he leaves what he is not in
    for count, (guild, channel) in enumerate((g, c) for g in guilds for c in channels):
        if (guild, channel) not in fine and channel not in left:
            await client.join(channel, guild=guild)
        if count % 90 == 89:
            await client.quiet_until_call(place)
            await client.close()
            client = await world.login(ann)
    await client.quiet_until_call(place)
    await client.join(at["one"], guild=mine["id"])      # and what is his is still there
    await client.next("VOICE_STATE_UPDATE", channel_id=at["one"])
    await asyncio.to_thread(system.check_alive)


async def test_more_of_it_than_anybody_would_ask_for(world, bystander):
    """Thousands of ranges, users, channels and guilds in one frame, nonces and queries that are too long: as much of it is
    answered as there is room for, once."""
    ann, owner = world.users("ann", "owner")
    guild = world.guild(owner, ann)
    at = {c["name"]: c["id"] for c in guild["channels"]}
    ranges = [[n, n + 1] for n in range(900)]
    many = [str(n) for n in range(1, 1400)]
    rows = [(14, {"guild_id": guild["id"], "channels": {at["general"]: ranges}}),
            (14, {"guild_id": guild["id"], "channels": {str(n): [[0, 99]] for n in range(500)}}),
            (14, {"guild_id": guild["id"], "channels": {at["general"]: [[0, 99]] * 1300}}),
            (14, {"guild_id": guild["id"], "channels": {at["general"]: [[0, 2 ** 62]]}}),
            (14, {"guild_id": guild["id"], "members": many}), (37, {"subscriptions": {n: {} for n in many[:1000]}}),
            (37, {"subscriptions": {guild["id"]: {"channels": {at["general"]: ranges}}}}),
            (8, {"guild_id": guild["id"], "user_ids": many}), (8, {"guild_id": many, "query": "", "limit": 0}),
            (8, {"guild_id": [guild["id"]] * 600, "query": "", "limit": 0}),
            (8, {"guild_id": guild["id"], "query": "x" * 14000, "limit": 2 ** 62}),
            (8, {"guild_id": guild["id"], "query": "", "limit": 1, "nonce": "n" * 33}),
            (8, {"guild_id": guild["id"], "query": "", "limit": 1, "nonce": "n" * 14000}),
            (43, {"guild_id": guild["id"], "fields": ["status"] * 1500}), (31, {"guild_ids": many}), (31, {"guild_ids": [guild["id"]] * 600}),
            *[(op, {"guild_id": id, "query": "", "limit": 0, "channels": {at["one"]: [[0, 99]]}, "fields": ["status"]})
              for op in (8, 14, 36, 43) for id in ("1", str(2 ** 63 - 1), ann.id, at["one"], str(2 ** 64 - 1), "-1")]]

    async def check(op, d):
        client = await world.login(ann)
        for _ in range(TIMES):
            await client.send(op, d)
        await client.heartbeat()
        answers = [event for event in client.events if event.t not in AMBIENT]
        assert len(answers) <= GUILDS_MAX * TIMES + 2, len(answers)     # READY and READY_SUPPLEMENTAL
        for event in answers:
            if event.t == "GUILD_MEMBERS_CHUNK":
                assert len(event.d.get("nonce") or "") <= 32 and len(event.d.get("not_found", ())) <= 100, event
            if event.t == "GUILD_MEMBER_LIST_UPDATE":
                assert event.d["guild_id"] == guild["id"] and len(event.d["ops"]) <= 5, event
        await client.close()
    await all_of(rows, check)


# -- Erlang's terms ---------------------------------------------------------------------------------

BEAT = etf.encode({"op": 1, "d": None})
NO_TERMS = [
    ("nothing", b""), ("the version alone", b"\x83"), ("another version", b"\x82" + BEAT[1:]), ("JSON", b'{"op":1,"d":null}'),
    *[(f"cut at {n}", BEAT[:n]) for n in range(1, len(BEAT))], ("something behind it", BEAT + b"\x00"), ("twice", BEAT * 2),
    *[(f"tag {tag}", b"\x83" + bytes([tag]) + b"\x00" * 20) for tag in (0, 80, 82, 98, 99, 102, 103, 108, 113, 117, 119, 120, 255)],
    ("a map of 2^32", b"\x83t\xff\xff\xff\xff"), ("a list of 2^32", b"\x83l\xff\xff\xff\xffa\x01j"),
    ("a text of 2^32", b"\x83t\x00\x00\x00\x01m\xff\xff\xff\xffop"), ("a number of 2^32 bytes", b"\x83o\xff\xff\xff\xff\x00"),
    ("compressed", b"\x83P\x00\x00\x00\x0ax"), ("3,000 lists", b"\x83" + b"l\x00\x00\x00\x01" * 3000 + b"j"),
    ("3,000 maps", b"\x83" + b"t\x00\x00\x00\x01a\x01" * 2900), ("a list without an end", b"\x83l\x00\x00\x00\x01a\x01"),
    ("a float that is none", b"\x83t\x00\x00\x00\x01m\x00\x00\x00\x02opF\x7f\xf8\x00\x00\x00\x00\x00\x00"),
    ("a key that is a map", b"\x83t\x00\x00\x00\x01t\x00\x00\x00\x00a\x01"), ("a list", etf.encode([1, 2])), ("a number", etf.encode(7)),
    ("a text", etf.encode("op")), ("nil", etf.encode(None)), ("no op", etf.encode({"d": None})), ("a text as op", etf.encode({"op": "1"})),
    ("half an op", etf.encode({"op": 1.5})), ("no UTF-8", b"\x83t\x00\x00\x00\x01m\x00\x00\x00\x02\xff\xfea\x01"),
    ("an overlong text", b"\x83t\x00\x00\x00\x02m\x00\x00\x00\x02opa\x01m\x00\x00\x00\x01dm\x00\x00\x00\x02\xc0\xaf"),
]


async def test_frames_that_are_no_terms(world, bystander):
    async def check(_, data):
        raw = await (await Raw.to(world.system.gateway_url)).upgrade("/?v=9&encoding=etf")
        raw.etf = True
        await said(raw)
        await raw.send(frame(data, BINARY))
        got, _ = await outcome(raw)
        assert got == 4002, got
        raw.writer.close()
    await all_of(NO_TERMS, check)


async def test_terms_are_terms_in_frames_of_either_kind(world, bystander):
    for query, data, op, expected in (("etf", BEAT, 1, FINE), ("etf", b'{"op":1,"d":null}', 1, 4002), ("json", BEAT, BINARY, 4002)):
        raw = await (await Raw.to(world.system.gateway_url)).upgrade(f"/?v=9&encoding={query}")
        raw.etf = query == "etf"
        await said(raw)
        await raw.send(frame(data, op))
        got, _ = await outcome(raw)
        assert got == expected, (query, op, got)
        raw.writer.close()
