"""peers: clients of real libraries that do what a test tells them, each in a process of its own (tests/clients/peer.js has
how), what they say, and what has to be heard of it."""
import base64
import contextlib
import json
import os
import random
import secrets
import subprocess
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import libraries
from harness import poll

ANSWER_S = 60
SILENCE_BYTES = 3           # no frame of ours is as short
FRAME_MS = 20

LIBRARIES = {               # what runs, and what of it is special: {name: (argv of, program, arguments in front, behind)}
    "discord.js": (libraries.node_command, "discordjs_peer.js", [], []),
    "discord.js without AES": (libraries.node_command, "discordjs_peer.js", ["--require", "without_aes.js"], []),
    "discord.py": (libraries.python_command, "discordpy_peer.py", [], []),
    "discord.py lite": (libraries.python_command, "discordpy_peer.py", [], ["xsalsa20_poly1305_lite"]),
    "discord.py suffix": (libraries.python_command, "discordpy_peer.py", [], ["xsalsa20_poly1305_suffix"]),
    "discord.py plain": (libraries.python_command, "discordpy_peer.py", [], ["xsalsa20_poly1305"]),
    "discord.js-selfbot-v13": (libraries.node_command, "selfbot_peer.js", [], []),
    "eris": (libraries.node_command, "eris_peer.js", [], []),
}


class PeerFailed(AssertionError):
    """A peer could not do what it was told, or has ended."""


def frames(label, n, first=0):
    """n payloads such as an Opus encoder could have made, no two alike: nobody decodes them. Now and then one is as long
    as an Opus packet may be."""
    made = []
    for number in range(first, first + n):
        chance = random.Random(f"{label} {number}")
        size = 1275 if number % 97 == 96 else chance.randrange(SILENCE_BYTES + 1, 220)
        made.append(bytes([0x78]) + chance.randbytes(size - 1))
    return made


