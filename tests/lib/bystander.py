"""bystander: people in a call who have nothing to do with what a test does to the system meanwhile. A third one is rung
and let be again without a pause, and one mutes and unmutes; each of them has to be told of each step, whole, in order
and nothing else. How long that took at most is kept."""
import asyncio
import threading
import time

import calls
from world import World

MUTE_EVERY_S = 1.0                              # of the 120 events a minute that a client may send
BEAT_EVERY_S = 20.0
LATE_S = 1.0                                    # an event that takes longer is late, also under sanitizers


class Bystander:
    """Runs in a thread, with a loop of its own, from when it is made until stop()."""

    def __init__(self, system):
        self.system = system
        self.turns, self.worst_s, self.trouble = 0, 0.0, None
        self.stopping = False
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()
        self._wait(0)

    def _main(self):
        try:
            asyncio.run(self._run())
        except BaseException as trouble:
            self.trouble = trouble

    async def _run(self):
        world = World(self.system)
        try:
            ann, ben, cat = world.users("ann", "ben", "cat")
            channel = world.group(ann, ben, cat)
            people = [await world.login(person) for person in (ann, ben, cat)]
            call = await calls.start(*people, channel=channel)
            await calls.join(people[1], people[0], people[2], call=call)
            await self._go_on(channel, *people)
        finally:
            await world.close()

    async def _go_on(self, channel, ann, ben, cat):
        muted = beaten = time.monotonic()
        mute = False
        while not self.stopping:
            rung = [cat.id] if self.turns % 2 == 0 else []
            began = time.monotonic()
            await (ann.rest.ring if rung else ann.rest.stop_ringing)(channel, [cat.id])
            for client in (ann, ben, cat):
                await client.next("CALL_UPDATE", channel_id=channel, ringing=rung)
            self._took(began)
            if began - muted > MUTE_EVERY_S:
                muted, mute = began, not mute
                await ann.join(channel, mute=mute)
                for client in (ann, ben, cat):
                    await client.next("VOICE_STATE_UPDATE", channel_id=channel, user_id=ann.id, self_mute=mute)
                self._took(muted)
            if began - beaten > BEAT_EVERY_S:
                beaten = began
                await asyncio.gather(*[client.heartbeat() for client in (ann, ben, cat)])
            self.turns += 1

    def _took(self, began):
        self.worst_s = max(self.worst_s, time.monotonic() - began)

    def _wait(self, turns):
        """Until it has made more turns than so many."""
        while self.turns <= turns and self.thread.is_alive():
            self.thread.join(0.005)
        if self.trouble:
            raise self.trouble
        assert self.worst_s < LATE_S, f"an event of a bystander took {self.worst_s:.2f} s"

    def went_on(self, since):
        """After a test: what it did since `since` turns were made has held nobody up."""
        self._wait(max(since, self.turns) + 1)

    def stop(self):
        self.stopping = True
        self.thread.join()
        if self.trouble:
            raise self.trouble
