"""What peers do to the memory of real processes: sessions opened and dropped, readers that do not read, log-ins that are
refused, each by the thousand, while a call of two others goes on.

Resident size is what the kernel says of what is a process's own (RssAnon: pages of files, such as its code, come and go as
the machine likes, and with those of the others), so the services must be an ordinary build: a sanitizer's malloc keeps what
was freed, and its shadow of it. (With SB_BUILD naming a sanitized build sizes are printed and not judged; leaks are found
at the end.) "Where it was" is measured when as many sessions, or a twentieth of the readers and of the refused, have come
and gone: that fetches pages of code and fills what a process keeps. A first ten thousand sessions leave a gateway
two MiB larger for good: what malloc's per-thread cache holds is scattered over a heap that was large, and each piece keeps
its page; it is printed (`cold`). Whatever comes after that has to leave it within a tenth of where it was, the pages
of files counted there (FILES), and resident size may at no moment pass the sum of the bounds that are configured (README, "Memory").

10,000 sessions, 100,000 refused log-ins, and readers with 10 MB owed each: a thousand with SB_MEMORY_READERS=1000, which takes
its minutes, since ten gigabytes go through Redis. SB_MEMORY_SCALE is a part of all that, for sanitizers."""
import asyncio
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import aiohttp
import calls
import pytest
import redis as redis_client
from bus import metrics_of
from client import Account, Rest
from harness import System, poll
from world import World

MIB = 1 << 20
SCALE = float(os.environ.get("SB_MEMORY_SCALE", "1"))
SESSIONS, REFUSED = int(10_000 * SCALE), int(100_000 * SCALE)
READERS = int(int(os.environ.get("SB_MEMORY_READERS", "100")) * SCALE)
OWED = 10_000_000                   # bytes, to each reader
PER_USER, GROUP = 50, 10            # sessions of one user, people of one group
TEXT = "\x01" * 2000                # six bytes each in JSON
RETURN_S, OVER_S = 60, 120
AT_ONCE = 200
PER_SESSION, PER_CONNECTION = 4 << 10, 4 << 10
FILES = 6 * MIB                     # of an idle service, beside what is its own: a tenth of all is what may be left
SETTINGS = {"SB_RESUME_WINDOW_MS": 2000, "SB_HEARTBEAT_MS": 600_000,    # the crowd's hearts do not beat
            "SB_CLIENT_BYTES": 128 * MIB, "SB_EVENT_BYTES": 64 * MIB,
            "SB_SEND_QUEUE_BYTES": 16 * MIB, "SB_DEFLATE_BYTES": 64 * MIB, "SB_REST_PENDING_BYTES": 16 * MIB,
            "SB_BUS_ANSWER_BYTES": 16 * MIB, "SB_COMMAND_MS": 30_000}


def gateway_bound(connections):
    """README, "Memory": what a gateway may take at most beside what it has when nobody is there."""
    return (SETTINGS["SB_CLIENT_BYTES"] + SETTINGS["SB_EVENT_BYTES"] + SETTINGS["SB_DEFLATE_BYTES"]
            + 3 * SETTINGS["SB_REST_PENDING_BYTES"] + 4 * SETTINGS["SB_SEND_QUEUE_BYTES"]
            + connections * (PER_SESSION + PER_CONNECTION))


def is_back(now, before):
    return now <= before + (before + FILES) / 10