class Peer:
    """One client. What happens to it by itself gathers in `events`."""

    def __init__(self, library, account, system):
        self.library, self.account, self.system = library, account, system
        command, program, front, behind = LIBRARIES[library]
        argv, env = command()
        front = [libraries.CLIENTS / each if each.endswith(".js") else each for each in front]
        self.log = tempfile.TemporaryFile()
        self.proc = subprocess.Popen(
            [str(a) for a in (*argv, *front, libraries.CLIENTS / program, *behind)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.log, text=True,
            env=os.environ | env | libraries.trusting(system.demo["ca_file"]))
        self.events, self.answers, self.asked = [], {}, 0
        self.more = threading.Condition()
        self.ended = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __repr__(self):
        return f"<{self.account['username']}, {self.library}>"

    def _read(self):
        for line in self.proc.stdout:
            message = json.loads(line)
            with self.more:
                if "id" in message and ("ok" in message or "failed" in message):
                    self.answers[message["id"]] = message
                else:
                    self.events.append(message)
                self.more.notify_all()
        with self.more:
            self.ended = True
            self.more.notify_all()

    def start(self, do, **fields):
        """Tells it to do something and returns at once; answer() waits."""
        self.asked += 1
        try:
            self.proc.stdin.write(json.dumps({"id": self.asked, "do": do, **fields}) + "\n")
            self.proc.stdin.flush()
        except OSError:
            raise self.failed(f"{do}: it has ended") from None
        return self.asked

    def answer(self, id, deadline_s=ANSWER_S):
        with self.more:
            self.more.wait_for(lambda: id in self.answers or self.ended, deadline_s)
            answer = self.answers.pop(id, None)
        if answer is None:
            raise self.failed("it has ended" if self.ended else f"no answer within {deadline_s} s")
        if "failed" in answer:
            raise self.failed(answer["failed"])
        return answer["ok"]

    def tell(self, do, **fields):
        return self.answer(self.start(do, **fields))

    def event(self, name, since=0, **fields):
        """Waits for an event with these fields, behind the first `since` ones."""
        def there():
            return next((e for e in self.events[since:] if e["event"] == name
                         and all(e.get(key) == value for key, value in fields.items())), None)
        with self.more:
            found = self.more.wait_for(lambda: there() or self.ended, ANSWER_S) and there()
        if not found:
            raise self.failed(f"no event {name} {fields}")
        return found

    def failed(self, what):
        return PeerFailed(f"{self.story(what)}{self.system.report()}")

    def story(self, what):
        self.log.seek(0)
        said = self.log.read().decode(errors="replace")
        events = "\n".join(str(event)[:300] for event in self.events[-30:])
        return f"{self}: {what}\nit told:\n{events}\non stderr:\n{said[-6000:]}\n"

    # -- what it does

    def login(self):
        return self.start("login", token=self.account["token"], api=self.system.api_base, gateway=self.system.gateway_url)

    def say(self, payloads):
        return self.start("say", frames=[base64.b64encode(payload).decode() for payload in payloads])

    def heard(self):
        """{user: [(when in ms, payload)]}"""
        return {user: [(at, base64.b64decode(payload)) for at, payload in all]
                for user, all in self.tell("heard").items()}

    def heard_of(self, peer):
        return [payload for _, payload in self.heard().get(peer.account["id"], ())]

    def count_of(self, peer):
        """(frames, frames of silence) that it has heard of somebody."""
        return tuple(self.tell("counts").get(peer.account["id"], (0, 0)))

    def until_count(self, peer, n):
        """Waits until it has heard n frames of somebody."""
        until_heard({(self, peer): lambda counts: counts[0] >= n}, f"{n} frames")

    def until_silence(self, peer):
        """Waits until it has heard another frame of silence from somebody."""
        before = self.count_of(peer)[1]
        until_heard({(self, peer): lambda counts: counts[1] > before}, "silence")

    def drops(self):
        """How many datagrams have come for its sockets that the kernel had no room for there, since it did not read them."""
        proc = Path(f"/proc/{self.proc.pid}")
        sockets = set()
        for fd in (proc / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                sockets.add(os.readlink(fd))
        rows = [line.split() for line in (proc / "net" / "udp").read_text().splitlines()[1:]]
        return sum(int(row[12]) for row in rows if f"socket:[{row[9]}]" in sockets)

    def troubles(self):
        """What it could not open, or what the library says went wrong."""
        return [event for event in self.events if event["event"] in ("deaf", "error", "warn", "voiceError")]

    def close(self):
        with contextlib.suppress(OSError):
            self.proc.stdin.close()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.reader.join(10)
        self.log.close()


class Cast:
    """Peers on one system: they log in and join together, and are gone at its end."""

    def __init__(self, system):
        self.system, self.peers = system, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in self.peers:
            peer.close()

    def enter(self, *pairs):
        """Peers by (library, account), all logged in."""
        new = [Peer(library, account, self.system) for library, account in pairs]
        self.peers += new
        for peer, login in [(peer, peer.login()) for peer in new]:
            assert peer.answer(login)["user"] == peer.account["id"]
        return new


class Venue:
    """A guild of its own for a test, with voice channels and bots, of whom the first may move others."""

    def __init__(self, system, *bots, channels=("one", "two")):
        tag = secrets.token_hex(4)
        names = [f"{name}_{tag}" for name in bots]
        loaded = system.load({
            "users": [{"name": f"owner_{tag}"}], "bots": [{"name": name} for name in names],
            "guilds": [{"name": f"venue_{tag}", "owner": f"owner_{tag}", "members": [f"owner_{tag}", *names],
                        "roles": [{"name": "Moderators", "permissions": ["MOVE_MEMBERS", "MUTE_MEMBERS", "DEAFEN_MEMBERS"],
                                   "members": names[:1]}],
                        "channels": [{"name": name, "type": "voice"} for name in channels]}]})
        self.id = loaded["guilds"][0]["id"]
        self.channels = [channel["id"] for channel in loaded["guilds"][0]["channels"]]
        self.bots = loaded["bots"]


def joined(channel, *peers, guild=None, deaf=()):
    """They join together; what each was given: {"mode", "endpoint"}. deaf: those of them that only speak."""
    asked = [(peer, peer.start("join", channel=channel, **({"guild": guild} if guild else {}),
                               **({"deaf": True} if peer in deaf else {}))) for peer in peers]
    return [peer.answer(id) for peer, id in asked]


def speaking(*speakers, to):
    """They begin to speak, and everybody of `to` hears their silence. Who has just begun is known to the others by what
    comes over the voice socket, and his packets take another way, so that the first of them may come too early."""
    for speaker in speakers:
        speaker.tell("speak")
    until_heard({(listener, speaker): lambda counts: counts[1] > 0
                 for speaker in speakers for listener in to if listener is not speaker}, "silence")


def until_heard(wanted, what):
    """wanted: {(listener, speaker): condition on (frames, silences)}"""
    def all_heard():
        for pair in [pair for pair, fine in wanted.items() if fine(pair[0].count_of(pair[1]))]:
            del wanted[pair]
        return not wanted

    wanted = dict(wanted)
    try:
        poll(all_heard, what, ANSWER_S)
    except AssertionError:
        counts = {f"{listener} of {speaker}": listener.count_of(speaker) for listener, speaker in wanted}
        listener, speaker = next(iter(wanted))
        raise listener.failed(f"not heard: {what}; (frames, silences): {counts}\n{speaker.story('what it saw')}") from None


def say_all(lines, to):
    """Each says his payloads ({peer: payloads}), at once, and everybody of `to` hears silence behind: then all of it has
    come that will. Frames of one speaker stay in order on a loopback."""
    said = [(peer, peer.say(payloads)) for peer, payloads in lines.items()]
    for peer, id in said:
        peer.answer(id, ANSWER_S + max(map(len, lines.values())) * FRAME_MS / 1000)
    before = {(listener, speaker): listener.count_of(speaker)[1] for speaker in lines for listener in to
              if listener is not speaker}
    # Payloads are more than any library takes in advance, so what it has then not sent yet is them, and silence behind.
    until_heard({pair: lambda counts, n=n: counts[1] > n for pair, n in before.items()}, "silence afterwards")


def only_lost(listener, speaker, payloads, since=0):
    """Whether all that was heard of him, behind the first `since` frames, is some of these, in order."""
    left = iter(payloads)
    return all(payload in left for payload in listener.heard_of(speaker)[since:])


def compared(listener, speaker, payloads, since=0):
    """None when just these were heard of him, in order, behind the first `since`; else what is different, in a sentence."""
    heard = listener.heard_of(speaker)[since:]
    if heard == payloads:
        return None
    lost = Counter(payloads) - Counter(heard)
    more = Counter(heard) - Counter(payloads)
    order = {payload: number for number, payload in enumerate(payloads)}
    numbers = [order[payload] for payload in heard if payload in order]
    return (f"{listener} heard {len(heard)} of {len(payloads)} frames of {speaker}: lost "
            f"{[order[payload] for payload in lost][:20]} ({sum(lost.values())}), {sum(more.values())} that were not said "
            f"or came twice, {'in order' if numbers == sorted(numbers) else 'out of order'}")


def gap_ms(listener, speaker, since=0):
    """The longest time in which it heard nothing of somebody, from `since` (ms) on."""
    times = [at for at, _ in listener.heard().get(speaker.account["id"], ()) if at >= since]
    return max((b - a for a, b in zip(times, times[1:])), default=0.0)


def ms():
    """The clock of the peers."""
    return time.monotonic() * 1000
