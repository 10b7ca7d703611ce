"""discordpy_peer: a bot of discord.py that does what it is told, as peer.js has it. Used as published; since the library
plays but does not listen, what its socket receives is opened here, where it hands it to who asks (as extensions do).

usage: python discordpy_peer.py [MODE]    MODE: the only one of its modes that it is to have
"""

import asyncio
import base64
import collections
import json
import logging
import struct
import sys
import threading
import time
import traceback

import discord
import nacl.secret
from discord.voice_state import VoiceConnectionState

from discordpy_login import PATIENCE_S, point_at

SILENCE = b"\xf8\xff\xfe"
OPUS = 0x78
writing = threading.Lock()


def emit(**line):
    with writing:
        print(json.dumps(line), flush=True)


def now():
    return time.monotonic() * 1000


class Mouth(discord.AudioSource):
    """Silence, except for what it is given to say. The library's player takes a frame every 20 ms, in a thread."""

    def __init__(self, loop):
        self.queue, self.loop, self.over = collections.deque(), loop, False

    def is_opus(self):
        return True

    def say(self, frames):
        """A future that is done when the last of them has been taken."""
        taken = self.loop.create_future()
        for number, frame in enumerate(frames, 1):
            self.queue.append((base64.b64decode(frame), taken if number == len(frames) else None))
        return taken

    def read(self):
        if not self.queue:
            return b"" if self.over else SILENCE
        frame, taken = self.queue.popleft()
        if taken:
            self.loop.call_soon_threadsafe(taken.set_result, None)
        return frame


class Ears:
    def __init__(self):
        self.heard, self.silent = collections.defaultdict(list), collections.Counter()

    def hear(self, user, payload):
        if payload == SILENCE:
            self.silent[user] += 1
        else:
            self.heard[user].append((now(), payload))

    def counts(self):
        return {user: [len(self.heard.get(user, ())), self.silent[user]] for user in {*self.heard, *self.silent}}

    def all(self):
        return {user: [[at, base64.b64encode(p).decode()] for at, p in heard] for user, heard in self.heard.items()}


def opened(packet, mode, key):
    """The payload of a sealed RTP packet, by the layout of its mode."""
    extended = packet[0] & 0x10
    if mode == "aead_xchacha20_poly1305_rtpsize":
        clear = 12 + 4 * (packet[0] & 0x0F) + (4 if extended else 0)
        plain = nacl.secret.Aead(key).decrypt(packet[clear:-4], packet[:clear], packet[-4:] + bytes(20))
        return plain[4 * struct.unpack_from(">H", packet, clear - 2)[0]:] if extended else plain
    assert not extended and not packet[0] & 0x2F, "an extension, padding or CSRCs in an older mode"
    box = nacl.secret.SecretBox(key)
    if mode == "xsalsa20_poly1305_lite":
        return box.decrypt(packet[12:-4], packet[-4:] + bytes(20))
    if mode == "xsalsa20_poly1305_suffix":
        return box.decrypt(packet[12:-24], packet[-24:])
    return box.decrypt(packet[12:], packet[:12] + bytes(12))


class Voice(discord.VoiceClient):
    """With the hook and the listener that the library has for extensions which receive."""

    ears = Ears()

    def create_connection_state(self):
        self.speakers = {}
        return VoiceConnectionState(self, hook=self.told)

    def listen(self):
        """The library's thread that reads waits for its old socket for up to 30 s when it is given another, so a bot that
        has listened is slow to come back from a voice server that has died."""
        self._connection.add_socket_listener(self.packet)

    async def told(self, _, message):
        if message["op"] == 5:
            self.speakers[message["d"]["ssrc"]] = message["d"]["user_id"]

    def packet(self, data):
        if len(data) < 12 or data[0] >> 6 != 2 or data[1] & 0x7F != OPUS:
            return
        user = self.speakers.get(struct.unpack_from(">I", data, 8)[0])
        if user is None:
            return
        try:
            self.ears.hear(user, opened(data, self.mode, bytes(self.secret_key)))
        except Exception as error:
            emit(event="deaf", user=user, why=f"{type(error).__name__}: {error}")


class Bot(discord.Client):
    def __init__(self):
        super().__init__(intents=discord.Intents(guilds=True, voice_states=True))
        self.is_there = asyncio.Event()
        self.voice = self.mouth = None

    async def on_error(self, event, *args):
        emit(event="error", why=traceback.format_exc())

    async def on_ready(self):
        self.is_there.set()

    async def on_voice_state_update(self, member, before, after):
        emit(event="state", at=now(), user=str(member.id), **{"from": before.channel and str(before.channel.id),
                                                               "to": after.channel and str(after.channel.id)})

    # -- verbs

    async def do_login(self, token, api, gateway):
        point_at({"api_base": api, "gateway_url": gateway})
        self.running = asyncio.create_task(self.start(token))
        await asyncio.wait_for(self.is_there.wait(), PATIENCE_S)
        return {"user": str(self.user.id)}

    async def do_join(self, guild, channel, deaf=False):
        self.voice = await self.get_guild(int(guild)).get_channel(int(channel)).connect(
            cls=Voice, timeout=PATIENCE_S, self_deaf=deaf)
        if not deaf:
            self.voice.listen()
        return {"mode": self.voice.mode, "endpoint": self.voice.endpoint}

    async def do_ready(self):
        async with asyncio.timeout(PATIENCE_S):
            await self.connected()
        return {"mode": self.voice.mode, "endpoint": self.voice.endpoint}

    async def do_speak(self):
        self.mouth = Mouth(asyncio.get_running_loop())
        self.play()

    def play(self):
        loop = asyncio.get_running_loop()
        self.voice.play(self.mouth, after=lambda error: loop.call_soon_threadsafe(self.played, error))

    def played(self, error):
        """The library leaves off when its connection is lost, so a bot that has not finished begins again."""
        if error:
            emit(event="error", why=str(error))
        elif not self.mouth.over:
            self.playing = asyncio.create_task(self.play_again())
            self.playing.add_done_callback(lambda done: done.exception() and emit(event="error", why=str(done.exception())))

    async def connected(self):
        """The library's own waiting ends also when a handshake was given up for another, which then goes on."""
        while not self.voice.is_connected():
            await asyncio.sleep(0.02)

    async def play_again(self):
        await self.connected()
        self.voice.stop()       # it takes the player that has left off for one that plays
        self.play()

    async def do_say(self, frames):
        await self.mouth.say(frames)

    async def do_hush(self):
        self.mouth.over = True

    async def do_leave(self):
        await self.voice.disconnect()

    async def do_counts(self):
        return Voice.ears.counts()

    async def do_heard(self):
        return Voice.ears.all()


async def serve(bot):
    reader = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    doing = set()

    async def one(line):
        fields = json.loads(line)
        id, name = fields.pop("id"), fields.pop("do")
        try:
            emit(id=id, ok=await getattr(bot, f"do_{name}")(**fields))
        except Exception as error:
            emit(id=id, failed=f"{name}: {type(error).__name__}: {error}")

    while line := await reader.readline():
        task = asyncio.create_task(one(line))
        doing.add(task)
        task.add_done_callback(doing.discard)


async def main():
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")     # seen when a test fails
    if len(sys.argv) > 1:
        Voice.supported_modes = (sys.argv[1],)
    async with Bot() as bot:
        await serve(bot)


if __name__ == "__main__":
    asyncio.run(main())
