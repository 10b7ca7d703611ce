"""Recordings and plays: what people say in a channel is in a file, bit for bit and in time; what is in a file is said."""
import asyncio
import json
import signal
import subprocess
import sys
import time

import ogg
from hall import FRAME_S, ask, play, recorded, speak, until_over
from harness import ROOT, poll
from media_peer import SILENCE
from voice_client import SPEAKING

SYSTEM = {"nodes": {"node-1": "rotterdam"}}
TAIL = 60       # frames of silence behind what is said; a node holds a few more of a speaker


async def test_what_is_said_is_recorded_packet_for_packet_and_in_time(hall, tmp_path):
    system = hall.system
    ada, ben = hall.accounts
    high, low = ogg.tone(tmp_path, 100), ogg.tone(tmp_path, 50, 220)
    asked = time.monotonic()
    begun = system.admin_ok("POST", f"/admin/channels/{hall.channel}/recordings")
    began = time.monotonic()
    assert (begun["state"], begun["channel_id"], begun["speakers"]) == ("running", hall.channel, [])

    async def say(voice, packets):
        """When the first one was sent, and when the last one had come. Silence follows at once: a packet that was late, on
        a machine that had other things to do, is known by those behind it, and gets its place; the last of all does not."""
        async def come():
            await voice.fence()
            return time.monotonic()

        sent = await speak(voice, packets)
        fence = asyncio.create_task(come())
        await speak(voice, [SILENCE] * TAIL, sent + len(packets) * FRAME_S)
        came = await fence
        await voice.fence()
        return sent, came

    _, from_ada = await hall.enter(ada)
    _, from_ben = await hall.enter(ben)
    first = await say(from_ada, high[:50])
    ben_first = await say(from_ben, low)
    second = await say(from_ada, high[50:])  # her timestamps go on as if there had been no pause
    await from_ada.settle()
    shown = system.admin_ok("GET", f"/admin/recordings/{begun['id']}")
    assert shown["state"] == "running"
    assert ask(system, "GET", f"/admin/recordings/{begun['id']}/{ada.id}.ogg")[0] == 409
    stopped = system.admin_ok("POST", f"/admin/recordings/{begun['id']}/stop")
    assert stopped["state"] == "stopped"
    counts = {speaker["user_id"]: (speaker["packets"], speaker["seconds"], speaker["dropped"])
              for speaker in stopped["speakers"]}
    assert counts == {ada.id: (100 + 2 * TAIL, 4.4, 0), ben.id: (50 + TAIL, 2.2, 0)}

    of_ada, of_ben = (recorded(system, begun["id"], who.id) for who in (ada, ben))
    for data, packets, at in ((of_ada, high, [(0, first), (50, second)]), (of_ben, low, [(0, ben_first)])):
        file = ogg.Ogg(data)
        said = file.said()
        assert [packet for _, packet in said] == packets
        for number, (sent, came) in at:
            assert said[number][0] / ogg.HZ > sent - began - 0.1, "it stands before it was said"
            assert said[number + 49][0] / ogg.HZ < came - asked + 0.1, "it stands after it was said"
            part = said[number:number + 50]
            assert all(b[0] - a[0] == ogg.FRAME for (a, b) in zip(part, part[1:])), "a gap within what was said"
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


# --- the command line ---

