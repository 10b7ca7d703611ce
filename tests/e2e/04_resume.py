"""A client whose socket dies resumes its session: it misses nothing and gets nothing twice.
The client's own check of the sequence numbers runs through all of it, over both sockets."""
import pytest

import calls
from client import AMBIENT

BOTH = pytest.mark.parametrize("compress", [None, "zlib-stream"], ids=["plain", "zlib"])


def names(events):
    return [event.t for event in events if event.t not in AMBIENT]


def payloads(events):
    return [(event.t, event.d) for event in events if event.t not in AMBIENT]


async def call_of_a(world, compress=None):
    """A is in a call in a DM with B: (a, b, call)."""
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, b = await world.login(ann, compress=compress), await world.login(bob)
    return a, b, await calls.start(a, b, channel=channel)


@BOTH
async def test_a_client_that_dies_in_a_call_gets_what_it_missed_in_order_and_then_resumed(world, compress):
    a, b, call = await call_of_a(world, compress)
    await a.abort()
    mark = b.cursor
    await b.join(call.channel)
    await b.sequence("MESSAGE_UPDATE", "VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE")
    await b.join(call.channel, mute=True)
    await b.next("VOICE_STATE_UPDATE", self_mute=True)
    await b.rest.say(call.channel, "are you there?")
    await b.next("MESSAGE_CREATE", content="are you there?")
    missed = await a.reconnect_and_resume()
    seen_by_b = [(t, d) for t, d in payloads(b.events[mark:b.cursor]) if t != "VOICE_SERVER_UPDATE"]
    assert payloads(missed) == seen_by_b
    await b.quiet_until_message(call.channel)
    await a.next("MESSAGE_CREATE", content="marker")


@BOTH
async def test_the_resumed_session_still_owns_its_voice_state(world, compress):
    a, b, call = await call_of_a(world, compress)
    await a.abort()
    await a.reconnect_and_resume()
    await a.join(call.channel, mute=True)
    for client in (a, b):
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, session_id=a.session_id, self_mute=True)
    await calls.leave_last(a, b, call=call)


async def test_resuming_with_nothing_missed_replays_nothing(world):
    a, b, call = await call_of_a(world)
    await a.abort()
    assert names(await a.reconnect_and_resume()) == []


@BOTH
async def test_events_that_were_lost_on_the_way_are_sent_again_as_they_were(world, compress):
    a, b, call = await call_of_a(world, compress)
    before = {event.s: event for event in a.events}
    last = a.seq
    await a.abort()
    again = await a.reconnect_and_resume(seq=last - 3)
    assert [event.s for event in again] == [last - 2, last - 1, last]
    assert again == [before[event.s] for event in again]


async def test_a_session_can_be_resumed_from_its_very_beginning(world):
    a, b, call = await call_of_a(world)
    before = list(a.events)
    await a.abort()
    assert await a.reconnect_and_resume(seq=1) == before[1:]


async def test_a_session_survives_dying_again_and_again(world):
    a, b, call = await call_of_a(world)
    for round_ in range(5):
        await a.abort()
        await b.rest.say(call.channel, f"missed {round_}")
        assert [d["content"] for t, d in payloads(await a.reconnect_and_resume())] == [f"missed {round_}"]
        await b.rest.say(call.channel, f"seen {round_}")
        await a.next("MESSAGE_CREATE", content=f"seen {round_}")


async def test_the_compression_may_differ_on_the_new_socket(world):
    a, b, call = await call_of_a(world)
    for compress in ("zlib-stream", None):
        await a.abort()
        a.compress = compress
        await b.rest.say(call.channel, "hello")
        assert names(await a.reconnect_and_resume()) == ["MESSAGE_CREATE"]


async def test_a_call_that_ended_meanwhile_is_told_in_the_replay(world):
    a, b, call = await call_of_a(world)
    await calls.join(b, a, call=call)
    await b.abort()
    await calls.leave(a)
    missed = await b.reconnect_and_resume()
    assert names(missed) == ["VOICE_STATE_UPDATE"]
    await calls.leave(b, a)
    await calls.ended(a, b, call=call)


async def test_what_arrives_during_the_resume_comes_once_and_in_order(world):
    a, b, call = await call_of_a(world)
    await a.abort()
    said = [f"line {number}" for number in range(30)]
    for line in said[:10]:
        await b.rest.say(call.channel, line)
    await a.connect()
    await a.hello()
    await a.send_resume()
    for line in said[10:]:
        await b.rest.say(call.channel, line)
    await b.expect("MESSAGE_CREATE", content=said[-1])
    await a.expect("MESSAGE_CREATE", content=said[-1])
    heard = [event.d["content"] for event in a.events if event.t == "MESSAGE_CREATE" and event.d["type"] == 0]
    assert heard == said


async def test_resuming_takes_over_from_a_socket_that_still_hangs_on(world):
    a, b, call = await call_of_a(world)
    anew = world.client(a.account)
    await anew.connect()
    await anew.hello()
    await anew.send_resume(session_id=a.session_id, seq=a.seq)
    await anew.expect("RESUMED")
    await b.rest.say(call.channel, "to one of you")
    await anew.next("MESSAGE_CREATE", content="to one of you")
    await a.closes_with(*range(1000, 1016), *range(4000, 4016))
    assert "to one of you" not in [event.d.get("content") for event in a.events]


async def test_an_unknown_session_is_invalid_and_the_socket_can_identify(world):
    client = await world.connect(world.user())
    await client.send_resume(session_id="0" * 32, seq=5)
    assert await client.invalidated() is False
    await client.identify()
    await client.heartbeat()


async def test_a_session_closed_properly_is_invalid(world):
    client = await world.login(world.user())
    await client.close(1000)
    await client.connect()
    await client.hello()
    await client.send_resume()
    assert await client.invalidated() is False


async def test_somebody_elses_session_cannot_be_resumed_and_is_not_harmed(world):
    a, b, call = await call_of_a(world)
    eve = await world.connect(world.user("eve"))
    await eve.send_resume(session_id=a.session_id, seq=1)
    assert await eve.invalidated() is False
    await calls.leave_last(a, b, call=call)
    await eve.identify()
    assert names(eve.events) == ["READY", "READY_SUPPLEMENTAL"]


@pytest.mark.parametrize("token", ["", "nonsense"])
async def test_resuming_with_a_bad_token_is_refused(world, token):
    client = await world.login(world.user())
    await client.abort()
    thief = world.client(client.account)
    await thief.connect()
    await thief.hello()
    await thief.send(6, {"token": token, "session_id": client.session_id, "seq": 1})
    assert await thief.rejected() in (9, 4004)
    assert not thief.events
    assert await client.reconnect_and_resume() == []


async def test_a_sequence_number_that_was_never_sent_closes_with_4007(world):
    client = await world.login(world.user())
    seq = client.seq
    await client.abort()
    await client.connect()
    await client.hello()
    await client.send_resume(seq=seq + 100)
    await client.closes_with(4007)


async def test_the_resume_url_of_ready_takes_the_session_back(world):
    a, b, call = await call_of_a(world)
    await a.abort()
    a.url = a.ready["resume_gateway_url"].rstrip("/")
    await b.rest.say(call.channel, "over there")
    assert names(await a.reconnect_and_resume()) == ["MESSAGE_CREATE"]


async def test_a_bot_resumes_too(world):
    owner, bot = world.user("owner"), world.bot()
    world.guild(owner, bot)
    client = await world.login(bot)
    assert client.seq == 2
    await client.abort()
    assert names(await client.reconnect_and_resume(seq=1)) == ["GUILD_CREATE"]
