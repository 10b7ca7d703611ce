"""Bad input over HTTP costs its sender an error that clients understand, or his connection, and a call of others goes
on without a late event: requests that are none, that never end, bodies of the wrong form on every route."""
import asyncio
import json
import re
import time
from pathlib import Path

import pytest

from bus import SCHEMAS, metrics_of
from raw import UPGRADE, Raw

REQUEST_MS = 4000
SYSTEM = {"env": {"gateway": {"SB_REQUEST_MS": REQUEST_MS}}}
ROUTES_DEF = Path(__file__).resolve().parents[2] / "services" / "gateway" / "routes.def"
ROUTES = re.findall(r'^ROUTE\((\w+), "(\w+)", "([^"]+)", (WHO_\w+), (\d+)\)$', ROUTES_DEF.read_text(), re.M)

BAD_REQUEST = {"message": "400: Bad Request", "code": 0}
UNAUTHORIZED = {"message": "401: Unauthorized", "code": 0}
NOT_FOUND = {"message": "404: Not Found", "code": 0}
NOT_ALLOWED = {"message": "405: Method Not Allowed", "code": 0}
TOO_LARGE = {"message": "Request entity too large", "code": 40005}
HEAD_TOO_LARGE = {"message": "431: Request Header Fields Too Large", "code": 0}
NO_JSON = {"message": "The request body contains invalid JSON.", "code": 50109}
NO_ID = ("NUMBER_TYPE_COERCE", "Value is not snowflake.")


def head(first, *headers):
    return "\r\n".join([first, "Host: h", *headers, "", ""])


def no_form(field, code, message):
    """Discord's body of a 50035."""
    return {"message": "Invalid Form Body", "code": 50035,
            "errors": {field: {"_errors": [{"code": code, "message": message}]}}}


# -- what is no request ----------------------------------------------------------------------------

