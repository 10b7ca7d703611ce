"""The gateway alone, with narrow bounds: sessions that end by themselves, clients that do not read, and its own end."""
import asyncio
import contextlib

import aiohttp
import pytest

from bus import now_ms
from client import Unexpected
from gateway_house import Clients, House, event, until

REPLAY_BYTES = 20_000
STARTS_MS = 5000        # in which a user may identify so often
ROUNDED_MS = 20         # of two clocks
ENV = {"SB_RESUME_WINDOW_MS": "400", "SB_SESSIONS_PER_USER": "2", "SB_REPLAY_BYTES": str(REPLAY_BYTES),
       "SB_SEND_QUEUE_BYTES": "65536", "SB_LOADS_MAX": "1", "SB_DEFLATE_BITS": "9",
       "SB_IDENTIFY_RATE": "5", "SB_TOKEN_MS": "60000", "SB_BALANCERS": "", "SB_CONNECTIONS_PER_ADDRESS": "40"}


async def test_a_session_that_nobody_resumes_ends_and_its_voice_with_it(house, clients):
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    client = await clients.login(ann)
    await client.join(str(place.ref))
    (await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(ann.id))).reply()
    assert place.listeners()
    await client.abort()
    end = await asyncio.to_thread(house.manager.take_command, "session_end", user=int(ann.id))
    assert end.fields["session"] == client.session_id
    end.reply()
    await until(lambda: not place.listeners(), "nobody to listen")
    await client.connect()
    await client.hello()
    await client.send_resume()
    assert await client.invalidated() is False


async def test_one_session_too_many_closes_with_4015(house, clients):
    ann = house.user("ann")
    await clients.login(ann)
    second = await clients.login(ann)
    third = await clients.connect(ann)
    await third.send(2, third.identification())
    await third.closes_with(4015)
    await second.close()
    await clients.login(ann)


async def again_and_again(client, says):
    """What a client says until it is closed; how often it was answered."""
    rounds = 0
    while client.close_code is None:
        try:
            await says()
            rounds += 1
            await asyncio.sleep(0.2)            # 120 frames a minute are what a client may send
        except (Unexpected, ConnectionError):
            await client.closed()               # meanwhile
    return rounds


async def test_who_does_not_identify_in_time_is_closed_with_4009():
    house = House(SB_IDENTIFY_MS="5000")
    clients = Clients(house)
    try:
        ann = house.user("ann")
        silent, beating, resuming = [await clients.connect(ann) for _ in range(3)]

        async def resumes_in_vain():
            await resuming.send_resume(token="nobody's", session_id="0" * 32, seq=1)
            assert await resuming.invalidated() is False

        rounds = await asyncio.gather(again_and_again(beating, beating.heartbeat),
                                      again_and_again(resuming, resumes_in_vain))
        assert min(rounds) >= 1
        for client in (silent, beating, resuming):
            await client.closes_with(4009)
        assert house.metrics()["sessions_timed_out"] == 3
    finally:
        await clients.close()
        house.close()


async def test_who_identifies_too_often_is_told_to_wait_and_keeps_his_socket(house, clients):
    async def one_time_too_many():
        """The client that is to wait; None when this took so long that there is nothing to wait for."""
        ann, begun = house.user("ann"), now_ms()
        for _ in range(5):
            await (await clients.login(ann)).close()
        client = await clients.connect(ann)
        await client.send(2, client.identification())
        await until(lambda: client.events or len(client.controls) > 1, "READY or a refusal")
        if client.events:
            assert now_ms() >= begun + STARTS_MS - ROUNDED_MS
            await client.close()
        return None if client.events else client

    before = house.metrics()["identifies_refused"]
    client = await one_time_too_many() or await one_time_too_many() or await one_time_too_many()
    assert client, "this test was held up three times"
    assert await client.invalidated() is False
    await client.heartbeat()
    await clients.login(house.user("ben"))
    assert house.metrics()["identifies_refused"] == before + 1


