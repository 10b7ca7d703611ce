"""A session outlives its gateway: its client resumes it on another one, whatever became of the first.
Two gateways; the client's own check of the sequence numbers runs through all sockets."""
import asyncio

import pytest

import calls
from bus import metrics_of
from client import AMBIENT, Rest
from gateway_house import until

WINDOW_MS = "8000"      # in which a gateway is started, and more happens
SYSTEM = {"instances": {"gateway": 2},
          "env": {"call-manager": {"SB_RESUME_WINDOW_MS": WINDOW_MS}, "gateway": {"SB_RESUME_WINDOW_MS": WINDOW_MS}}}
A, B = "gateway", "gateway-2"


@pytest.fixture(autouse=True)
def both(system):
    """Both gateways run again when a test is over."""
    yield
    system.start_all()


def go_to(client, system, name):
    client.url = system.gateway_url_of(name)
    client.rest = Rest(client.http, system.api_base_of(name), client.account)


async def login_at(world, account, name):
    client = world.client(account)
    go_to(client, world.system, name)
    await client.connect()
    client.gateway = (await client.hello())["d"]["_trace"][0]
    await client.identify()
    return client


async def resume_at(client, system, name, seq=None):
    """Returns how many events the client had before."""
    had = len(client.events)
    go_to(client, system, name)
    await client.connect()
    await client.hello()
    await client.send_resume(seq=seq)
    await client.expect("RESUMED")
    return had


async def call_of_a(world):
    """A call in a DM: a, who sits at the first gateway, and b at the second."""
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, b = await login_at(world, ann, A), await login_at(world, bob, B)
    return a, b, await calls.start(a, b, channel=channel)


async def much_happens(b, call):
    """b joins, changes his flags, and talks. Returns where his events of that begin."""
    mark = b.cursor
    await b.join(call.channel)
    await b.sequence("MESSAGE_UPDATE", "VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE")
    await b.join(call.channel, mute=True)
    await b.next("VOICE_STATE_UPDATE", self_mute=True)
    for number in range(5):
        await b.rest.say(call.channel, f"line {number}")
        await b.next("MESSAGE_CREATE", content=f"line {number}")
    return mark


def told(events, *but):
    """What people said, and all the rest: each in its order. They come from two services, by ways of their own to each
    gateway."""
    all_of_it = [(e.t, e.d) for e in events if e.t not in AMBIENT and e.t not in ("RESUMED", *but)]
    said = [(t, d) for t, d in all_of_it if t == "MESSAGE_CREATE" and d["type"] == 0]
    return said, [event for event in all_of_it if event not in said]


async def missed_exactly(a, b, call, had, mark):
    """All that b saw since `mark` has come to a since `had`, once and in order; what follows comes, too."""
    await b.rest.say(call.channel, "marker")
    for client in (a, b):
        await client.expect("MESSAGE_CREATE", content="marker")
    assert told(a.events[had:]) == told(b.events[mark:b.cursor], "VOICE_SERVER_UPDATE")


async def swept(system, gateway):
    """What the call manager does to the voice states of a gateway that is gone is done."""
    log = system.services["call-manager"].log
    await until(lambda: f"gateway={gateway}" in "".join(
        line for line in log.read_text().splitlines() if "gateway.swept" in line), f"{gateway} to be swept", 30)


async def call_goes_on(world, a, b, call):
    """Nobody was told that a left; his voice state stands, is his to change, and ends with him."""
    await b.quiet_until_message(call.channel)
    await a.expect("MESSAGE_CREATE", content="marker", author=lambda user: user["id"] == b.id)
    late = await login_at(world, b.account, B)
    shown = await late.next("CALL_CREATE", channel_id=call.channel)
    assert {s["user_id"]: s["session_id"] for s in shown["voice_states"]} == {a.id: a.session_id, b.id: b.session_id}
    await a.join(call.channel, deaf=True)
    for client in (a, b, late):
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, session_id=a.session_id, self_deaf=True)
    await calls.leave(a, b, late)
    await calls.leave_last(b, a, late, call=call)


async def test_a_client_whose_socket_died_resumes_on_the_other_gateway(world, system):
    a, b, call = await call_of_a(world)
    await a.abort()
    mark = await much_happens(b, call)
    had = await resume_at(a, system, B)
    await missed_exactly(a, b, call, had, mark)
    await until(lambda: metrics_of(system, A)["sessions_lost"] >= 1, "the first gateway to let it go")
    await call_goes_on(world, a, b, call)


async def test_a_client_resumes_elsewhere_after_its_gateway_was_killed(world, system):
    a, b, call = await call_of_a(world)
    system.kill(A)
    await a.closed()
    mark = await much_happens(b, call)
    had = await resume_at(a, system, B)
    await missed_exactly(a, b, call, had, mark)
    await swept(system, a.gateway)
    await call_goes_on(world, a, b, call)