GET = "GET /api/v9/gateway HTTP/1.1"
POST = "POST /api/v9/science HTTP/1.1"
REQUESTS = [
    # the first line
    ("one word", "hello\r\n\r\n", 400, BAD_REQUEST), ("two words", "GET /\r\n\r\n", 400, BAD_REQUEST),
    ("HTTP/2", head("GET / HTTP/2.0"), 400, BAD_REQUEST), ("HTTP/0.9", head("GET / HTTP/0.9"), 400, BAD_REQUEST),
    ("a blank in the path", head("GET /a b HTTP/1.1"), 400, BAD_REQUEST),
    ("no slash", head("GET api HTTP/1.1"), 400, BAD_REQUEST),
    ("a method that is no word", head("G@T / HTTP/1.1"), 400, BAD_REQUEST),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, BAD_REQUEST),
    ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, BAD_REQUEST),
    ("a method that nobody knows", head("BREW /api/v9/gateway HTTP/1.1"), 405, NOT_ALLOWED),
    ("a lower-case method", head("get /api/v9/gateway HTTP/1.1"), 405, NOT_ALLOWED),
    ("another path", head("GET /api/v9/nothing HTTP/1.1"), 404, NOT_FOUND),
    ("a path outside", head("GET /api/v9/../gateway HTTP/1.1"), 404, NOT_FOUND),
    ("a version of long ago", head("GET /api/v5/gateway HTTP/1.1"), 404, NOT_FOUND),
    ("a version to come", head("GET /api/v11/gateway HTTP/1.1"), 404, NOT_FOUND),
    ("a great version", head("GET /api/v99999999999999999999/gateway HTTP/1.1"), 404, NOT_FOUND),
    # percent-encoding
    ("a cut escape", head("GET /api/v9/gateway% HTTP/1.1"), 400, BAD_REQUEST),
    ("half an escape", head("GET /api/v9/%4 HTTP/1.1"), 400, BAD_REQUEST),
    ("an escape that is none", head("GET /api/v9/%zz HTTP/1.1"), 400, BAD_REQUEST),
    ("an escaped NUL", head("GET /api/v9/gateway%00 HTTP/1.1"), 400, BAD_REQUEST),
    ("an escaped line end", head("GET /api/v9/%0d%0a HTTP/1.1"), 400, BAD_REQUEST),
    ("escaped where there is no need", head("GET /api/v9/%67ateway HTTP/1.1"), 200, None),
    ("an escaped slash", head("GET /api%2Fv9/gateway HTTP/1.1"), 404, NOT_FOUND),
    ("escaped noise", head("GET /api/v9/%ff%fe HTTP/1.1"), 404, NOT_FOUND),
    ("a broken query", head("GET /api/v9/gateway?%zz&&=%0&x=%ff HTTP/1.1"), 200, None),
    # headers
    ("a header without a colon", head(GET, "hello"), 400, BAD_REQUEST), ("a blank before it", head(GET, "X : y"), 400, BAD_REQUEST),
    ("a folded line", head(GET, "X: y", " z"), 400, BAD_REQUEST), ("a NUL", head(GET, "X: \0"), 400, BAD_REQUEST),
    ("a lonely CR", head(GET, "X: a\rb"), 400, BAD_REQUEST), ("a header without a name", head(GET, ": y"), 400, BAD_REQUEST),
    ("two hosts", head(GET, "Host: i"), 400, BAD_REQUEST), ("Latin", head(GET, "X: \xe9"), 200, None),
    ("many headers", head(GET, *[f"X{n}: y" for n in range(1500)]), 200, None),
    ("too many headers", head(GET, *[f"X{n}: y" for n in range(2000)]), 431, HEAD_TOO_LARGE),
    ("a great header", head(GET, "X: " + "y" * 17000), 431, HEAD_TOO_LARGE),
    ("a great path", head("GET /" + "y" * 17000 + " HTTP/1.1"), 431, HEAD_TOO_LARGE),
    ("a great token", head("GET /api/v9/users/@me HTTP/1.1", "Authorization: " + "y" * 10000), 401, UNAUTHORIZED),
    # bodies
    ("two lengths", head(POST, "Content-Length: 1", "Content-Length: 1") + "x", 400, BAD_REQUEST),
    ("a length and chunks", head(POST, "Content-Length: 1", "Transfer-Encoding: chunked") + "x", 400, BAD_REQUEST),
    ("a negative length", head(POST, "Content-Length: -1"), 400, BAD_REQUEST),
    ("a signed length", head(POST, "Content-Length: +1") + "x", 400, BAD_REQUEST),
    ("no length", head(POST, "Content-Length: "), 400, BAD_REQUEST),
    ("2^64", head(POST, f"Content-Length: {2 ** 64}"), 400, BAD_REQUEST),
    ("2^64-1", head(POST, f"Content-Length: {2 ** 64 - 1}"), 413, TOO_LARGE),
    ("another coding", head(POST, "Transfer-Encoding: gzip"), 400, BAD_REQUEST),
    ("two codings", head(POST, "Transfer-Encoding: gzip, chunked"), 400, BAD_REQUEST),
    ("a chunk without a size", head(POST, "Transfer-Encoding: chunked") + "\r\nx", 400, BAD_REQUEST),
    ("a chunk of no number", head(POST, "Transfer-Encoding: chunked") + "xyz\r\n", 400, BAD_REQUEST),
    ("a chunk of 2^64", head(POST, "Transfer-Encoding: chunked") + "10000000000000000\r\n", 400, BAD_REQUEST),
    ("a chunk of 10 MB", head(POST, "Transfer-Encoding: chunked") + "a00000\r\n", 413, TOO_LARGE),
    ("a chunk that goes on", head(POST, "Transfer-Encoding: chunked") + "1\r\nxy", 400, BAD_REQUEST),
    ("a great chunk extension", head(POST, "Transfer-Encoding: chunked") + "1;" + "x" * 2000, 400, BAD_REQUEST),
    ("endless trailers", head(POST, "Transfer-Encoding: chunked") + "0\r\n" + "X: y\r\n" * 500, 400, BAD_REQUEST),
    ("chunks with a trailer", head(POST, "Transfer-Encoding: chunked") + "1;a=b\r\nx\r\n0\r\nX: y\r\n\r\n", 204, None),
    ("10 MB", head(POST, "Content-Length: 10000000"), 413, TOO_LARGE),
    # upgrades
    ("an upgrade of another version", UPGRADE.format(path="/").replace(": 13", ": 8"), 404, NOT_FOUND),
    ("one without a key", re.sub("Sec-WebSocket-Key.*\r\n", "", UPGRADE.format(path="/")), 404, NOT_FOUND),
    ("one by POST", UPGRADE.format(path="/").replace("GET", "POST"), 404, NOT_FOUND),
    ("one to HTTP/2", head("GET / HTTP/1.1", "Upgrade: h2c", "Connection: Upgrade"), 404, NOT_FOUND),
    ("one with a broken path", UPGRADE.format(path="/%zz"), 400, BAD_REQUEST),
]


@pytest.mark.parametrize("row", REQUESTS, ids=[row[0] for row in REQUESTS])
async def test_requests(world, bystander, row):
    _, data, status, body = row
    async with await Raw.to(world.system.gateway_url) as raw:
        answer = await raw.ask(data)
        assert answer is not None and answer.status == status, answer
        if body is not None:
            assert answer.json == body
        if status in (400, 413, 431) and answer.headers["connection"] == "close":
            assert await raw.ended() == b"", "nothing behind it is taken for a request"


async def test_a_body_of_10_megabytes_that_comes_whole(world, bystander):
    async with await Raw.to(world.system.gateway_url) as raw:
        await raw.send(head(POST, "Content-Length: 10000000"))
        answer = asyncio.create_task(raw.answer())
        await raw.send(b"x" * 10_000_000)
        assert (await answer).status == 413 and answer.result().json == TOO_LARGE


async def test_chunks_for_ever(world, bystander):
    """By size when they come fast, by time when they come slowly."""
    async with await Raw.to(world.system.gateway_url) as raw:
        answer = asyncio.create_task(raw.answer())
        await raw.send(head(POST, "Transfer-Encoding: chunked"))
        while not answer.done():
            await raw.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await asyncio.sleep(0)
        assert (await answer).json == TOO_LARGE
    assert await trickle(world.system, head(POST, "Transfer-Encoding: chunked"), b"1\r\nx\r\n") == b""


# -- what never ends -------------------------------------------------------------------------------


