"""media_peer: the media port as a client sees it, by the letter of
https://docs.discord.food/topics/voice-connections and RFC 3550: RTP and RTCP sealed and opened in each mode, discovery,
ping and keepalives. Nothing of the node's own code is in it, so that both can be held against each other.

    key = MediaKey("aead_aes256_gcm_rtpsize", secret_key)
    socket.send(key.seal_rtp(Rtp(ssrc, sequence, timestamp, payload)))
    packet = key.open_rtp(socket.recv(2048))"""
import os
import socket
import struct
from dataclasses import dataclass

import nacl.bindings
import nacl.exceptions
import nacl.secret
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MODES = ("aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize",
         "xsalsa20_poly1305_lite", "xsalsa20_poly1305_suffix", "xsalsa20_poly1305")
OPUS = 120
SILENCE = b"\xf8\xff\xfe"
ONE_BYTE = 0xBEDE  # of an extension: elements with a head of one byte each
HEADER = 12
RTCP_HEADER = 8
TAG = 16
SERVER_HALF = 1 << 31  # where a server's counters begin
DISCOVERY, DISCOVERY_OLD, ADDRESS = 74, 70, 64


class Unopened(Exception):
    """It was not sealed with this key in this mode, or is no packet."""


@dataclass
class Rtp:
    ssrc: int
    sequence: int
    timestamp: int
    payload: bytes = b""
    pt: int = OPUS
    marker: bool = False
    csrcs: tuple = ()
    extension: tuple = None  # (profile, body of whole words)
    padding: int = 0         # bytes, of which the last is their number
    counter: int = None      # of an opened one, in the modes that have it

    def clear(self, rtpsize):
        """(what the mode leaves in the clear, what stands between that and the payload)"""
        first = 2 << 6 | (self.padding > 0) << 5 | (self.extension is not None) << 4 | len(self.csrcs)
        fixed = struct.pack(">BBHII", first, self.marker << 7 | self.pt, self.sequence, self.timestamp, self.ssrc)
        sources = b"".join(struct.pack(">I", csrc) for csrc in self.csrcs)
        preamble, body = b"", b""
        if self.extension is not None:
            profile, body = self.extension
            preamble = struct.pack(">HH", profile, len(body) // 4)
        return (fixed + sources + preamble, body) if rtpsize else (fixed, sources + preamble + body)

    def padded(self):
        return self.payload + bytes(self.padding - 1) + bytes([self.padding]) if self.padding else self.payload

    @classmethod
    def parse(cls, plain, counter=None):
        """Of a packet in which nothing is sealed."""
        try:
            first, second, sequence, timestamp, ssrc = struct.unpack_from(">BBHII", plain)
            if first >> 6 != 2:
                raise Unopened("no RTP")
            csrcs = struct.unpack_from(f">{first & 15}I", plain, HEADER)
            at, extension = HEADER + 4 * len(csrcs), None
            if first & 0x10:
                profile, words = struct.unpack_from(">HH", plain, at)
                extension = (profile, plain[at + 4:at + 4 + 4 * words])
                at += 4 + 4 * words
        except struct.error as short:
            raise Unopened("too short") from short
        payload, padding = plain[at:], 0
        if at > len(plain):
            raise Unopened("longer than it is")
        if first & 0x20:
            padding = payload[-1] if payload else 0
            if not 0 < padding <= len(payload):
                raise Unopened("bad padding")
            payload = payload[:-padding]
        return cls(ssrc, sequence, timestamp, payload, second & 0x7F, bool(second >> 7), csrcs, extension, padding, counter)


class MediaKey:
    """What seals one voice session's packets, here for its client; counter: the next one's."""

    def __init__(self, mode, key, counter=0):
        assert mode in MODES
        self.mode, self.key, self.counter = mode, bytes(key), counter
        self.rtpsize = mode.endswith("_rtpsize")
        self.tail = 0 if mode == "xsalsa20_poly1305" else 24 if mode.endswith("_suffix") else 4

    def seal_rtp(self, packet, tail=None):
        """tail: the counter or the nonce behind the packet, if it is not to be the next one."""
        clear, inner = packet.clear(self.rtpsize)
        return self.seal(clear, inner + packet.padded(), tail)

    def open_rtp(self, datagram):
        clear = HEADER
        if self.rtpsize:
            clear += 4 * (datagram[0] & 15) + (4 if datagram[0] & 0x10 else 0) if datagram else 0
        head, plain, tail = self.open(datagram, clear)
        return Rtp.parse(head + plain, int.from_bytes(tail, "big") if self.tail == 4 else None)

    def seal_rtcp(self, plain, tail=None):
        return self.seal(plain[:RTCP_HEADER], plain[RTCP_HEADER:], tail)

    def open_rtcp(self, datagram):
        head, plain, _ = self.open(datagram, RTCP_HEADER)
        return head + plain

    def _tail(self):
        if self.tail == 4:
            self.counter += 1
            return struct.pack(">I", self.counter - 1)
        return os.urandom(self.tail)

    def _nonce(self, head, tail):
        if not self.tail and len(head) < HEADER:
            raise Unopened("RTCP has no nonce in this mode")
        return (tail or head[:HEADER]).ljust(12 if "gcm" in self.mode else 24, b"\0")

    def seal(self, head, plain, tail=None):
        """head stays in the clear."""
        tail = self._tail() if tail is None else tail
        nonce = self._nonce(head, tail)
        if self.mode == MODES[0]:
            sealed = AESGCM(self.key).encrypt(nonce, plain, head)
        elif self.rtpsize:
            sealed = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, head, nonce, self.key)
        else:
            sealed = nacl.secret.SecretBox(self.key).encrypt(plain, nonce).ciphertext
        return head + sealed + tail

    def open(self, datagram, clear):
        end = len(datagram) - self.tail
        if end < clear + TAG:
            raise Unopened("too short")
        head, sealed, tail = datagram[:clear], datagram[clear:end], datagram[end:]
        nonce = self._nonce(head, tail)
        try:
            if self.mode == MODES[0]:
                plain = AESGCM(self.key).decrypt(nonce, sealed, head)
            elif self.rtpsize:
                plain = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, head, nonce, self.key)
            else:
                plain = nacl.secret.SecretBox(self.key).decrypt(sealed, nonce)
        except (InvalidTag, nacl.exceptions.CryptoError) as wrong:
            raise Unopened("not sealed so") from wrong
        return head, plain, tail


