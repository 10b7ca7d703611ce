"""The voice node and what nobody should send it: whatever a stranger or a client does to the two ports, nothing of it is
passed on, memory stays as it was, and a pair that talks meanwhile hears each other without a gap."""
import asyncio
import json
import os
import random
import socket
import struct
import time

import pytest
import pytest_asyncio

import raw
from client import DEADLINE_S
from media_peer import DISCOVERY, DISCOVERY_OLD, MODES, MediaKey, Rtp, discovery, discovery_old, keepalive, ping
from voice_client import BACKEND, BEAT, CODECS, GONE, IDENTIFY, RESUME, SELECT, SPEAKING, VIDEO, WANTS, Closed
from voice_house import VoiceHouse, Voices, until

DATAGRAM_MAX = 65507
GROWTH = 12 * 1024 * 1024  # what allocators keep for themselves
BURST = 128                # of small datagrams; three times as many fit into any socket buffer
STRANGER_PPS = 500         # of one address that is nobody's
PACE_S = 0.005             # four times as often as people's clients


@pytest.fixture(scope="module")
def node():
    # what is freed is not kept for long, so that what is there can be told
    house = VoiceHouse(ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:exitcode=99:quarantine_size_mb=1")
    yield house
    house.close()


@pytest_asyncio.fixture
async def voices(node):
    made = Voices(node)
    yield made
    await made.close()
    node.system.check_alive()


class Pair:
    """Two who talk in a call of their own, each in another mode, until the test is over; each must hear all of it, in
    order, and nothing else."""

    def __init__(self, node, voices):
        self.node, self.voices = node, voices
        self.said = 0

    async def __aenter__(self):
        call = self.node.call()
        self.both = [await self.voices.join(call.sit(), mode) for mode in (MODES[0], MODES[4])]
        await self.voices.settle(*self.both)
        for client in self.both:
            client.messages.clear()
        self.over = asyncio.Event()
        self.task = asyncio.create_task(self._talk())
        return self

    async def _talk(self):
        first, second = self.both
        while not self.over.is_set():
            for talker, listener in ((first, second), (second, first)):
                packet = talker.say(struct.pack(">I", self.said) * 30)
                heard = await listener.hear()
                assert (heard.ssrc, heard.sequence, heard.payload) == (talker.ssrc, packet.sequence, packet.payload)
            self.said += 1
            await asyncio.sleep(PACE_S)

    async def __aexit__(self, kind, *_):
        self.over.set()
        try:
            await self.task
        finally:
            if kind is None:
                assert self.said > 0
                for client in self.both:
                    await client.settle()
                    assert await client.heard() == [] and client.messages == []


@pytest_asyncio.fixture
async def bystanders(node, voices):
    async with Pair(node, voices) as pair:
        yield pair


def memory(node):
    """Bytes of the process that are resident."""
    status = open(f"/proc/{node.service.proc.pid}/statm").read().split()
    return int(status[1]) * os.sysconf("SC_PAGE_SIZE")


def stranger(source="127.0.0.1"):
    """A UDP socket that belongs to nobody."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((source, 0))
    made.setblocking(False)
    return made


def received(sock):
    """Everything that has come to it."""
    found = []
    try:
        while True:
            found.append(sock.recv(2 ** 16))
    except BlockingIOError:
        return found


async def send_all(send, datagrams, fence):
    """As fast as the node works them off: the bystanders' datagrams have to get through the same socket buffer. fence: of
    somebody who is in, and sends no more than he may."""
    for i, datagram in enumerate(datagrams):
        send(datagram)
        if i % BURST == BURST - 1:
            await fence()
    await fence()


# --- the media port ---

async def target(node, voices, mode=MODES[0]):
    """One who is spoken to, and one whose packets a stranger would like to send."""
    call = node.call()
    victim, listener = await voices.join(call.sit(), mode), await voices.join(call.sit(), mode)
    packet = victim.say(b"genuine")
    assert (await listener.hear()).payload == b"genuine"
    return victim, listener, packet


@pytest.mark.parametrize("mode", MODES)
async def test_nothing_that_does_not_open_is_passed_on(node, voices, bystanders, mode):
    victim, listener, _ = await target(node, voices, mode)
    good = victim.key.seal_rtp(victim.packet(b"to be spoilt" * 10))
    another = MediaKey(mode, os.urandom(32)).seal_rtp(victim.packet(b"of another key"))
    spoilt = [good[:i] + bytes([good[i] ^ 1]) + good[i + 1:] for i in range(12, len(good))]
    cut = [good[:n] for n in range(len(good))]
    wrong_ssrc = [good[:8] + struct.pack(">I", ssrc) + good[12:]
                  for ssrc in (0, listener.ssrc, victim.ssrc + 1, victim.ssrc + 100, 0xFFFFFFFF)]
    plain, _ = Rtp(victim.ssrc, 5, 5, b"").clear(True)
    own = victim.media.transport.get_extra_info("socket")
    before = node.metrics()
    for sock in (own, None):
        sock = sock or stranger()
        for datagram in [another, plain + b"not sealed", *spoilt, *cut, *wrong_ssrc]:
            victim.media.send(datagram) if sock is own else sock.sendto(datagram, ("127.0.0.1", node.ports["media"]))
        await victim.fence()
    assert await listener.heard() == []
    assert node.metrics()["media_forwarded"] >= before["media_forwarded"]
    victim.say(b"still here")
    assert (await listener.hear()).payload == b"still here"


@pytest.mark.parametrize("mode", MODES)
async def test_a_packet_is_passed_on_once(node, voices, bystanders, mode):
    victim, listener, _ = await target(node, voices, mode)
    datagrams = [victim.key.seal_rtp(victim.packet(bytes([i]) * 50)) for i in range(20)]
    for datagram in datagrams:
        victim.media.send(datagram)
    assert [(await listener.hear()).payload[0] for _ in range(20)] == list(range(20))
    spy = stranger()
    for _ in range(3):
        for datagram in datagrams:
            victim.media.send(datagram)
            spy.sendto(datagram, ("127.0.0.1", node.ports["media"]))
    await victim.fence()
    assert await listener.heard() == []
    assert received(spy) == []
    listener.say(b"an answer")  # and it goes where the victim is, not where they came from again
    assert (await victim.hear()).payload == b"an answer"


async def test_who_says_another_ssrc_is_neither_heard_nor_believed(node, voices, bystanders):
    victim, listener, packet = await target(node, voices)
    outsider = await voices.join(node.call().sit())
    spoofed = Rtp(victim.ssrc, packet.sequence + 1, packet.timestamp + 960, b"not the victim")
    spy = stranger()
    for key in (outsider.key, MediaKey(MODES[0], bytes(32))):
        outsider.media.send(key.seal_rtp(spoofed))
        spy.sendto(key.seal_rtp(spoofed), ("127.0.0.1", node.ports["media"]))
    within = listener.key.seal_rtp(spoofed)  # of his own room, too
    listener.media.send(within)
    await listener.fence()
    assert await listener.heard() == [] and received(spy) == []
    listener.say(b"an answer")
    assert (await victim.hear()).payload == b"an answer"
    assert received(spy) == []


async def test_datagrams_of_any_size_and_bytes(node, voices, bystanders):
    draw = random.Random(5)
    spy = stranger()
    victim, listener, _ = await target(node, voices)
    sizes = [0, 1, 7, 8, 9, 11, 12, 13, 27, 28, 29, 69, 70, 71, 73, 74, 75, 1499, 1500, 1501, 9000, 20000, 65506, DATAGRAM_MAX]
    before = memory(node)
    for round in range(12):
        for size in sizes:
            datagram = bytearray(draw.randbytes(size))
            if size > 12 and round % 3 == 1:  # as a packet of the victim's
                datagram[:12] = struct.pack(">BBHII", 0x80 | draw.randrange(64), draw.randrange(256), round, 0, victim.ssrc)
            victim.media.send(bytes(datagram)) if round % 2 else spy.sendto(datagram, ("127.0.0.1", node.ports["media"]))
            await asyncio.sleep(0)
        await victim.fence()
    assert await listener.heard() == []
    for answer in received(spy):  # nobody was named in them
        raise AssertionError(answer)
    assert memory(node) < before + GROWTH


@pytest.mark.parametrize("known", [True, False])
async def test_a_flood_of_discovery_requests(node, voices, bystanders, known):
    """No answer is longer than what asked for it, few are given, and nobody's address is changed by one."""
    victim, listener, _ = await target(node, voices)
    spy = stranger("127.0.0.9")
    before = memory(node)
    ssrc = victim.ssrc if known else victim.ssrc + 5000
    asked, begun = [discovery(ssrc), discovery_old(ssrc)] * 2000, time.monotonic()
    await send_all(lambda data: spy.sendto(data, ("127.0.0.1", node.ports["media"])), asked, victim.fence)
    answers = received(spy)
    assert len(answers) <= STRANGER_PPS * (2 + int(time.monotonic() - begun)) if known else answers == []
    assert {len(answer) for answer in answers} <= {DISCOVERY, DISCOVERY_OLD}
    assert memory(node) < before + GROWTH
    listener.say(b"to the victim")
    assert (await victim.hear()).payload == b"to the victim"
    assert not [data for data in received(spy) if len(data) not in (DISCOVERY, DISCOVERY_OLD)]


async def test_a_flood_of_strangers(node, voices, bystanders):
    """Of a thousand addresses; what the node remembers of them is bounded."""
    before, insider = memory(node), await voices.join(node.call().sit())
    strangers = [stranger(f"127.{1 + i // 250}.1.{1 + i % 250}") for i in range(1000)]
    try:
        for round in range(4):
            await send_all(lambda data: data[0].sendto(data[1], ("127.0.0.1", node.ports["media"])),
                           [(sock, datagram) for i, sock in enumerate(strangers)
                            for datagram in (ping(i), keepalive(i), bytes(74), discovery(i))], insider.fence)
        answers = [answer for sock in strangers for answer in received(sock)]
        assert all(len(answer) <= 8 for answer in answers), answers
    finally:
        for sock in strangers:
            sock.close()
    assert memory(node) < before + GROWTH


async def test_whoever_sends_more_than_he_may_is_cut_back_alone(node, voices, bystanders):
    victim, listener, _ = await target(node, voices)
    before, end = node.metrics(), asyncio.get_running_loop().time() + DEADLINE_S
    sealed = [victim.key.seal_rtp(victim.packet(b"x" * 20)) for _ in range(BURST)]
    while node.metrics()["media_dropped_peer_rate"] == before["media_dropped_peer_rate"]:
        assert asyncio.get_running_loop().time() < end, "the node drops nothing"
        for _ in range(100):                    # three times as many as he may send in a second
            await send_all(victim.media.send, sealed, listener.fence)
            listener.media.inbox.clear()


async def test_who_is_gone_sends_nothing_any_more(node, voices, bystanders):
    call = node.call()
    victim, listener = await voices.join(call.sit()), await voices.join(call.sit())
    await victim.leave()
    await listener.expect(GONE)
    for _ in range(20):
        victim.say(b"from beyond")
    assert await listener.heard() == []
    listener.say(b"to nobody")
    await listener.fence()
    assert list(victim.media.inbox) == []


# --- the websocket ---

JUNK = [None, True, 0, -1, 1e308, "", "x" * 300, [], [[]], {}, {"a": {"b": []}}, [None] * 100,
        "\ud83d\ude00", "9" * 40, 2 ** 62, {"d": None}]
FIELDS = {
    IDENTIFY: ("server_id", "channel_id", "user_id", "session_id", "token", "video", "streams", "max_dave_protocol_version"),
    SELECT: ("protocol", "data", "codecs", "rtc_connection_id", "address", "port", "mode"),
    BEAT: ("t", "seq_ack"),
    SPEAKING: ("speaking", "delay", "ssrc"),
    RESUME: ("server_id", "channel_id", "session_id", "token", "seq_ack"),
    VIDEO: ("audio_ssrc", "video_ssrc", "rtx_ssrc", "streams"),
    CODECS: ("codecs",),
    WANTS: ("any", "1", "18446744073709551615", "pixelCounts", "x"),
    BACKEND: ("x",),
    10: ("x",), 17: ("x",), 19: ("x",), 23: ("x",), 31: ("x",), 32: ("x",), 40: ("x",), 41: ("x",),
}
GOOD = {SELECT: {"protocol": "udp", "data": {"address": "a", "port": 1, "mode": MODES[0]}}}
CODES = {4001, 4002, 4003, 4004, 4005, 4006, 4011, 4012, 4016}


def malformed(op, grant):
    base = GOOD.get(op, {}) | ({key: grant[key] for key in FIELDS[op] if key in grant})
    yield from JUNK
    for name in FIELDS[op]:
        for junk in JUNK:
            yield base | {name: junk}
    if op in (VIDEO, IDENTIFY):
        for junk in JUNK:
            yield base | {"streams": [junk] * 5}
            for name in ("type", "rid", "ssrc", "rtx_ssrc", "active", "quality", "max_framerate", "max_resolution"):
                yield base | {"streams": [{name: junk}]}
    if op in (SELECT, CODECS):
        for junk in JUNK:
            yield base | {"codecs": [junk] * 40}
            for name in ("name", "type", "priority", "payload_type", "decode", "encode"):
                yield base | {"codecs": [{"name": "VP8", "type": "video"} | {name: junk}]}


@pytest.mark.parametrize("op", sorted(FIELDS))
async def test_malformed_frames_of_every_op_close_or_are_passed_over(node, voices, bystanders, op):
    call = node.call()
    grant, listener = call.sit(), await voices.join(call.sit())
    before, inside, fresh, floods = memory(node), None, None, 0
    for i, d in enumerate(malformed(op, grant)):
        for known in (True, False):
            client = inside if known else fresh
            if client is None or client.code is not None or client.ws.closed:
                if client:
                    await client.close()
                client = await voices.open(8 + i % 2)
                if known:
                    await client.identify(call.grant(int(grant["user_id"])))
                    await client.speaking()
            if known:
                inside = client
            else:
                fresh = client
            await client.send(op, d)
            try:
                await client.settle()
            except (Closed, ConnectionError):
                code = await client.closed()
                assert code in CODES | {4021}, (code, d)
                floods += code == 4021
    assert floods <= 4
    await listener.settle()
    assert memory(node) < before + GROWTH
    await bystanders.both[0].settle()


async def test_frames_against_the_protocol(node, voices, bystanders):
    """Of websockets themselves: web.c's business, which must not be the voice node's trouble."""
    url = node.url + "/?v=8"
    for data in (raw.frame(b"{}", mask=False), raw.frame(b"{}", rsv=4), raw.frame(b"{}", op=3), raw.frame(b"", claim=2 ** 62),
                 raw.frame(b"x" * 20000), raw.frame(b"{", fin=False) * 3, raw.frame(b"\xff\xfe"), b"\0" * 100):
        async with await raw.Raw.to(url) as sock:
            await sock.upgrade("/?v=8")
            await sock.send(data)
            assert await sock.closes() in (1002, 1006, 1007, 1009, 4002)


async def test_requests_that_are_no_upgrade(node, bystanders):
    async with await raw.Raw.to(node.url) as sock:
        for head in ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?v=8 HTTP/1.1\r\nHost: h\r\n\r\n"):
            assert (await sock.ask(head)).status == 404
    async with await raw.Raw.to(node.url) as sock:
        await sock.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + "x" * 100000)
        answer = await sock.answer()
        assert answer is None or answer.status == 413


