"""Bad input on the websocket costs its sender a close code, and a call of others goes on without a late event.
One table per kind of nonsense; each row says what the gateway answers to it."""
import asyncio
import json

import pytest

from bus import SCHEMAS
from gateway_house import mint, now_ms
from raw import BINARY, CLOSE, LOST, PING, PONG, Raw, frame

TOKEN_MS = 3_600_000
SYSTEM = {"env": {"gateway": {"SB_TOKEN_MS": TOKEN_MS}}}
FINE = "fine"                                   # nothing happens to the sender
KIB15 = 15 * 1024
NOBODYS_SESSION = "0123456789abcdef" * 2


async def all_rows(rows, check):
    """Every row is tried, several at a time; all that went otherwise are told at the end."""
    gate, wrong = asyncio.Semaphore(8), []

    async def one(row):
        async with gate:
            try:
                got = await check(row)
            except Exception as trouble:
                got = repr(trouble)
            if got != row[-1]:
                wrong.append((str(row[:-1])[:200], f"expected {row[-1]!r}, got {got!r}"))

    assert rows
    await asyncio.gather(*[one(row) for row in rows])
    assert not wrong, "\n".join(map(str, wrong))


async def fresh(world):
    raw = await (await Raw.to(world.system.gateway_url)).upgrade()
    assert (await raw.says())["op"] == 10
    return raw


def identify(account, **more):
    return json.dumps({"op": 2, "d": {"token": account.token, "properties": {}} | more})


async def ready(world, account):
    raw = await fresh(world)
    await raw.send(frame(identify(account)))
    said = await raw.says()
    assert said["t"] == "READY", said
    raw.session_id = said["d"]["session_id"]
    return raw


async def outcome(raw, data):
    """What follows: FINE when a heartbeat behind it is answered and the socket is open, a close code, or (9, resumable)
    for Invalid Session."""
    await raw.send(data)
    await raw.send(frame('{"op":1,"d":null}'))
    got = FINE
    while True:
        said = await raw.says()
        if isinstance(said, int):
            return said
        if said["op"] == 9:
            got = (9, said["d"])
        if said["t"] == "READY":
            got = "READY"
        if said["op"] == 11:
            return got


async def resumption(raw, data):
    """The same for a resume, which may take its time: "RESUMED", a close code or (9, resumable)."""
    await raw.send(data)
    while True:
        said = await raw.says()
        if isinstance(said, int):
            return said
        if said["op"] == 9:
            return 9, said["d"]
        if said["t"] == "RESUMED":
            return "RESUMED"


# -- what is no frame of ours ----------------------------------------------------------------------


def padded(n):
    """A heartbeat of n bytes."""
    head, tail = '{"op":1,"d":null,"pad":"', '"}'
    return head + "x" * (n - len(head) - len(tail)) + tail


def nested(levels, opening="[", closing="]"):
    return '{"op":1,"d":%s1%s}' % (opening * levels, closing * levels)


