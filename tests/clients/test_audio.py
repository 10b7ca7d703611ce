"""Real libraries hear each other over voice nodes of ours: what one plays another receives, payload for payload, in order
and without loss, whatever mode either has chosen."""
import pytest
from peers import ANSWER_S, FRAME_MS, Venue, compared, frames, joined, only_lost, say_all, speaking

AES, XCHACHA = "aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize"
FRAMES = 500
TRIES = 3


def all_heard(lines, *listeners, since=None):
    """Everybody of `listeners` heard just what each of {speaker: payloads} said, behind the first {(listener, speaker): n}."""
    troubles = [compared(listener, speaker, payloads, (since or {}).get((listener, speaker), 0))
                for speaker, payloads in lines.items() for listener in listeners if listener is not speaker]
    troubles += [f"{peer}: {event}" for peer in {*lines, *listeners} for event in peer.troubles()]
    assert not any(troubles), "\n".join(filter(None, troubles))


def test_a_bot_plays_and_another_bot_receives_the_same_in_either_mode(cast, system):
    """Two pairs at once, each in a channel of its own: they do not hear the others either."""
    venue = Venue(system, "dj", "listener", "dj2", "listener2")
    peers = cast.enter(*zip(["discord.js"] * 2 + ["discord.js without AES"] * 2, venue.bots))
    pairs = {AES: peers[:2], XCHACHA: peers[2:]}
    for channel, (mode, pair) in zip(venue.channels, pairs.items()):
        assert [each["mode"] for each in joined(channel, *pair, guild=venue.id)] == [mode] * 2
    speakers = {pair[0]: frames(mode, FRAMES) for mode, pair in pairs.items()}
    for dj, listener in pairs.values():
        speaking(dj, to=[listener])
    said = [(dj, dj.say(payloads)) for dj, payloads in speakers.items()]
    for dj, id in said:
        dj.answer(id)
    for (dj, listener), payloads in zip(pairs.values(), speakers.values()):
        say_all({dj: frames(f"{dj} again", 60)}, [listener])
        all_heard({dj: payloads + frames(f"{dj} again", 60)}, listener)
        assert set(listener.tell("counts")) == {dj.account["id"]}
        assert not dj.tell("counts")


def test_discord_py_and_discord_js_hear_each_other(cast, system):
    venue = Venue(system, "py", "js")
    peers = cast.enter(*zip(["discord.py", "discord.js"], venue.bots))
    assert [each["mode"] for each in joined(venue.channels[0], *peers, guild=venue.id)] == [XCHACHA, AES]
    speaking(*peers, to=peers)
    lines = {peer: frames(peer.library, FRAMES) for peer in peers}
    say_all(lines, peers)
    all_heard(lines, *peers)