async def test_a_gateway_that_was_stopped_and_goes_on_neither_tells_nor_ends_anything(world, system):
    a, b, call = await call_of_a(world)
    lost = metrics_of(system, A)["sessions_lost"]
    with system.held(A):
        await b.rest.say(call.channel, "into the void")
        await b.next("MESSAGE_CREATE", content="into the void")
        await a.leave()                         # nobody reads that before the session is somebody else's
        mark = b.cursor - 1
        await a.abort()
        await much_happens(b, call)
        had = await resume_at(a, system, B)
        await missed_exactly(a, b, call, had, mark)
        await swept(system, a.gateway)
    await until(lambda: metrics_of(system, A)["sessions_lost"] > lost, "the first gateway to let it go")
    await call_goes_on(world, a, b, call)


async def test_a_gateway_that_is_told_to_stop_ends_no_session(world, system):
    a, b, call = await call_of_a(world)
    await asyncio.to_thread(system.terminate, A)
    await a.closes_with(4000)
    mark = await much_happens(b, call)
    had = await resume_at(a, system, B)
    await missed_exactly(a, b, call, had, mark)
    await swept(system, a.gateway)
    await call_goes_on(world, a, b, call)


async def test_a_successor_on_the_same_port_takes_the_sessions_of_a_killed_gateway(world, system):
    a, b, call = await call_of_a(world)
    service = system.services[A]
    system.kill(A)
    await a.closed()
    mark = await much_happens(b, call)
    service.env["SB_PORT"] = service.ports["public"]
    try:
        await asyncio.to_thread(system.start, A)
        had = await resume_at(a, system, A)
    finally:
        service.env["SB_PORT"] = "0"
    await missed_exactly(a, b, call, had, mark)
    await swept(system, a.gateway)
    await call_goes_on(world, a, b, call)


async def test_a_client_may_go_to_and_fro(world, system):
    a, b, call = await call_of_a(world)
    mark, had = b.cursor, len(a.events)
    for number in range(6):
        await a.abort()
        await b.rest.say(call.channel, f"missed {number}")
        await resume_at(a, system, (B, A)[number % 2])
        await b.rest.say(call.channel, f"seen {number}")
        await a.expect("MESSAGE_CREATE", content=f"seen {number}")
    await missed_exactly(a, b, call, had, mark)


async def test_what_is_said_right_behind_the_resume_waits_for_it(world, system):
    a, b, call = await call_of_a(world)
    await a.abort()
    go_to(a, system, B)
    await a.connect()
    await a.hello()
    await a.send_resume()
    await a.join(call.channel, mute=True)
    await a.heartbeat()
    await a.expect("RESUMED")
    for client in (a, b):
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, self_mute=True)
    await calls.leave_last(a, b, call=call)


async def test_a_session_taken_over_while_its_socket_still_hangs_on_is_told_there_no_more(world, system):
    a, b, call = await call_of_a(world)
    anew = world.client(a.account)
    go_to(anew, system, B)
    await anew.connect()
    await anew.hello()
    await anew.send_resume(session_id=a.session_id, seq=a.seq)
    await anew.expect("RESUMED")
    await b.rest.say(call.channel, "to one of you")
    await anew.next("MESSAGE_CREATE", content="to one of you")
    await a.closes_with(4000)
    assert "to one of you" not in [event.d.get("content") for event in a.events]


async def test_what_was_closed_for_good_is_over_everywhere(world, system):
    a, b, call = await call_of_a(world)
    await a.close()
    await b.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=None)
    go_to(a, system, B)
    await a.connect()
    await a.hello()
    await a.send_resume()
    assert await a.invalidated() is False
    await a.identify()


async def test_somebody_elses_session_is_not_to_be_had_on_another_gateway(world, system):
    a, b, call = await call_of_a(world)
    eve = world.client(world.user("eve"))
    go_to(eve, system, B)
    await eve.connect()
    await eve.hello()
    await eve.send_resume(session_id=a.session_id, seq=a.seq)
    assert await eve.invalidated() is False
    await calls.leave_last(a, b, call=call)


@pytest.mark.parametrize("revoke", [False, True], ids=["never-sent", "revoked"])
async def test_a_number_never_sent_and_a_revoked_token_are_refused_elsewhere(world, system, revoke):
    a, b, call = await call_of_a(world)
    await a.abort()
    go_to(a, system, B)
    if revoke:
        system.admin_ok("DELETE", f"/admin/users/{a.id}/tokens")
    await a.connect()
    await a.hello()
    await a.send_resume(seq=None if revoke else a.seq + 100)
    assert await a.rejected() == (9 if revoke else 4007)


async def test_what_is_not_kept_any_more_ends_the_session(world, system):
    a, b, call = await call_of_a(world)
    await a.abort()
    go_to(a, system, B)
    await a.connect()
    await a.hello()
    await a.send_resume(seq=0)                  # READY is not kept
    assert await a.invalidated() is False
    await b.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=None)
    await a.identify()
