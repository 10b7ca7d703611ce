"""Voice tokens: one row per voice state, which is there while that state has a server and names everything that a voice
node compares, and which is gone before anybody hears that the state is."""
import pytest
import pytest_asyncio

import calls
from bus import redis_of, unpack


@pytest.fixture(scope="module")
def redis(system):
    with redis_of(system) as connection:
        yield connection


@pytest_asyncio.fixture
async def pair(world):
    """Two users with a DM and a group, both logged in: (a, b, dm, group)."""
    ann, bob = world.users("ann", "bob")
    dm, group = world.dm(ann, bob), world.group(ann, bob)
    return await world.login(ann), await world.login(bob), dm, group


def row(redis, channel, session):
    """What a voice node finds for somebody who identifies with this channel and session; None: nothing."""
    raw = redis.get(f"{{{channel}}}:t:{session}")
    return unpack(raw, "voice_token") if raw else None


def checks(redis, client, server):
    """A voice node would let in who shows what he was told."""
    kept = row(redis, server["channel_id"], client.session_id)
    assert kept is not None, "no row"
    node = kept.pop("node")
    channel = int(server["channel_id"])
    assert kept == {"token": server["token"], "user": int(client.id), "session": client.session_id, "server": channel,
                    "channel": channel}
    assert node
    return server["token"]


async def test_who_leaves_takes_his_token_with_him(redis, pair):
    a, b, dm, _ = pair
    call = await calls.start(a, b, channel=dm)
    await calls.join(b, a, call=call)
    tokens = {checks(redis, client, server) for client, server in call.servers.items()}
    assert len(tokens) == 2
    await calls.leave(b, a)
    assert row(redis, dm, b.session_id) is None
    checks(redis, a, call.servers[a])
    await calls.leave_last(a, b, call=call)
    assert row(redis, dm, a.session_id) is None


async def test_coming_back_is_another_token(redis, pair):
    a, b, dm, _ = pair
    call = await calls.start(a, b, channel=dm)
    await calls.join(b, a, call=call)
    before = call.servers[b]["token"]
    await calls.leave(b, a)
    await calls.join(b, a, call=call, first_time=False)
    assert checks(redis, b, call.servers[b]) != before


async def test_moving_voids_the_token_of_the_place_left(redis, pair):
    a, b, dm, group = pair
    call = await calls.start(a, b, channel=dm)
    before = checks(redis, a, call.servers[a])
    await a.join(group)
    await b.expect("CALL_CREATE", channel_id=group)
    assert row(redis, dm, a.session_id) is None
    server = await a.expect("VOICE_SERVER_UPDATE", channel_id=group)
    assert checks(redis, a, server) != before


async def test_a_second_client_that_takes_over_voids_the_first_ones(redis, world, pair):
    a, b, dm, _ = pair
    call = await calls.start(a, b, channel=dm)
    again = await world.login(a.account)
    await again.join(dm)
    for client in (a, b, again):
        await client.expect("VOICE_STATE_UPDATE", session_id=again.session_id)
    assert row(redis, dm, a.session_id) is None
    server = await again.expect("VOICE_SERVER_UPDATE", channel_id=dm)
    assert checks(redis, again, server) != call.servers[a]["token"]


async def test_the_end_of_a_session_voids_its_token(redis, pair):
    a, b, dm, _ = pair
    call = await calls.start(a, b, channel=dm)
    await calls.join(b, a, call=call)
    await a.close(1000)
    await calls.left(b, a)
    assert row(redis, dm, a.session_id) is None
    checks(redis, b, call.servers[b])


async def test_who_is_removed_from_a_group_cannot_use_his(redis, pair):
    a, b, _, group = pair
    call = await calls.start(b, a, channel=group)
    checks(redis, b, call.servers[b])
    (await a.rest.delete(f"/channels/{group}/recipients/{b.id}")).ok(204)
    await b.expect("CHANNEL_DELETE", id=group)
    assert row(redis, group, b.session_id) is None


async def test_another_region_is_another_token(redis, pair):
    a, b, dm, _ = pair
    call = await calls.start(a, b, channel=dm)
    before = checks(redis, a, call.servers[a])
    regions = [region["id"] for region in (await a.rest.get("/voice/regions")).ok()]
    other = next(region for region in regions if region != call.region)
    (await a.rest.patch(f"/channels/{dm}/call", {"region": other})).ok(204)
    server = await a.expect("VOICE_SERVER_UPDATE", channel_id=dm)
    assert checks(redis, a, server) != before


async def test_asking_again_is_another_token(redis, pair):
    a, b, dm, _ = pair
    call = await calls.start(a, b, channel=dm)
    before = checks(redis, a, call.servers[a])
    await a.join(dm)                    # as libraries do when their voice server hung up
    server = await a.expect("VOICE_SERVER_UPDATE", channel_id=dm)
    assert checks(redis, a, server) != before
