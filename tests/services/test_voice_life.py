"""Where calls live, the whole chain: voice nodes, region allocator and call manager as they are. A node that is killed,
started again, drained with and without another; clients whose voice connection is gone."""
import asyncio
import contextlib
import time

import pytest
from bus import poll
from chain_house import ChainHouse
from voice_client import Closed, VoiceClient


BRIEF = {"node_lease_ms": 2000}         # where a node is killed: as it is by default; one that is but slow is lost as well


@pytest.fixture
def chain():
    with contextlib.ExitStack() as built:
        def build(*nodes, **env):
            house = ChainHouse(*nodes, **env)
            built.callback(house.close)
            return house
        yield build


class Rooms:
    """Private calls of two, and channels of a guild with so many in each; all of them have been told of a server."""

    def __init__(self, house, calls, channels, crowd):
        self.house, self.seats = house, []  # (place, channel, user)
        for _ in range(calls):
            users = house.users(2)
            place = house.channel(*users)
            self.seats += [(place, place, user) for user in users]
        users = house.users(channels * crowd)
        self.guild = house.guild(*users) if users else 0
        for i in range(channels):
            channel = house.voice_channel(self.guild)
            self.seats += [(self.guild, channel, user) for user in users[i * crowd:(i + 1) * crowd]]
        for place, channel, user in self.seats:
            assert house.sit(place if place != channel else 0, user, channel) == 0

    def told(self):
        """{user: endpoints that he was told of}, from each log once."""
        found = {user: [] for _, _, user in self.seats}
        for place in {place for place, _, _ in self.seats}:
            for name, event, body in self.house.log(place):
                if name == "VOICE_SERVER_UPDATE" and event["user"] in found:
                    found[event["user"]].append(body["endpoint"])
        return found

    def wait(self, node):
        end = self.house.endpoint(node) if node else None
        poll(lambda: all(ends and ends[-1] == end for ends in self.told().values()),
             f"all to be told of {node or 'none'}", 60)

    def all_sit(self):
        for place, channel, user in self.seats:
            if place == channel:
                assert user in self.house.seats(place)
            else:
                assert self.house.sits(place, user) == channel


def ends(house, *nodes):
    return [node and house.endpoint(node) for node in nodes]


def test_all_rooms_of_a_killed_node_are_on_another(chain):
    house = chain("a", **BRIEF)
    rooms = Rooms(house, calls=60, channels=6, crowd=25)
    rooms.wait("a")
    house.begin_node("b")
    begun = time.monotonic()
    house.system.kill("a")
    rooms.wait("b")
    print(f"\n{len(rooms.seats)} seats in 66 rooms told of another node {time.monotonic() - begun:.2f} s after kill -9")
    a, b = ends(house, "a", "b")
    for told in rooms.told().values():  # of a crowd those whose turn comes when there is another hear of that alone
        moved = told.index(b)
        assert a in told[:moved] and {*told[:moved]} <= {a, None} and a not in told[moved:] and told[-1] == b, told
    for place, channel, user in rooms.seats:
        assert place != channel or house.servers(place, user)[1] is None
    rooms.all_sit()


def test_a_killed_node_without_another_is_null_until_there_is_one(chain):
    house = chain("a", **BRIEF)
    rooms = Rooms(house, calls=3, channels=2, crowd=3)
    rooms.wait("a")
    house.system.kill("a")
    rooms.wait(None)
    house.begin_node("b")
    rooms.wait("b")
    rooms.all_sit()


def test_a_node_that_was_started_again_has_its_rooms_told_so(chain):
    house = chain("a")
    rooms = Rooms(house, calls=3, channels=2, crowd=3)
    rooms.wait("a")
    house.system.kill("a")
    house.begin_node("a")
    poll(lambda: all(told[-1] and len(told) >= 2 for told in rooms.told().values()), "all to be told anew")
    rooms.all_sit()


async def in_thread(fn, *args, **more):
    return await asyncio.to_thread(lambda: fn(*args, **more))


async def test_a_drained_node_moves_its_rooms_without_a_null_and_ends(chain):
    house = chain("a", SB_DRAIN_MS="20000")
    rooms = Rooms(house, calls=10, channels=2, crowd=25)
    await in_thread(rooms.wait, "a")
    place, channel, user = rooms.seats[0]
    call = house.call(place)["id"]
    async with VoiceClient(house.url("a")) as client:
        await client.join(await in_thread(house.grant, place, user, "a"))
        await in_thread(house.begin_node, "b")
        house.drain("a")
        await in_thread(rooms.wait, "b")
        assert await client.closed() == 4022  # he has been told of the other
    await in_thread(house.wait_end, "a")
    for told in rooms.told().values():
        assert told == ends(house, "a", "b"), told
    rooms.all_sit()
    assert house.call(place)["id"] == call