class Resident:
    """Samples RssAnon of every process, and redis-server for comparison."""

    def __init__(self, system):
        self.pids = {name: proc.pid for name, proc in system.procs.items()} | {"redis": system.redis.pid}
        self.peak = dict.fromkeys(self.pids, 0)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopping.wait(0.05):
            for name, size in self.now().items():
                self.peak[name] = max(self.peak[name], size)

    def of(self, name):
        status = Path(f"/proc/{self.pids[name]}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) * 1024

    def now(self):
        return {name: self.of(name) for name in self.pids}

    def begin(self):
        self.peak = self.now()
        return dict(self.peak)

    def close(self):
        self.stopping.set()
        self.thread.join()


class House:
    """The system, the people of the crowd, and the two who call each other meanwhile."""

    def __init__(self):
        self.system = System(env={"*": SETTINGS}, world=None)
        redis = redis_client.Redis(port=self.system.redis_port)
        redis.config_set("appendonly", "no")        # gigabytes that nobody reads again
        self.sanitized = b"__asan_init" in (self.system.build_dir / "bin" / "switchboard-gateway").read_bytes()
        self.crowd = self.system.build_dir / "bin" / "crowd"
        self.port = self.system.services["gateway"].ports["public"]
        self.resident = Resident(self.system)
        self.files = tempfile.TemporaryDirectory()

    def people(self, name, count):
        names = [f"{name}{n}" for n in range(count)]
        loaded = self.system.load({"users": [{"name": n} for n in names]})["users"]
        return [Account(u["id"], u["username"], u["token"]) for u in loaded]

    def tokens(self, people):
        path = Path(self.files.name) / f"tokens-{time.monotonic_ns()}"
        path.write_text("".join(p.token + "\n" for p in people))
        return path

    def start(self, *arguments):
        return subprocess.Popen([self.crowd, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True)

    def close(self):
        self.resident.close()
        self.files.cleanup()
        self.system.stop()


@pytest.fixture(scope="module")
def house():
    standing = House()
    yield standing
    standing.close()


class Bystanders:
    """Two in a call; one mutes and unmutes himself, and both are told each time."""

    def __init__(self, house):
        self.world = World(house.system)
        self.worst, self.told = 0.0, 0
        self.stopping = asyncio.Event()

    async def __aenter__(self):
        ada, ben = self.world.users("ada", "ben")
        channel = self.world.dm(ada, ben)
        self.ada, self.ben = await self.world.login(ada), await self.world.login(ben)
        self.call = await calls.start(self.ada, self.ben, channel=channel)
        await calls.join(self.ben, self.ada, call=self.call)
        self.task = asyncio.create_task(self._run())
        return self

    async def _run(self):
        mute = False
        while not self.stopping.is_set():
            mute, began = not mute, time.monotonic()
            await self.ada.send(4, {"guild_id": None, "channel_id": self.call.channel, "self_mute": mute,
                                    "self_deaf": False})
            for one in (self.ada, self.ben):
                await one.next("VOICE_STATE_UPDATE", user_id=self.ada.id, self_mute=mute)
            self.worst = max(self.worst, time.monotonic() - began)
            self.told += 1
            if self.told % 20 == 0:
                await self.ada.send(1, None)
                await self.ben.send(1, None)
            await asyncio.sleep(0.7)            # a client may say 120 things in a minute

    async def __aexit__(self, kind, *_):
        self.stopping.set()
        try:
            await self.task
            if kind is None:
                assert self.told > 0
                await calls.leave(self.ben, self.ada)
        finally:
            await self.world.close()


async def said(crowd, word):
    line = await asyncio.to_thread(crowd.stdout.readline)
    assert line.startswith(word), f"crowd said {line!r}, and ended with {crowd.poll()}"
    found = line.split()
    return {key: int(value) for key, value in zip(found[0::2], found[1::2])}


async def tell(crowd, line):
    crowd.stdin.write(line + "\n")
    crowd.stdin.flush()


async def drop(crowd):
    await tell(crowd, "drop")
    assert await asyncio.to_thread(crowd.wait) == 0


async def settled(house, before):
    """Waits until resident size is where it was, or long enough; what it is then."""
    def back():
        now = house.resident.now()
        return now if all(is_back(now[name], before[name]) for name in house.system.procs) else None
    try:
        return await asyncio.to_thread(poll, back, "resident size to be where it was", 0 if house.sanitized else RETURN_S)
    except AssertionError:
        return house.resident.now()


async def over(house):
    """Nobody but the bystanders is there, and what those who were have left is given back."""
    def quiet():
        now = metrics_of(house.system, "gateway")
        return now["sessions"] == 2 and now["ws_connections"] == 2
    await asyncio.to_thread(poll, quiet, "only two sessions to be there", OVER_S)
    sizes = []

    def steady():                   # over three looks, if ever: this waits longer than it has to, at worst
        sizes.append(house.resident.now())
        return len(sizes) > 2 and all(sizes[-1][name] == sizes[-3][name] for name in house.system.procs)
    while not house.sanitized and not steady() and len(sizes) < RETURN_S:
        await asyncio.sleep(1.1)


async def burst(house, what, run, size, warm_up, connections):
    async with Bystanders(house) as bystanders:
        cold = house.resident.now()
        await run(warm_up)
        await over(house)
        before = house.resident.begin()
        began = time.monotonic()
        told = await run(size)
        took = time.monotonic() - began
        after = await settled(house, before)
        peak = dict(house.resident.peak)
    bound = before["gateway"] + gateway_bound(connections)
    print()
    for name in before:
        print(f"{what}: {name:16s} cold {cold[name] / MIB:6.1f}  before {before[name] / MIB:6.1f}  peak {peak[name] / MIB:6.1f}  "
              f"after {after[name] / MIB:6.1f} MiB")
    print(f"{what}: {size} in {took:.1f} s, where it was {time.monotonic() - began - took:.1f} s later; the gateway's bound "
          f"is {bound / MIB:.0f} MiB; bystanders were told {bystanders.told} times, at worst after "
          f"{bystanders.worst * 1000:.0f} ms; {told}")
    house.system.check_alive()
    if house.sanitized:
        return
    assert peak["gateway"] <= bound
    for name in house.system.procs:
        assert is_back(after[name], before[name]), f"{name} has not returned to where it was"


async def test_sessions_opened_and_dropped(house):
    people = house.people("open", -(-SESSIONS // PER_USER))
    tokens = house.tokens(people)

    async def run(size):
        crowd = house.start("sessions", house.port, tokens, size, AT_ONCE, size // 10)
        await said(crowd, "ready")
        there = metrics_of(house.system, "gateway")
        assert there["sessions"] == size + 2
        await drop(crowd)
        return {key: int(there[key]) for key in ("memory_deflate_bytes", "replay_bytes", "subscriptions")}

    await burst(house, "sessions", run, SESSIONS, SESSIONS, SESSIONS)


async def test_readers_that_do_not_read(house):
    groups = -(-READERS // (PER_USER * GROUP))
    people = house.people("slow", groups * GROUP)
    crews = [people[at:at + GROUP] for at in range(0, len(people), GROUP)]
    channels = [house.system.admin_ok("POST", "/admin/groups", {"users": [p.id for p in crew], "owner": crew[0].id,
                                                                "name": f"crew{n}"})["id"]
                for n, crew in enumerate(crews)]
    tokens = house.tokens(people)

    async def post(http, account, channel, count):
        rest = Rest(http, house.system.api_base, account)
        for _ in range(count):
            reply = await rest.post(f"/channels/{channel}/messages", {"content": TEXT})
            assert reply.status == 200, reply

    async def run(size):
        crowd = house.start("sessions", house.port, tokens, size, AT_ONCE, 0)
        await said(crowd, "ready")
        messages = OWED // (6 * len(TEXT)) + 1
        async with aiohttp.ClientSession() as http:
            await asyncio.gather(*[post(http, crew[n], channel, messages // 8 + 1)
                                   for crew, channel in zip(crews, channels) for n in range(8)])
        def kept():
            now = metrics_of(house.system, "gateway")
            return now if now["memory_events_bytes"] == 0 else None
        then = await asyncio.to_thread(poll, kept, "all to be kept", 60 + READERS * 0.4)
        await tell(crowd, "read")
        await asyncio.to_thread(poll, lambda: metrics_of(house.system, "gateway")["memory_clients_bytes"] < MIB,
                                "the readers to read", OVER_S)
        await tell(crowd, "stop")
        told = await said(crowd, "open")
        await drop(crowd)
        assert told["other"] == 0, "a reader was closed with a code that is none to resume with"
        assert then["clients_shed"] > 0 or size * OWED < SETTINGS["SB_CLIENT_BYTES"]
        return {key: int(then[key]) for key in ("clients_shed", "sessions_aside", "replay_bytes")} | told

    await burst(house, "readers", run, READERS, max(READERS // 20, 5), READERS)


async def test_refused_log_ins(house):
    async def run(size):
        crowd = house.start("refused", house.port, size, AT_ONCE)
        told = await said(crowd, "refused")
        assert await asyncio.to_thread(crowd.wait) == 0, told
        assert told["refused"] == size and told["wrong"] == 0
        return told

    await burst(house, "refused", run, REFUSED, REFUSED // 20, AT_ONCE)