async def trickle(system, begin, again):
    """Sends again and again until the other side has had enough of it; returns what came."""
    began = time.monotonic()            # before it is accepted, from when on its time runs, by the clock of that turn
    async with await Raw.to(system.gateway_url) as raw:
        ended = asyncio.create_task(raw.ended())
        await raw.send(begin)
        while not ended.done() and await raw.send(again):
            await asyncio.wait([ended], timeout=REQUEST_MS / 1000 / 50)
        assert time.monotonic() - began >= REQUEST_MS / 1000 - 0.5, "it has the time that it may have"
        return await ended


SLOW = [("a first line, one byte at a time", "", b"G"), ("a header, one byte at a time", GET + "\r\nX: ", b"y"),
        ("endless headers", GET + "\r\n", b"X: y\r\n"), ("an endless upgrade", UPGRADE.format(path="/")[:-2], b"X: y\r\n"),
        ("a body, one byte at a time", head(POST, "Content-Length: 200000"), b"x"),
        ("blank lines before a request", "", b"\r\n"), ("nothing at all", "", b"")]


async def test_who_is_slow_is_cut_off_without_an_answer(world, system, bystander):
    before = metrics_of(system, "gateway")["requests_timed_out"]
    assert await asyncio.gather(*[trickle(system, begin, again) for _, begin, again in SLOW]) == [b""] * len(SLOW)
    assert metrics_of(system, "gateway")["requests_timed_out"] == before + len(SLOW)


async def test_half_open_upgrades_by_the_hundred(world, system, bystander):
    ann = world.user("ann")
    half = [await Raw.to(system.gateway_url) for _ in range(300)]
    for n, raw in enumerate(half):
        text = UPGRADE.format(path="/?v=9&encoding=json")
        await raw.send(text[:n % len(text)])
    client = await world.login(ann)             # there is room for others meanwhile
    await client.heartbeat()
    assert {await raw.ended() for raw in half} == {b""}
    for raw in half:
        raw.writer.close()
    await client.heartbeat()


async def test_a_second_request_before_the_first_answer_is_answered_in_its_turn(world, bystander):
    ann = world.user("ann")
    asks = [head(f"GET /api/v9/{what} HTTP/1.1", f"Authorization: {ann.token}")
            for what in ("users/@me", "gateway", "nothing", "users/1", "gateway%", "gateway")]
    async with await Raw.to(world.system.gateway_url) as raw:
        await raw.send("".join(asks))
        assert [(await raw.answer()).status for _ in asks[:5]] == [200, 200, 404, 404, 400]
        assert await raw.ended() == b"", "what stands behind a broken one is not believed"


# -- every route -----------------------------------------------------------------------------------


def filled(path, value="1"):
    return re.sub(r":\w+_id", value, path)


def ids_in(path):
    return re.findall(r":(\w+_id)", path)


@pytest.fixture
def people(world):
    """One who may ask on each route."""
    return {"WHO_ANYBODY": world.user("ann"), "WHO_SIGNED_IN": world.user("ann"), "WHO_USERS": world.user("ann"),
            "WHO_BOTS": world.bot()}


async def test_every_route_wants_a_token(world, bystander):
    for _, method, path, who, _ in ROUTES:
        for token in ("", "x", "Bot x.y.z", "Bearer ", "\xff"):
            reply = await world.rest().send(method, filled(path), headers={"Authorization": token})
            if who == "WHO_ANYBODY":
                assert reply.status < 300, reply
            else:
                assert (reply.status, reply.json) == (401, UNAUTHORIZED), reply


async def test_every_path_with_a_method_that_it_has_not(world, bystander):
    methods = {"GET", "POST", "PUT", "PATCH", "DELETE"}
    for path in {path for _, _, path, _, _ in ROUTES}:
        has = {method for _, method, other, _, _ in ROUTES if re.fullmatch(re.sub(r":\w+", "[^/]+", other), filled(path))}
        for method in sorted(methods - has) + ["OPTIONS2", "TRACE"]:
            reply = await world.rest().send(method, filled(path))
            assert (reply.status, reply.json) == (405, NOT_ALLOWED), reply


UNKNOWN = {10003, 10004, 10007, 10008, 10013, 50033}
KEYS = "public_key_match"                       # says of anybody that his key is not known, of nobody, too
NO_IDS = ["x", "-1", "+1", "1.5", "1e3", "0x1", str(2 ** 63), str(2 ** 64), "9" * 40, "%20", "1%2F2", "%F0%9F%98%80", "@you"]


async def test_every_id_in_a_path(world, bystander, people):
    for _, method, path, who, _ in ROUTES:
        for at in range(len(ids_in(path))):
            for value in NO_IDS:
                parts = iter(range(len(ids_in(path))))
                url = re.sub(r":\w+_id", lambda _: value if next(parts) == at else "1", path)
                reply = await world.rest(people[who]).send(method, url)
                assert (reply.status, reply.json) == (400, no_form(ids_in(path)[at], *NO_ID)), reply


