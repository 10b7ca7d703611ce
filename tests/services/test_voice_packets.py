"""The node's packets against a peer written from the protocol alone (lib/media_peer.py): bytes agree both ways, in every
mode, with CSRCs, extension and padding; whatever is wrong with a packet, the two agree on that too."""
import os
import random
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import media_peer
from media_peer import MODES, MediaKey, Rtp, Unopened

PACKET_MAX = 1500
OLD = [mode for mode in MODES if not mode.endswith("_rtpsize")]
WITH_RTCP = MODES[:-1]


def node(lines):
    """What the node says to each line; the sanitizer has its word too."""
    program = Path(os.environ["SB_BUILD"]) / "bin" / "voice_packets"
    done = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == len(lines)
    return answers


def shown(data):
    return data.hex() or "-"


def seen(text):
    return bytes.fromhex("" if text == "-" else text)


class Draw(random.Random):
    def key(self, mode):
        return MediaKey(mode, self.randbytes(32))

    def counter(self):
        return self.choice((0, media_peer.SERVER_HALF - 1, self.randrange(media_peer.SERVER_HALF)))

    def tail(self, key):
        return struct.pack(">I", self.counter()) if key.tail == 4 else self.randbytes(key.tail)

    def extension(self):
        if self.random() < 0.5:
            return None
        return self.choice((media_peer.ONE_BYTE, 0x1000, self.getrandbits(16))), self.randbytes(4 * self.randrange(6))

    def rtp(self):
        size = self.choice((0, 1, 3, self.randrange(200), self.randrange(1100)))
        padding = self.choice((0, 0, 0, 1, 4, self.randrange(1, 256)))
        csrcs = [self.getrandbits(32) for _ in range(self.choice((0, 0, 1, 2, 15)))]
        return Rtp(self.getrandbits(32), self.getrandbits(16), self.getrandbits(32), self.randbytes(size),
                   self.choice((120, 101, self.randrange(128))), self.random() < 0.2, tuple(csrcs), self.extension(), padding)

    def rtcp(self):
        """One packet, or several in a row, of whole words; and whom the first feedback in it is for."""
        plain, target = b"", 0
        for _ in range(self.choice((1, 1, 2, 3))):
            kind, words = self.choice((200, 201, 202, 203, 205, 206)), self.randrange(12)
            body = self.randbytes(4 * words)
            count = self.choice((1, 2, 3, 5, 15))
            plain += struct.pack(">BBHI", 2 << 6 | count, kind, 1 + words, self.getrandbits(32)) + body
            if not target and kind in (205, 206):
                target = struct.unpack_from(">I", body)[0] if body else 0
                break
        return plain, target

    def spoil(self, datagram):
        """Something happened to it on its way."""
        what, data = self.randrange(5), bytearray(datagram)
        if what == 0:
            del data[self.randrange(len(data)):]
        elif what == 1:
            data += self.randbytes(self.randrange(1, 40))
        elif what == 2:
            data[self.randrange(len(data))] ^= 1 << self.randrange(8)
        elif what == 3:  # in what some modes do not authenticate
            data[self.randrange(min(16, len(data)))] ^= self.randrange(1, 256)
        else:
            del data[:self.randrange(1, 20)]
        return bytes(data)


