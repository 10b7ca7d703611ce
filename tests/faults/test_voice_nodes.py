"""Voice nodes are killed, started again, drained and left without a word under calls of real libraries: who spoke is heard
again, with no act of a user, and no call ends. How long nothing was heard is printed; of a killed node 3 s of it are that the
harness has an allocator wait for 5 s, not 2, before a node that is silent is lost (test_voice_life.py has the 2).
"""
import asyncio
import contextlib
import secrets
import signal
import ssl

import pytest
from client import Account
from harness import System, poll
from people import percentiles
from peers import Cast, Venue, compared, frames, gap_ms, joined, ms, say_all, speaking, until_heard
from voice_client import VoiceClient
from world import World

TWO = {"north-1": "north", "north-2": "north"}
AGAIN_S = 60
PAIRS, AT_ONCE = 100, 20     # people who log in and connect at a time: TLS takes the cores that there are
MORE = 100                  # frames: two seconds


@contextlib.contextmanager
def stage(nodes, **env):
    """A system with these nodes, and a cast on it."""
    with System(nodes=nodes, env={"voice-node": env}) as system, Cast(system) as cast:
        yield system, cast


class Talk:
    """Bots in one channel: all speak without end, and those who listen hear all others. deaf: a library whose bots do not
    listen."""

    def __init__(self, cast, *libraries, deaf=None):
        self.system = cast.system
        self.venue = Venue(cast.system, *(f"bot{number}" for number in range(len(libraries))))
        self.peers = cast.enter(*zip(libraries, self.venue.bots))
        self.listeners = [peer for peer in self.peers if peer.library != deaf]
        there = joined(self.venue.channels[0], *self.peers, guild=self.venue.id,
                       deaf=[peer for peer in self.peers if peer not in self.listeners])
        (self.node,) = {node_at(self.system, each["endpoint"]) for each in there}
        speaking(*self.peers, to=self.listeners)
        self.go_on()

    def pairs(self):
        return [(listener, speaker) for listener in self.listeners for speaker in self.peers if speaker is not listener]

    def go_on(self):
        """Waits until everybody has heard more of everybody. They are given more to say than is said meanwhile."""
        for peer in self.peers:
            peer.say(frames(peer.account["id"], 6000))
        wanted = {pair: pair[0].count_of(pair[1])[0] + MORE for pair in self.pairs()}
        until_heard({pair: lambda counts, n=n: counts[0] >= n for pair, n in wanted.items()}, "what follows")

    def arrive(self, elsewhere=True):
        """Waits until everybody is connected: to another node, or to that where they were."""
        for peer in self.peers:
            poll(lambda: (node_at(self.system, peer.tell("ready")["endpoint"]) != self.node) == elsewhere,
                 f"{peer} to be connected", AGAIN_S)

    def print_gaps(self, what, since):
        print()
        for listener, speaker in self.pairs():
            print(f"{what}: {listener.library} heard nothing of {speaker.library} for "
                  f"{gap_ms(listener, speaker, since - 200):.0f} ms")


def node_at(system, endpoint):
    return next(name for name in system.nodes if system.services[name].env["SB_ENDPOINT"] == endpoint)


def test_who_is_on_a_node_that_is_killed_is_heard_again_on_another():
    with stage(TWO) as (system, cast):
        talk = Talk(cast, "discord.js", "discord.js without AES", "discord.py", deaf="discord.py")
        killed = ms()
        system.kill(talk.node)
        talk.arrive()
        talk.go_on()
        talk.print_gaps("node killed", killed)


