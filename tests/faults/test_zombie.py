"""A process that was stopped for longer than its leases, in the middle of its work, and goes on: whatever it had in hand is
void. Each is caught at its write; meanwhile whoever had asked was told that it failed, or was served by somebody else."""
import asyncio
import json
import secrets
import signal
import threading

import aiohttp
import pytest
from bus import BusPeer, alone, live_instances, metrics_of, redis_of, unpack
from call_house import about, houses
from harness import System, poll
from redis_proxy import RedisProxy

from client import Account, Client, Rest

DEADLINE_S = 4.0        # of the commands that are caught: they are taken within it, and leases are over by then as well
LEASE_MS = 500
WINDOW = {"SB_RESUME_WINDOW_MS": "20000"}        # of the peers here nobody is taken for dead who was but slow
HOLD = 0x0123456789abcdef       # of a session by its gateway


@pytest.fixture
def own():
    with houses() as build:
        yield build


class Stopped:
    """A service that is stopped as soon as it makes a request that fits, and stands still until it is told to go on; the
    request is held on the way to Redis."""

    def __init__(self, service, kind, proxy, fits):
        self.process, self.kind, self.name = service.proc, kind, service.env["SB_INSTANCE"]

        def stops(args):
            caught = fits(args)
            if caught:              # at once: an answer that takes too long makes it ask again
                self.process.send_signal(signal.SIGSTOP)
            return caught

        self.trap = proxy.trap("late", stops)

    def catch(self, redis):
        """Waits for the request, and until the lease of the process has run out."""
        self.trap.wait()
        poll(lambda: self.name not in live_instances(redis, self.kind), "its lease to run out")

    def go_on(self):
        """The request reaches Redis now, and the process goes on and finds the reply, however long it stood still."""
        self.trap.go_on()
        self.process.send_signal(signal.SIGCONT)


def failed(peer, id):
    """Whether the asker's time ran out without an answer."""
    threading.Event().wait(DEADLINE_S + 0.1)       # the deadline is the thing itself
    return not peer.answers_so_far(id)


def test_a_call_manager_does_not_carry_out_what_its_asker_has_given_up(own):
    house = own("one", "two", SB_BUS_LEASE_MS=LEASE_MS, **WINDOW)
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    zombie = Stopped(house.system.services["one"], "call-manager", house.proxies["one"], about(channel))
    join = house.gateway.send("call-manager", "voice_update", instance=house.instance("one"), deadline_s=DEADLINE_S,
                              **house.voice(ada, channel))
    zombie.catch(house.redis)
    assert failed(house.gateway, join)
    zombie.go_on()
    poll(lambda: house.metric("one", "commits_late") == 1, "its commit to be refused")
    assert house.call(channel) is None and house.told(channel) == []
    assert house.join(ada, channel) == 0            # and nothing is in the way of the next one
    assert list(house.seats(channel)) == [ada]


def test_a_leave_that_comes_back_from_the_dead_does_not_end_what_began_since(own):
    house = own("one", "two", SB_BUS_LEASE_MS=LEASE_MS, **WINDOW)
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel, at="two") == 0
    zombie = Stopped(house.system.services["one"], "call-manager", house.proxies["one"], about(channel))
    leave = house.gateway.send("call-manager", "voice_update", instance=house.instance("one"), deadline_s=DEADLINE_S,
                               **house.voice(ada))
    zombie.catch(house.redis)
    assert house.ask("voice_update", at="two", **house.voice(ada)) == 0     # said again, under another number
    assert house.join(ada, channel, at="two") == 0
    assert failed(house.gateway, leave)
    zombie.go_on()
    poll(lambda: house.metric("one", "commits_late") == 1, "its commit to be refused")
    assert list(house.seats(channel)) == [ada] and house.states(channel)[-1] == (ada, True)


def test_a_gateways_word_about_a_session_that_another_one_holds_is_void(own):
    """What it had sent waits in a call manager that was stopped, say."""
    house = own("one", **WINDOW)
    ada, ben = house.users(2)
    channel, session, other = house.channel(ada, ben), secrets.token_hex(16), house.peer("gateway")
    held = {"session": session, "gateway": other.instance}
    house.hold_session(session, other.instance, HOLD)
    assert house.join(ada, channel, **held, hold=HOLD, turn=1) == 0
    assert house.ask("voice_update", **house.voice(ada, session=session)) == 0
    assert list(house.seats(channel)) == [ada]
    assert house.ask("voice_update", **house.voice(ada, **held), hold=HOLD, turn=2) == 0
    assert house.call(channel) is None
    assert house.join(ada, channel, session=session) == 0
    assert house.call(channel) is None


def test_a_session_that_was_resumed_in_time_keeps_its_voice_state_though_nobody_was_told(own):
    """No call manager lived between the resume and the end of the window."""
    house = own("one", SB_RESUME_WINDOW_MS="1500")
    ada, ben = house.users(2)
    channel, session, lost, heir = house.channel(ada, ben), secrets.token_hex(16), house.peer("gateway"), house.peer("gateway")
    sessions = {ada: session, ben: secrets.token_hex(16)}
    for user in sessions:
        assert house.join(user, channel, session=sessions[user], gateway=lost.instance) == 0
    house.hold_session(session, heir.instance)
    house.hold_session(sessions[ben], lost.instance)
    lost.unregister()
    poll(lambda: list(house.seats(channel)) == [ada], "the other one's voice state to go")
    assert house.seats(channel)[ada]["gateway"] == heir.instance
    assert (ada, False) not in house.states(channel)
    heir.unregister()                               # and when that one is gone as well, so is it
    poll(lambda: house.call(channel) is None, "its voice state to go")


