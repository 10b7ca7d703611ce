"""What ends by itself: a ring that nobody answers, and a session that never resumes.
Both times are set short here; the tests wait for the events, not for the time."""
import calls

SYSTEM = {"env": {"call-manager": {"SB_RING_MS": "1500", "SB_RESUME_WINDOW_MS": "1500"},
                  "gateway": {"SB_RESUME_WINDOW_MS": "1500"}}}


async def test_a_ring_times_out_and_the_call_goes_on(world):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, b = await world.login(ann), await world.login(bob)
    call = await calls.start(a, b, channel=channel)
    await a.rest.ring(channel)
    for client in (a, b):
        await calls.ringing(client, channel, [bob])
    for client in (a, b):
        await calls.ringing(client, channel, [])
    await calls.join(b, a, call=call)
    await calls.leave(b, a)
    await calls.leave_last(a, b, call=call)


async def test_an_answered_ring_does_not_time_out_later(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    channel = world.group(ann, bob, cat)
    a, b, c = [await world.login(who) for who in (ann, bob, cat)]
    call = await calls.start(a, b, c, channel=channel)
    await a.rest.ring(channel, [bob.id])
    for client in (a, b, c):
        await calls.ringing(client, channel, [bob])
    await calls.join(b, a, c, call=call, rung=[])
    await a.rest.ring(channel, [cat.id])
    for client in (a, b, c):
        await calls.ringing(client, channel, [cat])
    for client in (a, b, c):                    # the first ring's time is over before the second's
        await calls.ringing(client, channel, [])


async def test_the_time_of_a_ring_survives_the_call_manager(world, system):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, b = await world.login(ann), await world.login(bob)
    await calls.start(a, b, channel=channel)
    await a.rest.ring(channel)
    for client in (a, b):
        await calls.ringing(client, channel, [bob])
    system.kill("call-manager")
    system.start("call-manager")
    for client in (a, b):
        await calls.ringing(client, channel, [])


async def test_a_session_that_never_resumes_leaves_its_call_and_cannot_come_back(world):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, b = await world.login(ann), await world.login(bob)
    call = await calls.start(a, b, channel=channel)
    await a.abort()
    await calls.left(b, a)
    await calls.ended(b, call=call)
    await a.connect()
    await a.hello()
    await a.send_resume()
    assert await a.invalidated() is False
