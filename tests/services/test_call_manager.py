"""The call manager alone: real processes, a real redis-server, a gateway and a region allocator that the test plays by
hand, and records that it wrote itself. What happens when something fails is in test_call_manager_faults.py."""
import json
import subprocess

import pytest
from bus import ERR, now_ms, pack, poll, unpack
from call_house import END, KIND, SERVER, START, USER_BIT, asks_since, new_id, without_repeats

UNKNOWN_CHANNEL, UNKNOWN_USER, TOO_MANY, TOO_MANY_GROUPS = 10003, 10013, 30004, 30011
MISSING_PERMISSIONS, WRONG_TYPE = 50013, 50024
INVALID_RECIPIENTS, INVALID_FORM = 50033, 50035


@pytest.fixture
def house(two_managers):
    return two_managers


# -- one call ----------------------------------------------------------------------------------

def test_a_join_starts_a_call_in_one_log_entry_and_the_same_bytes_go_over_the_bus(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel, self_mute=True, regions=["rotterdam"]) == 0
    first = house.raw_log(channel)[0]
    entry = unpack(first, "place_event")
    assert [event["name"] for event in entry["events"]] == START
    assert (entry["ref"], entry["version"]) == (channel, 2)
    message, call, state = (json.loads(event["body"]) for event in entry["events"])
    assert all(event["to"] == 0 for event in entry["events"])
    people = {user: {"id": str(user), "username": f"user{user % 1000}", "discriminator": "0", "global_name": None,
                     "avatar": None, "public_flags": 0} for user in (ada, ben)}
    assert message["id"] == call["message_id"] and message["channel_id"] == str(channel)
    assert (message["type"], message["content"], message["call"]) == (
        3, "", {"participants": [str(ada)], "ended_timestamp": None})
    assert message["author"] | people[ada] == message["author"]
    assert [user | people[ben] for user in message["mentions"]] == message["mentions"]
    assert call == {"channel_id": str(channel), "message_id": message["id"], "region": "rotterdam", "ringing": [],
                    "ongoing_rings": {}, "voice_states": [], "embedded_activities": []}
    assert (state["guild_id"], state["channel_id"], state["user_id"], state["session_id"], state["self_mute"]) == (
        None, str(channel), str(ada), f"session-{ada}", True)
    heard = poll(lambda: house.heard(channel), "the entry on the bus")[0]
    assert pack("place_event", **heard) == first
    assert house.redis.hget(f"{{{channel}}}:s", "last") == message["id"].encode()
    assert unpack(house.redis.hget(f"{{{channel}}}:m", message["id"]), "message_rec")["participants"] == [ada]
    assert house.redis.zrange(f"{{{channel}}}:mi", 0, -1) == [message["id"].zfill(20).encode()]
    assert house.location(ada) == {"place": channel, "channel": channel, "epoch": 1, "leaving": 0}


def test_a_whole_call_is_told_in_the_captured_order(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel) == 0
    house.wait_server(channel, ada)
    assert house.ask("call_ring", user=ada, channel=channel, all=True) == 0
    assert house.rung(channel) == {ben}
    assert house.join(ben, channel) == 0
    house.wait_server(channel, ben)
    assert house.leave(ada) == 0
    assert house.leave(ben) == 0
    assert house.told(channel) == [*START, *SERVER, "CALL_UPDATE", "CALL_UPDATE", "MESSAGE_UPDATE",
                                   "VOICE_STATE_UPDATE", *SERVER, "VOICE_STATE_UPDATE", *END]
    rings = [body for name, _, body in house.log(channel) if name == "CALL_UPDATE"]
    assert [(ring["ringing"], ring["ongoing_rings"]) for ring in rings] == [
        ([str(ben)], {str(ben): str(ada)}), ([], {})]
    updates = [body for name, _, body in house.log(channel) if name == "MESSAGE_UPDATE"]
    assert {*updates[1]["call"]["participants"]} == {str(ada), str(ben)}
    assert updates[0]["call"]["ended_timestamp"] is None and updates[1]["call"]["ended_timestamp"].endswith("+00:00")
    assert house.call(channel) is None and house.location(ben)["place"] == 0
    poll(lambda: channel in house.allocator.released, "the voice server to be released")
    house.all_heard(channel)