async def test_ids_of_nothing(world, bystander, people):
    """Well-formed, and nobody's: an error that says what is unknown, on every route."""
    for name, method, path, who, _ in ROUTES:
        if not ids_in(path) or name == KEYS:
            continue
        for value in ("0", "1", str(2 ** 63 - 1)):
            body = None if method == "GET" else [{"id": "1"}] if name in LISTS else NEEDED.get(name, {})
            reply = await world.rest(people[who]).send(method, filled(path, value), body)
            if name.startswith("overwrite") and value == "0":   # the first thing that is looked at there
                assert reply.json == no_form("overwrite_id", *NO_ID), reply
                continue
            assert 400 <= reply.status < 500 and reply.json["code"] in UNKNOWN, (name, reply)


# -- every body ------------------------------------------------------------------------------------

BODIES = {"channel_open": "r_open_channel", "relationship_put": "r_relationship", "channel_edit": "r_channel_edit",
          "message_send": "r_message", "message_edit": "r_message", "message_ack": "r_ack", "ack_bulk": "r_ack_bulk",
          "call_region": "r_call_region", "call_ring": "r_call_recipients", "call_stop_ringing": "r_call_recipients",
          "overwrite_put": "r_overwrite", "voice_status": "r_voice_status", "public_keys": "r_public_key",
          "public_key_match": "r_public_key", "my_member_edit": "r_member_edit", "member_edit": "r_member_edit",
          "guild_edit": "r_guild_edit", "channel_create": "r_guild_channel", "role_create": "r_role", "role_edit": "r_role",
          "my_voice_state_edit": "r_voice_state", "voice_state_edit": "r_voice_state", "stage_open": "r_stage",
          "stage_edit": "r_stage"}
LISTS = {"channel_positions", "role_positions"}             # the body is a list of r_position
GUILD_CHANNEL = "channel_edit of a guild"                   # the same route as of a group
NEEDED = {"channel_create": {"name": "x"}, "public_key_match": {"key_version": 1, "public_key": "x"}}
NO_BODIES = [("cut", b'{"content":"x"', NO_JSON), ("two", b"{}{}", NO_JSON), ("a word", b"hello", NO_JSON),
             ("invalid UTF-8", b'{"content":"\xff"}', NO_JSON), ("a lone surrogate", b'{"content":"\\ud800"}', NO_JSON),
             ("a NUL", b'{"content":"\\u0000"}', NO_JSON), ("a NUL byte", b'{"content":"\0"}', NO_JSON),
             ("7,000 levels", b'{"content":' + b"[" * 7000 + b"]" * 7000 + b"}", NO_JSON),
             ("2^64", b'{"content":18446744073709551616}', NO_JSON), ("NaN", b'{"content":NaN}', NO_JSON),
             *[(what, what.encode(), None) for what in ("null", "true", "1", "1.5", '"x"', "[]", "[{}]")]]
HUGE = json.dumps(["1"] * 251)
WRONG = {"id": ["null", "true", '"x"', '""', "-1", "1.5", "[]", "{}", '"18446744073709551616"', '"9223372036854775808"'],
         "nid": ["true", '"x"', '""', "-1", "1.5", "[]", "{}", '"18446744073709551616"', '"9223372036854775808"'],
         "ids": ["true", '"1"', "1", "1.5", "{}", "[null]", "[true]", '["x"]', '[""]', "[-1]", "[1.5]", "[[]]", "[{}]",
                 '["18446744073709551616"]', '["9223372036854775808"]', HUGE],
         "text": ["null", "true", "1", "1.5", "[]", "{}"], "ntext": ["true", "1", "1.5", "[]", "{}"],
         "ntime": ["true", "1", "1.5", '"x"', '""', '"2030-01-01"', '"2030-13-01T00:00:00Z"', '"99999-01-01T00:00:00Z"', "[]", "{}"],
         "oobj": ["true", "1", '"x"', "[]", "[{}]"], "otext": ["true", "1.5", "[]", "{}"],
         "flag": ["0", "1", '"true"', "[]", "{}"], "u64": ["true", '"1"', "-1", "1.5", "[]", "{}"],
         "list": ["true", '"x"', "1", "{}", "[null]", "[1]", '["x"]', "[[]]", json.dumps([{}] * 501)]}
# Which fault: of the field itself, or of an element, whose index Discord's form has between.
FAULTS = {"id": ["NUMBER_TYPE_COERCE"], "nid": ["NUMBER_TYPE_COERCE"], "u64": ["NUMBER_TYPE_COERCE", "NUMBER_TYPE_MAX"],
          "ids": ["LIST_TYPE_CONVERT", "NUMBER_TYPE_COERCE", "BASE_TYPE_MAX_LENGTH"], "ntext": ["STRING_TYPE_CONVERT"],
          "otext": ["STRING_TYPE_CONVERT"], "flag": ["BOOLEAN_TYPE_CONVERT"],
          "list": ["LIST_TYPE_CONVERT", "MODEL_TYPE_CONVERT", "BASE_TYPE_MAX_LENGTH"],
          "text": ["STRING_TYPE_CONVERT"], "ntime": ["DATE_TIME_TYPE_PARSE"], "oobj": ["MODEL_TYPE_CONVERT"]}


def route_of(name):
    return next((method, path) for other, method, path, _, _ in ROUTES if other == name)


@pytest.fixture
def conversation(world):
    """A group and, in it, somebody who may do everything there."""
    ann, bob, cat = world.users("ann", "bob", "cat")
    rest = world.rest(ann)
    rest.owners = [ann]
    return rest, world.group(ann, bob, cat), bob