def admin(system, *arguments):
    """deploy/admin, started; its standard output and error come when it has ended."""
    return subprocess.Popen([sys.executable, ROOT / "deploy" / "admin", "--url", system.admin_url,
                             "--token", system.admin_token, *map(str, arguments)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=system.dir)


async def ended(program):
    out, err = await asyncio.to_thread(program.communicate, timeout=60)
    return program.returncode, out, err


async def until_running(program):
    """It has said that it has begun."""
    line = await asyncio.wait_for(asyncio.to_thread(program.stderr.readline), 30)
    assert line.startswith(("recording ", "player plays ", "jukebox plays ")), line


async def test_the_command_line_records_what_the_command_line_plays(hall, tmp_path):
    system = hall.system
    sound = ogg.tone(tmp_path, 75)
    (tmp_path / "song.ogg").write_bytes(ogg.write(sound))
    name = f"{hall.guild['name']}/one"
    recorder = admin(system, "record", name, "--out", tmp_path / "heard.ogg", "--until-silent", 4)
    await until_running(recorder)
    code, out, err = await ended(admin(system, "play", hall.channel, tmp_path / "song.ogg", "--user", "jukebox"))
    assert code == 0 and out == "75 packets were played\n", (out, err)
    code, out, err = await ended(recorder)
    assert code == 0 and "jukebox, who spoke for 1.60 s of them (80 packets)" in out, (out, err)
    assert [packet for _, packet in ogg.Ogg((tmp_path / "heard.ogg").read_bytes()).said()] == sound


async def test_several_speakers_have_a_file_each_and_ctrl_c_ends_a_recording(hall, tmp_path):
    system = hall.system
    ada, ben = hall.accounts
    sounds = {ada: ogg.tone(tmp_path, 20), ben: ogg.tone(tmp_path, 20, 220)}
    recorder = admin(system, "--json", "record", hall.channel, "--out", tmp_path / "heard.ogg")
    await until_running(recorder)
    voices = {account: (await hall.enter(account))[1] for account in hall.accounts}
    for account, voice in voices.items():
        await speak(voice, sounds[account])
        await voice.fence()
    recorder.send_signal(signal.SIGINT)
    code, out, err = await ended(recorder)
    assert code == 0, err
    files = {speaker["username"]: ogg.Ogg(open(speaker["file"], "rb").read()) for speaker in json.loads(out)["speakers"]}
    assert {file.name for file in tmp_path.glob("heard*")} == {f"heard-{who.username}.ogg" for who in (ada, ben)}
    for account, packets in sounds.items():
        assert [packet for _, packet in files[account.username].said()] == packets
    assert len({file.length for file in files.values()}) == 1


async def test_the_command_line_says_what_is_wrong(hall, tmp_path):
    system = hall.system
    (tmp_path / "song.wav").write_bytes(b"RIFF....WAVE and so on, for a while, until there is enough")
    for arguments, said in {
        ("record", "nowhere", "--out", tmp_path / "a.ogg"): "no voice channel is called nowhere",
        ("record", hall.channel, "--out", tmp_path / "not" / "a.ogg"): "there is no directory",
        ("record", hall.channel, "--out", tmp_path / "a.ogg", "--seconds", "0.1"): "nobody said anything",
        ("record", hall.text, "--out", tmp_path / "a.ogg"): "Cannot execute action on this channel type",
        ("play", hall.channel, tmp_path / "none.ogg"): "cannot read",
        ("play", hall.channel, tmp_path / "song.wav"): "It is not Ogg, or damaged.",
    }.items():
        code, out, err = await ended(admin(system, *arguments))
        assert code in (1, 2) and said in err and out == "", (arguments, code, out, err)
    assert not list(tmp_path.glob("*.ogg"))


# --- who may, and what is refused ---

async def test_in_a_private_channel_those_in_it_speak_and_nobody_else(world, tmp_path):
    system = world.system
    ada, ben, eve = world.users("ada", "ben", "eve")
    channel = world.dm(ada, ben)
    sound = ogg.tone(tmp_path, 10)
    listener = await world.login(ben)
    recording = system.admin_ok("POST", f"/admin/channels/{channel}/recordings")["id"]
    for who, status in ((eve.username, 403), ("somebody_new", 404)):
        assert ask(system, "POST", f"/admin/channels/{channel}/plays?user={who}", ogg.write(sound))[0] == status
    id = play(system, channel, ada.username, sound)
    await listener.expect("CALL_CREATE", channel_id=channel)
    await listener.expect("VOICE_STATE_UPDATE", user_id=ada.id, channel_id=channel)
    await listener.expect("CALL_DELETE", channel_id=channel)
    assert (await until_over(system, id))["state"] == "played"
    system.admin_ok("POST", f"/admin/recordings/{recording}/stop")
    assert [packet for _, packet in ogg.Ogg(recorded(system, recording, ada.id)).said()] == sound


async def test_what_is_refused(hall):
    system = hall.system
    good = ogg.write([b"\xf8one", b"\xf8two"])
    for method, path, body, kind, status in [
        ("POST", f"/admin/channels/{hall.text}/recordings", None, "", 400),
        ("POST", "/admin/channels/1/recordings", None, "", 404),
        ("POST", "/admin/channels/hall/recordings", None, "", 404),
        ("GET", "/admin/recordings/1", None, "", 404),
        ("GET", "/admin/recordings/x", None, "", 404),
        ("POST", "/admin/recordings/1/stop", None, "", 404),
        ("DELETE", "/admin/recordings/1", None, "", 404),
        ("GET", "/admin/recordings/1/1.ogg", None, "", 404),
        ("GET", "/admin/recordings/1/1.wav", None, "", 404),
        ("GET", "/admin/plays/1", None, "", 404),
        ("DELETE", "/admin/plays/1", None, "", 404),
        ("POST", f"/admin/channels/{hall.channel}/plays", good, "audio/ogg", 400),
        ("POST", f"/admin/channels/{hall.channel}/plays?user=a", b"nonsense", "audio/ogg", 400),
        ("POST", f"/admin/channels/{hall.channel}/plays?user=a", None, "", 400),
        ("POST", f"/admin/channels/{hall.channel}/plays?user=a", good, "application/json", 415),
        ("POST", f"/admin/channels/{hall.channel}/recordings", good, "audio/ogg", 415),
        ("POST", f"/admin/channels/{hall.text}/plays?user=a", good, "audio/ogg", 400),
        ("POST", "/admin/channels/1/plays?user=a", good, "audio/ogg", 404),
    ]:
        got = ask(system, method, path, body, kind)
        assert got[0] == status and json.loads(got[2])["message"], (method, path, got)
    for path in (f"/admin/channels/{hall.channel}/recordings", f"/admin/channels/{hall.channel}/plays?user=a"):
        assert system.admin("POST", path, token="0123456789abcdef").status == 401


async def test_a_play_is_stopped_when_it_is_asked_to(hall, tmp_path):
    system = hall.system
    client, listener = await hall.enter(hall.accounts[0])
    id = play(system, hall.channel, "jukebox", ogg.tone(tmp_path, 1000))
    came = await client.expect("VOICE_STATE_UPDATE", channel_id=hall.channel,
                               user_id=lambda user: user != hall.accounts[0].id)
    await listener.hear()
    system.admin_ok("DELETE", f"/admin/plays/{id}")
    await client.expect("VOICE_STATE_UPDATE", channel_id=None, user_id=came["user_id"])
    over = await until_over(system, id)
    assert over["state"] == "stopped" and over["packets"] < 1000


async def test_who_is_thrown_out_plays_no_more(hall, tmp_path):
    system = hall.system
    client, listener = await hall.enter(hall.accounts[0])
    id = play(system, hall.channel, "jukebox", ogg.tone(tmp_path, 1000))
    await listener.hear()
    system.admin_ok("PATCH", f"/admin/guilds/{hall.guild['id']}/members/jukebox", {"channel": None})
    over = await until_over(system, id)
    assert (over["state"], over["why"]) == ("failed", "he was taken out of the channel")


async def test_who_may_not_speak_is_said_to_be_muted_and_is_not_heard(hall, tmp_path):
    system = hall.system
    _, listener = await hall.enter(hall.accounts[0])
    id = play(system, hall.channel, "jukebox", ogg.tone(tmp_path, 1000))
    await listener.hear()
    system.admin_ok("PATCH", f"/admin/guilds/{hall.guild['id']}/members/jukebox", {"mute": True})
    await asyncio.to_thread(poll, lambda: system.admin_ok("GET", f"/admin/plays/{id}")["muted"], "it to be muted")
    await listener.heard()
    said = system.admin_ok("GET", f"/admin/plays/{id}")["packets"]
    await asyncio.to_thread(poll, lambda: system.admin_ok("GET", f"/admin/plays/{id}")["packets"] > said + 20, "more of it")
    assert not await listener.heard()
    system.admin_ok("DELETE", f"/admin/plays/{id}")
    assert (await until_over(system, id))["state"] == "stopped"


async def test_who_may_not_join_does_not_play(hall, tmp_path):
    system = hall.system
    path = f"/admin/guilds/{hall.guild['id']}/channels/{hall.channel}/roles/@everyone"
    system.admin_ok("PUT", path, {"allow": [], "deny": ["CONNECT"]})
    over = await until_over(system, play(system, hall.channel, "jukebox", ogg.tone(tmp_path, 10)))
    assert (over["state"], over["why"]) == ("failed", "the account may not join that channel now")


async def test_nothing_of_what_is_said_or_of_who_may_stands_in_a_log(hall):
    system = hall.system
    words = b"\xf8 what nobody but those in the channel shall hear"
    id = system.admin_ok("POST", f"/admin/channels/{hall.channel}/recordings")["id"]
    _, voice = await hall.enter(hall.accounts[0])
    assert (await until_over(system, play(system, hall.channel, "jukebox", [words] * 5)))["state"] == "played"
    voice.say(words)
    await voice.fence()
    system.admin_ok("POST", f"/admin/recordings/{id}/stop")
    assert recorded(system, id, hall.accounts[0].id).count(words[1:]) == 1
    node = system.services["node-1"]
    node.proc.send_signal(signal.SIGUSR1)
    await asyncio.to_thread(poll, lambda: b" bytes\n  recording " in node.log.read_bytes(), "a dump")
    for name, service in system.services.items():
        log = service.log.read_bytes()
        assert words[2:] not in log and voice.grant["token"].encode() not in log, name