TEXTS = [
    # undecodable
    ("empty", "", 4002), ("word", "hello", 4002), ("cut", '{"op":1,"d":null', 4002), ("list", "[1,2]", 4002),
    ("number", "1", 4002), ("null", "null", 4002), ("misspelt", '{"op":1,"d":nul}', 4002),
    ("two documents", '{"op":1}{"op":1}', 4002), ("trailing comma", '{"op":1,}', 4002),
    ("single quotes", "{'op':1}", 4002), ("comment", '{"op":1}//', 4002), ("NaN", '{"op":1,"d":NaN}', 4002),
    ("a byte order mark", b'\xef\xbb\xbf{"op":1}', 4002),
    # what is no Unicode
    ("invalid UTF-8", b'{"op":1,"d":"\xff\xfe\xc0"}', 4002), ("overlong UTF-8", b'{"op":1,"d":"\xc0\xaf"}', 4002),
    ("a surrogate in UTF-8", b'{"op":1,"d":"\xed\xa0\x80"}', 4002), ("cut UTF-8", b'{"op":1,"d":"\xe2\x82"}', 4002),
    ("a lone high surrogate", '{"op":1,"d":"\\ud800"}', 4002), ("a lone low surrogate", '{"op":1,"d":"\\udc00"}', 4002),
    ("surrogates the wrong way round", '{"op":1,"d":"\\udc00\\ud800"}', 4002),
    ("a pair of surrogates", '{"op":1,"d":"\\ud83d\\ude00"}', FINE),
    ("a NUL byte", b'{"op":1,"d":"\x00"}', 4002), ("a NUL behind it", b'{"op":1,"d":null}\x00', 4002),
    ("an escaped NUL", '{"op":1,"d":"\\u0000"}', 4002), ("a control character", '{"op":1,"d":"\x01"}', 4002),
    # keys
    ("duplicate keys: the last counts", '{"op":4,"op":1}', FINE), ("and so here", '{"op":1,"op":"x"}', 4002),
    ("unknown keys", '{"op":1,"d":null,"x":{"y":[1]}}', FINE), ("no op", '{"d":null}', 4002),
    # sizes
    ("15 KiB", padded(KIB15), FINE), ("15 KiB and 1", padded(KIB15 + 1), 4002), ("1 MiB", padded(1 << 20), 4002),
    ("7,000 lists deep", nested(7000), 4002), ("7,000 lists, never closed", '{"op":1,"d":' + "[" * 7000, 4002),
    ("2,900 objects deep", nested(2900, '{"":', "}"), 4002), ("1,000 lists deep", nested(1000), FINE),
    # opcodes
    *[(f"op {op}", f'{{"op":{op},"d":null}}', code) for op, code in [
        ("null", 4002), ("true", 4002), ('"1"', 4002), ("1.0", 4002), ("1e0", 4002), ("[1]", 4002), ("{}", 4002),
        ("-1", 4001), ("256", 4001), ("2147483648", 4001), (2 ** 63, 4002), (2 ** 64, 4002), ("1" + "0" * 400, 4002)]],
]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
async def test_frames_that_are_none(world, bystander, binary):
    async def check(row):
        async with await fresh(world) as raw:
            return await outcome(raw, frame(row[1], BINARY if binary else 1))
    await all_rows(TEXTS, check)


async def test_unknown_opcodes_are_passed_over(world, bystander):
    """Client libraries keep adding some that want no answer. 121 frames would be too many."""
    async with await ready(world, world.user()) as raw:
        unknown = [op for op in range(44, 256, 3)]
        for op in unknown:
            await raw.send(frame(json.dumps({"op": op, "d": {"anything": [1]}})))
        assert await outcome(raw, b"") == FINE


# -- fields of the wrong types ---------------------------------------------------------------------

VALUES = {"null": "null", "bool": "true", "string": '"x"', "empty": '""', "digits": '"17"', "number": "17", "zero": "0",
          "negative": "-1", "float": "1.5", "whole float": "17.0", "2^63": str(2 ** 63), "2^64": str(2 ** 64),
          "2^64 text": f'"{2 ** 64}"', "2^64-1 text": f'"{2 ** 64 - 1}"', "signed text": '"+17"', "hex": '"0x11"',
          "blank text": '" 17"', "array": "[]", "nested array": "[[1]]", "object": "{}"}
# Which of these a field of that kind takes; null stands for absent where a field may be.
TAKES = {
    # (no record has an id of 64 bits: the last one tells users from places)
    "id": {"digits", "number", "zero"},
    "nid": {"null", "digits", "number", "zero"},
    "u64": {"null", "number", "zero"},
    "flag": {"null", "bool"},
    "text": {"string", "empty", "digits", "2^64 text", "2^64-1 text", "signed text", "hex", "blank text"},
    "texts": {"null", "array"},
}
TAKES |= {"hush": TAKES["text"], "ntext": TAKES["text"] | {"null"}}


def wrong_fields(payload):
    """(field, value, the value as JSON) of each value that a field of this row does not take, and of each it does."""
    for kind, field, _ in SCHEMAS[payload].fields:
        for name, value in VALUES.items():
            yield field, name, value, name in TAKES[kind]


def with_field(op, fields, field, value):
    """A frame in which one field is this text."""
    body = ",".join(f'"{key}":{json.dumps(other)}' for key, other in fields.items() if key != field)
    return '{"op":%d,"d":{%s"%s":%s}}' % (op, body + "," if body else "", field, value)


