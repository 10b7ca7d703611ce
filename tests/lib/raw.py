"""raw: a socket that says anything at all to a gateway: requests that are none, frames against the protocol."""
import asyncio
import json
import struct
import zlib
from contextlib import suppress
from urllib.parse import urlsplit

from client import DEADLINE_S

UPGRADE = ("GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
LOST = 1006


def frame(payload=b"", op=TEXT, *, fin=True, mask=True, rsv=0, claim=None):
    """One frame; `claim` is a length in its head other than the payload's own."""
    payload = payload.encode() if isinstance(payload, str) else payload
    n = len(payload) if claim is None else claim
    short = n if n < 126 else 126 if n < 65536 else 127
    head = bytes([fin << 7 | rsv << 4 | op, mask << 7 | short])
    head += b"" if short < 126 else struct.pack(">H" if short == 126 else ">Q", n)
    key = b"\x11\x22\x33\x44"
    if not mask:
        return head + payload
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        assert self.headers.get("content-type") == "application/json", (self.status, self.headers)
        return json.loads(self.body)


class Raw:
    """One connection. Whatever it waits for has a deadline."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, url):
        at = urlsplit(url)
        return cls(*await asyncio.open_connection(at.hostname, at.port, limit=2 ** 24))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def send(self, data):
        """False: nobody takes it any more."""
        try:
            self.writer.write(data.encode() if isinstance(data, str) else data)
            await asyncio.wait_for(self.writer.drain(), DEADLINE_S)
            return True
        except ConnectionError:
            return False

    async def _exactly(self, n):
        return await asyncio.wait_for(self.reader.readexactly(n), DEADLINE_S)

    async def ended(self):
        """Waits for the end of what comes; returns what did until then."""
        with suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), DEADLINE_S)
        return b""

    async def answer(self):
        """The next HTTP answer, or None when the connection ends without one."""
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), DEADLINE_S)
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            body = await self._exactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return Answer(int(first.split(" ")[1]), headers, body)

    async def ask(self, data):
        await self.send(data)
        return await self.answer()

    async def upgrade(self, path="/?v=9&encoding=json"):
        answer = await self.ask(UPGRADE.format(path=path))
        assert answer.status == 101, (answer.status, answer.body)
        return self

    async def next_frame(self):
        """(op, payload), None when the connection ends."""
        try:
            first, second = await self._exactly(2)
            n = second
            if n == 126:
                n, = struct.unpack(">H", await self._exactly(2))
            elif n == 127:
                n, = struct.unpack(">Q", await self._exactly(8))
            return first & 15, await self._exactly(n)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def says(self):
        """The next message, decoded, also when it was compressed by itself; the close code when it closes instead."""
        while True:
            got = await self.next_frame()
            if got is None:
                return LOST
            op, payload = got
            if op == CLOSE:
                return struct.unpack(">H", payload[:2])[0] if payload else 1005
            if op in (TEXT, BINARY):
                return json.loads(zlib.decompress(payload) if op == BINARY else payload)

    async def closes(self):
        """The close code; what comes before it is passed over."""
        while not isinstance(said := await self.says(), int):
            pass
        return said