class One:
    """Two instances of one service and nothing else, each with its own way to Redis."""

    def __init__(self, kind):
        self.kind = kind
        self.system = alone(kind, 0, SB_BUS_LEASE_MS=LEASE_MS)
        self.redis, self.names, self.proxies, self.peer = redis_of(self.system), ("one", "two"), {}, None
        for name in self.names:
            self.system._add(kind, name)
            self.proxies[name] = RedisProxy(self.system.redis_port)
            self.system.services[name].env |= {"SB_INSTANCE": name, "REDIS_URL": self.proxies[name].url,
                                               "SB_BUS_LEASE_MS": str(LEASE_MS)}
        self.system.start_all()
        self.peer = BusPeer(self.redis, "gateway")

    def close(self):
        try:
            self.system.stop()
        finally:
            self.peer.close()
            for proxy in self.proxies.values():
                proxy.close()
            self.redis.close()

    def stopped(self, fits):
        return Stopped(self.system.services["one"], self.kind, self.proxies["one"], fits)


@pytest.fixture
def alone_with():
    made = []

    def build(kind):
        made.append(One(kind))
        return made[-1]

    yield build
    for each in made:
        each.close()


def test_a_message_service_does_not_post_what_its_asker_has_given_up(alone_with):
    house = alone_with("message")
    tag = secrets.token_hex(4)

    def ask(command, **fields):
        return house.peer.command("message", command, instance="two", more=fields)

    ada, ben = (int(unpacked_id(ask("user_put", username=f"{name}-{tag}"))) for name in ("ada", "ben"))
    channel = int(unpacked_id(ask("channel_open", user=ada, recipients=[ben])))
    zombie = house.stopped(about(channel))
    post = house.peer.send("message", "message_send", instance="one", deadline_s=DEADLINE_S,
                           more={"user": ada, "channel": channel, "content": "too late"})
    zombie.catch(house.redis)
    assert failed(house.peer, post)
    assert ask("message_send", user=ada, channel=channel, content="again")["err"] == 0
    zombie.go_on()
    poll(lambda: metrics_of(house.system, "one")["commits_late"] == 1, "its commit to be refused")
    rows = [unpack(row, "message_rec")["content"] for row in house.redis.hvals(f"{{{channel}}}:m")]
    assert rows == ["again"]


def unpacked_id(answer):
    assert answer["err"] == 0, answer
    return json.loads(answer["body"])["id"]


async def test_a_gateway_cannot_write_into_a_session_that_was_resumed_elsewhere():
    env = {"*": {"SB_BUS_LEASE_MS": str(LEASE_MS)}}
    system = System(env=env, instances={"gateway": 0, "call-manager": 1}, world=None)
    redis, proxy = redis_of(system), RedisProxy(system.redis_port)
    try:
        for name in ("gateway", "gateway-2"):
            system._add("gateway", name)
            system.services[name].env["SB_INSTANCE"] = name
        system.services["gateway"].env["REDIS_URL"] = proxy.url
        await asyncio.to_thread(system.start_all)
        await resumed_elsewhere(system, redis, proxy)
    finally:
        try:
            await asyncio.to_thread(system.stop)
        finally:
            proxy.close()
            redis.close()


def said_to(client):
    return [event.d["content"] for event in client.events if event.t == "MESSAGE_CREATE"]


async def resumed_elsewhere(system, redis, proxy):
    tag = secrets.token_hex(3)
    loaded = system.load({"users": [{"name": f"{name}_{tag}"} for name in ("ada", "ben")],
                          "dms": [[f"ada_{tag}", f"ben_{tag}"]]})
    ada, ben = (Account(u["id"], u["username"], u["token"]) for u in loaded["users"])
    channel = loaded["dms"][0]["id"]
    async with aiohttp.ClientSession() as http:
        rest = Rest(http, system.api_base_of("gateway-2"), ben)
        client = await Client(http, system.gateway_url_of("gateway"), ada, rest=rest).connect()
        await client.hello()
        await client.identify()
        session = client.session_id
        await asyncio.to_thread(poll, lambda: redis.exists(f"{{s:{session}}}:h"), "its session in the store")
        zombie = Stopped(system.services["gateway"], "gateway", proxy,
                         lambda args: args[:2] == [b"FCALL", b"sb_session_write"])
        await rest.say(channel, "caught")               # what it writes of this is held
        await asyncio.to_thread(zombie.catch, redis)
        await client.join(channel)                      # this waits in its socket
        await client.abort()
        client.url = system.gateway_url_of("gateway-2")
        await client.reconnect_and_resume()
        await client._until(lambda: said_to(client) or None, "what the other one had not sent")
        owner, turn = redis.hmget(f"{{s:{session}}}:h", "owner", "turn")
        zombie.go_on()
        await asyncio.to_thread(poll, lambda: metrics_of(system, "gateway")["sessions_lost"] == 1, "it to drop the session")
        assert redis.hget(f"{{s:{session}}}:h", "owner") == owner
        await rest.say(channel, "after")
        await client.expect("MESSAGE_CREATE", content="after")
        assert said_to(client) == ["caught", "after"]
        assert not redis.hexists(f"{{{channel}}}:s", "call"), "the join that had waited in its socket was carried out"
        await client.close()