async def test_each_field_of_an_identify(world, bystander):
    ann = world.user("ann")
    rows = [(field, name, value, 4004 if takes and field == "token" else "READY" if takes else 4002)
            for field, name, value, takes in wrong_fields("c_identify")]
    rows += [("token", "of 513 bytes", '"' + "x" * 513 + '"', 4002), ("shard", "of one", "[0]", 4010),
             ("shard", "text", '"0,1"', 4010), ("shard", "of texts", '["0","1"]', 4010),
             ("shard", "negative", "[-1,1]", 4010), ("shard", "not one of them", "[1,1]", 4010),
             ("shard", "too many", "[0,16385]", 4010), ("shard", "floats", "[0.0,1.0]", 4010),
             ("shard", "null", "null", "READY"), ("properties", "a text", '"x"', "READY"),
             ("presence", "a number", "7", "READY")]

    async def check(row):
        field, _, value, expected = row
        async with await fresh(world) as raw:
            await raw.send(frame(with_field(2, {"token": ann.token, "properties": {}}, field, value)))
            said = await raw.says()
            if not isinstance(said, int):
                await raw.send(frame(b"\x03\xe8", CLOSE))  # 1000: the session ends
            return said if isinstance(said, int) else said["t"]
    await all_rows(rows, check)


async def test_an_identify_or_a_resume_without_a_payload(world, bystander):
    rows = [(op, d, 4002) for op in (2, 6) for d in ("null", "true", "1", '"x"', "[]", "[{}]")]
    rows += [(2, "{}", 4004), (6, "{}", (9, False))]

    async def check(row):
        async with await fresh(world) as raw:
            return await outcome(raw, frame('{"op":%d,"d":%s}' % row[:2]))
    await all_rows(rows, check)


async def test_each_field_of_a_resume(world, bystander):
    """Whatever is well-formed names no session, and the socket may identify."""
    ann = world.user("ann")
    rows = [(field, name, value, (9, False) if takes else 4002) for field, name, value, takes in wrong_fields("c_resume")]
    rows += [("session_id", "too long", '"' + "0" * 65 + '"', 4002), ("session_id", "no hex", '"' + "g" * 32 + '"', (9, False)),
             ("session_id", "upper case", '"' + "A" * 32 + '"', (9, False)),
             ("session_id", "a key of Redis", '"{u:0}:rv 0123456789abcdef012345"', (9, False))]

    async def check(row):
        field, _, value, _ = row
        fields = {"token": ann.token, "session_id": NOBODYS_SESSION, "seq": 1}
        async with await fresh(world) as raw:
            return await resumption(raw, frame(with_field(6, fields, field, value)))
    await all_rows(rows, check)


@pytest.mark.parametrize("op,payload", [(4, "c_voice_state"), (13, "c_call_connect")])
async def test_each_field_of_what_a_session_says(world, bystander, op, payload):
    """What is well-formed names a channel that is not there or not one's own: nothing comes of it."""
    ann = world.user("ann")
    rows = [(field, name, value, FINE if takes else 4002) for field, name, value, takes in wrong_fields(payload)]
    rows += [("channel_id", "2^63", '"9223372036854775808"', 4002), ("channel_id", "his own record", f'"{int(ann.id) | 1 << 63}"', 4002)]
    if op == 4:
        rows += [("guild_id", "2^63", '"9223372036854775808"', 4002),
                 ("preferred_region", "too long", json.dumps("x" * 65), 4002),
                 ("preferred_regions", "too long", json.dumps(["x" * 65]), 4002),
                 ("preferred_regions", "of numbers", "[1]", 4002), ("preferred_regions", "of nulls", "[null]", 4002),
                 ("preferred_regions", "many", json.dumps(["x"] * 1000), FINE)]
    fields = {"guild_id": None, "channel_id": "17", "self_mute": False, "self_deaf": False} if op == 4 else {}

    async def check(row):
        field, _, value, _ = row
        async with await ready(world, ann) as raw:
            got = await outcome(raw, frame(with_field(op, fields, field, value)))
            await raw.send(frame(b"\x03\xe8", CLOSE))
            return got
    await all_rows(rows, check)


async def test_payloads_that_are_no_objects(world, bystander):
    """Those of opcodes that nobody waits for are passed over."""
    rows = [(op, d, 4002) for op in (4, 13) for d in ("null", "true", "1", '"x"', "[]")]
    rows += [(op, d, FINE) for op in (3, 8, 14, 18, 20, 31, 36, 37, 41, 43) for d in ("null", "7", '"x"', '[{"a":1}]')]
    ann = world.user("ann")

    async def check(row):
        async with await ready(world, ann) as raw:
            got = await outcome(raw, frame('{"op":%d,"d":%s}' % row[:2]))
            await raw.send(frame(b"\x03\xe8", CLOSE))
            return got
    await all_rows(rows, check)


