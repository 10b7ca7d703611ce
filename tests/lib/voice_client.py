"""voice_client: a small client of the voice websocket (versions 4 to 9) and the media port. It hides nothing: each message
is checked for its envelope and kept in order; whatever it waits for has a deadline.

    async with VoiceClient(url, v=8) as client:
        await client.join(grant, "aead_aes256_gcm_rtpsize")    # Identify to op 5; grant: see below
        await client.speak(b"…")
        packet = await other.hear(ssrc=client.ssrc)

grant: {"server_id", "channel_id", "user_id", "session_id", "token"}, as VOICE_SERVER_UPDATE and one's own voice state
tell them."""
import asyncio
import itertools
import json
import socket
from collections import deque

import aiohttp

from client import DEADLINE_S, Unexpected, fits
from media_peer import MediaKey, Rtp, Unopened, discovered, discovery, ping, pong

IDENTIFY, SELECT, READY, BEAT, DESCRIPTION, SPEAKING, ACK, RESUME, HELLO, RESUMED = range(10)
CLIENTS, VIDEO, GONE, CODECS, WANTS, BACKEND, FLAGS, PLATFORM = 11, 12, 13, 14, 15, 16, 18, 20
NUMBERED = {DESCRIPTION, SPEAKING, CLIENTS, VIDEO, GONE, CODECS, WANTS, FLAGS, PLATFORM}
FRAME = 960  # samples of 20 ms


class Closed(Unexpected):
    """The server has closed the websocket."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class Media(asyncio.DatagramProtocol):
    """A UDP socket of one's own; what came in and nobody took is in .inbox."""

    def __init__(self):
        self.inbox, self.came = deque(), asyncio.Event()
        self.transport = None

    @classmethod
    async def to(cls, address, local=("127.0.0.1", 0)):
        loop = asyncio.get_running_loop()
        _, self = await loop.create_datagram_endpoint(cls, remote_addr=address, local_addr=local)
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        return self

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, _):
        self.inbox.append(data)
        self.came.set()

    def error_received(self, _):
        pass  # nobody listens there any more: a test sees it by what does not come

    @property
    def address(self):
        return self.transport.get_extra_info("sockname")

    def send(self, data):
        self.transport.sendto(data)

    async def take(self, wanted, what, deadline_s=DEADLINE_S):
        """The first datagram for which wanted(data) gives something; that. Others stay."""
        async def look():
            while True:
                for data in self.inbox:
                    found = wanted(data)
                    if found is not None:
                        self.inbox.remove(data)
                        return found
                self.came.clear()
                await self.came.wait()
        try:
            return await asyncio.wait_for(look(), deadline_s)
        except asyncio.TimeoutError:
            raise Unexpected(f"no {what} within {deadline_s} s; {len(self.inbox)} other datagrams") from None

    def close(self):
        self.transport.close()


