"""The call manager when something fails: processes killed between any two steps, gateways and Redis that go away."""
import random
import signal
import threading

import pytest
from bus import now_ms, poll
from call_house import END, KIND, SERVER, START, USER_BIT, about, houses, new_id


@pytest.fixture
def own():
    """Builds a house of the test's own."""
    with houses() as build:
        yield build


# -- timers ------------------------------------------------------------------------------------

def test_a_ring_ends_although_the_manager_that_began_it_was_killed(own):
    house = own("one", "two", SB_RING_MS="6000")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel, at="one") == 0
    assert house.ask("call_ring", user=ada, channel=channel, all=True, at="one") == 0
    house.kill("one")
    poll(lambda: house.rung(channel) == set(), "the ring to end")
    assert house.told(channel).count("CALL_UPDATE") == 2
    poll(lambda: house.metric("two", "rings_timed_out") == 1, "it to be counted")


def test_a_ring_ends_although_whoever_claimed_it_was_killed(own):
    house = own("one", SB_RING_MS="6000")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel) == 0
    house.wait_server(channel, ada)
    assert house.ask("call_ring", user=ada, channel=channel, all=True) == 0
    trap = house.proxies["one"].trap("hold", about(channel))                # it has the row, and commits
    trap.wait()
    house.kill("one")
    house.proxies["one"].disarm(trap)
    assert house.rung(channel) == {ben}
    house.begin("one")
    poll(lambda: house.rung(channel) == set(), "the ring to end")
    assert house.told(channel).count("CALL_UPDATE") == 2


def test_a_refused_or_overtaken_command_does_not_put_a_timer_off(own):
    """One manager is held before its commit, and another commits with an earlier deadline: the earlier one counts."""
    house = own("one", "two", SB_RING_MS="60000")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    house.allocator.silent = True
    assert house.join(ada, channel, at="two") == 0
    soon = poll(lambda: house.due(channel), "the row")
    trap = house.proxies["one"].trap("hold", about(channel))
    house.send_to("one", "call_ring", user=ada, channel=channel, recipients=[ben])
    trap.wait()
    assert house.due(channel) <= soon + 30000                               # not in a minute
    house.kill("one")
    house.proxies["one"].disarm(trap)
    house.allocator.silent = False
    house.wait_server(channel, ada)
    assert house.rung(channel) == set()


# -- gateways that are gone --------------------------------------------------------------------

def test_the_voice_states_of_a_lost_gateway_go_when_its_sessions_are_over(own):
    house = own("one", SB_RESUME_WINDOW_MS="5000")
    users = house.users(12)
    channels = [house.channel(users[i], users[i + 1]) for i in range(0, 12, 2)]
    lost = house.peer("gateway")
    lost.link(house.instance("one"), KIND)
    for i, channel in enumerate(channels):
        assert house.join(users[2 * i], channel, gateway=lost.instance) == 0
        assert house.join(users[2 * i + 1], channel) == 0
    assert house.redis.zcard(f"gateway:{lost.instance}:places") == 6
    lost.die()
    due = poll(lambda: house.due(f"g:{lost.instance}"), "its lease to run out")
    assert not house.redis.exists(f"bus:gateway:{lost.instance}")
    poll(lambda: not all(users[2 * i] in house.seats(channel) for i, channel in enumerate(channels)), "the first to go")
    assert now_ms() >= due
    for i, channel in enumerate(channels):
        poll(lambda: list(house.seats(channel)) == [users[2 * i + 1]], "its voice state to go")
    assert house.states(channels[0])[-1] == (users[0], False)
    poll(lambda: not house.redis.sismember("gateways:known", lost.instance), "it to be forgotten")
    assert not house.redis.exists(f"gateway:{lost.instance}:places") and house.due(f"g:{lost.instance}") is None


def test_a_gateway_that_is_back_in_time_keeps_its_voice_states(own):
    house = own("one", SB_RESUME_WINDOW_MS="6000")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    back = house.peer("gateway")
    assert house.join(ada, channel, gateway=back.instance) == 0
    back.unregister()
    poll(lambda: house.due(f"g:{back.instance}"), "its grace to begin")
    back.register()
    poll(lambda: house.due(f"g:{back.instance}") is None, "its grace to end")
    assert list(house.seats(channel)) == [ada]


def test_a_manager_that_has_just_started_does_not_take_a_live_gateway_for_a_lost_one(own):
    house = own("one")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel) == 0
    house.kill("one")
    house.redis.zadd("timers:call", {f"g:{house.gateway.instance}": now_ms() - 1000})   # it was away for a moment
    house.begin("one")
    poll(lambda: house.due(f"g:{house.gateway.instance}") is None, "the row to be settled")
    assert list(house.seats(channel)) == [ada]