def test_a_private_call_on_a_node_that_is_killed_goes_on_on_another():
    with stage(TWO) as (system, cast):
        if not system.on_443:
            pytest.skip("the library dials port 443 of a voice node, which may not be bound here")
        channel = system.demo["dm_channel_id"]
        people = caller, callee = cast.enter(*(("discord.js-selfbot-v13", user) for user in system.demo["users"][:2]))
        there = joined(channel, caller) + joined(channel, callee)
        speaking(*people, to=people)
        # Of a packet that it cannot send while it connects anew the library makes a failure that ends the program.
        for person in people:
            person.tell("hush")
        was = there[0]["endpoint"]
        killed = ms()
        system.kill(node_at(system, was))
        for person in people:
            poll(lambda: person.tell("ready")["endpoint"] not in (None, was), f"{person} to be on another node", AGAIN_S)
        print(f"\nnode killed: discord.js-selfbot-v13 was on another, in a private call, {ms() - killed:.0f} ms later")
        speaking(*people, to=people)
        lines = {person: frames(person.account["id"], MORE) for person in people}
        say_all(lines, people)
        assert compared(caller, callee, lines[callee]) is None and compared(callee, caller, lines[caller]) is None
        for person in people:
            ended = [event for event in person.events if event["event"] == "callDelete" or
                     event["event"] == "voiceStateUpdate" and event["to"] is None]
            assert not ended, f"{person} was shown {ended}"


def test_who_is_on_the_only_node_is_heard_again_when_it_has_been_started_again():
    """One of them stands still meanwhile and comes with a resume to the new process, which knows nothing of him. Not with
    discord.py: when it has left and come back by itself, it takes the next voice server that it is told for its end."""
    with stage({"only": "north"}) as (system, cast):
        talk = Talk(cast, "discord.js", "discord.js")
        resumer = talk.peers[0]
        killed = ms()
        resumer.proc.send_signal(signal.SIGSTOP)
        try:
            system.kill("only")
            system.start("only")
        finally:
            resumer.proc.send_signal(signal.SIGCONT)
        talk.arrive(elsewhere=False)
        talk.go_on()
        talk.print_gaps("node started again", killed)


def test_a_library_that_loses_its_voice_socket_resumes_and_misses_nothing():
    with stage({"only": "north"}) as (system, cast):
        venue = Venue(system, "speaker", "listener")
        speaker, listener = cast.enter(*(("discord.js", bot) for bot in venue.bots))
        joined(venue.channels[0], speaker, listener, guild=venue.id)
        speaking(speaker, to=[listener])
        payloads = frames("whole", 400)
        saying = speaker.say(payloads)
        for number, peer in enumerate((listener, speaker), 1):
            listener.until_count(speaker, 100 * number)
            before = len(peer.events)
            peer.tell("cut")
            peer.event("voice", since=before, status="connecting")
            peer.event("voice", since=before, status="ready")
        speaker.answer(saying)
        say_all({speaker: frames("more", 50)}, [listener])
        assert compared(listener, speaker, payloads + frames("more", 50)) is None
        assert system.metrics("only")["voice_resumes"] == 2


def test_a_node_that_drains_ends_no_call_and_has_them_all_moved():
    with stage(TWO, SB_DRAIN_MS="10000") as (system, cast):
        talk = Talk(cast, "discord.js", "discord.py", "eris", deaf="discord.py")
        drained = ms()
        node = system.services[talk.node]
        ending = node.proc
        ending.send_signal(signal.SIGTERM)
        try:
            talk.arrive()
        finally:
            poll(lambda: ending.poll() is not None, f"{node.name} to end", AGAIN_S)
            node.proc = None        # it was told to
        assert ending.returncode == 0
        talk.go_on()
        left = [event for peer in talk.listeners for event in peer.events if event["event"] == "state" and not event["to"]]
        assert not left, f"somebody was shown to leave: {left}"
        talk.print_gaps("node drained", drained)


def test_who_does_not_come_back_is_taken_out_of_the_channel():
    """His process stands still, so nothing is said by anybody: the node misses his heartbeats."""
    with stage({"only": "north"}, SB_VOICE_HEARTBEAT_MS="2000", SB_VOICE_RESUME_MS="500",
               SB_VOICE_GRACE_MS="4000") as (system, cast):
        venue = Venue(system, "gone", "witness")
        gone, witness = cast.enter(*(("discord.js", bot) for bot in venue.bots))
        joined(venue.channels[0], gone, witness, guild=venue.id)
        speaking(gone, to=[witness])
        since = len(witness.events)
        gone.proc.send_signal(signal.SIGSTOP)
        try:
            witness.event("state", since=since, user=gone.account["id"], to=None)
        finally:
            gone.proc.send_signal(signal.SIGCONT)
        assert not [event for event in witness.events if event["event"] == "state" and event["user"] ==
                    witness.account["id"] and not event["to"]], "the other was taken out, too"


