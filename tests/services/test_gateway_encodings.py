"""The gateway alone: what is said is the same in JSON and in Erlang's terms, plain, in a compressed stream of either kind,
and with large messages compressed each by itself."""
import asyncio
import json
import time
import zlib

import pytest

import etf
from client import AMBIENT, Client
from gateway_house import Clients, House, event, until

BUDGET = 1_000_000
ENV = {"SB_DEFLATE_BYTES": str(BUDGET), "SB_IDENTIFY_RATE": "0", "SB_SESSIONS_PER_USER": "100"}
ENDS_ANSWERED, AT_REST = True, {"memory_deflate_bytes": 0}
WAYS = [(encoding, compress) for encoding in ("json", "etf") for compress in (None, "zlib-stream", "zstd-stream")]
WAYS.append(("json", "payload"))
EVERY_WAY = pytest.mark.parametrize("encoding,compress", WAYS, ids=[f"{e}-{c or 'plain'}" for e, c in WAYS])
ETF_WAYS = pytest.mark.parametrize("compress", [None, "zlib-stream", "zstd-stream"], ids=lambda c: c or "plain")
STREAMS = pytest.mark.parametrize("compress", ["zlib-stream", "zstd-stream"])


class Raw(Client):
    """Keeps what came, before anything is made of it."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.frames = []

    def _unpack(self, data):
        self.frames.append(data)
        super()._unpack(data)


async def raw_login(clients, account, identify=None, **options):
    client = Raw(clients.http, clients.house.system.gateway_url, account, **options)
    clients.made.append(client)
    await client.connect()
    await client.hello()
    await client.identify(**identify or {})
    return client


TEXTS = ["", "x", "é\n\"\\\u0001 😀", "x" * 1100, "0123456789" * 20_000, "y" * 65_535]
BODY = {"null": None, "yes": True, "no": False, "numbers": [0, 255, 256, -1, -70_000, 4_000_000_000, 0.25],
        "guild_id": "1198765432109876599", "user_ids": ["1198765432109876599", "1198765432109876600"], "empty": [{}, []],
        "nonce": "1198765432109876599", "permissions": "1125899906842623"}


def shape(ready):
    """READY without what differs from session to session."""
    own = ("session_id", "sessions", "static_client_session_id")
    return {key: value for key, value in ready.items() if key not in own}


def told(client):
    """What came behind READY, but for what may come at any moment."""
    return [(seen.t, seen.d) for seen in client.events[1:] if seen.t not in AMBIENT]


@EVERY_WAY
async def test_the_same_is_said_every_way(house, clients, encoding, compress):
    ann, ben = house.users("ann", "ben")
    bot = house.user("bot", bot=True)
    house.guild(ann, ben, bot)
    place = house.channel(ann, ben)
    house.call(place, ben)
    for account, last in ((bot, "GUILD_CREATE"), (ann, "CALL_CREATE")):
        plain = await clients.login(account)
        client = await clients.login(account, encoding=encoding, compress=compress)
        assert shape(client.ready) == shape(plain.ready)
        assert client.supplemental == plain.supplemental
        for each in (plain, client) if account is ann else ():
            await each.next(last)
        assert told(plain)[-1][0] == last and told(client) == told(plain)
        await client.heartbeat()
        await client.heartbeat(op=40)
    for text in TEXTS:
        place.commit(event("TEST", BODY | {"text": text}))
        for each in (plain, client):
            assert await each.next("TEST") == BODY | {"text": text}


@EVERY_WAY
async def test_what_a_client_says_is_understood_every_way(house, clients, encoding, compress):
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    client = await clients.login(ann, encoding=encoding, compress=compress)
    forms = [str(place.ref), place.ref]     # as text and as a number, which libraries do either
    for channel in forms:
        await client.join(channel, mute=True, flags=2, preferred_regions=["far", "near"])
        command = await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(ann.id), channel=place.ref)
        assert command.fields["self_mute"] and not command.fields["self_deaf"] and command.fields["flags"] == 2
        command.reply()
    await client.leave()
    (await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(ann.id), channel=0)).reply()
    for op in (3, 5, 8, 14, 28, 37, 41, 43):
        await client.send(op, {"guild_id": "1", "since": 1.7e12, "list": []})
    await client.heartbeat()


@EVERY_WAY
async def test_a_resume_goes_on_every_way(house, clients, encoding, compress):
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    client = await clients.login(ann, encoding=encoding, compress=compress)
    place.commit(event("TEST", {"n": 0}))
    await client.next("TEST", n=0)
    await client.abort()
    for n in range(1, 4):
        place.commit(event("TEST", {"n": n, "text": "x" * 2000}))
    await until(lambda: house.metrics()["sessions_detached"] == 1, "the session to be left")
    missed = await client.reconnect_and_resume()
    while len(missed) < 3:
        await client.next("TEST")
        missed = [e for e in client.events if e.t == "TEST" and e.d["n"]]
    assert [e.d["n"] for e in missed] == [1, 2, 3]


# -- Erlang's terms ----------------------------------------------------------------------------------

async def test_terms_are_as_clients_take_them_apart(house, clients):
    """Nostrum matches payload.op and :READY, which are atoms, and compares ids with numbers."""
    ann, ben = house.users("ann", "ben")
    house.channel(ann, ben)
    client = await raw_login(clients, ann, encoding="etf")
    hello, ready = [etf.decode(frame) for frame in client.frames[:2]]
    assert all(isinstance(key, etf.Atom) for key in (*hello, *hello["d"], *ready, *ready["d"]))
    assert hello["t"] is None and hello["d"]["heartbeat_interval"] == 41250
    assert isinstance(ready["t"], etf.Atom) and ready["t"] == "READY" and ready["s"] == 1
    assert ready["d"]["user"]["id"] == int(ann.id) and type(ready["d"]["user"]["username"]) is str
    assert type(ready["d"]["session_id"]) is str


BEAT = {"op": 1, "d": None}
WRONG = [
    ("JSON", '{"op":1,"d":null}', 4002), ("JSON in a binary frame", b'{"op":1,"d":null}', 4002), ("nothing", b"", 4002),
    ("a version", b"\x83", 4002), ("a list", etf.encode([1]), 4002), ("no op", etf.encode({}), 4002),
    ("a text for an op", etf.encode({"op": "1"}), 4002), ("keys that are atoms", etf.encode({etf.Atom("op"): 1}), 4002),
    ("an atom for a key within", etf.encode({"op": 1, "d": {etf.Atom("a"): 1}}), 4002),
    ("cut", etf.encode(BEAT)[:-1], 4002), ("something behind it", etf.encode(BEAT) + b"j", 4002),
    ("compressed", b"\x83P\0\0\0\x10" + zlib.compress(etf.encode(BEAT)[1:]), 4002),
    ("a length that lies", b"\x83t\xff\xff\xff\xffm\0\0\0\x02opa\x01", 4002),
    ("too deep", b"\x83" + b"h\x01" * 7000 + b"a\x01", 4002), ("too long", etf.encode({"op": 1, "d": "x" * 16_000}), 4002),
    ("op -1", etf.encode({"op": -1}), 4001), ("op 256", etf.encode({"op": 256}), 4001),
    ("op 2^62", etf.encode({"op": 1 << 62}), 4001),
]


@ETF_WAYS
@pytest.mark.parametrize("frame,code", [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
async def test_what_is_no_term_of_a_client_costs_him_his_socket(house, clients, compress, frame, code):
    client = await clients.connect(house.user("ann"), encoding="etf", compress=compress)
    await (client.ws.send_str(frame) if isinstance(frame, str) else client.send_bytes(frame))
    await client.closes_with(code)


async def test_a_shard_is_read_as_erlang_writes_it(house, clients):
    bot = house.user("bot", bot=True)
    client = await clients.connect(bot, encoding="etf", compress="zlib-stream")
    ready = await client.identify(shard=b"\x01\x02")
    assert ready["shard"] == [1, 2]


async def test_what_others_put_together_wrongly_is_not_told_and_costs_nobody_his_socket(house, clients):
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    client = await clients.login(ann, encoding="etf")
    place.commit({"name": "TEST", "to": 0, "body": b'{"n":'})
    place.commit(event("TEST", {"n": 1}))
    client.seq += 1
    await client.next("TEST", n=1)


# -- compression -------------------------------------------------------------------------------------

@STREAMS
async def test_each_message_is_one_frame(house, clients, compress):
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    # discord.py says so, too; it is the stream that counts.
    client = await raw_login(clients, ann, {"compress": True}, compress=compress)
    for n, text in enumerate(TEXTS):
        place.commit(event("TEST", {"n": n, "text": text}))
        await client.next("TEST", n=n)
        assert len(client.frames) == len(client.events) + len(client.controls)
    assert sum(map(len, client.frames)) < sum(map(len, TEXTS)) / 20


async def test_large_messages_are_compressed_each_by_itself_for_who_asks_for_it(house, clients):
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    client = await raw_login(clients, ann, compress="payload")
    assert json.loads(zlib.decompress(client.frames[0]))["t"] == "READY"
    before = len(client.frames)
    for n, size in enumerate((10, 900, 1100, 100_000)):
        place.commit(event("TEST", {"n": n, "text": "x" * size}))
        await client.next("TEST", n=n)
    assert [json.loads(zlib.decompress(frame))["d"]["n"] for frame in client.frames[before:]] == [2, 3]
    assert house.metrics()["memory_deflate_bytes"] == 0


async def test_terms_are_not_compressed_each_by_itself(house, clients):
    client = await raw_login(clients, house.user("ann"), {"compress": True}, encoding="etf")
    assert len(client.frames[1]) > 1024 and client.frames[1][:1] == b"\x83"


@STREAMS
async def test_what_all_streams_cost_is_bounded_and_who_comes_later_reads_them_all_the_same(house, clients, compress):
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    people = []
    for n in range(20):
        people.append(await clients.connect(ann, compress=compress, encoding=["json", "etf"][n % 2]))
        assert house.metrics()["memory_deflate_bytes"] <= BUDGET
    cost = house.metrics()["memory_deflate_bytes"]
    assert cost > BUDGET * 0.7
    for client in people:
        await client.identify()
    sizes = (0, 10, 33_000, 70_000, 300_000)
    for n, size in enumerate(sizes):
        place.commit(event("TEST", {"n": n, "text": "x" * size}))
    for client in people:
        for n, size in enumerate(sizes):
            assert len((await client.next("TEST", n=n))["text"]) == size
    assert house.metrics()["memory_deflate_bytes"] == cost
    await people[0].close()
    await until(lambda: house.metrics()["memory_deflate_bytes"] < cost, "room for one more")
    await clients.login(ann, compress=compress)
    assert house.metrics()["memory_deflate_bytes"] == cost


@pytest.mark.parametrize("query,code", [("v=8&encoding=etf", 4012), ("v=9&encoding=bson", 4002), ("v=9&encoding=ETF", 4002),
                                        ("v=9&encoding=json&compress=zstd", 4002), ("v=9&compress=lz4-stream", 4002)])
async def test_what_nobody_speaks_is_refused(house, clients, query, code):
    client = clients.client(house.user("ann"))
    await client.connect(query)
    await client.closes_with(code)


# -- shards ------------------------------------------------------------------------------------------

async def test_shards_begin_together_and_those_of_the_same_key_one_by_one():
    house = House(SB_IDENTIFY_RATE="4")
    clients = Clients(house)

    async def refusals_of_a_fifth():
        """How often it had to wait: not at all, when this took so long that there was nothing to wait for."""
        bot, other = house.user("bot", bot=True), house.user("other", bot=True)
        began = time.monotonic()
        for shard in range(4):
            client = await clients.connect(bot)
            assert (await client.identify(shard=[shard, 8]))["shard"] == [shard, 8]
        await (await clients.connect(other)).identify(shard=[4, 8])
        late, refusals = await clients.connect(bot), 0
        while not late.events:
            await late.send(2, late.identification(shard=[4, 8]))
            await until(lambda: late.events or len(late.controls) > 1 + refusals, "READY or a refusal")
            refusals = len(late.controls) - 1
            await asyncio.sleep(0.1)         # 120 frames a minute are what a client may send
        assert time.monotonic() - began > 4.9
        assert late.events[0].t == "READY" and late.events[0].d["shard"] == [4, 8]
        return refusals

    try:
        assert await refusals_of_a_fifth() or await refusals_of_a_fifth() or await refusals_of_a_fifth()
    finally:
        await clients.close()
        house.close()
