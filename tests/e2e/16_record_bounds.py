"""Recordings and plays where something runs out or dies: what there is by then can be read, and nobody stays behind."""
import asyncio
import json

import ogg
from client import DEADLINE_S, Client
from hall import ask, play, recorded, until_over
from harness import poll

SYSTEM = {"nodes": {"node-1": "rotterdam", "node-2": "rotterdam"}, "instances": {"gateway": 2},
          "env": {"voice-node": {"SB_RECORD_BYTES": 1 << 20, "SB_RECORD_KEEP_MS": 20000}}}
PLAYS = 8
LARGE = b"\xf8" + bytes(range(1, 250)) * 4


async def until_gone(client, user):
    await client.expect("VOICE_STATE_UPDATE", user_id=user, channel_id=None)


async def test_a_recording_that_has_no_room_any_more_ends_can_be_read_and_is_forgotten(hall, tmp_path):
    system = hall.system
    ada = hall.accounts[0]
    id = system.admin_ok("POST", f"/admin/channels/{hall.channel}/recordings")["id"]
    _, voice = await hall.enter(ada)
    shown = {"state": "running"}
    async with asyncio.timeout(DEADLINE_S):
        while shown["state"] == "running":
            for _ in range(20):
                voice.say(LARGE)
            await voice.fence()  # in pieces that no bound of a voice session minds
            await asyncio.sleep(0.02)
            shown = system.admin_ok("GET", f"/admin/recordings/{id}")
    assert (shown["state"], shown["why"]) == ("full", "the memory for recordings is used up (SB_RECORD_BYTES)")
    speaker, = shown["speakers"]
    assert 500_000 < speaker["file_bytes"] < 1 << 20
    data = recorded(system, id, ada.id)
    assert len(data) == speaker["file_bytes"]
    path = f"/admin/recordings/{id}/{ada.id}.ogg"
    pieces = [ask(system, "GET", f"{path}?offset={at}&limit=100000")[2] for at in range(0, len(data) + 100000, 100000)]
    assert b"".join(pieces) == data and not pieces[-1]
    assert ask(system, "GET", f"{path}?offset=x")[0] == 400
    file = ogg.Ogg(data)
    assert [packet for _, packet in file.said()] == [LARGE] * speaker["packets"]
    assert abs(file.length / ogg.HZ - shown["seconds"]) < 0.002
    await asyncio.to_thread(poll, lambda: ask(system, "GET", path)[0] == 404, "it to be forgotten")


async def test_there_are_so_many_plays_at_a_time_and_no_more(hall, tmp_path):
    system = hall.system
    sound = [b"\xf8a word"] * 3000  # a minute: none is over before all have begun
    ids = [play(system, hall.channel, f"player{number}", sound) for number in range(PLAYS)]
    status, _, body = ask(system, "POST", f"/admin/channels/{hall.channel}/plays?user=player0", ogg.write(sound))
    assert (status, json.loads(body)["message"]) == (503, "This gateway plays as many files as it can.")
    for id in ids:
        system.admin_ok("DELETE", f"/admin/plays/{id}")
        assert (await until_over(system, id))["state"] == "stopped"


async def test_a_file_is_spoken_on_no_other_node_when_its_own_is_lost(hall, tmp_path):
    system = hall.system
    client, listener = await hall.enter(hall.accounts[0])
    id = play(system, hall.channel, "jukebox", ogg.tone(tmp_path, 1500))
    came = await client.expect("VOICE_STATE_UPDATE", channel_id=hall.channel,
                               user_id=lambda user: user != hall.accounts[0].id)
    await listener.hear()
    node = next(name for name in system.nodes if system.services[name].env["SB_ENDPOINT"] in listener.url)
    system.kill(node)
    over = await until_over(system, id)
    assert (over["state"], over["why"]) == ("failed", "its voice node does not answer")
    await until_gone(client, came["user_id"])
    await asyncio.to_thread(system.start, node)


async def test_who_plays_goes_when_the_gateway_that_was_asked_is_lost(hall, tmp_path):
    system = hall.system
    client = Client(hall.world.http, system.gateway_url_of("gateway-2"), hall.accounts[0])
    hall.world.clients.append(client)
    await client.connect()
    await client.hello()
    await client.identify(capabilities=0)
    id = play(system, hall.channel, "jukebox", ogg.tone(tmp_path, 1500))
    came = await client.expect("VOICE_STATE_UPDATE", channel_id=hall.channel)
    await asyncio.to_thread(poll, lambda: system.admin_ok("GET", f"/admin/plays/{id}")["packets"], "it to be heard")
    system.kill("gateway")
    await until_gone(client, came["user_id"])  # long before the time in which a lost gateway's sessions may be resumed
    await asyncio.to_thread(system.start, "gateway")