def test_every_mode_is_heard_by_every_other_in_one_channel(cast, system):
    """Six libraries' ways of sealing in one room: each packet is opened once and sealed anew for each listener. Five speak
    to each, so that what a socket holds is full when its library does not read for a moment: what such a one misses then,
    and the kernel counts, is no fault of the node's, and all of them say something else."""
    kinds = {"discord.js": AES, "discord.js without AES": XCHACHA, "discord.py lite": "xsalsa20_poly1305_lite",
             "discord.py suffix": "xsalsa20_poly1305_suffix", "discord.py plain": "xsalsa20_poly1305",
             "eris": "xsalsa20_poly1305"}
    venue = Venue(system, *(f"bot{number}" for number in range(len(kinds))))
    peers = cast.enter(*zip(kinds, venue.bots))
    assert [each["mode"] for each in joined(venue.channels[0], *peers, guild=venue.id)] == list(kinds.values())
    speaking(*peers, to=peers)
    pairs = [(listener, speaker) for speaker in peers for listener in peers if listener is not speaker]
    for number in range(TRIES):
        lines = {peer: frames(f"{peer.library} {number}", FRAMES // 2) for peer in peers}
        since = {(listener, speaker): listener.count_of(speaker)[0] for listener, speaker in pairs}
        before = {peer: peer.drops() for peer in peers}
        say_all(lines, peers)
        wrong = [pair for pair in pairs if compared(*pair, lines[pair[1]], since[pair])]
        if not wrong or not all(listener.drops() > before[listener] and
                                only_lost(listener, speaker, lines[speaker], since[listener, speaker])
                                for listener, speaker in wrong):
            break
        print(f"said again, since these did not read: { {listener for listener, _ in wrong} }")
    all_heard(lines, *peers, since=since)


def test_a_private_call_of_two_users_has_sound_both_ways_and_ends_when_they_hang_up(cast, system):
    if not system.on_443:
        pytest.skip("the library dials port 443 of a voice node, which may not be bound here")
    channel = system.demo["dm_channel_id"]
    caller, callee = cast.enter(*(("discord.js-selfbot-v13", user) for user in system.demo["users"][:2]))
    joined(channel, caller)
    caller.tell("ring", channel=channel)
    callee.event("callUpdate", channel=channel, ringing=[callee.account["id"]])
    (there,) = joined(channel, callee)
    assert there["mode"] == AES
    callee.event("callUpdate", channel=channel, ringing=[])
    assert sorted(callee.tell("seen")["users"]) == sorted(peer.account["id"] for peer in (caller, callee))
    speaking(caller, callee, to=[caller, callee])
    lines = {peer: frames(peer.account["id"], FRAMES) for peer in (caller, callee)}
    say_all(lines, [caller, callee])
    all_heard(lines, caller, callee)
    # Whenever the library plays something it counts its packets from the first number again, with the same key: after a
    # pause, and when it leaves off for something else.
    caller.tell("hush")
    for more in (frames("another", 100), frames("something else", 100)):
        speaking(caller, to=[callee])
        say_all({caller: more}, [callee])
        lines[caller] += more
    all_heard({caller: lines[caller]}, callee)
    callee.tell("leave")
    caller.event("voiceStateUpdate", user=callee.account["id"], to=None)
    caller.tell("leave")
    for peer in (caller, callee):
        peer.event("callDelete", channel=channel)
    assert not caller.troubles() and not callee.troubles()


def test_who_is_moved_while_speaking_is_heard_in_the_new_channel_and_no_more_in_the_old(cast, system):
    venue = Venue(system, "moderator", "speaker", "elsewhere")
    here, there = venue.channels
    moderator, speaker, elsewhere = cast.enter(*(("discord.js", bot) for bot in venue.bots))
    joined(here, moderator, speaker, guild=venue.id)
    joined(there, elsewhere, guild=venue.id)
    speaking(speaker, to=[moderator])
    payloads = frames("moved", 2 * FRAMES)  # it goes on when he is there, though the way may be long on a busy machine
    saying = speaker.say(payloads)
    moderator.until_count(speaker, 100)
    moderator.tell("move", guild=venue.id, user=speaker.account["id"], channel=there)
    moved = moderator.event("state", user=speaker.account["id"], **{"from": here, "to": there})["at"]
    elsewhere.until_count(speaker, 100)
    speaker.answer(saying, ANSWER_S + 2 * FRAMES * FRAME_MS / 1000)
    elsewhere.until_silence(speaker)
    old, new = moderator.heard_of(speaker), elsewhere.heard_of(speaker)
    assert old == payloads[:len(old)] and len(old) >= 100
    assert new == payloads[len(payloads) - len(new):] and len(new) >= 100
    assert len(old) + len(new) <= len(payloads), "some was heard in both channels"
    last = moderator.heard()[speaker.account["id"]][-1][0]
    first = elsewhere.heard()[speaker.account["id"]][0][0]
    print(f"moved: last heard in the old channel {last - moved:+.0f} ms, first in the new one {first - moved:+.0f} ms from "
          f"when the move was seen; {len(payloads) - len(old) - len(new)} frames between them reached nobody")
    assert not moderator.troubles() and not elsewhere.troubles() and not speaker.troubles()


@pytest.fixture(autouse=True)
def quiet_end(system):
    """No voice node has said anything that its tests should see."""
    yield
    system.check_alive()