def test_a_gateway_that_has_not_found_redis_again_is_no_lost_one(own):
    """Its lease ran out while Redis was away, and a look of before had begun its grace."""
    house = own("one", SB_RESUME_WINDOW_MS="60000", SB_BUS_LEASE_MS="15000")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    back = house.peer("gateway")
    assert house.join(ada, channel, gateway=back.instance) == 0
    back.unregister()
    trap = house.proxies["one"].trap("cut", lambda args: b"sb_claim" in args)
    due = now_ms() - 1000
    house.redis.zadd("timers:call", {f"g:{back.instance}": due})
    trap.wait()
    poll(lambda: house.due(f"g:{back.instance}") != due, "the row to be claimed")
    back.register()
    poll(lambda: house.due(f"g:{back.instance}") is None, "the row to be settled")
    assert list(house.seats(channel)) == [ada]


def test_a_gateway_with_more_places_than_fit_in_one_go_is_swept(own):
    house = own("one", SB_JOBS_MAX="8", SB_RESUME_WINDOW_MS="300")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    lost = house.peer("gateway")
    assert house.join(ada, channel, gateway=lost.instance) == 0
    house.redis.zadd(f"gateway:{lost.instance}:places", {str(new_id()): 1 for _ in range(200)} | {"rubbish": 1})
    lost.unregister()
    poll(lambda: house.call(channel) is None, "its voice state to go")
    poll(lambda: not house.redis.exists(f"gateway:{lost.instance}:places"), "all its places to be seen to")


# -- crashes between any two steps -------------------------------------------------------------

class Crash:
    """Ada sits in one call and moves to another through the manager "one", which fails before its nth request about
    her or those calls. Whoever looks next has to finish it."""

    def __init__(self, house, kind, nth):
        self.house = house
        self.ada, self.ben, self.cleo = house.users(3)
        self.home, self.away = house.channel(self.ada, self.ben), house.channel(self.ada, self.cleo)
        assert house.join(self.ada, self.home, at="two") == 0
        house.wait_server(self.home, self.ada)
        self.left = nth
        self.keys = [f"{{{key}}}".encode() for key in (f"u:{self.ada}", self.home, self.away)]
        self.trap = house.proxies["one"].trap(kind, self.fits)

    def fits(self, args):
        self.left -= any(arg.startswith(key) for key in self.keys for arg in args)
        return self.left == 0

    def check_moved(self):
        house = self.house
        house.settled(self.ada)
        assert house.location(self.ada)["place"] == self.away
        house.wait_server(self.away, self.ada)
        assert house.call(self.home) is None and house.told(self.home) == [*START, *SERVER, *END]
        assert list(house.seats(self.away)) == [self.ada]
        assert house.states(self.away) == [(self.ada, True)]


def test_a_move_survives_a_kill_before_any_of_its_requests(own):
    """And the command, repeated to another instance, is applied once."""
    house = own("one", "two")
    nth, caught = 0, True
    while caught:                                                           # until it has fewer requests than that
        nth += 1
        crash, move = Crash(house, "hold", nth), new_id()
        house.send_to("one", "voice_update", id=move, **house.voice(crash.ada, crash.away))
        caught = house.caught_or_answered(crash.trap, move)
        if caught:
            house.kill("one")
        house.proxies["one"].disarm(crash.trap)
        assert house.join(crash.ada, crash.away, at="two", id=move) == 0
        crash.check_moved()
        if caught:
            house.begin("one")
    assert nth > 8


def test_a_move_that_nobody_repeats_is_finished_by_its_timer_row(own):
    """The gateway died as well, say: the user is in no call that he has left."""
    house = own("one", "two")
    crash = Crash(house, "hold", 1000)
    crash.trap.fits = about(crash.home)                                     # he is about to leave it
    with house.system.held("two"):                                          # or it would see to that soon
        house.send_to("one", "voice_update", **house.voice(crash.ada, crash.away))
        crash.trap.wait()
        house.kill("one")
        house.proxies["one"].disarm(crash.trap)
        assert house.location(crash.ada)["leaving"] == crash.home and list(house.seats(crash.home)) == [crash.ada]
    poll(lambda: house.call(crash.home) is None, "the old call to end")
    house.settled(crash.ada)
    assert house.told(crash.home)[-3:] == END and house.raw_log(crash.away) == []
    poll(lambda: house.due(crash.ada | USER_BIT) is None, "the row to be settled")