async def test_a_token_is_good_for_so_long_and_no_longer(house, clients):
    ann = house.user("ann")
    await clients.login(ann, token=house.token(ann.id, now_ms() - 50_000))
    for age_ms in (60_000, 61_000, 10 ** 10):
        late = await clients.connect(ann)
        await late.send(2, late.identification(token=house.token(ann.id, now_ms() - age_ms)))
        await late.closes_with(4004)
    late = await clients.connect(ann)
    await late.send_resume(token=house.token(ann.id, now_ms() - 61_000), session_id="0" * 32, seq=1)
    assert await late.invalidated() is False


async def test_one_address_has_only_so_many_sockets(house, clients):
    people = house.users(*[f"user{n}" for n in range(2)])
    held = [await clients.connect(people[0]) for _ in range(38)]    # and whatever else the test has open
    before = house.metrics()["connections_refused"]
    with pytest.raises(aiohttp.ClientError):
        for _ in range(40 - len(held) + 1):
            held.append(await clients.connect(people[0]))
    assert house.metrics()["connections_refused"] > before
    await asyncio.gather(*[client.close() for client in held if client.ws])
    await clients.login(people[1])


async def test_a_session_that_was_left_behind_makes_room_for_a_new_one(house, clients):
    ann = house.user("ann")
    await clients.login(ann)
    for _ in range(4):
        lost = await clients.login(ann)
        await lost.abort()


async def test_a_client_that_does_not_read_is_closed_and_harms_nobody(house, clients):
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    slow, good = await clients.login(ann), await clients.login(ben)
    before = house.metrics()["ws_slow_closed"]
    slow.ws._response.connection.transport.pause_reading()
    body = {"text": "x" * 15_000}
    sent = 0
    while house.metrics()["ws_slow_closed"] == before:
        place.commit(event("TEST", body))
        await good.next("TEST")
        sent += 1
        assert sent < 5000
    slow.ws._response.connection.transport.resume_reading()
    await slow.closes_with(4000, 1006)


async def test_many_log_in_at_once_though_one_is_loaded_at_a_time(house, clients):
    people = house.users(*[f"user{n}" for n in range(30)])
    await asyncio.gather(*[clients.login(person, compress=[None, "zlib-stream"][n % 2])
                           for n, person in enumerate(people)])


async def test_what_a_client_says_while_it_waits_for_its_resume_is_bounded(house, clients):
    async def floods(client):
        """4008; or 9, when the gateway had given Redis up before it had read all of this."""
        await client.connect()
        await client.hello()
        with house.system.held("redis"):
            with contextlib.suppress(ConnectionError):      # it is closed already
                await client.send_resume()
                for _ in range(5):                          # 64 KiB are kept
                    await client.send(3, {"pad": "x" * 14_000})
            end = await client.rejected()
        await until(lambda: house.ready() is None, "the gateway to have Redis again")
        return end

    before, ends = house.metrics()["client_floods"], []
    while len(ends) < 5 and 4008 not in ends:
        client = await clients.login(house.user("ann"))
        await client.abort()
        ends.append(await floods(client))
    assert ends[-1] == 4008 and {*ends} <= {9, 4008}, ends
    assert house.metrics()["client_floods"] == before + 1


async def test_on_term_clients_are_sent_elsewhere_and_the_process_ends_in_time(house, clients):
    ann, ben = house.users("ann", "ben")
    client, voiced = await clients.login(ann), await clients.login(ben)
    await voiced.join("1")                      # its command is not answered, ever
    command = await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(ben.id))
    fresh = await clients.connect(house.user("fresh"))
    ending = asyncio.create_task(asyncio.to_thread(house.system.terminate, "gateway"))
    for one in (client, voiced):
        await one.control(7)
        await one.closes_with(4000)
    await fresh.closes_with(4000)
    await ending
    assert command.fields["session"] == voiced.session_id
    house.system.start("gateway")
