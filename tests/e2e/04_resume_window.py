"""A session that resumes in time is not ended later: the window is short here, and long enough for a resume."""
import calls

WINDOW_MS = 6000
SYSTEM = {"env": {"*": {"SB_RESUME_WINDOW_MS": WINDOW_MS}}}


async def test_a_session_that_resumes_in_time_stays_beyond_the_window(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    channel, other = world.dm(ann, bob), world.dm(bob, cat)
    a, b = await world.login(ann), await world.login(bob)
    call = await calls.start(a, b, channel=channel)
    await a.abort()
    await a.reconnect_and_resume()
    # somebody else's session that is lost now runs out later than the first one's would have
    c = await world.login(cat)
    elsewhere = await calls.start(c, b, channel=other)
    await c.abort()
    await calls.left(b, c)
    await calls.ended(b, call=elsewhere)
    await calls.leave_last(a, b, call=call)