@pytest.mark.parametrize("kind", ["cut", "deaf"])
def test_a_move_survives_a_broken_connection_at_any_of_its_requests(own, kind):
    """Before the request reaches Redis, or before its reply comes back. The command is repeated, to the same manager.
    Every event is in the log once, and comes over the bus."""
    house = own("one", "two")
    nth, caught = 0, True
    while caught:
        nth += 1
        crash = Crash(house, kind, nth)
        assert house.join(crash.ada, crash.away, at="one") == 0
        caught = crash.trap.caught.is_set()
        house.proxies["one"].disarm(crash.trap)
        crash.check_moved()
        for channel in (crash.home, crash.away):
            house.all_heard(channel)
    assert nth > 8


def test_a_leave_and_an_addition_survive_a_kill_before_any_of_their_requests(own):
    house = own("one", "two")
    for command in ("voice_update", "recipient_add", "recipient_remove"):
        nth, caught = 0, True
        while caught:
            nth += 1
            ada, ben, cleo = house.users(3)
            members = (ada, ben, cleo) if command == "recipient_remove" else (ada, ben)
            channel = house.channel(*members, group=True)
            assert house.join(ada, channel, at="two") == 0
            fields = house.voice(ada) if command == "voice_update" else {
                "user": ada, "channel": channel, "target": cleo}
            counted = [0]

            def fits(args, counted=counted, nth=nth, keys=[f"{{{key}}}" for key in (f"u:{ada}", f"u:{cleo}", channel)]):
                counted[0] += any(arg.startswith(key.encode()) for key in keys for arg in args)
                return counted[0] == nth

            trap, id = house.proxies["one"].trap("hold", fits), new_id()
            house.send_to("one", command, id=id, **fields)
            caught = house.caught_or_answered(trap, id)
            if caught:
                house.kill("one")
            house.proxies["one"].disarm(trap)
            assert house.ask(command, at="two", id=id, **fields) == 0
            if command == "voice_update":
                assert house.call(channel) is None and house.location(ada)["place"] == 0
                assert house.states(channel) == [(ada, True), (ada, False)]
            else:
                added = command == "recipient_add"
                assert (cleo in house.recipients(channel), house.lists(cleo, channel)) == (added, added)
                assert house.told(channel).count("CHANNEL_RECIPIENT_ADD" if added else "CHANNEL_RECIPIENT_REMOVE") == 1
                assert house.told(f"u:{cleo}") == (
                    ["CHANNEL_CREATE", "CALL_CREATE"] if added else ["CHANNEL_DELETE"])
            if caught:
                house.begin("one")
        assert nth > 3


class Client:
    """A session that does as it likes, one command at a time, as a gateway sends them on."""

    def __init__(self, house, user, channels, random):
        self.house, self.user, self.channels, self.random = house, user, channels, random
        self.session, self.over, self.waiting = f"session-{new_id()}", False, None

    def act(self, name):
        self.waiting = new_id()
        self.over = self.random.random() < 0.08
        channel = self.random.choice([0, *self.channels])
        if self.over:
            self.house.end_session(self.session)
        self.command = ("session_end", {"user": self.user, "session": self.session}) if self.over else (
            "voice_update", self.house.voice(self.user, channel, self.session) | {
                "self_mute": self.random.random() < 0.5})
        self.house.send_to(name, self.command[0], id=self.waiting, **self.command[1])

    def answered(self):
        """Whether it may act again."""
        if self.waiting is not None and not self.house.gateway.waiting[self.waiting].empty():
            self.waiting = None
        return self.waiting is None

    def repeat(self, name):
        if not self.answered():
            assert self.house.ask(self.command[0], at=name, id=self.waiting, **self.command[1]) == 0
            self.waiting = None


def check_agreement(house, users, channels, ended):
    """What must hold between records, and between them and what clients were told, once all is quiet."""
    seats = [(user, channel, seat) for channel in channels for user, seat in house.seats(channel).items()]
    assert len({user for user, _, _ in seats}) == len(seats), "somebody is in two calls"
    for user, channel, seat in seats:
        assert house.location(user)["place"] == channel and house.location(user)["leaving"] == 0
        assert seat["epoch"] == house.location(user)["epoch"] and seat["session"] not in ended
    for channel in channels:
        told = house.told(channel)
        assert told.count("CALL_CREATE") - told.count("CALL_DELETE") == bool(house.call(channel))
        last = dict(house.states(channel))
        assert {user for user, inside in last.items() if inside} == {*house.seats(channel)}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_many_clients_do_at_once_all_records_agree_in_the_end(own, seed):
    """Also when a manager is killed in the middle of it all."""
    house, chance = own("one", "two"), random.Random(seed)
    users = house.users(4)
    channels = [house.channel(*users, group=True) for _ in range(3)]
    clients, ended = [Client(house, user, channels, chance) for user in users for _ in range(3)], set()
    names = ("one", "two")
    for turn in range(60):
        for i, client in enumerate(clients):
            if client.answered() and client.over:
                ended.add(client.session)
                clients[i] = client = Client(house, client.user, channels, chance)
            if client.answered():
                client.act(chance.choice(names))
        if turn == 30:
            house.kill("one")
            names = ("two",)
            for client in clients:
                client.repeat("two")
        poll(lambda: sum(client.answered() for client in clients) > 4, "some answers")
    for client in clients:
        poll(client.answered, "every answer")
        if client.over:
            ended.add(client.session)
    for user in users:
        house.settled(user)
    for channel in channels:
        poll(lambda: house.due(channel) is None, "nothing to be owed")
    check_agreement(house, users, channels, ended)