async def test_a_node_that_drains_serves_what_has_nowhere_to_go_until_there_is_another(chain):
    house = chain("a", node_lease_ms=8000, SB_DRAIN_MS="60000")  # for as long it is not sure of what there was before it
    rooms = Rooms(house, calls=1, channels=1, crowd=2)
    await in_thread(rooms.wait, "a")
    place, channel, user = rooms.seats[-1]
    async with VoiceClient(house.url("a")) as client:
        await client.join(await in_thread(house.grant, place, user, "a"))
        house.drain("a")
        log = house.system.services["region-allocator"].log
        await in_thread(poll, lambda: "event=node.draining" in log.read_text(), "the allocator to know")
        # Somebody comes to the channel: to where it lives.
        ben = house.user()
        house.member(rooms.guild, ben)
        assert await in_thread(house.sit, rooms.guild, ben, channel) == 0
        async with VoiceClient(house.url("a")) as another:
            await another.join(await in_thread(house.grant, rooms.guild, ben, "a"))
            another.say(b"still here")
            assert (await client.hear(another.ssrc)).payload == b"still here"
            for told in rooms.told().values():
                assert told == ends(house, "a")
            await in_thread(house.begin_node, "b", SB_DRAIN_MS="200")
            await in_thread(rooms.wait, "b")
            assert await client.closed() == await another.closed() == 4022
    await in_thread(house.wait_end, "a")
    rooms.all_sit()


async def test_who_asks_again_after_his_voice_connection_broke_gets_a_fresh_token_of_the_same_node(chain):
    house = chain("a")
    rooms = Rooms(house, calls=1, channels=1, crowd=1)
    await in_thread(rooms.wait, "a")
    for place, channel, user in (rooms.seats[0], rooms.seats[-1]):
        old = await in_thread(house.grant, place, user, "a")
        async with VoiceClient(house.url("a")) as client:
            await client.join(old)
            await client.lose()
        before = len(house.servers(place, user))
        assert await in_thread(house.sit, place if place != channel else 0, user, channel) == 0
        new = await in_thread(house.grant, place, user, "a", before)
        assert new["token"] != old["token"]
        async with VoiceClient(house.url("a")) as client:
            await client.join(new)
        async with VoiceClient(house.url("a")) as client:
            with pytest.raises(Closed) as refused:
                await client.identify(old)
            assert refused.value.code in (4004, 4006)


async def test_who_does_not_come_back_is_taken_out_of_his_channel(chain):
    house = chain("a", SB_VOICE_RESUME_MS="300", SB_VOICE_GRACE_MS="700")
    rooms = Rooms(house, calls=1, channels=1, crowd=2)
    await in_thread(rooms.wait, "a")
    for place, channel, user in (rooms.seats[0], rooms.seats[-1]):
        async with VoiceClient(house.url("a")) as client:
            await client.join(await in_thread(house.grant, place, user, "a"))
            await client.lose()
        gone = lambda: house.states(place)[-1] == (user, False)
        await in_thread(poll, gone, "him to be taken out")
        await in_thread(poll, lambda: house.location(user)["place"] == 0, "his place to be forgotten")
    others = [(place, user) for place, _, user in rooms.seats[1:-1]]
    assert all(user in house.seats(p) or house.sits(p, user) for p, user in others)  # who never came is left alone


def test_a_seat_goes_only_where_and_of_whom_it_was(chain):
    house = chain("a")
    rooms = Rooms(house, calls=1, channels=2, crowd=1)
    rooms.wait("a")
    for place, channel, user in rooms.seats:
        other = next(c for _, c, _ in rooms.seats if c != channel)
        right = {"user": user, "session": f"session{user}", "server": place, "channel": channel, "node": "a"}
        for wrong in ({"node": "b"}, {"session": "another"}, {"channel": other}, {"server": other, "channel": other}):
            house.ask("voice_gone", **right | wrong)
        rooms.all_sit()
    for place, channel, user in rooms.seats:
        right = {"user": user, "session": f"session{user}", "server": place, "channel": channel, "node": "a"}
        assert house.ask("voice_gone", **right) == 0
        assert house.ask("voice_gone", **right) == 0  # nothing is left to be done
        assert house.location(user)["place"] == 0
        assert user not in house.seats(place) and house.seat(place, user) is None


def test_a_node_announces_what_it_has(chain):
    house = chain("a", node_lease_ms=8000)
    assert house.metric("region-allocator", "nodes") == 1
    house.begin_node("b")
    assert house.metric("region-allocator", "nodes") == 2
    house.system.terminate("b")
    poll(lambda: house.metric("region-allocator", "nodes") == 1, "it to be lost")
