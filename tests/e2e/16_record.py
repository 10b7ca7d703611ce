"""Recordings and plays: what people say in a channel is in a file, bit for bit and in time; what is in a file is said."""
import asyncio
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import pytest_asyncio

import ogg
from harness import ROOT, poll
from media_peer import SILENCE
from voice_client import SPEAKING, VoiceClient

SYSTEM = {"nodes": {"node-1": "rotterdam"}}
FRAME_S = 0.02


class Hall:
    """A guild's voice channel, and people who talk there."""

    def __init__(self, world, *names):
        self.world, self.system = world, world.system
        self.accounts = world.users(*names)
        self.guild = world.guild(*self.accounts)
        self.channel = next(c["id"] for c in self.guild["channels"] if c["name"] == "one")
        self.text = next(c["id"] for c in self.guild["channels"] if c["name"] == "general")
        self.clients, self.voices = [], []

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


@pytest_asyncio.fixture
async def hall(world):
    made = Hall(world, "ada", "ben")
    yield made
    await made.close()


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


async def speak(voice, packets):
    """In time; when the first one was sent."""
    began = time.monotonic()
    for number, packet in enumerate(packets):
        await asyncio.sleep(max(0, began + number * FRAME_S - time.monotonic()))
        voice.say(packet)
    return began


def recorded(system, id, user):
    status, kind, body = ask(system, "GET", f"/admin/recordings/{id}/{user}.ogg")
    assert (status, kind) == (200, "audio/ogg"), (status, body)
    return body


async def test_what_is_said_is_recorded_packet_for_packet_and_in_time(hall, tmp_path):
    system = hall.system
    ada, ben = hall.accounts
    high, low = ogg.tone(tmp_path, 100), ogg.tone(tmp_path, 50, 220)
    begun = system.admin_ok("POST", f"/admin/channels/{hall.channel}/recordings")
    began = time.monotonic()
    assert (begun["state"], begun["channel_id"], begun["speakers"]) == ("running", hall.channel, [])
    _, from_ada = await hall.enter(ada)
    _, from_ben = await hall.enter(ben)
    first = await speak(from_ada, high[:50])
    ben_first = await speak(from_ben, low)
    second = await speak(from_ada, high[50:])  # her timestamps go on as if there had been no pause
    await from_ada.settle()
    shown = system.admin_ok("GET", f"/admin/recordings/{begun['id']}")
    assert shown["state"] == "running"
    assert ask(system, "GET", f"/admin/recordings/{begun['id']}/{ada.id}.ogg")[0] == 409
    stopped = system.admin_ok("POST", f"/admin/recordings/{begun['id']}/stop")
    assert stopped["state"] == "stopped"
    counts = {speaker["user_id"]: (speaker["packets"], speaker["seconds"], speaker["dropped"])
              for speaker in stopped["speakers"]}
    assert counts == {ada.id: (100, 2.0, 0), ben.id: (50, 1.0, 0)}

    of_ada, of_ben = (recorded(system, begun["id"], who.id) for who in (ada, ben))
    for data, packets, at in ((of_ada, high, [(0, first), (50, second)]), (of_ben, low, [(0, ben_first)])):
        file = ogg.Ogg(data)
        said = file.said()
        assert [packet for _, packet in said] == packets
        for number, sent in at:
            assert abs(said[number][0] / ogg.HZ - (sent - began)) < 0.5, "it does not stand where it was said"
        assert all(b[0] - a[0] == ogg.FRAME for (a, b) in zip(said[:50], said[1:50])), "a gap within what was said"
        length, complaints = ogg.decoded(tmp_path, data)
        assert length == file.length and abs(length / ogg.HZ - stopped["seconds"]) < 0.002
        assert not complaints, complaints
    status = ask(system, "DELETE", f"/admin/recordings/{begun['id']}")[0]
    assert status == 204
    assert ask(system, "GET", f"/admin/recordings/{begun['id']}")[0] == 404


async def test_a_file_is_spoken_by_somebody_who_comes_and_goes_and_heard_bit_for_bit(hall, tmp_path):
    system = hall.system
    ada, _ = hall.accounts
    sound = ogg.tone(tmp_path, 150)
    client, listener = await hall.enter(ada)
    recording = system.admin_ok("POST", f"/admin/channels/{hall.channel}/recordings")["id"]
    id = play(system, hall.channel, "jukebox", sound)
    came = await client.expect("VOICE_STATE_UPDATE", channel_id=hall.channel, user_id=lambda user: user != ada.id)
    speaking = await listener.expect(SPEAKING, user_id=came["user_id"])
    assert speaking["speaking"] == 1
    heard = []
    while len(heard) < 155:
        heard.append((await listener.hear(speaking["ssrc"])))
    assert [packet.payload for packet in heard] == sound + [SILENCE] * 5
    steps = {(b.sequence - a.sequence & 0xFFFF, b.timestamp - a.timestamp & 0xFFFFFFFF)
             for a, b in zip(heard, heard[1:])}
    assert steps == {(1, ogg.FRAME)}
    await client.expect("VOICE_STATE_UPDATE", channel_id=None, user_id=came["user_id"])
    over = await until_over(system, id)
    assert (over["state"], over["packets"], over["length_seconds"], over["user_id"]) == (
        "played", 150, 3.0, came["user_id"])
    stopped = system.admin_ok("POST", f"/admin/recordings/{recording}/stop")
    assert [speaker["user_id"] for speaker in stopped["speakers"]] == [came["user_id"]]
    file = ogg.Ogg(recorded(system, recording, came["user_id"]))
    assert [packet for _, packet in file.said()] == sound
