"""Voice nodes are killed, started again, drained and left without a word under calls of real libraries: who spoke is heard
again, with no act of a user, and no call ends. How long nothing was heard is printed.
"""
import contextlib
import signal

from harness import System, poll
from peers import Cast, Venue, compared, frames, gap_ms, joined, ms, say_all, speaking, until_heard

TWO = {"north-1": "north", "north-2": "north"}
AGAIN_S = 60
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
        for peer in self.peers:
            peer.say(frames(peer.account["id"], 6000))
        self.go_on()

    def pairs(self):
        return [(listener, speaker) for listener in self.listeners for speaker in self.peers if speaker is not listener]

    def go_on(self):
        """Waits until everybody has heard more of everybody."""
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


def test_who_is_on_the_only_node_is_heard_again_when_it_has_been_started_again():
    """Some come with a resume to the new process, which knows nothing of them."""
    with stage({"only": "north"}) as (system, cast):
        talk = Talk(cast, "discord.js", "eris")
        killed = ms()
        system.kill("only")
        system.start("only")
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
    with stage(TWO, SB_DRAIN_MS="30000") as (system, cast):
        talk = Talk(cast, "discord.js", "discord.py", "eris", deaf="discord.py")
        drained = ms()
        node = system.services[talk.node]
        node.proc.send_signal(signal.SIGTERM)
        talk.arrive()
        poll(lambda: node.proc.poll() is not None, f"{node.name} to end", AGAIN_S)
        assert node.proc.returncode == 0
        node.proc = None
        talk.go_on()
        left = [event for peer in talk.listeners for event in peer.events if event["event"] == "state" and not event["to"]]
        assert not left, f"somebody was shown to leave: {left}"
        talk.print_gaps("node drained", drained)


def test_who_does_not_come_back_is_taken_out_of_the_channel():
    """His process stands still, so nothing is said by anybody: the node misses his heartbeats."""
    with stage({"only": "north"}, SB_VOICE_HEARTBEAT_MS="500", SB_VOICE_RESUME_MS="500",
               SB_VOICE_GRACE_MS="1500") as (system, cast):
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