class VoiceClient:
    def __init__(self, url, *, v=8, ssl=True):
        self.url, self.v, self.ssl = f"{url}/?v={v}", v, ssl
        self.http = self.ws = self.media = self.reader = self.key = None
        self.messages, self.came = [], asyncio.Event()  # all that came and was not expected yet, in order
        self.code = None  # with which the server has closed
        self.last_seq = -1
        self.grant, self.ready, self.description = None, None, None
        self.ssrc = 0
        self.sequence, self.timestamp = 1000, 48000
        self.nonces = itertools.count(1)

    async def __aenter__(self):
        return await self.open()

    async def __aexit__(self, *_):
        await self.close()

    # -- the websocket ---------------------------------------------------------------------------

    async def open(self):
        """Connects; everything else than Hello as the first message is wrong."""
        self.http = self.http or aiohttp.ClientSession()
        self.ws = await self.http.ws_connect(self.url, ssl=self.ssl, max_msg_size=0, autoping=True, compress=0)
        self.code = None
        self.reader = asyncio.create_task(self._read(self.ws))
        self.hello = await self.expect(HELLO)
        assert self.hello["v"] == self.v, self.hello
        return self

    async def _read(self, ws):
        async for message in ws:
            assert message.type == aiohttp.WSMsgType.TEXT, message
            self._take(json.loads(message.data))
        if ws is self.ws:
            self.code = ws.close_code
            self.came.set()

    def _take(self, frame):
        numbered = self.v >= 8 and frame["op"] in NUMBERED
        if set(frame) != {"op", "d"} | ({"seq"} if numbered else set()):
            raise Unexpected(f"not an envelope of version {self.v}: {frame}")
        if numbered:
            self.last_seq = frame["seq"]
        self.messages.append(frame)
        self.came.set()

    async def send(self, op, d=None):
        await self.ws.send_str(json.dumps({"op": op, "d": d}))

    async def expect(self, op, **fields):
        """`d` of the first message of that op and with these fields that was not expected yet; others stay."""
        return (await self.expect_frame(op, **fields))["d"]

    async def expect_frame(self, op, **fields):
        async def look():
            while True:
                for i, frame in enumerate(self.messages):
                    if frame["op"] == op and (not fields or fits(frame["d"], fields)):
                        return self.messages.pop(i)
                if self.code is not None:
                    raise Closed(self.code)
                if self.reader.done() and self.reader.exception():
                    raise self.reader.exception()
                self.came.clear()
                await self.came.wait()
        try:
            return await asyncio.wait_for(look(), DEADLINE_S)
        except asyncio.TimeoutError:
            raise Unexpected(f"no op {op} {fields} within {DEADLINE_S} s; there is {self.messages}") from None

    async def closed(self):
        """Waits until the server closes; the code."""
        async def wait():
            while self.code is None:
                self.came.clear()
                await self.came.wait()
        await asyncio.wait_for(wait(), DEADLINE_S)
        return self.code

    async def settle(self):
        """When this returns all has come that was sent before this client's beat was answered."""
        nonce = next(self.nonces)
        await self.beat(nonce)
        return self

    async def beat(self, nonce, ack=None):
        """A heartbeat of the client's version; checks its answer."""
        d = nonce if self.v < 8 else {"t": nonce, "seq_ack": self.last_seq if ack is None else ack}
        await self.send(BEAT, d)
        while True:
            frame = await self.expect_frame(ACK)
            if frame["d"] == (nonce if self.v < 8 else {"t": nonce}):
                return

    def told(self, op, **fields):
        """What came of that op so far and was not expected."""
        return [frame["d"] for frame in self.messages if frame["op"] == op and (not fields or fits(frame["d"], fields))]

    async def lose(self):
        """The connection breaks without a close frame."""
        self.ws._response.connection.transport.abort()
        await asyncio.wait_for(self.reader, DEADLINE_S)

    async def leave(self, code=1000):
        await self.ws.close(code=code)

    async def close(self):
        if self.media:
            self.media.close()
        if self.ws:
            await self.ws.close()
        if self.reader:
            await asyncio.wait({self.reader}, timeout=DEADLINE_S)
        if self.http:
            await self.http.close()
        self.ws = self.http = self.media = None

    # -- the handshake ---------------------------------------------------------------------------

    def _claims(self, grant):
        names = ("server_id", "user_id", "session_id", "token") + (("channel_id",) if self.v >= 9 else ())
        return {name: grant[name] for name in names}

    async def identify(self, grant, **more):
        """Sends Identify; `d` of Ready."""
        self.grant = grant
        await self.send(IDENTIFY, self._claims(grant) | more)
        self.ready = await self.expect(READY)
        self.ssrc = self.ready["ssrc"]
        return self.ready

    async def discover(self):
        """The own address as the media port sees it."""
        self.media = self.media or await Media.to((self.ready["ip"], self.ready["port"]))
        self.media.send(discovery(self.ssrc))
        def answer(data):
            return discovered(data, self.ssrc) if data[:2] == b"\0\2" else None
        found = await self.media.take(answer, "answer to the discovery")
        assert found == self.media.address, (found, self.media.address)
        return found

    async def select(self, mode=None, address=("127.0.0.1", 9), **more):
        """Select Protocol; `d` of the Session Description."""
        mode = mode or self.ready["modes"][0]
        data = {"address": address[0], "port": address[1], "mode": mode}
        await self.send(SELECT, {"protocol": "udp", "data": data} | more)
        self.description = await self.expect(DESCRIPTION)
        assert self.description["mode"] == mode and len(self.description["secret_key"]) == 32
        self.key = MediaKey(mode, bytes(self.description["secret_key"]))
        return self.description

    async def join(self, grant, mode=None, *, speaking=1, **more):
        """From Identify to being heard. speaking None: op 5 is not sent."""
        await self.identify(grant, **more)
        await self.select(mode, await self.discover())
        if speaking is not None:
            await self.speaking(speaking)
        return await self.settle()

    async def speaking(self, flags=1):
        await self.send(SPEAKING, {"speaking": flags, "delay": 0, "ssrc": self.ssrc})

    async def resume(self, ack=None):
        """A new socket for the same session."""
        await self.open()
        names = ("server_id", "session_id", "token") + (("channel_id",) if self.v >= 9 else ())
        d = {name: self.grant[name] for name in names}
        await self.send(RESUME, d | ({"seq_ack": self.last_seq if ack is None else ack} if self.v >= 8 else {}))
        assert await self.expect(RESUMED) is None

    # -- media -----------------------------------------------------------------------------------

    def packet(self, payload, **more):
        """The next frame, unsealed."""
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + FRAME) & 0xFFFFFFFF
        return Rtp(self.ssrc, self.sequence, self.timestamp, payload, **more)

    def say(self, payload, **more):
        """Sends one frame; what was sealed."""
        packet = self.packet(payload, **more)
        self.media.send(self.key.seal_rtp(packet))
        return packet

    def _opened(self, data, ssrc):
        if len(data) < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
            return None
        try:
            packet = self.key.open_rtp(data)
        except Unopened:
            raise Unexpected(f"a packet that was not sealed for us: {data.hex()}") from None
        return packet if ssrc is None or packet.ssrc == ssrc else None

    async def hear(self, ssrc=None, deadline_s=DEADLINE_S):
        """The next RTP packet (of that source)."""
        return await self.media.take(lambda data: self._opened(data, ssrc), "packet", deadline_s)

    async def heard(self, ssrc=None):
        """What has come so far; when this returns, all that was sent to us before."""
        await self.fence()
        found = [packet for data in self.media.inbox if (packet := self._opened(data, ssrc)) is not None]
        self.media.inbox.clear()
        return found

    async def fence(self):
        """The media port has worked off what we have sent it."""
        nonce = next(self.nonces)
        self.media.send(ping(nonce))
        await self.media.take(lambda data: True if data == pong(nonce) else None, "answer to a ping")
