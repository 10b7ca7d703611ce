"""people: clients that never give up, in pairs that share a private channel, and everything that a server may not do to
them. A Person keeps its session through whatever dies; what it was acknowledged it holds the server to."""
import asyncio
import contextlib
import json
import time

import aiohttp
from bus import unpack

from client import AMBIENT, Client, Rest, Unexpected

BEAT_S = 1.0            # between heartbeats
ACK_S = 1.5             # without an acknowledgement for so long a socket is given up, where gateways die
CONNECT_S = 3.0         # for the upgrade and Hello
RESUME_S = 8.0          # for RESUMED, or READY; with these two one is elsewhere in time when a gateway stands still
AGAIN_S = 3.0           # an op 4 that was not acknowledged is sent again
COMMAND_MS = 2000       # the gateways' SB_COMMAND_MS: what they did not acknowledge within it never happens
REST_S = COMMAND_MS / 1000 + 0.5        # for one HTTP answer
PATIENCE_S = 120.0      # everything has to have happened by then, also on a busy machine; how long it took is printed
OUT = (None, False)     # where somebody is who is in no call: (channel, self_mute)


class Violated(AssertionError):
    """The server did something that it must never do."""


def percentiles(values):
    """p50/p99/max, as text."""
    ranked = sorted(values) or [0.0]
    at = [ranked[min(len(ranked) - 1, int(len(ranked) * share))] for share in (0.5, 0.99, 1)]
    return "/".join(f"{value:.2f}" for value in at) + f" s ({len(values)})"


class Call:
    """A call as somebody sees it, or as the store has it. Two are equal when they show the same."""

    def __init__(self, id, ringing=(), seats=()):
        self.id, self.ringing, self.seats = id, set(ringing), dict(seats)       # seats: {user: self_mute}

    def __eq__(self, other):
        return isinstance(other, Call) and vars(self) == vars(other)

    def __repr__(self):
        return f"<call {self.id} seats {self.seats} ringing {self.ringing}>"

    @classmethod
    def stored(cls, raw):
        """From the record, None when there is none."""
        if not raw:
            return None
        rec = unpack(raw, "call_rec")
        return cls(str(rec["id"]), (str(r["user"]) for r in rec["ringing"]),
                   ((str(m["user"]), m["self_mute"]) for m in rec["members"]))


