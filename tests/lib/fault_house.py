"""fault_house: many people in private calls on a Switchboard whose processes are hurt, and what has to hold for them."""
import asyncio
import contextlib
import random
import secrets
import time
from collections import Counter, defaultdict

import aiohttp
import redis as redis_client
from people import ACK_S, PATIENCE_S, Company, Pair, Person, Violated, percentiles

from client import Account


class House:
    """A running Switchboard (Supervised), and pairs of people who are at home there. ack_s: how long they wait for an
    acknowledgement before they take their gateway for dead."""

    def __init__(self, system, http, seed, redis_port=None, ack_s=ACK_S):
        self.system, self.http, self.random, self.ack_s = system, http, random.Random(seed), ack_s
        self.tally = Counter()
        self.redis = redis_client.Redis(port=redis_port or system.redis_port)
        self.pairs, self.tasks = [], []
        self.open = []                  # (at, name of what was done, channels that have not agreed since)
        self.converged = defaultdict(list)

    def gateways(self):
        """Those that have opened their port, also when they are stopped: a client cannot know."""
        return {child.name: (f"ws://127.0.0.1:{ports['public']}", f"http://127.0.0.1:{ports['public']}/api")
                for child in self.system.of_kind("gateway") if (ports := child.ports_now)}

    async def fill(self, n, in_guilds=0):
        """n pairs, logged in; so many of them talk in a guild of their own."""
        tag = secrets.token_hex(3)
        names = [(f"a{i}_{tag}", f"b{i}_{tag}") for i in range(n)]
        companies, callers = names[:in_guilds], names[in_guilds:]
        rooms = [{"name": name, "type": "voice"} for name in ("one", "two")]
        loaded = await asyncio.to_thread(self.system.load, {
            "users": [{"name": name} for both in names for name in both], "dms": [list(both) for both in callers],
            "guilds": [{"name": both[0], "owner": both[0], "members": list(both), "roles": [], "channels": rooms}
                       for both in companies]})
        accounts = {u["username"]: Account(u["id"], u["username"], u["token"]) for u in loaded["users"]}

        def chance():
            return random.Random(self.random.random())

        def people(both, guild=None):
            return [Person(self.http, self.gateways, accounts[name], chance(), self.tally, guild, self.ack_s)
                    for name in both]

        for both, guild in zip(companies, loaded["guilds"]):
            self.pairs.append(Company(guild["id"], [c["id"] for c in guild["channels"]], people(both, guild["id"]),
                                      chance(), self.tally))
        for both, dm in zip(callers, loaded["dms"]):
            self.pairs.append(Pair(dm["id"], people(both), chance(), self.tally))
        for person in self.people():
            self.tasks.append(asyncio.create_task(person.run()))
        async with asyncio.timeout(PATIENCE_S):
            for person in self.people():
                await person.live.wait()
        for pair in self.pairs:
            pair.begun = int(self.redis.hget(f"{{{pair.record}}}:s", "v"))

    def people(self):
        return [person for pair in self.pairs for person in pair.people]

    def stored(self, pairs):
        with self.redis.pipeline(transaction=False) as pipe:
            for pair in pairs:
                pair.query(pipe)
            return [pair.stored(raw) for pair, raw in zip(pairs, pipe.execute())]

    # -- watching

    def agreeing(self, pairs):
        """Those of the pairs that are at rest and see just what the store has."""
        calm = [(pair, pair.steps) for pair in pairs if pair.agrees()]
        found = self.stored([pair for pair, _ in calm])
        return {pair for (pair, steps), call in zip(calm, found)
                if pair.steps == steps and pair.agrees() and pair.fits(call)}

    async def watch(self):
        """Notes of each fault when all pairs have agreed since, each behind a heartbeat of both of its people."""
        while True:
            await asyncio.sleep(0.15)
            waiting = [pair for pair in self.pairs if any(pair in left for _, _, left in self.open)]
            agreeing = self.agreeing(waiting) if waiting else set()
            now = time.monotonic()
            for at, what, left in self.open:
                left -= {pair for pair in agreeing if all(person.beaten_at >= at for person in pair.people)}
                if not left:
                    self.converged[what].append(now - at)
            self.open = [each for each in self.open if each[2]]

    def note(self, what):
        self.open.append((time.monotonic(), what, set(self.pairs)))
        self.tally[what] += 1
        for person in self.people():
            person.beat_now()

    def check(self):
        troubles = [trouble for person in self.people() for trouble in person.violations]
        troubles += [f"{person}: {person.fault}" for person in self.people() if person.fault]
        if troubles:
            raise Violated("\n".join(troubles))
        for task in self.tasks:
            if task.done() and not task.cancelled() and task.exception():
                raise task.exception()

    async def until(self, condition, what, deadline_s=PATIENCE_S):
        end = time.monotonic() + deadline_s
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise Violated(f"waited {deadline_s} s in vain for {what}\n{self.differences()}")
            await asyncio.sleep(0.05)

    def differences(self):
        """Who sees something else than the store has, for a failure's message."""
        lines = [f"(since then not agreed: {what}, {len(left)} pairs)" for _, what, left in self.open]
        for pair, call in zip(self.pairs, self.stored(self.pairs)):
            if not (pair.agrees() and pair.fits(call)):
                lines += [f"{pair.channel}: busy {pair.busy}, should be seats {pair.seats()} ringing {pair.rung}, stored {call}"]
                lines += [f"  {person} at {person.at}, live {person.live.is_set()}, session {person.session_id}: {pair.view(person)}"
                          for person in pair.people]
        return "\n".join(lines)

    # -- phantoms

    def phantoms(self):
        """Who is shown in a call, by the store or to a client that is there, though it was acknowledged that he left."""
        found = []
        for pair, call in zip(self.pairs, self.stored(self.pairs)):
            out = {person.id for person in pair.people if not person.state[0] and not person.asked}
            shown = [("the store", call), *((f"{p} at {p.at}", pair.view(p)) for p in pair.people if p.live.is_set())]
            found += [f"{where} shows {who} in {pair.record}" for where, seen in shown for who in out & pair.sitting(seen)]
        return found

    # -- life and its end

    def begin(self):
        """Everybody does as he likes until `stop` is set."""
        self.stop = asyncio.Event()
        self.lives = [asyncio.create_task(pair.live(self.stop)) for pair in self.pairs]
        self.tasks += [*self.lives, asyncio.create_task(self.watch())]

    async def rest(self):
        """All that has begun is finished, and everybody agrees with the store."""
        self.stop.set()
        await asyncio.gather(*self.lives)
        await self.until(lambda: not self.open, "everybody to agree")
        self.check()

    async def check_all(self):
        """Every call ends; then the history is right, and everybody was told all, once and in order: how much it was."""
        await asyncio.gather(*(pair.go([p for p in pair.people if p.state[0]]) for pair in self.pairs))
        await self.until(lambda: not any(self.stored(self.pairs)), "every call to be over")
        for pair in self.pairs:
            await pair.check_history()
        events = sum(pair.check_told(self.redis) for pair in self.pairs)
        self.check()
        return events

    def report(self):
        print(dict(self.tally))
        for what, seconds in sorted(self.converged.items()):
            print(f"converged after {what:28} p50/p99/max {percentiles(seconds)}")
        if len(self.converged) > 1:
            print(f"converged in all {'':27} p50/p99/max {percentiles(sum(self.converged.values(), []))}")


@contextlib.asynccontextmanager
async def fault_house(system, seed, redis_port=None, ack_s=ACK_S):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        house = House(system, http, seed, redis_port, ack_s)
        try:
            yield house
        finally:
            for person in house.people():
                person.over = True
            for task in house.tasks:
                task.cancel()
            await asyncio.gather(*house.tasks, return_exceptions=True)
            house.redis.close()
            house.report()