def opened_line(packet):
    ext = b"" if packet.extension is None else struct.pack(">HH", packet.extension[0],
                                                           len(packet.extension[1]) // 4) + packet.extension[1]
    flags = (packet.pt, packet.marker, packet.padding > 0, packet.sequence, packet.timestamp, packet.ssrc, len(packet.csrcs))
    return " ".join([*(str(int(flag)) for flag in flags), shown(ext), shown(packet.payload), str(packet.counter or 0)])


def forwarded(packet, key):
    """As a listener with this key is to have it."""
    return replace(packet, csrcs=(), padding=0, extension=packet.extension if key.rtpsize else None, counter=None)


def check_sealed(key, ours, theirs, place):
    """theirs: what the node sealed as its packet number `place` from packet ours."""
    tail = theirs[len(theirs) - key.tail:]
    if key.tail == 4:
        assert tail == struct.pack(">I", media_peer.SERVER_HALF + place)
    assert theirs == key.seal_rtp(ours, tail)
    assert replace(key.open_rtp(theirs), counter=None) == ours


@pytest.mark.parametrize("to_mode", MODES)
@pytest.mark.parametrize("from_mode", MODES)
def test_rtp_is_opened_and_sealed_to_the_byte(from_mode, to_mode):
    draw = Draw(f"{from_mode} {to_mode}")
    source, listener = draw.key(from_mode), draw.key(to_mode)
    packets = [draw.rtp() for _ in range(600)]
    sent = [source.seal_rtp(packet, draw.tail(source)) for packet in packets]
    assert max(map(len, sent)) <= PACKET_MAX
    answers = node([f"from {from_mode} {source.key.hex()}", f"to {to_mode} {listener.key.hex()}",
                    *(f"rtp {datagram.hex()}" for datagram in sent)])[2:]
    nonces = set()
    for place, (packet, datagram, answer) in enumerate(zip(packets, sent, answers)):
        opened, sealed = answer.rsplit(" ", 1)
        if source.tail == 4:
            packet = replace(packet, counter=struct.unpack(">I", datagram[-4:])[0])
        assert opened == opened_line(packet), (place, packet)
        check_sealed(listener, forwarded(packet, listener), seen(sealed), place)
        nonces.add(seen(sealed)[-listener.tail:])
    assert not listener.tail or len(nonces) == len(packets)


@pytest.mark.parametrize("to_mode", WITH_RTCP)
@pytest.mark.parametrize("from_mode", WITH_RTCP)
def test_rtcp_is_opened_and_sealed_to_the_byte(from_mode, to_mode):
    draw = Draw(f"rtcp {from_mode} {to_mode}")
    source, listener = draw.key(from_mode), draw.key(to_mode)
    packets = [draw.rtcp() for _ in range(200)]
    lines = [f"rtcp {source.seal_rtcp(plain, draw.tail(source)).hex()}" for plain, _ in packets]
    answers = node([f"from {from_mode} {source.key.hex()}", f"to {to_mode} {listener.key.hex()}", *lines])[2:]
    for place, ((plain, target), answer) in enumerate(zip(packets, answers)):
        opened, whose, sealed = answer.split()
        assert (seen(opened), int(whose)) == (plain, target), place
        tail = seen(sealed)[-listener.tail:]
        assert listener.tail != 4 or tail == struct.pack(">I", media_peer.SERVER_HALF + place)
        assert seen(sealed) == listener.seal_rtcp(plain, tail)
        assert listener.open_rtcp(seen(sealed)) == plain


def test_rtcp_and_rtp_of_one_listener_share_its_counter():
    draw = Draw("shared")
    key = draw.key(MODES[0])
    lines = [f"from {MODES[0]} {key.key.hex()}", f"to {MODES[0]} {key.key.hex()}"]
    lines += [f"rtp {key.seal_rtp(draw.rtp()).hex()}" if draw.random() < 0.5 else f"rtcp {key.seal_rtcp(draw.rtcp()[0]).hex()}"
              for _ in range(100)]
    counters = [int.from_bytes(seen(answer.split()[-1])[-4:], "big") for answer in node(lines)[2:]]
    assert counters == list(range(media_peer.SERVER_HALF, media_peer.SERVER_HALF + 100))


def test_plain_xsalsa20_takes_no_rtcp():
    key = Draw("none").key(OLD[-1])
    report = struct.pack(">BBHI", 0x80, 201, 1, 7) + bytes(24)
    assert node([f"from {OLD[-1]} {key.key.hex()}", f"rtcp {report.hex()}"])[1] == "denied"


def told(key, datagram):
    """How the peer reads what may be spoiled, in the node's words; None: not at all."""
    try:
        packet = key.open_rtp(datagram)
    except Unopened:
        return None
    return None if (packet.counter or 0) >= media_peer.SERVER_HALF or len(datagram) > PACKET_MAX else opened_line(packet)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_spoiled_is_read_alike_or_by_neither(mode):
    draw = Draw(f"spoiled {mode}")
    key = draw.key(mode)
    sent = [draw.spoil(key.seal_rtp(draw.rtp(), draw.tail(key))) for _ in range(3000)]
    answers = node([f"from {mode} {key.key.hex()}", *(f"rtp {shown(datagram)}" for datagram in sent)])[1:]
    read = 0
    for datagram, answer in zip(sent, answers):
        expected = told(key, datagram)
        if expected is None:
            assert answer in ("invalid", "denied"), datagram.hex()
        else:
            assert answer.rsplit(" ", 1)[0] == expected, datagram.hex()
            read += 1
    # Where the header is not authenticated it can be altered: known of these two modes, and of no other.
    assert (read > 0) == (mode in OLD[:2])


@pytest.mark.parametrize("mode", MODES)
def test_padding_that_is_none_is_refused(mode):
    """Sealed in order, and wrong inside."""
    draw = Draw(f"inside {mode}")
    key = draw.key(mode)
    wrong = []
    for last in (0, 5, 6, 200, 255):
        packet = Rtp(1, 2, 3, b"\xf8\xff\xfe\x00" + bytes([last]), extension=(media_peer.ONE_BYTE, b"\x10\x05\x00\x00"))
        clear, inner = packet.clear(key.rtpsize)
        padded = bytes([clear[0] | 0x20]) + clear[1:]
        wrong.append((last, key.seal(padded, inner + packet.payload, draw.tail(key))))
    answers = node([f"from {mode} {key.key.hex()}", *(f"rtp {datagram.hex()}" for _, datagram in wrong)])[1:]
    assert [answer == "invalid" for answer in answers] == [not 0 < last <= 5 for last, _ in wrong]


@pytest.mark.parametrize("mode", [mode for mode in MODES if MediaKey(mode, bytes(32)).tail == 4])
def test_a_counter_of_the_servers_half_is_denied(mode):
    draw = Draw(f"half {mode}")
    key = draw.key(mode)
    counters = (0, 1, media_peer.SERVER_HALF - 1, media_peer.SERVER_HALF, media_peer.SERVER_HALF + 1, (1 << 32) - 1)
    lines = [f"from {mode} {key.key.hex()}"]
    for counter in counters:
        tail = struct.pack(">I", counter)
        lines += [f"rtp {key.seal_rtp(draw.rtp(), tail).hex()}", f"rtcp {key.seal_rtcp(draw.rtcp()[0], tail).hex()}"]
    answers = node(lines)[1:]
    for place, counter in enumerate(counters):
        denied = counter >= media_peer.SERVER_HALF
        assert [answer == "denied" for answer in answers[2 * place:2 * place + 2]] == [denied, denied], counter


def test_datagrams_are_told_apart_and_answered():
    draw = Draw("datagrams")
    key = draw.key(MODES[1])
    rtp, rtcp, ssrc = key.seal_rtp(draw.rtp()), key.seal_rtcp(draw.rtcp()[0]), draw.getrandbits(31)
    rows = [
        (media_peer.discovery(ssrc), "discovery", ssrc), (media_peer.discovery(ssrc, draw.randbytes(66)), "discovery", ssrc),
        (media_peer.discovery_old(ssrc), "discovery_old", ssrc),
        (media_peer.discovery_old(ssrc, draw.randbytes(66)), "discovery_old", ssrc),
        (media_peer.ping(7), "ping", 0), (media_peer.keepalive(7), "keepalive", 0),
        (bytes.fromhex("80c80000"), "keepalive", 0), (rtp, "rtp", int.from_bytes(rtp[8:12], "big")),
        (rtcp, "rtcp", int.from_bytes(rtcp[4:8], "big")), (bytes(1), "none", 0), (bytes(PACKET_MAX), "none", 0),
        (rtp.ljust(PACKET_MAX + 1, b"\0"), "none", 0), (media_peer.discovery(ssrc) + bytes(1), "none", 0)]
    answers = node([f"datagram {datagram.hex()}" for datagram, _, _ in rows])
    for (datagram, kind, whose), answer in zip(rows, answers):
        told_kind, told_ssrc, reply = answer.split()
        assert (told_kind, int(told_ssrc)) == (kind, whose)
        assert len(seen(reply)) in (0, len(datagram))
        if kind == "discovery":
            assert media_peer.discovered(seen(reply), ssrc) == ("203.0.113.9", 50001)
        elif kind == "discovery_old":
            assert media_peer.discovered_old(seen(reply), ssrc) == ("203.0.113.9", 50001)
        else:
            assert seen(reply) == (media_peer.pong(7) if kind == "ping" else b"")