def test_who_may_not_join_changes_nothing(house):
    ada, ben, eve = house.users(3)
    bot = house.user(bot=True)
    channel = house.channel(ada, ben, bot, group=True)
    guild = new_id()
    house.redis.hset(f"{{{guild}}}:s", mapping={"v": 1, "chan": pack("channel", id=guild, type=2, guild=5)})
    assert house.join(eve, channel) == UNKNOWN_CHANNEL
    assert house.join(bot, channel) == UNKNOWN_CHANNEL
    assert house.join(ada, new_id()) == UNKNOWN_CHANNEL
    assert house.join(ada, guild) == UNKNOWN_CHANNEL
    assert house.join(new_id(), channel) == UNKNOWN_USER
    assert house.raw_log(channel) == [] and house.location(ada)["epoch"] == 0
    for name in ("call_ring", "call_stop_ringing", "call_region"):
        region = {"region": "rotterdam"} if name == "call_region" else {}
        assert house.ask(name, user=eve, channel=channel, **region) == UNKNOWN_CHANNEL


def test_flags_are_a_voice_state_and_nothing_else(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel) == 0
    house.wait_server(channel, ada)
    assert house.join(ada, channel, self_mute=True, self_deaf=True) == 0
    assert house.told(channel) == [*START, *SERVER, "VOICE_STATE_UPDATE"]
    assert house.location(ada)["epoch"] == 1
    assert (house.seats(channel)[ada]["self_mute"], house.seats(channel)[ada]["self_deaf"]) == (True, True)


def test_a_second_client_takes_over_and_the_first_one_cannot_leave(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel) == 0
    house.wait_server(channel, ada)
    assert house.join(ada, channel, session="phone") == 0
    poll(lambda: house.told(channel) == [*START, *SERVER, "VOICE_STATE_UPDATE", *SERVER], "the second one's server")
    assert [event["session"] for name, event, _ in house.log(channel) if name in SERVER] == [f"session-{ada}", "phone"]
    assert house.leave(ada) == 0
    assert house.seats(channel)[ada]["session"] == "phone"
    assert house.leave(ada, session="phone") == 0
    assert house.told(channel)[-3:] == END


def test_rings_are_declined_cancelled_and_never_name_strangers(house):
    ada, ben, cleo, eve = house.users(4)
    channel = house.channel(ada, ben, cleo, group=True)
    assert house.ask("call_ring", user=ada, channel=channel, all=True) == 0
    assert house.raw_log(channel) == []                                    # there is no call
    assert house.join(ada, channel) == 0
    assert house.ask("call_ring", user=ada, channel=channel, recipients=[eve]) == 0
    assert house.ask("call_ring", user=ada, channel=channel, all=False, recipients=[]) == 0
    assert house.rung(channel) == set()
    many = [*range(1, 32), cleo]                                            # as many as a client may name
    assert house.ask("call_ring", user=ada, channel=channel, recipients=many) == 0
    assert house.rung(channel) == {cleo}
    assert house.ask("call_ring", user=ada, channel=channel, all=True) == 0
    assert house.rung(channel) == {ben, cleo}
    assert house.ask("call_stop_ringing", user=ben, channel=channel) == 0
    assert house.rung(channel) == {cleo}
    assert house.ask("call_stop_ringing", user=ada, channel=channel, recipients=[cleo]) == 0
    assert house.rung(channel) == set()


