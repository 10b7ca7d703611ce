"""hall: a guild's voice channel on real voice nodes, people who talk there, and the admin port's recordings and plays."""
import asyncio
import json
import time
import urllib.error
import urllib.request

import ogg
from harness import poll
from voice_client import VoiceClient

FRAME_S = 0.02


def until_nodes_record(system, channel):
    """A gateway asks those voice nodes to record of which it knows, and that is some moments after each was started."""
    running = sum(system.services[name].proc is not None for name in system.nodes)

    def asked():
        begun = system.admin("POST", f"/admin/channels/{channel}/recordings")
        if begun.status == 200:
            system.admin_ok("DELETE", f"/admin/recordings/{begun.json['id']}")
        return begun.status == 200 and begun.json["nodes"] == running

    poll(asked, f"{running} voice nodes to record")


class Hall:
    """A guild's voice channel, and people who talk there. All voice nodes record what they say when they are asked to."""

    def __init__(self, world, *names):
        self.world, self.system = world, world.system
        self.accounts = world.users(*names)
        self.guild = world.guild(*self.accounts)
        self.channel = next(c["id"] for c in self.guild["channels"] if c["name"] == "one")
        self.text = next(c["id"] for c in self.guild["channels"] if c["name"] == "general")
        self.clients, self.voices = [], []
        until_nodes_record(self.system, self.channel)

    async def enter(self, account, channel=None, guild=True):
        """(client of the gateway, client of the voice node)"""
        channel, guild = channel or self.channel, self.guild["id"] if guild else None
        client = await self.world.login(account)
        await client.join(channel, guild=guild)
        update = await client.expect("VOICE_SERVER_UPDATE", endpoint=lambda endpoint: endpoint is not None)
        voice = VoiceClient(f"wss://{update['endpoint']}", ssl=self.system.authority.trust())
        self.voices.append(voice)
        await voice.open()
        await voice.join({"server_id": guild or channel, "channel_id": channel, "user_id": account.id,
                          "session_id": client.session_id, "token": update["token"]})
        return client, voice

    async def close(self):
        for voice in self.voices:
            await voice.close()


def ask(system, method, path, body=None, kind="audio/ogg"):
    """(status, content type, body) of the admin port."""
    request = urllib.request.Request(system.admin_url + path, data=body, method=method)
    request.add_header("Authorization", f"Bearer {system.admin_token}")
    if body is not None:
        request.add_header("Content-Type", kind)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers.get("Content-Type"), answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers.get("Content-Type"), refusal.read()


def play(system, channel, user, packets):
    status, _, body = ask(system, "POST", f"/admin/channels/{channel}/plays?user={user}", ogg.write(packets))
    assert status == 200, (status, body)
    return json.loads(body)["id"]


async def until_over(system, id):
    def over():
        shown = system.admin_ok("GET", f"/admin/plays/{id}")
        return shown if shown["over"] else None
    return await asyncio.to_thread(poll, over, "the play to be over")


async def speak(voice, packets, began=None):
    """In time; when the first one was sent. began: another one has been, and these follow it at once."""
    began = began or time.monotonic()
    for number, packet in enumerate(packets):
        await asyncio.sleep(max(0, began + number * FRAME_S - time.monotonic()))
        voice.say(packet)
    return began


def recorded(system, id, user):
    status, kind, body = ask(system, "GET", f"/admin/recordings/{id}/{user}.ogg")
    assert (status, kind) == (200, "audio/ogg"), (status, body)
    return body