class Person(Client):
    """gateways: a function that returns the names of those to try, and where each listens (websocket, REST). ack_s: instead
    of ACK_S."""

    def __init__(self, http, gateways, account, random, tally, guild=None, ack_s=ACK_S):
        super().__init__(http, None, account)
        self.gateways, self.random, self.tally, self.ack_s = gateways, random, tally, ack_s
        self.call = None
        self.guild, self.rooms = guild, {}      # where he talks, when it is in a guild: {user: (channel, self_mute)}
        self.state, self.asked = OUT, None    # acknowledged; asked for
        self.live, self.over = asyncio.Event(), False
        self.at = None                          # the gateway's name
        self.silent = None                      # of the one that did not answer a request last
        self.nudge = asyncio.Event()
        self.beaten_at = 0.0                    # when the last heartbeat was sent that has been acknowledged
        self.ready_at = 0                       # index of READY among the events
        self.violations = []
        self.seen = asyncio.Event()             # something came; its pair shares it

    # -- what it is told

    def _take(self, text):
        before = len(self.events)
        super()._take(text)
        for event in self.events[before:]:
            self._saw(event)
        self.seen.set()

    def _saw(self, event):
        d = event.d
        if event.t == "READY":
            self.call, self.ready_at = None, len(self.events) - 1
        elif event.t == "READY_SUPPLEMENTAL":
            self.rooms = {v["user_id"]: (v["channel_id"], v["self_mute"])
                          for guild in d["guilds"] for v in guild["voice_states"]}
        elif event.t == "CALL_CREATE":
            self.call = Call(d["message_id"], d["ringing"],
                             ((v["user_id"], v["self_mute"]) for v in d["voice_states"]))
        elif event.t == "CALL_UPDATE" and self.call:
            self.call.ringing = set(d["ringing"])
        elif event.t == "CALL_DELETE":
            self.call = None
        elif event.t == "VOICE_STATE_UPDATE":
            self._saw_state(d)

    def _saw_state(self, d):
        if d["guild_id"]:
            self.rooms.pop(d["user_id"], None)
            if d["channel_id"]:
                self.rooms[d["user_id"]] = (d["channel_id"], d["self_mute"])
        elif self.call and d["channel_id"]:
            self.call.seats[d["user_id"]] = d["self_mute"]
        elif self.call:
            self.call.seats.pop(d["user_id"], None)
        if d["user_id"] != self.id:
            return
        now = (d["channel_id"], d["self_mute"]) if d["channel_id"] else OUT
        if now == self.asked:
            self.state, self.asked = now, None
        elif now != self.state:
            away = time.monotonic() - self.beaten_at
            self.violations.append(f"{self}: {now} came, {self.state} was acknowledged and {self.asked} asked for; "
                                   f"the last heartbeat that was acknowledged was {away:.1f} s ago")
            self.state = now

    # -- staying there

    async def run(self):
        while not self.over:
            try:
                await self._session()
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError, Unexpected):
                if self.fault:
                    raise
            finally:
                self.live.clear()
                await self.drop()
            await asyncio.sleep(0.05)

    async def drop(self):
        """The socket goes without a word, from one moment to the next."""
        if self.reader:
            await self._stop_reader()
        connection = self.ws and self.ws._response.connection
        if connection and connection.transport:
            connection.transport.abort()
        if self.close_code is None:
            self.close_code = 1006
        self._wake()

    async def _session(self):
        names = self.gateways()
        others = [name for name in names if name != self.at] or list(names)
        if not others:
            return
        self.at = self.random.choice(others if self.close_code is not None else list(names))
        self.url = names[self.at][0]
        async with asyncio.timeout(CONNECT_S):
            await self.connect()
            await self.hello()
        async with asyncio.timeout(RESUME_S):
            if not self.session_id or not await self._resumed():
                self.cursor = len(self.events)
                await self.identify()
        self.live.set()
        while not self.over:
            self.nudge.clear()
            sent = time.monotonic()
            async with asyncio.timeout(self.ack_s):
                await self.heartbeat()
            self.beaten_at = sent
            self._wake()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._until(lambda: self.nudge.is_set() or None, "a nudge")

    async def _resumed(self):
        start = len(self.events)
        await self.send_resume()

        def look():
            if any(event.t == "RESUMED" for event in self.events[start:]):
                return True
            return False if any(frame["op"] == 9 for frame in self.controls) else None

        resumed = await self._until(look, "RESUMED or op 9")
        self.control_cursor = len(self.controls)
        self.tally["resumed" if resumed else "invalidated"] += 1
        return resumed

    def beat_now(self):
        self.nudge.set()
        self._wake()

    # -- acting

    async def want(self, channel, mute=False):
        """op 4, again and again until it is acknowledged."""
        wanted = (channel, mute) if channel else OUT
        if wanted == self.state:
            return
        self.asked, before = wanted, self.state
        end = time.monotonic() + PATIENCE_S
        while self.asked:
            if time.monotonic() > end:
                raise Violated(f"{self}: op 4 {wanted} was not acknowledged within {PATIENCE_S} s; at {self.at}")
            with contextlib.suppress(asyncio.TimeoutError, ConnectionError, Unexpected):
                async with asyncio.timeout(AGAIN_S):
                    await self.live.wait()
                    self.tally["op 4 sent"] += 1
                    await self.join(channel, mute=mute, guild=self.guild)
                    await self._until(lambda: self.asked is None or None, "its own voice state")
            if self.asked:
                await asyncio.sleep(0.02)       # a socket that is gone refuses at once
        self.tally["mutes" if channel and before[0] else "joins" if channel else "leaves"] += 1

    async def ask(self, method, path, body=None):
        """One REST request at some gateway: its reply, or None when nobody knows what became of it."""
        names = self.gateways()
        if not names:
            await asyncio.sleep(0.05)
            return None
        name = self.random.choice([name for name in names if name != self.silent] or list(names))
        rest = Rest(self.http, names[name][1], self.account)
        try:
            async with asyncio.timeout(REST_S):
                return await rest.send(method, path, body)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError):
            self.silent = name
            return None

    async def insist(self, method, path, body=None, status=204):
        """The same until it is answered as it should be; not before it is certain that the last one was in vain."""
        end = time.monotonic() + PATIENCE_S
        while (began := time.monotonic()) < end:
            reply = await self.ask(method, path, body)
            if reply and reply.status == status:
                return reply.json
            self.tally["REST refused" if reply else "REST unanswered"] += 1
            if reply and reply.status < 500:
                raise Violated(f"{self}: {reply}")
            await asyncio.sleep(began + REST_S - time.monotonic())
        raise Violated(f"{self}: {method} {path} was not carried out within {PATIENCE_S} s")