# -- what else may go wrong --------------------------------------------------------------------

def test_it_goes_on_after_redis_was_killed_and_started_again(own):
    house = own("one", SB_RING_MS="3000")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel) == 0
    house.wait_server(channel, ada)
    assert house.ask("call_ring", user=ada, channel=channel, all=True) == 0
    house.stop_redis()
    join = house.send_to("one", "voice_update", **house.voice(ben, channel))   # nobody answers yet
    house.start_redis()
    assert house.join(ben, channel, id=join) == 0
    house.wait_server(channel, ben)
    assert {*house.seats(channel)} == {ada, ben} and house.rung(channel) == set()
    assert house.told(channel).count("CALL_CREATE") == 1 and house.states(channel) == [(ada, True), (ben, True)]
    assert house.leave(ada) == 0 and house.leave(ben) == 0
    assert house.call(channel) is None


def at_once(*calls):
    """Runs functions side by side; their results in order."""
    results = [None] * len(calls)

    def run(i):
        results[i] = calls[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_busy_manager_refuses_nobody_for_good(own):
    house = own("one", SB_JOBS_MAX="2")
    users = house.users(20)
    channels = [house.channel(users[i], users[i + 1]) for i in range(0, 20, 2)]
    assert at_once(*[lambda i=i: house.join(users[2 * i], channels[i]) for i in range(10)]) == [0] * 10
    assert all(list(house.seats(channel)) == [users[2 * i]] for i, channel in enumerate(channels))


def test_metrics_count_what_happened(own):
    house = own("one")
    ada, ben = house.users(2)
    channel, other = house.channel(ada, ben), house.channel(ada, house.user())
    assert house.join(ada, channel) == 0
    assert house.ask("call_ring", user=ada, channel=channel, all=True) == 0
    poll(lambda: house.rung(channel) == set(), "the ring to end")
    assert house.join(ben, channel) == 0
    assert house.join(ada, other) == 0
    house.settled(ada)
    assert house.leave(ben) == 0
    names = ("calls_started", "calls_ended", "rings", "rings_timed_out", "voice_joins", "voice_leaves", "voice_moves")
    assert [house.metric("one", name) for name in names] == [2, 1, 1, 1, 3, 2, 1]


def test_it_is_not_ready_before_it_knows_regions(own):
    house = own("one")
    house.allocator.deaf = True
    house.add("new")
    poll(lambda: "region" in house.not_ready("new"), "it to say what it lacks")
    house.allocator.deaf = False
    poll(lambda: house.not_ready("new") == "", "it to be ready")


# -- the end -----------------------------------------------------------------------------------

def test_term_ends_it_in_the_middle_of_everything(own):
    house = own("one", SB_SERVER_DELAY_MS="300", SB_BUS_LEASE_MS="60000")   # it does not run out in this test
    users = house.users(40)
    channels = [house.channel(users[i], users[i + 1]) for i in range(0, 40, 2)]
    house.allocator.silent = True
    for i, channel in enumerate(channels):
        house.send_to("one", "voice_update", **house.voice(users[2 * i], channel))
        house.send_to("one", "call_ring", user=users[2 * i], channel=channel, all=True)
    poll(lambda: house.call(channels[-1]), "the last call")
    house.system.terminate("one")                                           # checks: 0, within 5 s, no leaks
    poll(lambda: not house.redis.exists("bus:call-manager:one-1"), "it to be out of the registry")  # what it said last


def test_term_ends_it_while_redis_says_nothing(own):
    house = own("one")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    trap = house.proxies["one"].trap("hold", about(channel))
    house.send_to("one", "voice_update", **house.voice(ada, channel))
    trap.wait()
    house.system.terminate("one")
    house.proxies["one"].disarm(trap)


def test_term_ends_it_while_redis_is_away(own):
    house = own("one")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel) == 0
    house.stop_redis()
    house.send_to("one", "voice_update", **house.voice(ben, channel))
    house.system.terminate("one")
    house.start_redis()


def test_a_dump_shows_what_it_does(own):
    house = own("one")
    service = house.system.services["one"]
    service.proc.send_signal(signal.SIGUSR1)
    poll(lambda: "jobs running" in service.log.read_text(), "the dump")