# -- tokens, and the order of things ---------------------------------------------------------------


async def test_tokens(world, system, bystander):
    ann, bob = world.users("ann", "bob")
    system.admin_ok("DELETE", f"/admin/users/{bob.id}/tokens")
    other_secret = mint("f" * 64, int(ann.id), now_ms())
    text, _, mac = ann.token.rpartition(".")
    rows = [("good", ann.token, "READY"), ("with its kind", f"Bearer {ann.token}", "READY"), ("empty", "", 4004),
            ("a word", "x", 4004), ("dots", "..", 4004), ("cut", ann.token[:-1], 4004), ("longer", ann.token + "A", 4004),
            ("of another secret", other_secret, 4004), ("unsigned", text + ".", 4004),
            ("for somebody else", mint(system.token_secret, int(bob.id), now_ms()).rpartition(".")[0] + "." + mac, 4004),
            ("of nobody", mint(system.token_secret, 1, now_ms()), 4004), ("blanks around it", f" {ann.token} ", 4004),
            ("revoked", bob.token, 4004), ("expired", mint(system.token_secret, int(ann.id), now_ms() - TOKEN_MS), 4004),
            ("long expired", mint(system.token_secret, int(ann.id), 1), 4004),
            ("not expired yet", mint(system.token_secret, int(ann.id), now_ms() - TOKEN_MS + 60_000), "READY"),
            ("2^64-1", mint(system.token_secret, 2 ** 64 - 1, now_ms()), 4004)]

    async def check(row):
        async with await fresh(world) as raw:
            await raw.send(frame(json.dumps({"op": 2, "d": {"token": row[1], "properties": {}}})))
            said = await raw.says()
            return said if isinstance(said, int) else said["t"]
    await all_rows(rows, check)

    async def check_rest(row):
        reply = await world.rest().send("GET", "/users/@me", headers={"Authorization": row[1]})
        if reply.status != 200:
            assert reply.json == {"message": "401: Unauthorized", "code": 0}, reply
        return "READY" if reply.status == 200 else 4004
    await all_rows([row for row in rows if row[0] != "blanks around it"], check_rest)


async def test_identifying_when_it_is_not_the_time(world, bystander):
    ann = world.user("ann")
    async with await (await Raw.to(world.system.gateway_url)).upgrade() as raw:  # Hello has not been read
        await raw.send(frame(identify(ann)))
        assert (await raw.says())["op"] == 10 and (await raw.says())["t"] == "READY"
        assert await outcome(raw, frame(identify(ann))) == 4005
    async with await fresh(world) as raw:       # twice in one breath: it is LOADING then, or ready already
        assert await outcome(raw, frame(identify(ann)) * 2) == 4005


async def test_resuming_what_cannot_be(world, bystander):
    ann, eve = world.users("ann", "eve")
    place = world.quiet_place(ann)
    hers = await world.login(ann)
    last = hers.seq

    def resume(account, session=None, seq=1):
        return frame(json.dumps({"op": 6, "d": {"token": account.token, "session_id": session or hers.session_id, "seq": seq}}))

    async with await fresh(world) as raw:       # somebody else's, and the socket may identify then
        assert await resumption(raw, resume(eve)) == (9, False)
        await raw.send(frame(identify(eve)))
        assert (await raw.says())["t"] == "READY"
        assert await resumption(raw, resume(eve)) == 4005
    await hers.heartbeat()                      # which cost her nothing
    await hers.quiet_until_call(place)
    for seq in (last + 1000, 2 ** 62, 2 ** 63 - 1):
        async with await fresh(world) as raw:   # a number that was never sent
            assert await resumption(raw, resume(ann, seq=seq)) == 4007
    await hers.heartbeat()
    await hers.quiet_until_call(place)
    await hers.abort()
    for again in (2, 6):                        # identified already, by the resume
        await hers.reconnect_and_resume()
        await hers.send(again, hers.identification() if again == 2 else
                        {"token": ann.token, "session_id": hers.session_id, "seq": 1})
        await hers.closes_with(4005)
    await hers.reconnect_and_resume()
    await hers.quiet_until_call(place)


async def test_the_121st_event_of_a_minute_closes_with_4008_and_the_session_can_be_resumed(world, bystander):
    client = await world.login(world.user("ann"))      # the first event
    for n in range(119):
        await client.send((3, 1, 4, 14)[n % 4], {"guild_id": None, "channel_id": None} if n % 4 == 2 else None)
    assert client.close_code is None
    await client.send(37, {"subscriptions": {}})
    await client.closes_with(4008)
    await client.reconnect_and_resume()