class Pair:
    """Two people and their channel. Each step ends when both see what it must have brought about."""

    def __init__(self, channel, people, random, tally):
        self.channel, self.people, self.random, self.tally = channel, people, random, tally
        self.busy = False
        self.steps = 0
        self.past = []          # of the calls that are over: who took part
        self.took_part = set()
        self.rung = set()
        self.texts, self.doubts = [], set()     # acknowledged: (id, content); not: contents
        self.begun = 0                          # version of the channel's log
        self.seen = asyncio.Event()
        for person in people:
            person.seen = self.seen

    @property
    def record(self):
        """Id of the record in which it all happens."""
        return self.channel

    # -- what should be, what somebody sees of it, and what the store has

    def view(self, person):
        return person.call

    def query(self, pipe):
        pipe.hget(f"{{{self.channel}}}:s", "call")

    def stored(self, raw):
        return Call.stored(raw)

    def sitting(self, view):
        """Users, in what somebody sees or the store has."""
        return set(view.seats) if view else set()

    def seats(self):
        return {person.id: person.state[1] for person in self.people if person.state[0]}

    def fits(self, call):
        """Whether this is the call as it has to be."""
        seats = self.seats()
        if call is None:
            return not seats
        return call.seats == seats and call.ringing == self.rung and bool(seats)

    def same(self):
        a, b = (self.view(person) for person in self.people)
        return a == b and self.fits(a)

    def agrees(self):
        return not self.busy and self.same()

    async def settle(self, what):
        """Waits until both see the same, and it is right."""
        end = time.monotonic() + PATIENCE_S
        while not self.same():
            if time.monotonic() > end:
                raise Violated(f"{what} in {self.channel}: it should be seats {self.seats()} ringing {self.rung}; they see "
                               + "; ".join(f"{person} at {person.at}: {self.view(person)}" for person in self.people))
            self.seen.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.seen.wait()

    # -- what they do

    async def live(self, stop):
        """Call after call until `stop` is set; a step that has begun is finished."""
        while not stop.is_set():
            await self.step()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), self.random.uniform(0.2, 1.5))

    async def step(self):
        inside = [person for person in self.people if person.state[0]]
        outside = [person for person in self.people if not person.state[0]]
        choices = [self.text, self.cut]
        if not inside:
            choices = [self.start, self.start, self.start_both, self.text]
        elif outside and self.rung:
            choices = [self.answer, self.answer, self.decline, self.mute]
        elif outside:
            choices += [self.ring, self.ring, self.answer, self.mute, self.leave]
        else:
            choices += [self.mute, self.mute, self.mute_both, self.leave, self.leave_both]
        act = self.random.choice(choices)
        self.busy = True
        await act(inside, outside)
        await self.settle(act.__name__)
        self.busy = False
        self.steps += 1

    async def start(self, _, outside):
        await self.sit(self.random.choice(outside))

    async def start_both(self, *_):
        await asyncio.gather(*(self.sit(person) for person in self.people))

    async def sit(self, person):
        await person.want(self.channel)
        self.took_part.add(person.id)

    async def ring(self, inside, outside):
        await inside[0].insist("POST", f"/channels/{self.channel}/call/ring", {"recipients": None})
        self.rung = {outside[0].id}
        self.tally["rings"] += 1

    async def answer(self, _, outside):
        await self.sit(outside[0])
        self.rung = set()

    async def decline(self, _, outside):
        await outside[0].insist("POST", f"/channels/{self.channel}/call/stop-ringing", {})
        self.rung = set()

    async def mute(self, inside, _):
        person = self.random.choice(inside)
        await person.want(self.channel, not person.state[1])

    async def mute_both(self, inside, _):
        await asyncio.gather(*(person.want(self.channel, not person.state[1]) for person in inside))

    async def leave(self, inside, _):
        person = self.random.choice(inside)
        await person.want(None)
        if len(inside) == 1:
            self.ended()

    async def leave_both(self, inside, _):
        await asyncio.gather(*(person.want(None) for person in inside))
        self.ended()

    async def go(self, inside):
        """The end: whoever is in leaves."""
        if inside:
            self.busy = True
            await self.leave_both(inside, None)
            await self.settle("the last leave")
            self.busy = False

    def ended(self):
        self.past.append(self.took_part)
        self.took_part, self.rung = set(), set()
        self.tally["calls"] += 1

    async def text(self, *_):
        person = self.random.choice(self.people)
        while True:
            content = f"text {self.random.getrandbits(40):x}"
            reply = await person.ask("POST", f"/channels/{self.channel}/messages", {"content": content})
            if reply and reply.status == 200:
                self.texts.append((reply.json["id"], content))
                self.tally["texts"] += 1
                return
            self.doubts.add(content)
            await asyncio.sleep(0.1)

    async def cut(self, *_):
        """A socket dies by itself."""
        await self.random.choice(self.people).drop()

    # -- what is to be found afterwards

    async def check_history(self):
        """Every acknowledged text once, every call with its participants, in the order in which they happened."""
        messages, before = [], ""
        while page := await self.people[0].insist(
                "GET", f"/channels/{self.channel}/messages?limit=100{before}", status=200):
            messages += page
            before = f"&before={page[-1]['id']}"
        messages.reverse()
        calls = [message["call"] for message in messages if message["type"] == 3]
        shown = [set(call["participants"]) for call in calls]
        if shown != self.past or not all(call["ended_timestamp"] for call in calls):
            raise Violated(f"calls of {self.channel} in the history: {calls}; they were {self.past}")
        texts = [(m["id"], m["content"]) for m in messages if m["type"] == 0]
        if [text for text in texts if text[1] not in self.doubts] != self.texts:
            raise Violated(f"texts of {self.channel}: {texts}; acknowledged were {self.texts}, in doubt {self.doubts}")
        if len({content for _, content in texts}) != len(texts):
            raise Violated(f"texts of {self.channel} are doubled: {texts}")

    def check_told(self, redis):
        """What each was told since READY is the channel's log: all of it, in its order, once."""
        told = []
        for id, fields in redis.xrange(f"{{{self.record}}}:log"):
            entry = unpack(fields[b"e"], "place_event")
            told += [event for event in entry["events"]
                     if event["name"] and not event["unless"] and entry["version"] > self.begun]
        for person in self.people:
            mine = [(e["name"], json.loads(e["body"])) for e in told
                    if e["to"] == 0 or (e["to"] == 1 and e["user"] == int(person.id))
                    or (e["to"] == 2 and e["session"] == person.session_id)
                    or (e["to"] == 3 and e["user"] != int(person.id))]
            got = [(e.t, e.d) for e in person.events[person.ready_at:]
                   if e.t not in AMBIENT | {"READY", "READY_SUPPLEMENTAL", "RESUMED"}]
            if mine != got:
                at = next((i for i, (m, g) in enumerate(zip(mine, got)) if m != g), min(len(mine), len(got)))
                raise Violated(f"{person} was told something else than the log of {self.record} has ({len(got)} events, "
                               f"{len(mine)} there), from {at} on: {got[at:at + 3]} instead of {mine[at:at + 3]}")
        return len(told)