@pytest.fixture
def club(world, conversation):
    """{part of a path: what it names in a guild of the same one's}; conversation's third is in it."""
    rest, _, bob = conversation
    ann = next(client for client in rest.owners)
    guild = world.guild(ann, bob, roles=[{"name": "crew"}])
    channels = {channel["name"]: channel["id"] for channel in guild["channels"]}
    return {":guild_id": guild["id"], ":overwrite_id": bob.id, ":user_id": bob.id, ":role_id": guild["roles"][0]["id"],
            "voice": channels["one"], "stage": channels["stage"]}


async def paths_of(conversation, club, name):
    """(method, path) in which every id names what is there."""
    rest, group, bob = conversation
    method, path = route_of("channel_edit" if name == GUILD_CHANNEL else name)
    message = (await rest.say(group, "hello"))["id"] if ":message_id" in path else ""
    channel = club["stage"] if path.startswith("/stage") else club["voice"]
    if name != GUILD_CHANNEL and name not in ("overwrite_put", "voice_status") and path.startswith("/channels/"):
        channel = group
    ids = {":channel_id": channel, ":message_id": message, **{part: id for part, id in club.items() if part[0] == ":"}}
    for part, value in ids.items():
        path = path.replace(part, value)
    return method, path


def fault_of(reply):
    """[(where, code)] of a 50035."""
    assert reply.status == 400 and reply.json["code"] == 50035 and reply.json["message"] == "Invalid Form Body", reply

    def walk(node, at):
        for error in node.get("_errors", ()):
            assert set(error) == {"code", "message"} and error["message"], reply
            yield at, error["code"]
        for key, inner in node.items():
            if key != "_errors":
                yield from walk(inner, (*at, key))
    return list(walk(reply.json["errors"], ()))


def test_every_route_that_takes_a_body_is_in_the_table():
    takes = {name for name, method, _, _, _ in ROUTES if method in ("POST", "PUT", "PATCH")}
    none = {"recipient_add", "typing", "science", "metrics", "track", "stream_edit", "stream_preview_put", "stream_notify"}
    assert takes - set(BODIES) - LISTS == none, "these read none"
    assert {kind for row in BODIES.values() for kind, _, _ in SCHEMAS[row].fields} <= set(WRONG)


@pytest.mark.parametrize("name", [*BODIES, GUILD_CHANNEL])
async def test_every_body(conversation, club, bystander, name):
    rest, row = conversation[0], "r_guild_channel" if name == GUILD_CHANNEL else BODIES[name]
    method, path = await paths_of(conversation, club, name)
    for what, data, expected in NO_BODIES:
        reply = await rest.send(method, path, raw=data)
        if expected:
            assert (reply.status, reply.json) == (400, expected), (what, reply)
        else:
            assert fault_of(reply) == [((), "MODEL_TYPE_CONVERT")], (what, reply)
    for kind, field, _ in SCHEMAS[row].fields:
        for value in WRONG[kind]:
            (where, code), = fault_of(await rest.send(method, path, raw=b'{"%s":%s}' % (field.encode(), value.encode())))
            element = code in ("MODEL_TYPE_CONVERT", "NUMBER_TYPE_COERCE") and kind in ("list", "ids")
            assert where == ((field, "0") if element else (field,)) and code in FAULTS[kind], (field, value, where, code)
    if name == "ack_bulk":
        (where, code), = fault_of(await rest.send(method, path, {"read_states": [{"channel_id": "1"}, {"message_id": -1}]}))
        assert (where, code) == (("read_states", "1", "message_id"), "NUMBER_TYPE_COERCE")


@pytest.mark.parametrize("name", LISTS)
async def test_every_list_that_is_a_body(conversation, club, bystander, name):
    rest = conversation[0]
    method, path = await paths_of(conversation, club, name)
    rows = [("", ((), "LIST_TYPE_CONVERT")), *[(data, NO_JSON) for _, data, expected in NO_BODIES if expected and not data.startswith(b"{}")],
            ("[]}", NO_JSON), ('[],"items":[]', NO_JSON), ("[],", NO_JSON), ("[{}", NO_JSON), ("[", NO_JSON),
            *[(text, ((), "LIST_TYPE_CONVERT")) for text in ("true", "1", '"x"', "{}", '{"items":[]}')],
            *[(text, (("0",), "MODEL_TYPE_CONVERT")) for text in ("[1]", "[null]", '["x"]', "[[]]")],
            ("[{}]", (("0", "id"), "BASE_TYPE_REQUIRED")), (json.dumps([{"id": "1"}] * 101), ((), "BASE_TYPE_MAX_LENGTH")),
            ('[{"id":"1"},{"id":"x"}]', (("1", "id"), "NUMBER_TYPE_COERCE")),
            ('[{"id":"1","position":-1}]', (("0", "position"), "NUMBER_TYPE_COERCE")),
            ('[{"id":"1","position":"1"}]', (("0", "position"), "NUMBER_TYPE_COERCE")),
            ('[{"id":"1","parent_id":{}}]', (("0", "parent_id"), "NUMBER_TYPE_COERCE"))]
    for data, expected in rows:
        reply = await rest.send(method, path, raw=data if isinstance(data, bytes) else data.encode())
        if expected is NO_JSON:
            assert (reply.status, reply.json) == (400, NO_JSON), (data, reply)
        else:
            assert fault_of(reply) == [expected], (data, reply)
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    assert (await rest.send(method, path, raw=b'--b\r\n\r\n[]', headers=form)).status == 400


