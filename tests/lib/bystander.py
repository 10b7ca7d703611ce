"""bystander: people in a call, and others in voice channels of a guild, who have nothing to do with what a test does to
the system meanwhile. In the call a third one is rung and let be again without a pause, and one mutes and unmutes; in the
guild one is moved between two channels by a moderator, and mutes and unmutes. Each of them has to be told of each step,
whole, in order and nothing else. How long that took at most is kept; what takes far too long on any machine is late."""
import asyncio
import threading
import time

import calls
from client import DEADLINE_S
from world import World

MUTE_EVERY_S = 1.0                              # of the 120 events a minute that a client may send
BEAT_EVERY_S = 20.0
LATE_S = 15.0                                   # by then whatever holds up a server that is not to be, on a busy machine too


async def until_done(ask):
    """Asks again while there is neither time nor room for it: what has been done already changes nothing, and tells nobody."""
    end = time.monotonic() + DEADLINE_S
    while (reply := await ask()).status == 503 and time.monotonic() < end:
        await asyncio.sleep(0.05)
    return reply


class Bystander:
    """Runs in a thread, with a loop of its own, from when it is made until stop()."""

    def __init__(self, system):
        self.system = system
        self.turns, self.moves, self.worst_s, self.trouble = 0, 0, 0.0, None
        self.clocks = {}                        # {client: [muted, since when, when he last let his heart beat]}
        self.stopping = False
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()
        self._wait(0, 0)

    def _main(self):
        try:
            asyncio.run(self._run())
        except BaseException as trouble:
            self.trouble = trouble

    async def _run(self):
        world = World(self.system)
        try:
            await asyncio.gather(self._in_a_call(world), self._in_a_guild(world))
        finally:
            await world.close()

    async def _in_a_call(self, world):
        ann, ben, cat = world.users("ann", "ben", "cat")
        channel = world.group(ann, ben, cat)
        people = ann, ben, cat = [await world.login(person) for person in (ann, ben, cat)]
        call = await calls.start(*people, channel=channel)
        await calls.join(ben, ann, cat, call=call)
        while not self.stopping:
            rung = [cat.id] if self.turns % 2 == 0 else []
            began = time.monotonic()
            path = f"/channels/{channel}/call/{'ring' if rung else 'stop-ringing'}"
            (await until_done(lambda path=path: ann.rest.post(path, {"recipients": [cat.id]}))).ok(204)
            for client in people:
                await client.next("CALL_UPDATE", channel_id=channel, ringing=rung)
            self._took(began)
            await self._now_and_then(ann, people, channel)
            self.turns += 1

    async def _in_a_guild(self, world):
        dan, eve = world.users("dan", "eve")
        guild = world.guild(dan, eve)
        one, two = [channel["id"] for channel in guild["channels"] if channel["name"] in ("one", "two")]
        people = dan, eve = [await world.login(person) for person in (dan, eve)]
        await eve.join(one, guild=guild["id"])
        for client in people:
            await client.next("VOICE_STATE_UPDATE", user_id=eve.id, channel_id=one)
            await client.next("VOICE_CHANNEL_START_TIME_UPDATE", id=one)
        await eve.next("VOICE_SERVER_UPDATE", guild_id=guild["id"])
        while not self.stopping:
            came, went = (two, one) if self.moves % 2 == 0 else (one, two)
            began = time.monotonic()
            path = f"/guilds/{guild['id']}/members/{eve.id}"
            (await until_done(lambda to=came, path=path: dan.rest.patch(path, {"channel_id": to}))).ok()
            for client in people:
                await client.next("VOICE_STATE_UPDATE", user_id=eve.id, channel_id=came)
                times = [await client.next("VOICE_CHANNEL_START_TIME_UPDATE") for _ in range(2)]
                assert {d["id"]: d["voice_start_time"] is None for d in times} == {came: False, went: True}, times
            server = await eve.next("VOICE_SERVER_UPDATE", guild_id=guild["id"])
            assert server["endpoint"], server
            self._took(began)
            await self._now_and_then(eve, people, came, guild["id"])
            self.moves += 1

    async def _now_and_then(self, muter, people, channel, guild=None):
        """Once in a while he mutes or unmutes, and all let their hearts beat."""
        mute, muted, beaten = self.clocks.setdefault(muter, [False, time.monotonic(), time.monotonic()])
        began = time.monotonic()
        if began - muted > MUTE_EVERY_S:
            self.clocks[muter][:2] = not mute, began
            await muter.join(channel, guild=guild, mute=not mute)
            for client in people:
                await client.next("VOICE_STATE_UPDATE", channel_id=channel, user_id=muter.id, self_mute=not mute)
            self._took(began)
        if began - beaten > BEAT_EVERY_S:
            self.clocks[muter][2] = began
            await asyncio.gather(*[client.heartbeat() for client in people])

    def _took(self, began):
        self.worst_s = max(self.worst_s, time.monotonic() - began)

    def _wait(self, turns, moves):
        """Until it has made more turns and moves than so many."""
        while (self.turns <= turns or self.moves <= moves) and self.thread.is_alive():
            self.thread.join(0.005)
        if self.trouble:
            raise self.trouble
        assert self.worst_s < LATE_S, f"an event of a bystander took {self.worst_s:.2f} s"

    def went_on(self):
        """After a test: what it did has held nobody up. What was under way when it ended is waited for, and one more."""
        self._wait(self.turns + 1, self.moves + 1)

    def stop(self):
        self.stopping = True
        self.thread.join()
        if self.trouble:
            raise self.trouble