class Company(Pair):
    """The same of two people and the voice channels of their guild."""

    def __init__(self, guild, rooms, people, random, tally):
        super().__init__(rooms[0], people, random, tally)
        self.guild, self.rooms = guild, rooms

    @property
    def record(self):
        return self.guild

    def view(self, person):
        return person.rooms

    def query(self, pipe):
        pipe.hvals(f"{{{self.guild}}}:vs")

    def stored(self, raw):
        seats = [unpack(row, "voice_seat") for row in raw]
        return {str(seat["user"]): (str(seat["channel"]), seat["self_mute"]) for seat in seats}

    def sitting(self, view):
        return set(view)

    def seats(self):
        return {person.id: person.state for person in self.people if person.state[0]}

    def fits(self, rooms):
        return rooms == self.seats()

    async def step(self):
        inside = [person for person in self.people if person.state[0]]
        outside = [person for person in self.people if not person.state[0]]
        choices = [self.cut] + [self.start] * 2 * bool(outside) + [self.start_both] * (not inside)
        choices += ([self.mute, self.change, self.leave] * 2 + [self.leave_both]) * bool(inside)
        act = self.random.choice(choices)
        self.busy = True
        await act(inside, outside)
        await self.settle(act.__name__)
        self.busy = False
        self.steps += 1

    async def sit(self, person):
        await person.want(self.random.choice(self.rooms))

    async def change(self, inside, _):
        person = self.random.choice(inside)
        await person.want(next(room for room in self.rooms if room != person.state[0]), self.random.random() < 0.5)

    async def mute(self, inside, _):
        person = self.random.choice(inside)
        await person.want(person.state[0], not person.state[1])

    def ended(self):
        self.tally["empty rooms"] += 1

    async def check_history(self):
        """Nothing is written there."""
