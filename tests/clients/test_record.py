"""What a real library plays is recorded packet for packet, and a file that is played is heard by one as it is."""
import ogg
from hall import ask, play, recorded, until_nodes_record
from harness import poll
from media_peer import SILENCE
from peers import Venue, frames, joined, say_all, speaking

FRAMES = 500
BEFORE = 100    # frames of silence: who speaks is known by another way than his packets take, and the first may come too early


class Speaker:
    """Somebody without a client, for those who ask what was heard of him."""

    def __init__(self, id):
        self.account = {"id": id}


def test_what_discord_js_plays_is_recorded_with_the_pause_in_it(cast, system, tmp_path):
    venue = Venue(system, "dj", "listener")
    dj, listener = cast.enter(*(("discord.js", bot) for bot in venue.bots))
    until_nodes_record(system, venue.channels[0])
    id = system.admin_ok("POST", f"/admin/channels/{venue.channels[0]}/recordings")["id"]
    joined(venue.channels[0], dj, listener, guild=venue.id)
    speaking(dj, to=[listener])
    first, second = frames("first", FRAMES), frames("second", FRAMES // 2)
    say_all({dj: first}, [listener])
    dj.tell("hush")
    poll(lambda: system.admin_ok("GET", f"/admin/recordings/{id}")["silent_seconds"] > 1, "a pause")
    speaking(dj, to=[listener])
    say_all({dj: second}, [listener])
    assert listener.heard_of(dj) == first + second
    shown = system.admin_ok("POST", f"/admin/recordings/{id}/stop")
    assert [speaker["user_id"] for speaker in shown["speakers"]] == [dj.account["id"]]
    data = recorded(system, id, dj.account["id"])
    file = ogg.Ogg(data)
    said = file.said()
    assert [packet for _, packet in said] == first + second
    pause = (said[FRAMES][0] - said[FRAMES - 1][0]) / ogg.HZ
    assert pause > 1, f"{pause} s of silence where there was more than a second"
    assert abs(file.length / ogg.HZ - shown["seconds"]) < 0.002
    status = ask(system, "DELETE", f"/admin/recordings/{id}")[0]
    assert status == 204
    print(f"{len(said)} packets in {file.length / ogg.HZ:.2f} s, a pause of {pause:.2f} s between them")


def test_a_file_is_heard_by_discord_js_and_discord_py_as_it_is(cast, system):
    venue = Venue(system, "js", "py")
    peers = cast.enter(*zip(["discord.js", "discord.py"], venue.bots))
    joined(venue.channels[0], *peers, guild=venue.id)
    payloads = frames("file", FRAMES)
    id = play(system, venue.channels[0], "jukebox", [SILENCE] * BEFORE + payloads)
    over = poll(lambda: (shown := system.admin_ok("GET", f"/admin/plays/{id}"))["over"] and shown, "all to be said", 60)
    assert (over["state"], over["packets"]) == ("played", BEFORE + FRAMES), over
    speaker = Speaker(over["user_id"])
    for peer in peers:
        peer.until_count(speaker, FRAMES)
        assert peer.heard_of(speaker) == payloads, f"{peer} heard {len(peer.heard_of(speaker))}"
        assert not peer.troubles()
