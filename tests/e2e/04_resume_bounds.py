"""What a session may miss is bounded: past the bound it is invalid, and says so instead of leaving a gap."""

BOUND = 64
SYSTEM = {"env": {"gateway": {"SB_REPLAY_EVENTS": str(BOUND)}}}


async def lost_client_and_messages(world, count):
    """A client whose socket is lost while `count` messages come for it."""
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    client = await world.login(ann)
    await client.abort()
    for number in range(count):
        await world.rest(bob).say(channel, f"line {number}")
    return client


async def test_a_client_that_missed_less_than_the_bound_gets_all_of_it(world):
    client = await lost_client_and_messages(world, BOUND // 2)
    missed = await client.reconnect_and_resume()
    assert [event.d["content"] for event in missed] == [f"line {number}" for number in range(BOUND // 2)]


async def test_a_client_that_missed_more_than_the_bound_has_to_start_anew(world):
    client = await lost_client_and_messages(world, BOUND * 2)
    await client.connect()
    await client.hello()
    await client.send_resume()
    assert await client.invalidated() is False
    await client.identify()