async def test_fields_that_are_too_much(conversation, club, bystander):
    rest = conversation[0]
    rows = [("message_send", "content", "x" * 16001), ("message_send", "content", "\U0001f600" * 2001),
            ("message_send", "nonce", "x" * 65), ("channel_edit", "name", "x" * 401), ("channel_edit", "name", "x" * 101),
            ("channel_edit", "name", ""), ("channel_edit", "icon", "x" * 65), ("call_region", "region", "x" * 65),
            ("call_ring", "recipients", ["1"] * 33), ("channel_open", "recipients", ["1"] * 33),
            ("ack_bulk", "read_states", [{}] * 101),
            ("relationship_put", "type", 3), ("relationship_put", "type", 2 ** 62),
            ("member_edit", "nick", "x" * 33), ("member_edit", "nick", "\U0001f600" * 33), ("member_edit", "nick", "x" * 200_000),
            ("my_member_edit", "nick", "\u00e9" * 33), ("member_edit", "roles", ["1"] * 251),
            ("member_edit", "communication_disabled_until", "2999-01-01T00:00:00Z"),
            ("guild_edit", "name", "x"), ("guild_edit", "name", "x" * 101), ("guild_edit", "icon", "x" * 65),
            ("guild_edit", "description", "x" * 301), ("guild_edit", "afk_timeout", 7), ("guild_edit", "afk_timeout", 2 ** 62),
            ("guild_edit", "afk_channel_id", "1"), ("guild_edit", "afk_channel_id", club["stage"]),
            ("channel_create", "name", ""), ("channel_create", "name", "x" * 101), ("role_edit", "name", "x" * 101),
            ("role_edit", "color", 1 << 24), ("role_create", "name", ""), ("role_create", "color", 2 ** 62),
            ("voice_status", "status", "x" * 501), ("voice_status", "status", "x" * 2001),
            ("voice_state_edit", "request_to_speak_timestamp", "x" * 100_000),
            ("stage_edit", "topic", "x" * 121), ("stage_edit", "topic", ""), ("stage_edit", "privacy_level", 3),
            ("stage_edit", "privacy_level", 0),
            *[(GUILD_CHANNEL, field, value) for field, value in [
                ("name", ""), ("name", "x" * 101), ("name", "x" * 401), ("type", 0), ("type", 4), ("type", 255), ("type", 256),
                ("position", 2 ** 31), ("position", 2 ** 62), ("parent_id", "1"), ("parent_id", club["stage"]),
                ("parent_id", club["voice"]), ("bitrate", 7999), ("bitrate", 384_001), ("bitrate", 2 ** 62), ("user_limit", 100),
                ("user_limit", 2 ** 62), ("rtc_region", "nowhere"), ("rtc_region", ""), ("rtc_region", "x" * 65),
                ("topic", "x" * 1025), ("topic", "x" * 200_000), ("rate_limit_per_user", 21601), ("video_quality_mode", 3),
                ("permission_overwrites", [{"id": "1"}] * 501)]]]
    (await rest.post("/stage-instances", {"channel_id": club["stage"], "topic": "news"})).ok()
    for name, field, value in rows:
        method, path = await paths_of(conversation, club, name)
        (where, _), = fault_of(await rest.send(method, path, {field: value}))
        assert where == (field,), (name, field, where)