# --- what is in the clear ---

def discovery(ssrc, junk=bytes(ADDRESS + 2)):
    """junk: what stands behind the SSRC, which some libraries do not clear."""
    return struct.pack(">HHI", 1, DISCOVERY - 4, ssrc) + junk


def discovered(answer, ssrc):
    """(address, port) of a server's answer, which has to be one in every byte."""
    kind, length, whose, text, port = struct.unpack(f">HHI{ADDRESS}sH", answer)
    assert (kind, length, whose) == (2, DISCOVERY - 4, ssrc), answer
    return _dotted(text), port


def discovery_old(ssrc, junk=bytes(ADDRESS + 2)):
    return struct.pack(">I", ssrc) + junk


def discovered_old(answer, ssrc):
    whose, text, port = struct.unpack(f"<I{ADDRESS}sH", answer)
    assert whose == ssrc, answer
    return _dotted(text), port


def _dotted(text):
    address = text.rstrip(b"\0").decode("ascii")
    socket.inet_pton(socket.AF_INET, address)
    return address


def ping(number):
    return b"\x13\x37\xca\xfe" + struct.pack(">I", number)


def pong(number):
    """What answers ping(number)."""
    return b"\x13\x37\xf0\x0d" + struct.pack(">I", number)


def keepalive(number):
    return struct.pack("<II", number, 0)