class Caller:
    """Somebody in a private call, with the plain clients of the tests."""

    def __init__(self, gateway, channel, trust):
        self.gateway, self.channel, self.trust = gateway, channel, trust
        self.endpoint = self.voice = self.told_at = None

    async def connect(self):
        """To the voice server that he is told next."""
        server = await self.gateway.expect("VOICE_SERVER_UPDATE", where=lambda d: d["endpoint"], channel_id=self.channel)
        self.told_at = ms()
        if self.voice:
            await self.voice.close()
        self.endpoint = server["endpoint"]
        self.voice = VoiceClient(f"wss://{self.endpoint}", v=9, ssl=self.trust)
        await self.voice.open()
        await self.voice.join({"server_id": self.channel, "channel_id": self.channel, "user_id": self.gateway.id,
                               "session_id": self.gateway.session_id, "token": server["token"]}, speaking=1)
        return self

    async def hears(self, other):
        """Something that the other says from now on."""
        word = secrets.token_bytes(20)
        async with asyncio.timeout(AGAIN_S):
            while True:
                other.voice.say(word)
                with contextlib.suppress(asyncio.TimeoutError):
                    async with asyncio.timeout(0.1):
                        while (await self.voice.hear(other.voice.ssrc)).payload != word:
                            pass
                        return ms()


async def in_turn(actions):
    """All of them, so many at a time; what they return."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(action):
        async with turns:
            return await action

    return await asyncio.gather(*map(one, actions))


async def test_a_hundred_calls_of_a_node_that_is_killed_go_on_on_another():
    # Who waits for the others to be there sends no heartbeats meanwhile.
    with System(nodes=TWO, env={"gateway": {"SB_HEARTBEAT_MS": "600000"},
                                "voice-node": {"SB_VOICE_HEARTBEAT_MS": "600000"}}) as system:
        world = World(system)
        tag = secrets.token_hex(3)
        names = [(f"a{number}_{tag}", f"b{number}_{tag}") for number in range(PAIRS)]
        loaded = system.load({"users": [{"name": name} for pair in names for name in pair], "dms": [list(p) for p in names]})
        accounts = {user["username"]: Account(user["id"], user["username"], user["token"]) for user in loaded["users"]}
        trust = ssl.create_default_context(cafile=system.demo["ca_file"])

        async def call(pair, channel):
            people = [Caller(await world.login(accounts[name]), channel, trust) for name in pair]
            for person in people:
                await person.gateway.join(channel)
                await person.connect()
            await people[0].hears(people[1])
            return people

        calls = await in_turn([call(pair, dm["id"]) for pair, dm in zip(names, loaded["dms"])])
        node = node_at(system, calls[0][0].endpoint)
        struck = [pair for pair in calls if node_at(system, pair[0].endpoint) == node]
        killed = ms()
        system.kill(node)

        async def recover(pair):
            await asyncio.gather(*(person.connect() for person in pair))
            return (await pair[0].hears(pair[1]) - killed) / 1000

        seconds = await asyncio.gather(*map(recover, struck))
        told = [(person.told_at - killed) / 1000 for pair in struck for person in pair]
        print(f"\nnode killed: {len(struck)} of {PAIRS} calls were on it; their people were told of another after "
              f"p50/p99/max {percentiles(told)}, and heard each other there after {percentiles(seconds)}")
        for a, b in calls:
            assert a.endpoint == b.endpoint and node_at(system, a.endpoint) != node
            await b.hears(a)
            for person in (a, b):
                ends = [e for e in person.gateway.events if e.t == "CALL_DELETE" or
                        e.t == "VOICE_STATE_UPDATE" and e.d["channel_id"] is None]
                assert not ends, ends
        await in_turn([person.voice.close() for pair in calls for person in pair])
        await world.close()