# -- the URL ---------------------------------------------------------------------------------------


async def test_queries(world, bystander):
    rows = [("", 10), ("?", 10), ("?v=9", 10), ("?v=10&encoding=json&compress=", 10), ("?v=11", 4012), ("?v=8", 4012),
            ("?v=", 4012), ("?v=9.0", 4012), ("?v=%39", 4012), ("?v=-9", 4012), ("?v=9&v=99", 4012), ("?V=99", 10),
            ("?encoding=ETF", 4002), ("?encoding=xml", 4002), ("?encoding=", 4002), ("?encoding=JSON", 4002),
            ("?compress=lz77-stream", 4002), ("?compress=zstd", 4002), ("?compress=true", 4002),
            ("?v=9&&&=&x=%zz&" + "y" * 4000, 10)]

    async def check(row):
        async with await (await Raw.to(world.system.gateway_url)).upgrade("/" + row[0]) as raw:
            said = await raw.says()
            return said if isinstance(said, int) else said["op"]
    await all_rows(rows, check)


# -- against the protocol of websockets ------------------------------------------------------------

BEAT = '{"op":1,"d":null}'
PROTOCOL = [
    ("unmasked", frame(BEAT, mask=False), 1002), ("reserved bits", frame(BEAT, rsv=4), 1002),
    ("another reserved bit", frame(BEAT, rsv=1), 1002), ("data opcode 3", frame(BEAT, 3), 1002),
    ("control opcode 11", frame(b"", 11), 1002), ("a fragmented ping", frame(b"x", PING, fin=False), 1002),
    ("a ping of 126 bytes", frame(b"x" * 126, PING), 1002), ("a fragmented close", frame(b"", CLOSE, fin=False), 1002),
    ("a continuation of nothing", frame(BEAT, 0), 1002),
    ("a message inside another", frame('{"op":', fin=False) + frame(BEAT), 1002),
    ("a close of one byte", frame(b"\x03", CLOSE), 1002),
    *[(f"a close with {code}", frame(code.to_bytes(2, "big"), CLOSE), 1002)
      for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535)],
    ("a close without a code", frame(b"", CLOSE), 1005), ("a close with 1000", frame(b"\x03\xe8bye", CLOSE), 1000),
    ("a close whose reason is no UTF-8", frame(b"\x03\xe8\xff\xfe", CLOSE), 1000),
    ("a close with 4321", frame((4321).to_bytes(2, "big"), CLOSE), 4321),
    ("a length of 2^63", frame(b"", claim=2 ** 63), 4002), ("a length of 2^64-1", frame(b"", claim=2 ** 64 - 1), 4002),
    ("15 KiB and 1 in pieces", frame(padded(KIB15 + 1)[:9000], fin=False) + frame(padded(KIB15 + 1)[9000:], 0), 4002),
    ("2,000 empty pieces", frame(b"", fin=False) + frame(b"", 0, fin=False) * 2000, 4002),
    ("in pieces, with pings between them", frame('{"op":1', fin=False) + frame(b"p", PING) + frame(',"d":', 0, fin=False) +
     frame(b"", PONG) + frame("null}", 0), FINE),
    ("200 pings", frame(b"x", PING) * 200, 1008), ("200 pongs", frame(b"", PONG) * 200, 1008),
    ("noise", bytes(range(1, 256)) * 3, 1002), ("HTTP", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 1002),
]


async def test_frames_against_the_protocol(world, bystander):
    async def check(row):
        async with await fresh(world) as raw:
            return await outcome(raw, row[1])
    await all_rows(PROTOCOL, check)


async def test_frames_against_the_protocol_in_a_session_leave_it_resumable(world, bystander):
    client = await world.login(world.user("ann"))
    client.ws._response.connection.transport.write(frame(BEAT, mask=False))
    await client.closes_with(1002)
    await client.reconnect_and_resume()
    await client.heartbeat()


def test_every_row_of_the_tables_has_been_there():
    """The fields come from the tables that the gateway itself is made from."""
    assert {kind for row in ("c_identify", "c_resume", "c_voice_state", "c_call_connect")
            for kind, _, _ in SCHEMAS[row].fields} <= set(TAKES)
    assert LOST not in {row[-1] for row in TEXTS + PROTOCOL}, "a close code is told, whatever was said"