async def test_ids_of_other_things(conversation, club, bystander, world):
    """What is named is there, but is nothing of the kind: it is not found, and nothing changes."""
    rest, group, bob = conversation
    elsewhere = world.guild(*world.users("eve", "dan"))
    there = {channel["name"]: channel["id"] for channel in elsewhere["channels"]}
    at, voice, stage, role = club[":guild_id"], club["voice"], club["stage"], club[":role_id"]
    before = (await rest.get(f"/guilds/{at}/channels")).ok(), (await rest.get(f"/guilds/{at}/roles")).ok()
    member, states = f"/guilds/{at}/members", f"/guilds/{at}/voice-states"
    rows = [("PATCH", f"/guilds/{group}", {"name": "xx"}, 10004), ("PATCH", f"/guilds/{voice}", {"name": "xx"}, 10004),
            ("PATCH", f"/guilds/{bob.id}", {"name": "xx"}, 10004), ("PATCH", f"/guilds/{elsewhere['id']}", {"name": "xx"}, 10004),
            ("PATCH", f"/guilds/{at}", {"owner_id": "1"}, 10007), ("PATCH", f"/guilds/{at}", {"owner_id": voice}, 10007),
            ("PATCH", f"{member}/{voice}", {"nick": "x"}, 10007), ("PATCH", f"{member}/{at}", {"nick": "x"}, 10007),
            ("PATCH", f"{member}/{bob.id}", {"roles": [voice]}, 10011), ("PATCH", f"{member}/{bob.id}", {"roles": [at]}, 50028),
            ("PATCH", f"{member}/{bob.id}", {"roles": [elsewhere["id"]]}, 10011),
            ("PATCH", f"{member}/{bob.id}", {"channel_id": voice}, 40032), ("PATCH", f"{member}/{bob.id}", {"mute": True}, 40032),
            ("DELETE", f"{member}/{voice}", None, 10007), ("DELETE", f"/users/@me/guilds/{group}", None, 10004),
            ("PATCH", f"{states}/{bob.id}", {"suppress": True}, 10065), ("PATCH", f"{states}/{stage}", {"suppress": True}, 10065),
            ("PATCH", f"{states}/@me", {"channel_id": there["stage"]}, 10065),
            ("PATCH", f"/guilds/{at}/roles/{voice}", {"name": "x"}, 10011), ("DELETE", f"/guilds/{at}/roles/{bob.id}", None, 10011),
            ("DELETE", f"/guilds/{at}/roles/{at}", None, 50028),
            ("PATCH", f"/guilds/{at}/channels", [{"id": there["one"], "position": 1}], 10003),
            ("PATCH", f"/guilds/{at}/channels", [{"id": role, "position": 1}], 10003),
            ("PATCH", f"/guilds/{at}/roles", [{"id": voice, "position": 1}], 10011),
            ("PUT", f"/channels/{group}/permissions/{bob.id}", {"type": 1}, 50024),
            ("PUT", f"/channels/{at}/permissions/{bob.id}", {"type": 1}, 10003),
            ("PUT", f"/channels/{there['one']}/permissions/{bob.id}", {"type": 1}, 10003),
            ("PUT", f"/channels/{group}/voice-status", {"status": "x"}, 50024),
            ("PUT", f"/channels/{stage}/voice-status", {"status": "x"}, 50024),
            ("PUT", f"/channels/{there['one']}/voice-status", {"status": "x"}, 10003),
            ("POST", "/stage-instances", {"channel_id": voice, "topic": "x"}, 50024),
            ("POST", "/stage-instances", {"channel_id": group, "topic": "x"}, 50024),
            ("POST", "/stage-instances", {"channel_id": there["stage"], "topic": "x"}, 10003),
            ("PATCH", f"/stage-instances/{stage}", {"topic": "x"}, 10067), ("DELETE", f"/stage-instances/{stage}", None, 10067),
            ("PATCH", f"/stage-instances/{voice}", {"topic": "x"}, 50024), ("GET", f"/stage-instances/{stage}", None, 10067),
            ("DELETE", f"/channels/{there['one']}", None, 10003), ("PATCH", f"/channels/{there['one']}", {"name": "x"}, 10003),
            ("DELETE", f"/channels/{role}", None, 10003), ("PATCH", f"/channels/{at}", {"name": "x"}, 10003)]
    for method, path, body, code in rows:
        reply = await rest.send(method, path, body)
        assert reply.status >= 400 and reply.json["code"] == code, reply
    assert ((await rest.get(f"/guilds/{at}/channels")).ok(), (await rest.get(f"/guilds/{at}/roles")).ok()) == before


async def test_names_that_would_be_something_elsewhere(conversation, club, bystander):
    """Texts are kept as they are, whatever they would mean to Redis, a log, JSON or a browser."""
    rest, _, bob = conversation
    member = f"/guilds/{club[':guild_id']}/members/{bob.id}"
    for text in ("{u:1}", "\r\nSET x y", "\"},{", "<script>", "${jndi}", "%s%n", "\u202e", "\U0001f600" * 32, "a\tb", "' OR 1"):
        assert (await rest.patch(member, {"nick": text})).ok()["nick"] == text
        assert (await rest.get(member)).ok()["nick"] == text
    for text in ("\u0000", "\ud800"):
        (await rest.patch(member, {"nick": text})).refused(400, 50109)


async def test_bodies_that_are_huge(conversation, club, bystander):
    """On each route of guilds that takes one: a quarter of a megabyte of it is read, and refused; more is not even that."""
    rest = conversation[0]
    many = b'{"x":[' + b"1," * 100_000 + b"1]}"
    for name in [*BODIES, *LISTS, GUILD_CHANNEL]:
        method, path = await paths_of(conversation, club, name)
        if not path.startswith(("/guilds", "/stage", "/voice")) and name not in ("overwrite_put", "voice_status", GUILD_CHANNEL):
            continue
        reply = await rest.send(method, path, raw=b'{"x":"' + b"y" * 300_000 + b'"}')
        assert (reply.status, reply.json) == (413, TOO_LARGE), reply
        reply = await rest.send(method, path, raw=many[:-1])
        assert (reply.status, reply.json) == (400, NO_JSON), reply


