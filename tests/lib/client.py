"""client: a plain gateway and REST client for tests; it hides nothing and checks every envelope.
Every wait has a deadline and ends on what came, never on time alone."""
import asyncio
import json
import os
import time
import zlib
from dataclasses import dataclass

import aiohttp
import zstandard
from yarl import URL

import etf

DEADLINE_S = float(os.environ.get("SB_TEST_DEADLINE_S", "30"))
# What dpy-self announces: bits 0, 2 to 10, 12 (calls after READY) and 14.
CAPABILITIES = 22525
SUPPLEMENTAL_BIT = 1 << 5
AUTO_CALL_BIT = 1 << 12
GUILDS_BIT = 1 << 0
# GUILDS, GUILD_VOICE_STATES, GUILD_MESSAGES, DIRECT_MESSAGES
INTENTS = 1 << 0 | 1 << 7 | 1 << 9 | 1 << 12
# Dispatches about somebody's being there, which may come at any moment and belong to no story.
AMBIENT = {"PRESENCE_UPDATE", "SESSIONS_REPLACE"}
EPOCH_MS = 1420070400000


class Unexpected(AssertionError):
    """The server said something else than the test expects, or nothing within the deadline."""


@dataclass(frozen=True)
class Account:
    id: str
    username: str
    token: str
    bot: bool = False

    @property
    def authorization(self):
        return f"Bot {self.token}" if self.bot else self.token


@dataclass(frozen=True)
class Event:
    """One dispatch as it came."""
    t: str
    s: int
    d: object