async def test_sockets_that_come_and_go(node, voices, bystanders):
    """Five hundred that never identify, and as many identifies that are wrong."""
    before = memory(node)
    for _ in range(10):
        made = await asyncio.gather(*[raw.Raw.to(node.url) for _ in range(50)])
        for i, sock in enumerate(made):
            await sock.upgrade("/?v=8")
            if i % 2:
                await sock.send(raw.frame(json.dumps({"op": IDENTIFY, "d": {"server_id": "1", "user_id": "1",
                                                                            "session_id": "a" * 32, "token": "b" * 16}})))
        for sock in made[1::2]:
            assert await sock.closes() == 4006
        for sock in made:
            sock.writer.close()
    await until(lambda: node.metrics()["ws_connections"] <= 2, "the sockets to be gone")
    assert memory(node) < before + GROWTH


async def test_a_guess_at_tokens_finds_nothing(node, voices, bystanders):
    call = node.call()
    inside = await voices.join(call.sit())
    for i in range(50):
        guess = f"{random.Random(i).getrandbits(64):016x}"
        assert await voices.refused(IDENTIFY, inside.grant | {"token": guess}) == 4004
        assert await voices.refused(RESUME, inside.grant | {"token": guess, "seq_ack": -1}) == 4006
    await inside.settle()  # nobody has replaced it