async def test_other_content_types(conversation, bystander):
    """What is said to be something else is read as JSON all the same; a form has a part that is."""
    rest, group, _ = conversation
    path = f"/channels/{group}/messages"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin-1", "\xff"):
        assert (await rest.send("POST", path, raw=b'{"content":"x"}', headers={"Content-Type": kind})).status == 200
        assert (await rest.send("POST", path, raw=b"content=x", headers={"Content-Type": kind})).json == NO_JSON
    form = "multipart/form-data; boundary=b"
    for kind, data in ((form, b""), (form, b"--b"), (form, b"--b\r\n\r\n"), (form, b"--b--\r\n"), (form, b"x" * 100_000),
                       (form, b'--b\r\nContent-Disposition: form-data; name="payload_json"\r\n\r\n{}'),
                       ("multipart/form-data", b"--b"), ("multipart/form-data; boundary=", b"----"),
                       ("multipart/form-data; boundary=\"", b"--\""), (form, b"--b\r\n" * 20_000)):
        reply = await rest.send("POST", path, raw=data, headers={"Content-Type": kind})
        assert (reply.status, reply.json["code"]) == (400, 50006), (kind, data[:40], reply)
    cut = b'--b\r\nContent-Disposition: form-data; name="payload_json"\r\n\r\n{"content":\r\n--b--\r\n'
    assert (await rest.send("POST", path, raw=cut, headers={"Content-Type": form})).json == NO_JSON


async def test_a_boundary_that_nearly_fits_everywhere(conversation, bystander):
    """Looking for a long one in a long body took a tenth of a second each time, of everybody's."""
    rest, group, _ = conversation
    kind = "multipart/form-data; boundary=" + "-" * 15000 + "x"
    replies = await asyncio.gather(*[rest.send("POST", f"/channels/{group}/messages", raw=b"-" * 250_000,
                                               headers={"Content-Type": kind}) for _ in range(40)])
    assert {reply.json["code"] for reply in replies} == {50006}


async def test_queries_of_the_message_list(conversation, bystander):
    rest, group, _ = conversation
    for query, where in [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=-1", "limit"), ("limit=1.5", "limit"),
                         ("limit=", "limit"), (f"limit={2 ** 64}", "limit"), ("before=x", "before"), ("after=-1", "after"),
                         ("around=1.5", "around"), (f"before={2 ** 63}", "before"), (f"after={2 ** 64}", "after"), ("before=", "before")]:
        (at, _), = fault_of(await rest.get(f"/channels/{group}/messages?{query}"))
        assert at == (where,), query
    for query in ("limit=1&limit=x", "before=0", f"after={2 ** 63 - 1}", "x=%zz", "before=1&after=2&around=3", "%6cimit=1"):
        assert (await rest.get(f"/channels/{group}/messages?{query}")).status == 200, query


# -- the admin port --------------------------------------------------------------------------------


async def admin(system, method, path, data=b"", token=None):
    text = head(f"{method} {path} HTTP/1.1", f"Authorization: Bearer {token or system.admin_token}",
                "Content-Type: application/json", f"Content-Length: {len(data)}")
    async with await Raw.to(system.admin_url) as raw:
        await raw.send(text.encode() + data)
        return await raw.answer()


async def test_the_admin_port(world, system, bystander):
    many = json.dumps({"users": [{"name": f"n{i}"} for i in range(60_000)]}).encode()
    rows = [("POST", "/admin/users", b"", 400, 50035), ("POST", "/admin/users", b"{", 400, 50109),
            ("POST", "/admin/users", b'{"username":7}', 400, 50035), ("POST", "/admin/users", b'{"username":""}', 400, 50035),
            ("POST", "/admin/users", b'{"username":"%s"}' % (b"x" * 33), 400, 50035),
            ("POST", "/admin/users", b'{"username":"x\\u0000"}', 400, 50109),
            ("POST", "/admin/users", b'{"username":"ok","id":"9223372036854775808"}', 400, 50035),
            ("POST", "/admin/users", b'{"username":"ok","bot":"yes"}', 400, 50035),
            ("POST", "/admin/dms", b'{"users":[]}', 400, 50035), ("POST", "/admin/dms", b'{"users":[1,2]}', 400, 50035),
            ("POST", "/admin/groups", json.dumps({"users": ["x"] * 11}).encode(), 400, 50035),
            ("POST", "/admin/friends", b'{"users":["nobody","noone"]}', 404, 10013),
            ("POST", "/admin/users/nobody/token", b"", 404, 10013), ("POST", "/admin/users/%ff/token", b"", 404, 10013),
            ("DELETE", f"/admin/users/{'x' * 5000}/tokens", b"", 404, 10013), ("GET", "/admin/nothing", b"", 404, 0),
            ("PATCH", "/admin/users", b"", 405, 0), ("POST", "/admin/load", b"[]", 400, 50035), ("POST", "/admin/load", b"{", 400, 50109),
            ("POST", "/admin/load", b'{"users":7}', 400, 50035), ("POST", "/admin/load", b'{"users":[{}]}', 400, 50035),
            ("POST", "/admin/load", b'{"guilds":[{"name":"x"}]}', 400, 50035),
            ("POST", "/admin/load", b"[" * 7000 + b"]" * 7000, 400, 50109), ("POST", "/admin/load", many, 400, 50035),
            ("POST", "/admin/load", b" " * (2 * 1024 * 1024 + 1), 413, 40005)]
    for method, path, data, status, code in rows:
        answer = await admin(system, method, path, data)
        assert (answer.status, answer.json["code"]) == (status, code), (path, data[:60], answer.status, answer.body)
    for token in ("", "x", system.admin_token[:-1], system.admin_token + "x", system.admin_token.upper() + "\xe9"):
        assert (await admin(system, "GET", "/admin/users", token=token or " ")).json == UNAUTHORIZED