def test_a_region_is_chosen_by_name_and_everybody_follows(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    for user in (ada, ben):
        assert house.join(user, channel) == 0
        house.wait_server(channel, user)
    answer = house.gateway.command(KIND, "call_region", user=ada, channel=channel, region="atlantis")
    assert answer["err"] == INVALID_FORM and "region" in json.loads(answer["body"])["errors"]
    allocator = house.allocator
    allocator.node, allocator.region, allocator.endpoint = "node-f", "frankfurt", "127.0.0.9:443"
    assert house.ask("call_region", user=ben, channel=channel, region="frankfurt") == 0
    for user in (ada, ben):
        house.wait_server(channel, user, "127.0.0.9:443")
    for user in (ada, ben):
        asked = [ask["region"] for ask in allocator.asks(channel) if ask["user"] == user]
        assert without_repeats(asked) == ["", "frankfurt"]
    assert [body["region"] for name, _, body in house.log(channel) if name == "CALL_UPDATE"] == ["frankfurt"]


# -- repeated commands, and several managers ---------------------------------------------------

def test_a_command_repeated_three_times_is_applied_once(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    join, ring, leave, begun = new_id(), new_id(), new_id(), now_ms()
    assert [house.join(ada, channel, id=join, at=at) for at in ("one", "one", "two")] == [0, 0, 0]
    house.wait_server(channel, ada)
    assert [house.ask("call_ring", user=ada, channel=channel, all=True, id=ring, at=at)
            for at in ("two", "one", "one")] == [0, 0, 0]
    assert [house.leave(ada, id=leave, at=at) for at in ("one", "two", "one")] == [0, 0, 0]
    assert house.told(channel) == [*START, *SERVER, "CALL_UPDATE", *END]
    assert 1 <= len(house.allocator.asks(channel)) <= asks_since(begun)


def test_a_repeated_join_does_not_bring_the_user_back_from_where_he_went_since(house):
    ada, ben, cleo = house.users(3)
    home, away = house.channel(ada, ben), house.channel(ada, cleo)
    first = new_id()
    assert house.join(ada, home, id=first, at="one") == 0
    assert house.join(ada, away, at="one") == 0
    house.settled(ada)
    assert house.join(ada, home, id=first, at="two") == 0                  # its answer was lost, say
    assert list(house.seats(away)) == [ada] and house.call(home) is None
    assert house.location(ada)["place"] == away
    assert house.states(home) == [(ada, True), (ada, False)] and house.states(away) == [(ada, True)]


def test_a_repeated_leave_does_not_end_what_began_since(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    leave = new_id()
    assert house.join(ada, channel) == 0
    assert house.leave(ada, id=leave, at="one") == 0
    assert house.join(ada, channel, at="one") == 0
    assert house.leave(ada, id=leave, at="two") == 0
    assert list(house.seats(channel)) == [ada] and house.location(ada)["place"] == channel
    assert house.join(ada, house.channel(ada, house.user())) == 0           # and he still leaves it when he goes
    assert house.call(channel) is None


def test_two_managers_given_the_same_join_at_once_agree(house):
    for _ in range(20):
        ada, ben = house.users(2)
        channel, join = house.channel(ada, ben), new_id()
        for name in ("one", "two"):
            house.send_to(name, "voice_update", id=join, **house.voice(ada, channel))
        for _ in range(2):
            assert house.gateway.wait_answer(join)["err"] == 0
        house.wait_server(channel, ada)
        assert house.told(channel) == [*START, *SERVER]
        assert list(house.seats(channel)) == [ada]
        assert house.location(ada) == {"place": channel, "channel": channel, "epoch": 1, "leaving": 0}
        house.all_heard(channel)


def test_two_clients_that_move_a_user_at_once_leave_him_in_one_place(house):
    for _ in range(15):
        ada, ben = house.users(2)
        places = [house.channel(ada, ben) for _ in range(3)]
        assert house.join(ada, places[0], session="first") == 0
        ids = [house.send_to(name, "voice_update", **house.voice(ada, place, f"session-{place}"))
               for name, place in (("one", places[1]), ("two", places[2]))]
        assert [house.gateway.wait_answer(id)["err"] for id in ids] == [0, 0]
        house.settled(ada)
        seats = [place for place in places if ada in house.seats(place)]
        assert seats == [house.location(ada)["place"]]
        for place in places:                     # clients saw him come and go in turn, and where he is now
            states = [inside for _, inside in house.states(place)]
            assert states == [i % 2 == 0 for i in range(len(states))]
            assert (states or [False])[-1] == (place in seats)


def test_one_client_leaves_while_another_joins_the_same_channel(house):
    for _ in range(20):
        ada, ben = house.users(2)
        channel = house.channel(ada, ben)
        assert house.join(ada, channel, session="phone") == 0
        ids = [house.send_to("one", "voice_update", **house.voice(ada, 0, "phone")),
               house.send_to("two", "voice_update", **house.voice(ada, channel, "desktop"))]
        assert [house.gateway.wait_answer(id)["err"] for id in ids] == [0, 0]
        assert [seat["session"] for seat in house.seats(channel).values()] == ["desktop"]
        assert house.location(ada)["place"] == channel


def test_a_group_that_comes_at_once_is_one_call(house):
    users = house.users(8)
    channel = house.channel(*users, group=True)
    ids = [house.send_to(("one", "two")[i % 2], "voice_update", **house.voice(user, channel))
           for i, user in enumerate(users)]
    assert [house.gateway.wait_answer(id)["err"] for id in ids] == [0] * 8
    for user in users:
        house.wait_server(channel, user)
    told = house.told(channel)
    assert (told.count("CALL_CREATE"), told.count("MESSAGE_CREATE"), told.count("MESSAGE_UPDATE")) == (1, 1, 7)
    assert {*house.seats(channel)} == {*users}
    ids = [house.send_to(("one", "two")[i % 2], "voice_update", **house.voice(user)) for i, user in enumerate(users)]
    assert [house.gateway.wait_answer(id)["err"] for id in ids] == [0] * 8
    assert house.call(channel) is None and house.told(channel)[-3:] == END
    assert house.told(channel).count("CALL_DELETE") == 1


# -- moving ------------------------------------------------------------------------------------

def test_moving_leaves_the_old_call_before_it_joins_the_new_one(house):
    ada, ben, cleo = house.users(3)
    home, away = house.channel(ada, ben), house.channel(ada, cleo)
    assert house.join(ada, home, at="one") == 0
    assert house.join(ada, away, at="one") == 0
    assert house.told(home)[-3:] == END and house.call(home) is None
    assert list(house.seats(away)) == [ada]
    poll(lambda: house.heard(away), "the new call on the bus")
    heard = [(entry["ref"], event["name"]) for entry in house.entries for event in entry["events"]]
    assert heard.index((home, "CALL_DELETE")) < heard.index((away, "MESSAGE_CREATE"))
    assert house.location(ada) == {"place": away, "channel": away, "epoch": 2, "leaving": 0}


def test_the_end_of_a_session_is_a_leave(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel) == 0
    assert house.ask("session_end", user=ada, session="another") == 0
    assert list(house.seats(channel)) == [ada]
    house.end_session(f"session-{ada}")
    assert house.ask("session_end", user=ada, session=f"session-{ada}") == 0
    assert house.told(channel)[-3:] == END and house.location(ada)["place"] == 0
    assert house.join(ada, channel) == 0                                    # it was on its way for too long
    assert house.call(channel) is None


def test_a_session_that_ends_while_its_join_is_under_way_leaves_nothing_behind(house):
    for i in range(20):
        ada, ben = house.users(2)
        channel, names = house.channel(ada, ben), ("one", "two")
        join = house.send_to("one", "voice_update", **house.voice(ada, channel))
        house.end_session(f"session-{ada}")
        end = house.send_to(names[i % 2], "session_end", user=ada, session=f"session-{ada}")
        assert [house.gateway.wait_answer(id)["err"] for id in (join, end)] == [0, 0]
        assert house.call(channel) is None
        assert [inside for _, inside in house.states(channel)] in ([], [True, False])


def test_what_a_gateway_said_of_a_session_that_it_has_lost_comes_too_late(house):
    """Nor does what the same gateway said when it held it before."""
    ada, ben = house.users(2)
    channel, session = house.channel(ada, ben), "session-held"
    house.hold_session(session, "another")
    assert house.join(ada, channel, session=session) == 0 and house.call(channel) is None
    house.hold_session(session, house.gateway.instance, 7)
    assert house.join(ada, channel, session=session, hold=6) == 0 and house.call(channel) is None
    assert house.join(ada, channel, session=session, hold=7) == 0 and list(house.seats(channel)) == [ada]
    house.hold_session(session, "another")
    assert house.leave(ada, session=session, hold=7) == 0 and list(house.seats(channel)) == [ada]
    assert house.ask("session_moved", user=ada, session=session, gateway=house.gateway.instance, hold=7) == 0
    assert house.seats(channel)[ada]["gateway"] == house.gateway.instance


def test_a_copy_of_a_command_that_lay_somewhere_does_not_undo_what_was_said_since(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    early = new_id()
    assert house.leave(ada, at="one", id=early, hold=7, turn=1) == 0            # of nothing, and nothing is kept of it
    assert house.join(ada, channel, at="one", hold=7, turn=2) == 0
    assert house.leave(ada, at="two", id=early, hold=7, turn=1) == 0
    assert list(house.seats(channel)) == [ada]


def test_who_was_added_learns_of_it_though_the_manager_died_in_between(house):
    """Nobody repeats the command; a row of the timers knows of it."""
    ada, ben, cleo = house.users(3)
    channel = house.channel(ada, ben, group=True)
    house.redis.zadd("timers:call", {f"a:{channel}:{cleo}": now_ms()})
    chan = pack("channel", id=channel, type=3, owner=ada, recipients=[ada, ben, cleo])
    house.redis.hset(f"{{{channel}}}:s", mapping={"chan": chan, f"in:{cleo}": 1})
    poll(lambda: house.lists(cleo, channel), "the channel in her record")
    poll(lambda: house.redis.zscore("timers:call", f"a:{channel}:{cleo}") is None, "the row to go")


def test_who_was_removed_and_added_again_before_he_was_told_is_told_both(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben, group=True)
    house.redis.hset(f"{{{channel}}}:s", f"in:{ben}", 5)                        # his record lists it from before that
    house.redis.zadd("timers:call", {f"a:{channel}:{ben}": now_ms()})
    poll(lambda: house.redis.hget(f"{{u:{ben}}}:ch", channel), "a new welcome")
    told = [event["name"] for event in unpack(house.redis.xrange(f"{{u:{ben}}}:log")[-1][1][b"e"], "place_event")["events"]]
    assert told == ["CHANNEL_DELETE", "CHANNEL_CREATE"]


# -- voice servers -----------------------------------------------------------------------------

def test_a_voice_server_is_asked_for_after_the_delay_and_told_to_the_session_alone(own):
    house = own(SB_SERVER_DELAY_MS="2000")
    house.allocator.region = "frankfurt"
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel, regions=["frankfurt", "mars"]) == 0
    joined = unpack(house.raw_log(channel)[0], "place_event")["at"]
    assert house.allocator.asks(channel) == [] or now_ms() >= joined + 2000
    body = house.wait_server(channel, ada)
    assert now_ms() >= joined + 2000
    asks = house.allocator.asks(channel)
    assert len(asks) <= asks_since(joined + 2000)
    ask = asks[-1]
    assert (ask["place"], ask["channel"], ask["server"], ask["user"], ask["session"], ask["region"]) == (
        channel, channel, channel, ada, f"session-{ada}", "")
    assert ask["preferred"] == ["frankfurt", "mars"]
    assert body == {"token": ask["token"], "guild_id": None, "endpoint": "127.0.0.1:443", "channel_id": str(channel)}
    entry = poll(lambda: [e for e in house.heard(channel) if e["version"] > 2 and e["events"]], "the entry")[0]
    assert [(e["name"], e["to"], e["user"], e["session"]) for e in entry["events"]] == [
        ("VOICE_SERVER_UPDATE", 2, ada, f"session-{ada}")]
    call = house.call(channel)
    assert (call["node"], call["endpoint"], call["region"]) == ("node-1", "127.0.0.1:443", "frankfurt")
    poll(lambda: house.due(channel) is None, "the place's timer row to go")


def test_an_allocator_that_is_silent_is_asked_again(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    house.allocator.silent = True
    assert house.join(ada, channel) == 0
    poll(lambda: house.allocator.asks(channel), "the first ask")
    house.allocator.silent = False
    house.wait_server(channel, ada)
    assert house.told(channel) == [*START, *SERVER]


def test_who_is_told_twice_gets_the_token_of_the_last_ask(house):
    """And with it he is let in."""
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    for _ in range(4):                                                     # faster than the delay
        assert house.join(ada, channel) == 0
    poll(lambda: house.due(channel) is None, "nothing more to be owed")
    told = [body["token"] for name, _, body in house.log(channel) if name in SERVER]
    assert told and told[-1] == house.allocator.asks(channel)[-1]["token"]
    row = unpack(house.redis.get(f"{{{channel}}}:t:session-{ada}"), "voice_token")
    assert (row["token"], row["user"], row["channel"]) == (told[-1], ada, channel)


def test_without_a_free_node_the_endpoint_is_null_and_then_real(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    house.allocator.endpoint = ""
    assert house.join(ada, channel) == 0
    assert house.wait_server(channel, ada, None)["token"] == ""
    house.allocator.endpoint = "127.0.0.1:443"
    assert house.ask("server_free", place=channel, channel=channel) == 0
    house.wait_server(channel, ada)
    assert house.told(channel) == [*START, *SERVER, *SERVER]


def test_a_call_without_a_node_for_long_is_unavailable_until_there_is_one(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    house.allocator.endpoint = ""
    assert house.join(ada, channel) == 0
    house.wait_server(channel, ada, None)
    assert house.ask("server_free", place=channel, channel=channel) == 0   # somebody else was quicker
    poll(lambda: house.call(channel)["unavailable"], "the call to be unavailable")
    assert house.log(channel)[-1][::2] == ("CALL_DELETE", {"channel_id": str(channel), "unavailable": True})
    house.allocator.endpoint = "127.0.0.1:443"
    house.wait_server(channel, ada)                                         # by its own timer row
    assert house.told(channel) == [*START, *SERVER, "CALL_DELETE", "CALL_CREATE", *SERVER]
    assert [state["user_id"] for state in house.log(channel)[-2][2]["voice_states"]] == [str(ada)]


def test_a_lost_voice_server_is_null_at_once_and_then_another(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    for user in (ada, ben):
        assert house.join(user, channel) == 0
        house.wait_server(channel, user)
    before = len(house.told(channel))
    assert house.ask("server_lost", place=channel, channel=channel, node="node-7") == 0   # not where it lives
    assert len(house.told(channel)) == before
    house.allocator.node, house.allocator.endpoint = "node-2", "127.0.0.2:443"
    lost = new_id()
    assert [house.ask("server_lost", at=at, id=lost, place=channel, channel=channel, node="node-1")
            for at in ("one", "two")] == [0, 0]
    for user in (ada, ben):
        house.wait_server(channel, user, "127.0.0.2:443")
    ends = [body["endpoint"] for name, _, body in house.log(channel)[before:] if name in SERVER]
    assert ends == [None, None, "127.0.0.2:443", "127.0.0.2:443"]


def test_the_allocator_learns_that_a_call_is_no_more(house):
    channel = house.channel(*house.users(2))
    for command, more in (("server_lost", {"node": "node-1"}), ("server_free", {})):
        assert house.ask(command, place=channel, channel=channel, **more) == ERR["MISSING"]
        assert house.ask(command, place=new_id(), channel=channel, **more) == UNKNOWN_CHANNEL


# -- timers ------------------------------------------------------------------------------------

def test_a_ring_ends_by_itself(own):
    house = own("one", "two")
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    assert house.join(ada, channel) == 0
    house.wait_server(channel, ada)
    begun = now_ms()
    assert house.ask("call_ring", user=ada, channel=channel, all=True) == 0
    poll(lambda: house.rung(channel) == set(), "the ring to end")
    assert now_ms() >= begun + 2000
    assert house.told(channel) == [*START, *SERVER, "CALL_UPDATE", "CALL_UPDATE"]
    poll(lambda: house.due(channel) is None, "the row to be settled")
    assert list(house.seats(channel)) == [ada]


def test_places_where_a_gateway_has_no_seats_any_more_are_forgotten(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    other = house.peer("gateway")
    key = f"gateway:{other.instance}:places"
    for user in (ada, ben):
        assert house.join(user, channel, gateway=other.instance) == 0
    assert house.leave(ada, gateway=other.instance) == 0
    assert house.redis.zscore(key, channel)
    assert house.join(ben, channel, gateway=house.gateway.instance, self_mute=True) == 0   # resumed elsewhere
    poll(lambda: house.redis.zscore(key, channel) is None, "the place to be forgotten")
    assert house.seats(channel)[ben]["gateway"] == house.gateway.instance


def test_a_session_that_goes_on_at_another_gateway_is_nothing_to_tell(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    other = house.peer("gateway")
    assert house.join(ada, channel, gateway=other.instance) == 0
    house.wait_server(channel, ada)
    told = house.told(channel)
    for session, gateway in (("another", other.instance), (f"session-{ada}", house.gateway.instance)):
        assert house.ask("session_moved", user=ada, session=session, gateway=house.gateway.instance) == 0
        assert house.seats(channel)[ada]["gateway"] == gateway
    assert house.told(channel) == told
    poll(lambda: house.redis.zscore(f"gateway:{other.instance}:places", channel) is None, "the place to be forgotten")
    assert house.redis.zscore(f"gateway:{house.gateway.instance}:places", channel)


# -- recipients --------------------------------------------------------------------------------

def test_a_recipient_is_added_to_both_records_once(house):
    ada, ben, cleo = house.users(3)
    bot = house.user(bot=True)
    channel = house.channel(ada, ben, group=True)
    assert house.join(ada, channel) == 0
    house.redis.sadd(f"{{u:{cleo}}}:gw", house.gateway.instance)
    add = new_id()
    assert [house.ask("recipient_add", at=at, id=add, user=ada, channel=channel, target=cleo)
            for at in ("one", "two", "one")] == [0, 0, 0]
    assert house.recipients(channel) == {ada, ben, cleo} and house.lists(cleo, channel)
    assert house.told(channel).count("CHANNEL_RECIPIENT_ADD") == 1
    (create, first, body), (call, second, running) = house.log(f"u:{cleo}")
    assert (create, call, first["to"], second["to"]) == ("CHANNEL_CREATE", "CALL_CREATE", 1, 1)
    assert (first["place_op"], first["place"]) == (1, channel) and first["place_version"] >= 3
    assert {int(user["id"]) for user in body["recipients"]} == {ada, ben}
    assert [state["user_id"] for state in running["voice_states"]] == [str(ada)]
    poll(lambda: house.heard(cleo | USER_BIT), "his own record's entry on the bus")
    assert house.ask("recipient_add", user=ada, channel=channel, target=bot) == INVALID_RECIPIENTS
    assert house.ask("recipient_add", user=ada, channel=channel, target=new_id()) == INVALID_RECIPIENTS
    assert house.ask("recipient_add", user=house.user(), channel=channel, target=cleo) == UNKNOWN_CHANNEL
    dm = house.channel(ada, ben)
    assert house.ask("recipient_add", user=ada, channel=dm, target=cleo) == WRONG_TYPE
    busy = house.user()
    house.redis.hset(f"{{u:{busy}}}:ch", mapping={str(n): "" for n in range(1000)})
    assert house.ask("recipient_add", user=ada, channel=channel, target=busy) == TOO_MANY_GROUPS
    assert house.ask("recipient_add", user=ada, channel=channel, target=cleo) == 0, "he is in it"
    for target in house.users(7):
        assert house.ask("recipient_add", user=ada, channel=channel, target=target) == 0
    assert house.ask("recipient_add", user=ada, channel=channel, target=house.user()) == TOO_MANY


def test_a_recipient_is_removed_from_call_place_and_own_record(house):
    ada, ben, cleo = house.users(3)
    channel = house.channel(ada, ben, cleo, group=True)
    for user in (ada, ben):
        assert house.join(user, channel) == 0
        house.wait_server(channel, user)
    assert house.ask("recipient_remove", user=ben, channel=channel, target=ada) == MISSING_PERMISSIONS
    remove = new_id()
    assert [house.ask("recipient_remove", at=at, id=remove, user=ada, channel=channel, target=ben)
            for at in ("one", "two")] == [0, 0]
    assert house.recipients(channel) == {ada, cleo} and not house.lists(ben, channel)
    assert list(house.seats(channel)) == [ada]
    last = unpack(house.raw_log(channel)[-1], "place_event")["events"]
    assert [event["name"] for event in last] == ["VOICE_STATE_UPDATE", "CHANNEL_RECIPIENT_REMOVE", ""]
    assert (last[2]["to"], last[2]["user"], last[2]["place_op"], last[2]["place"]) == (1, ben, 2, channel)
    assert house.told(f"u:{ben}") == ["CHANNEL_DELETE"]
    assert house.join(ben, channel) == UNKNOWN_CHANNEL
    assert house.ask("recipient_remove", user=ada, channel=channel, target=ben) == INVALID_RECIPIENTS
    assert house.ask("recipient_remove", user=ada, channel=channel, target=ada) == 0       # the owner goes
    assert house.told(channel)[-1] == "CHANNEL_UPDATE"
    assert unpack(house.redis.hget(f"{{{channel}}}:s", "chan"), "channel")["owner"] == cleo


def test_a_repeated_addition_of_who_was_removed_since_shows_him_nothing(house):
    ada, ben, cleo = house.users(3)
    channel = house.channel(ada, ben, group=True)
    add = new_id()
    assert house.ask("recipient_add", at="one", id=add, user=ada, channel=channel, target=cleo) == 0
    assert house.ask("recipient_remove", at="one", user=ada, channel=channel, target=cleo) == 0
    assert house.ask("recipient_add", at="two", id=add, user=ada, channel=channel, target=cleo) == 0
    assert house.recipients(channel) == {ada, ben} and not house.lists(cleo, channel)
    assert house.told(f"u:{cleo}") == ["CHANNEL_CREATE", "CHANNEL_DELETE"]


def test_adding_and_removing_at_once_leaves_both_records_in_agreement(house):
    ada, ben, cleo = house.users(3)
    channel = house.channel(ada, ben, group=True)
    for _ in range(15):
        ids = [house.send_to(name, command, user=ada, channel=channel, target=cleo)
               for name, command in (("one", "recipient_add"), ("two", "recipient_remove"))]
        assert house.gateway.wait_answer(ids[0])["err"] == 0
        assert house.gateway.wait_answer(ids[1])["err"] in (0, INVALID_RECIPIENTS)
        assert house.lists(cleo, channel) == (cleo in house.recipients(channel))


# -- bad input ---------------------------------------------------------------------------------

def test_what_does_not_validate_is_counted_and_dropped(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    before = house.metric("one", "bus_invalid")
    good = pack("command", **{"id": new_id(), "deadline": now_ms() + 10000, "from": house.gateway.instance, "kind": 0})
    rubbish = [b"", b"\xc1", b"\xdd\xff\xff\xff\xff", b"hello", good, good + b"\xdd\xff\xff\xff\xff", pack("call_ring"),
               good + pack("voice_update", user=ada, channel=channel, session="x" * 65),
               good + pack("call_ring", user=ada, channel=channel) + b"\x00"]
    for data in rubbish:
        house.gateway.push(house.instance("one"), KIND, data)
    poll(lambda: house.metric("one", "bus_invalid") == before + len(rubbish), "each to be counted")
    assert house.join(ada, channel, at="one") == 0
    assert house.told(channel)[:3] == START


def test_a_command_that_is_not_for_it_or_makes_no_sense_is_refused(house):
    ada, ben = house.users(2)
    channel = house.channel(ada, ben)
    for name, fields in (("message_send", {"user": ada, "channel": channel, "content": "hi"}),
                         ("assign", {"place": channel}), ("bus_node", {}), ("regions_list", {})):
        assert house.ask(name, at="one", **fields) == ERR["INVALID"]
    for session, gateway in (("", "g"), ("s", ""), ("\0s", "g"), ("s\0", "g"), ("s", "g\0")):
        fields = house.voice(ada, channel) | {"session": session, "gateway": gateway}
        assert house.ask("voice_update", at="one", **fields) == ERR["INVALID"]
    assert house.ask("session_end", at="one", user=ada, session="") == ERR["INVALID"]
    assert house.join(ada, channel | 1 << 63) == UNKNOWN_CHANNEL           # no user's record is a place
    assert house.raw_log(channel) == []


def test_a_record_that_does_not_decode_is_no_call_and_harms_nobody(house):
    ada, ben, cleo = house.users(3)
    broken, sound = house.channel(ada, ben), house.channel(ada, cleo)
    house.redis.hset(f"{{{broken}}}:s", "call", b"rubbish")
    house.redis.zadd("timers:call", {broken: 1, "rubbish": 1, "18446744073709551616": 1, "0": 1})
    assert house.join(ada, broken) == ERR["INVALID"]
    assert house.join(ada, sound) == 0
    assert list(house.seats(sound)) == [ada]
    poll(lambda: all(house.due(member) is None for member in (broken, "rubbish", "18446744073709551616", "0")),
         "rows of nothing to go")
    house.redis.hset(f"{{u:{ben}}}:s", "voice", b"rubbish")
    assert house.join(ben, broken) == ERR["INVALID"]


def test_a_wrong_setting_is_refused_with_a_sentence(house):
    binary = house.system.build_dir / "bin" / f"switchboard-{KIND}"
    ended = subprocess.run([binary, "--ring-ms=5"], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2 and "ring" in ended.stderr.lower()