def snowflake_now():
    """An id made from this machine's clock, as clients make them for read states."""
    return str((time.time_ns() // 1_000_000 - EPOCH_MS) << 22)


def fits(data, fields):
    """Whether the payload has these values; a value that can be called is asked instead."""
    return isinstance(data, dict) and all(
        key in data and (wanted(data[key]) if callable(wanted) else data[key] == wanted)
        for key, wanted in fields.items())


class Rest:
    """REST as one account, or as nobody. Paths are below the version: "/users/@me"."""

    def __init__(self, http, api_base, account=None, version="/v9"):
        self.http = http
        self.base = api_base + version
        self.headers = {"Authorization": account.authorization} if account else {}

    async def send(self, method, path, body=None, *, raw=None, headers=None):
        """`raw` goes out as it is in place of a JSON body. The path is not re-encoded."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        head = self.headers | ({"Content-Type": "application/json"} if data is not None else {}) | (headers or {})
        timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
        async with self.http.request(method, URL(self.base + path, encoded=True), data=data, headers=head,
                                     timeout=timeout, allow_redirects=False) as answer:
            return Reply(f"{method} {path}", answer.status, answer.headers.get("Content-Type"), await answer.read())

    async def get(self, path):
        return await self.send("GET", path)

    async def post(self, path, body=None):
        return await self.send("POST", path, body)

    async def put(self, path, body=None):
        return await self.send("PUT", path, body)

    async def patch(self, path, body=None):
        return await self.send("PATCH", path, body)

    async def delete(self, path):
        return await self.send("DELETE", path)

    async def say(self, channel, content, **more):
        """Posts a message and returns it."""
        return (await self.post(f"/channels/{channel}/messages", {"content": content, **more})).ok()

    async def ack(self, channel, message):
        return (await self.post(f"/channels/{channel}/messages/{message}/ack", {"token": None})).ok()

    async def ring(self, channel, recipients=None):
        return (await self.post(f"/channels/{channel}/call/ring", {"recipients": recipients})).ok(204)

    async def stop_ringing(self, channel, recipients=None):
        body = {} if recipients is None else {"recipients": recipients}
        return (await self.post(f"/channels/{channel}/call/stop-ringing", body)).ok(204)


class Reply:
    """An HTTP answer. Any body has to be JSON that says so in exactly one way."""

    def __init__(self, asked, status, kind, data):
        self.asked, self.status = asked, status
        self.json = None
        if data:
            if kind != "application/json":
                raise Unexpected(f"{asked}: Content-Type is {kind!r}, not exactly application/json")
            self.json = json.loads(data)

    def __repr__(self):
        return f"{self.asked} -> {self.status} {json.dumps(self.json, ensure_ascii=False)[:400]}"

    def ok(self, status=200):
        """The decoded body, when the status is the one expected; a 204 has none."""
        if self.status != status or (status == 204) != (self.json is None):
            raise Unexpected(f"expected {status}: {self!r}")
        return self.json

    def refused(self, status, code):
        """The decoded error body, when status and code are those expected (or among them)."""
        statuses = status if isinstance(status, tuple) else (status,)
        codes = code if isinstance(code, tuple) else (code,)
        body = self.json
        if (self.status not in statuses or not isinstance(body, dict) or body.get("code") not in codes
                or not isinstance(body.get("message"), str) or not body["message"]):
            raise Unexpected(f"expected an error {status} with code {code}: {self!r}")
        return body


class Client:
    """One gateway session: connect(), then identify() or resume(). Dispatches gather in `events`; the cursor
    stands behind the last one that a test has looked at. After a lost socket the same Client connects again,
    and its sequence numbers go on being checked."""

    def __init__(self, http, url, account, *, v=9, compress=None, encoding="json", binary=False, rest=None):
        """`compress`: "zlib-stream" or "zstd-stream", or "payload" to have large messages compressed each by itself."""
        self.http, self.url, self.account = http, url, account
        self.v, self.compress, self.encoding, self.binary = v, compress, encoding, binary
        self.rest = rest
        self.events, self.cursor, self.seq = [], 0, 0
        self.ready = self.supplemental = self.session_id = None
        self.ws = self.reader = self.inflater = None
        self.controls, self.control_cursor = [], 0
        self.close_code = self.fault = None
        self.waiters = []

    def __repr__(self):
        return f"<{self.account.username if self.account else 'nobody'} v{self.v}>"

    @property
    def id(self):
        return self.account.id

    # -- the socket ----------------------------------------------------------------------------

    async def connect(self, query=None, *, headers=None, offer_deflate=False):
        """Opens a socket and starts to read. `query` replaces the query string built from the options."""
        if query is None:
            stream = self.compress and self.compress != "payload"
            query = f"v={self.v}&encoding={self.encoding}" + (f"&compress={self.compress}" if stream else "")
        self.controls, self.control_cursor = [], 0
        self.close_code = self.fault = None
        self.inflater = (zstandard.ZstdDecompressor() if self.compress == "zstd-stream" else zlib).decompressobj()
        self.pending = b""
        self.ws = await asyncio.wait_for(self.http.ws_connect(
            URL(f"{self.url}/?{query}", encoded=True), max_msg_size=0, headers=headers, autoclose=True,
            compress=15 if offer_deflate else 0), DEADLINE_S)
        self.reader = asyncio.create_task(self._read(self.ws))
        return self

    async def hello(self):
        return await self.control(10)

    async def send(self, op, d=None, **more):
        frame = {"op": op, "d": d, **more}
        if self.encoding == "etf":
            await self.send_bytes(etf.encode(frame))
        else:
            await self.send_text(json.dumps(frame))

    async def send_text(self, text):
        """The text as it is, in a text or a binary frame as this client was told to."""
        if self.binary:
            await self.ws.send_bytes(text.encode())
        else:
            await self.ws.send_str(text)

    async def send_bytes(self, data):
        await self.ws.send_bytes(data)

    async def close(self, code=1000):
        """A close frame with this code; waits until the server has closed too."""
        if self.ws is not None:
            await asyncio.wait_for(self.ws.close(code=code), DEADLINE_S)
            await self._stop_reader()
            self.close_code = code

    async def abort(self):
        """The socket dies without a close frame, as when a machine loses power."""
        await self._stop_reader()
        self.ws._response.connection.transport.abort()
        self.close_code = 1006

    async def _stop_reader(self):
        self.reader.cancel()
        await asyncio.gather(self.reader, return_exceptions=True)

    async def _read(self, ws):
        while True:
            frame = await ws.receive()
            try:
                if frame.type == aiohttp.WSMsgType.TEXT:
                    self._check(self.compress in (None, "payload"), "a text frame on a compressed connection")
                    self._check(self.encoding == "json", "a text frame on a connection that speaks terms")
                    self._take(json.loads(frame.data))
                elif frame.type == aiohttp.WSMsgType.BINARY:
                    self._check(self.compress or self.encoding == "etf", "a binary frame on a plain connection")
                    self._unpack(frame.data)
                else:
                    closing = frame.type == aiohttp.WSMsgType.CLOSE
                    self.close_code = (frame.data or 1005) if closing else (ws.close_code or 1006)
                    return
            except Exception as trouble:        # a reader that dies silently would look like a silent server
                self.fault = self.fault or trouble
            finally:
                self._wake()

    def _unpack(self, data):
        """With zlib-stream a message ends with the frame that ends in 00 00 ff ff, with zstd-stream with its frame."""
        if self.compress == "zlib-stream":
            self.pending += data
            if not self.pending.endswith(b"\x00\x00\xff\xff"):
                return
            data, self.pending = self.inflater.decompress(self.pending), b""
        elif self.compress == "zstd-stream":
            data = self.inflater.decompress(data)
        elif self.compress == "payload":
            data = zlib.decompress(data)
        self._take(etf.as_json(etf.decode(data)) if self.encoding == "etf" else json.loads(data))

    def _check(self, holds, what):
        if not holds:
            raise Unexpected(f"{self}: {what}")

    def _take(self, frame):
        self._check(isinstance(frame, dict) and set(frame) == {"op", "d", "s", "t"},
                    f"an envelope without exactly op, d, s, t: {str(frame)[:300]}")
        if frame["op"] != 0:
            self._check(frame["s"] is None and frame["t"] is None, f"s or t outside a dispatch: {str(frame)[:300]}")
            self.controls.append(frame)
            return
        event = Event(frame["t"], frame["s"], frame["d"])
        self.events.append(event)
        # RESUMED may be counted as a dispatch of its own or carry the number of the last one.
        fine = (self.seq, self.seq + 1) if event.t == "RESUMED" else (self.seq + 1,)
        self._check(event.s in fine, f"{event.t} has s {event.s}, the one before had {self.seq}")
        self.seq = event.s

    # -- waiting -------------------------------------------------------------------------------

    def _wake(self):
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, look, what, may_close=False):
        """look() is asked after everything that comes, until it returns something else than None."""
        end = asyncio.get_running_loop().time() + DEADLINE_S
        while True:
            if self.fault:
                raise self.fault
            found = look()
            if found is not None:
                return found
            if self.close_code is not None and not may_close:
                raise Unexpected(f"{self}: closed with {self.close_code} while waiting for {what}\n{self.story()}")
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            try:
                await asyncio.wait_for(waiter, end - asyncio.get_running_loop().time())
            except asyncio.TimeoutError:
                raise Unexpected(f"{self}: no {what} within {DEADLINE_S:g} s\n{self.story()}") from None

    def story(self):
        """What came, for a failure's message: the cursor is the line of dashes."""
        lines = [f"  s={e.s} {e.t} {json.dumps(e.d, ensure_ascii=False)[:300]}" for e in self.events]
        lines.insert(self.cursor, "  ---------- seen up to here")
        return f"what {self} got:\n" + "\n".join(lines[-30:])

    async def control(self, op):
        """The next frame that is no dispatch; it has to have this op. Returns the whole frame."""
        frame = await self._until(self._next_control, f"op {op}")
        assert frame["op"] == op, f"{self}: expected op {op}, got {frame}"
        return frame

    def _next_control(self):
        if self.control_cursor < len(self.controls):
            self.control_cursor += 1
            return self.controls[self.control_cursor - 1]
        return None

    async def closed(self):
        """Waits until the server closes. Returns the code, 1006 when the socket just went away."""
        return await self._until(lambda: self.close_code, "close", may_close=True)

    async def closes_with(self, *codes):
        """Waits until the server closes; the code has to be one of these."""
        code = await self.closed()
        assert code in codes, f"{self}: closed with {code}, expected {codes}\n{self.story()}"
        return code

    async def next(self, name, **fields):
        """The very next dispatch (ambient ones aside) has to be this one. Returns its payload."""
        event = await self._until(self._next_event, f"{name} {fields or ''}")
        if event.t != name or not fits(event.d, fields):
            raise Unexpected(f"{self}: expected {name} {fields or ''} as the next thing, got {event.t} "
                             f"{json.dumps(event.d, ensure_ascii=False)[:600]}\n{self.story()}")
        return event.d

    def _next_event(self):
        while self.cursor < len(self.events):
            self.cursor += 1
            if self.events[self.cursor - 1].t not in AMBIENT:
                return self.events[self.cursor - 1]
        return None

    async def sequence(self, *names):
        """Exactly these dispatches, in this order, nothing between. Returns their payloads."""
        return [await self.next(name) for name in names]

    async def expect(self, name, where=None, **fields):
        """The next dispatch that fits, whatever comes before it. Returns its payload."""
        def look():
            for at in range(self.cursor, len(self.events)):
                event = self.events[at]
                if event.t == name and fits(event.d, fields) and (where is None or where(event.d)):
                    self.cursor = at + 1
                    return event
            return None
        return (await self._until(look, f"{name} {fields or ''}")).d

    async def any_order(self, *names):
        """Exactly these dispatches next, in any order. Returns {name: payload}."""
        left, got = list(names), {}
        while left:
            event = await self._until(self._next_event, f"one of {left}")
            if event.t not in left:
                raise Unexpected(f"{self}: expected one of {left}, got {event.t}\n{self.story()}")
            left.remove(event.t)
            got[event.t] = event.d
        return got

    # -- proving silence: something known is caused, and has to be the next thing that comes --------

    async def quiet_until_message(self, channel):
        """By a message of one's own."""
        message = await self.rest.say(channel, "marker")
        await self.next("MESSAGE_CREATE", id=message["id"])

    async def quiet_until_ack(self, channel):
        """By a read-acknowledge of one's own."""
        marker = snowflake_now()
        await self.rest.ack(channel, marker)
        await self.next("MESSAGE_ACK", channel_id=channel, message_id=marker)

    async def quiet_until_call(self, channel):
        """By a whole call of one's own in another private channel, which takes the road that calls take."""
        await self.join(channel)
        await self.next("MESSAGE_CREATE", channel_id=channel, type=3)
        await self.next("CALL_CREATE", channel_id=channel)
        await self.next("VOICE_STATE_UPDATE", channel_id=channel, user_id=self.id)
        await self.next("VOICE_SERVER_UPDATE", channel_id=channel)
        await self.leave()
        await self.next("VOICE_STATE_UPDATE", channel_id=None, user_id=self.id)
        await self.next("MESSAGE_UPDATE", channel_id=channel)
        await self.next("CALL_DELETE", channel_id=channel)

    # -- what clients say ----------------------------------------------------------------------

    def identification(self, *, token=None, capabilities=CAPABILITIES, intents=INTENTS, **more):
        """The payload of op 2 as libraries send it; the token of the account unless another is given."""
        token = self.account.token if token is None else token
        if self.account and self.account.bot:
            return {"token": token, "intents": intents, "compress": self.compress == "payload", "large_threshold": 250,
                    "properties": {"os": "linux", "browser": "discord.py", "device": "discord.py"}, **more}
        return {"token": token, "capabilities": capabilities, "compress": self.compress == "payload",
                "properties": {"os": "Windows", "browser": "Chrome", "device": ""},
                "presence": {"status": "unknown", "since": 0, "activities": [], "afk": False},
                "client_state": {"guild_versions": {}}, **more}

    async def identify(self, **options):
        """Identifies and waits for READY, and for what belongs to it: READY_SUPPLEMENTAL or the bot's guilds."""
        payload = self.identification(**options)
        self.seq = 0
        await self.send(2, payload)
        self.ready = await self.next("READY")
        self.session_id = self.ready["session_id"]
        self.supplemental = None
        if self.account.bot:
            for _ in self.ready["guilds"] if payload.get("intents", 0) & GUILDS_BIT else ():
                await self.next("GUILD_CREATE")
        elif payload["capabilities"] & SUPPLEMENTAL_BIT:
            self.supplemental = await self.next("READY_SUPPLEMENTAL")
        return self.ready

    async def send_resume(self, *, token=None, session_id=None, seq=None):
        """Op 6 with what this client knows, or with something else. Numbers are checked from `seq` on."""
        self.seq = self.seq if seq is None else seq
        await self.send(6, {"token": token or self.account.token, "session_id": session_id or self.session_id,
                            "seq": self.seq})

    async def reconnect_and_resume(self, seq=None):
        """A new socket for the old session. Returns the replayed dispatches, without RESUMED."""
        await self.connect()
        await self.hello()
        start = len(self.events)
        await self.send_resume(seq=seq)
        return await self.replayed(start)

    async def replayed(self, start):
        """Everything from events[start] up to RESUMED."""
        await self.expect("RESUMED", where=lambda d: isinstance(d, dict))
        return self.events[start:self.cursor - 1]

    async def invalidated(self):
        """Waits for op 9 and returns whether it calls the session resumable."""
        return (await self.control(9))["d"]

    async def rejected(self):
        """Waits for op 9 or a close by the server; returns 9 or the close code."""
        frame = await self._until(lambda: self._next_control() or self.close_code, "op 9 or a close", may_close=True)
        return frame["op"] if isinstance(frame, dict) else frame

    async def resumed_or_rejected(self):
        """Waits for RESUMED, op 9 or a close; returns which: "RESUMED", 9 or the close code."""
        def look():
            frame = self._next_control()
            if frame is not None:
                return frame["op"]
            return "RESUMED" if any(event.t == "RESUMED" for event in self.events) else self.close_code
        return await self._until(look, "RESUMED, op 9 or a close", may_close=True)

    async def heartbeat(self, op=1):
        """Sends a heartbeat and waits for its acknowledgement: all that was sent before has been read then."""
        if op == 40:
            await self.send(40, {"seq": self.seq or None,
                                 "qos": {"ver": 27, "active": True, "reasons": ["foregrounded"]}})
        else:
            await self.send(1, self.seq or None)
        return await self.control(11)

    async def join(self, channel, *, mute=False, deaf=False, video=False, guild=None, **more):
        await self.send(4, {"guild_id": guild, "channel_id": channel, "self_mute": mute, "self_deaf": deaf,
                            "self_video": video, **more})

    async def leave(self):
        await self.join(None)

    async def ask_for_call(self, channel):
        """Op 13."""
        await self.send(13, {"channel_id": channel})
