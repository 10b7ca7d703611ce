"""The call manager alone, with voice states in guilds: real processes, a real redis-server, a gateway and a region
allocator that the test plays by hand, and records that it wrote itself."""
import pytest
from bus import now_ms, pack, poll, unpack
from call_house import END, KIND, MAY, SERVER, START, about, asks_since, new_id, without_repeats

STATE, BEGINS = ["VOICE_STATE_UPDATE"], ["VOICE_CHANNEL_START_TIME_UPDATE"]
UNKNOWN_CHANNEL, UNKNOWN_GUILD, MISSING_PERMISSIONS, WRONG_TYPE = 10003, 10004, 50013, 50024
MISSING = -3


@pytest.fixture
def house(two_managers):
    return two_managers


def states(house, guild, user):
    """The channels, or None, that clients who may see all were told he is in. What is only for those who see the old
    channel of a move is left out."""
    return [body["channel_id"] and int(body["channel_id"]) for name, event, body in house.log(guild)
            if name in STATE and event["unless"] == 0 and int(body["user_id"]) == user]


def servers(house, guild, user):
    return [body["endpoint"] for name, event, body in house.log(guild) if name in SERVER and event["user"] == user]


def good_token(house, guild, user, channel):
    """What he was told last is what a voice node accepts, for a while."""
    key = f"{{{guild}}}:t:session-{user}"
    row = unpack(house.redis.get(key), "voice_token")
    told = [body["token"] for name, event, body in house.log(guild) if name in SERVER and event["user"] == user][-1]
    return (row["token"], row["user"], row["server"], row["channel"], row["node"]) == (
        told, user, guild, channel, "node-1") and 200_000 < house.redis.pttl(key) <= 300_000


# -- one channel ---------------------------------------------------------------------------------

def test_a_join_is_a_state_then_a_server_and_the_room_begins(house):
    ada, ben = house.users(2)
    guild = house.guild(ada, ben)
    channel, begun = house.voice_channel(guild), now_ms()
    assert house.sit(guild, ben, channel, self_mute=True, regions=["rotterdam"]) == 0
    house.wait_server(guild, ben)
    assert house.told(guild) == [*STATE, *BEGINS, *SERVER]
    (_, state, body), (_, begins, start), (_, server, told) = house.log(guild)
    assert (body["guild_id"], body["channel_id"], body["user_id"], body["session_id"], body["self_mute"]) == (
        str(guild), str(channel), str(ben), f"session-{ben}", True)
    assert (body["mute"], body["deaf"], body["suppress"]) == (False, False, False)
    assert body["member"]["user"]["id"] == str(ben) and body["member"]["joined_at"].startswith("2023-11-14")
    assert (state["to"], state["channel"], state["unless"], state["sitter"], state["epoch"]) == (0, channel, 0, ben, 0)
    assert (begins["channel"], start["id"], start["guild_id"]) == (channel, str(channel), str(guild))
    assert abs(start["voice_start_time"] * 1000 - now_ms()) < 60_000
    asks = house.allocator.asks(guild)
    assert len(asks) <= asks_since(begun)
    ask = asks[-1]
    assert (ask["channel"], ask["server"], ask["user"], ask["session"], ask["region"], ask["preferred"]) == (
        channel, guild, ben, f"session-{ben}", "", ["rotterdam"])
    assert told == {"token": ask["token"], "guild_id": str(guild), "endpoint": "127.0.0.1:443"}
    assert (server["to"], server["user"], server["session"]) == (2, ben, f"session-{ben}")
    assert house.in_room(guild, channel) == {ben}
    assert house.room(guild, channel)["node"] == "node-1"
    assert house.location(ben) == {"place": guild, "channel": channel, "epoch": 1, "leaving": 0}
    # The seat's row goes with its event, as it stood then.
    assert (state["row_tag"], state["row_id"]) == (17, ben)
    house.all_heard(guild)


def test_the_last_one_to_leave_ends_the_room(house):
    ada, ben = house.users(2)
    guild = house.guild(ada, ben)
    channel = house.voice_channel(guild)
    for user in (ada, ben):
        assert house.sit(guild, user, channel) == 0
        house.wait_server(guild, user)
    assert house.leave(ada) == 0                                            # with no guild at all
    name, event, body = house.log(guild)[-1]
    assert (name, body["guild_id"], body["channel_id"], event["channel"], event["left"], event["row"]) == (
        *STATE, str(guild), None, channel, True, b"")
    assert house.in_room(guild, channel) == {ben}
    assert house.sit(guild, ben) == 0
    assert house.told(guild)[-2:] == [*STATE, *BEGINS] and house.log(guild)[-1][2]["voice_start_time"] is None
    assert house.in_room(guild, channel) == set() and house.room(guild, channel) is None
    assert house.location(ben)["place"] == 0
    poll(lambda: channel in house.allocator.released_channels, "the voice server to be released")
    before = house.raw_log(guild)
    assert house.sit(guild, ben) == 0 and house.leave(ben) == 0             # twice is once
    assert house.raw_log(guild) == before


def test_what_may_not_be_joined_changes_nothing(house):
    ada, ben, eve = house.users(3)
    late = house.user()
    guild = house.guild(ada, ben, late)
    channel, text = house.voice_channel(guild), house.voice_channel(guild, type=0)
    hidden = house.voice_channel(guild, overwrites=[{"id": guild, "type": 0, "deny": MAY["VIEW_CHANNEL"]}])
    closed = house.voice_channel(guild, overwrites=[{"id": ben, "type": 1, "deny": MAY["CONNECT"]}])
    house.member(guild, late, disabled_until=now_ms() + 60_000)
    assert house.sit(guild, eve, channel) == UNKNOWN_GUILD
    assert house.sit(guild, ben, new_id()) == UNKNOWN_CHANNEL
    assert house.sit(new_id(), ben, channel) != 0
    assert house.sit(guild, ben, text) == WRONG_TYPE
    assert house.sit(guild, ben, hidden) == MISSING_PERMISSIONS
    assert house.sit(guild, ben, closed) == MISSING_PERMISSIONS
    assert house.sit(guild, late, channel) == MISSING_PERMISSIONS
    assert house.join(ben, channel) == UNKNOWN_CHANNEL                      # without its guild
    assert house.join(ben, guild) == UNKNOWN_CHANNEL
    assert house.ask("call_ring", user=ben, channel=guild, all=True) == UNKNOWN_CHANNEL
    private = house.channel(ada, ben)
    assert house.sit(private, ben, private) == UNKNOWN_CHANNEL
    assert house.raw_log(guild) == [] and house.raw_log(private) == [] and house.location(ben)["epoch"] == 0
    assert house.sit(guild, ada, closed) == 0 and house.sit(guild, ada, hidden) == 0  # the owner may all


def test_a_full_channel_takes_those_who_may_move_others(house):
    ada, ben, cleo = house.users(3)
    guild = house.guild(ada, ben, cleo)
    channel = house.voice_channel(guild, user_limit=1)
    assert house.sit(guild, ben, channel) == 0
    assert house.sit(guild, cleo, channel) == MISSING_PERMISSIONS
    assert house.sit(guild, ben, channel, session="phone") == 0             # he is in already
    assert house.sit(guild, ada, channel) == 0
    assert house.in_room(guild, channel) == {ada, ben}


def test_cameras_have_a_limit_and_one_more_for_who_manages_channels(house):
    users = ada, ben, cleo, dora = house.users(4)
    guild = house.guild(*users, video_max=1)
    channel = house.voice_channel(guild)
    dark = house.voice_channel(guild, overwrites=[{"id": guild, "type": 0, "deny": MAY["STREAM"]}])
    assert house.sit(guild, dora, dark, self_video=True) == MISSING_PERMISSIONS
    assert house.sit(guild, ben, channel, self_video=True) == 0
    assert house.sit(guild, cleo, channel, self_video=True) == MISSING_PERMISSIONS
    assert house.sit(guild, cleo, channel) == 0
    assert house.sit(guild, cleo, channel, self_video=True) == MISSING_PERMISSIONS
    assert house.sit(guild, ada, channel, self_video=True) == 0
    assert house.room(guild, channel)["videos"] == 2
    assert house.sit(guild, ben, channel, self_mute=True, self_video=True) == 0   # it is on already
    assert house.sit(guild, ben, channel) == 0
    assert house.in_room(guild, channel) == {ada, ben, cleo} and house.room(guild, channel)["videos"] == 1


def test_who_is_muted_deafened_or_suppressed_is_so_from_the_start(house):
    ada, ben = house.users(2)
    afk = new_id()
    guild = house.guild(ada, ben, afk_channel=afk)
    house.voice_channel(guild, id=afk)
    channel = house.voice_channel(guild)
    silent = house.voice_channel(guild, overwrites=[{"id": guild, "type": 0, "deny": MAY["SPEAK"]}])
    stage = house.voice_channel(guild, type=13)
    house.member(guild, ben, mute=True, deaf=True)
    flags = []
    for target in (channel, silent, afk, stage, channel):
        assert house.sit(guild, ben, target) == 0
        seat = house.seat(guild, ben)
        flags.append((seat["mute"], seat["deaf"], seat["suppress"]))
    assert flags == [(True, True, False), (True, True, True), (True, True, True), (True, True, True),
                     (True, True, False)]
    assert house.sit(guild, ada, stage) == 0 and house.seat(guild, ada)["suppress"] is False  # its moderator


def test_flags_are_a_state_alone_and_the_same_said_again_brings_a_new_server(house):
    ada, ben = house.users(2)
    guild = house.guild(ada, ben)
    channel = house.voice_channel(guild)
    assert house.sit(guild, ben, channel) == 0
    house.wait_server(guild, ben)
    assert house.sit(guild, ben, channel, self_mute=True, self_deaf=True) == 0
    assert house.sit(guild, ben, channel, self_deaf=True) == 0
    assert house.told(guild) == [*STATE, *BEGINS, *SERVER, *STATE, *STATE]
    assert house.location(ben)["epoch"] == 1
    assert good_token(house, guild, ben, channel)
    assert house.sit(guild, ben, channel, self_deaf=True) == 0
    poll(lambda: len(servers(house, guild, ben)) == 2, "another server")
    assert house.told(guild)[-2:] == [*STATE, *SERVER]
    assert good_token(house, guild, ben, channel)


def test_another_session_takes_over_and_the_first_one_cannot_leave(house):
    ada, ben = house.users(2)
    guild = house.guild(ada, ben)
    channel = house.voice_channel(guild)
    assert house.sit(guild, ben, channel) == 0
    house.wait_server(guild, ben)
    assert good_token(house, guild, ben, channel)
    assert house.sit(guild, ben, channel, session="phone") == 0
    assert not house.redis.exists(f"{{{guild}}}:t:session-{ben}")
    poll(lambda: len(servers(house, guild, ben)) == 2, "the second one's server")
    assert [event["session"] for name, event, _ in house.log(guild) if name in SERVER] == [f"session-{ben}", "phone"]
    assert house.leave(ben) == 0 and house.sit(guild, ben) == 0
    assert house.seat(guild, ben)["session"] == "phone"
    assert house.leave(ben, session="phone") == 0
    assert house.in_room(guild, channel) == set()


# -- moving --------------------------------------------------------------------------------------

def test_a_move_within_a_guild_is_one_state_for_who_sees_both_channels(house):
    ada, ben = house.users(2)
    guild = house.guild(ada, ben)
    home, away = house.voice_channel(guild), house.voice_channel(guild)
    assert house.sit(guild, ben, home) == 0
    house.wait_server(guild, ben)
    assert house.sit(guild, ben, away) == 0
    poll(lambda: len(servers(house, guild, ben)) == 2, "another server")
    assert good_token(house, guild, ben, away)
    assert house.told(guild)[3:] == [*STATE, *STATE, *BEGINS, *BEGINS, *SERVER]
    (_, new, here), (_, old, gone), (_, ended, end), (_, began, begin) = house.log(guild)[3:7]
    assert (new["channel"], new["unless"], new["to"], here["channel_id"]) == (away, 0, 0, str(away))
    assert (old["channel"], old["unless"], old["to"], old["user"], gone["channel_id"]) == (home, away, 3, ben, None)
    assert (old["row_tag"], new["row_tag"], old["left"], old["epoch"], new["epoch"]) == (0, 17, False, 0, 0)
    assert (ended["channel"], end["voice_start_time"], began["channel"]) == (home, None, away)
    assert begin["voice_start_time"] > 0
    assert house.in_room(guild, home) == set() and house.in_room(guild, away) == {ben}
    assert states(house, guild, ben) == [home, away]
    assert without_repeats([ask["channel"] for ask in house.allocator.asks(guild)]) == [home, away]
    assert house.location(ben) == {"place": guild, "channel": away, "epoch": 2, "leaving": 0}


def test_one_voice_state_in_all_between_guilds_and_private_calls(house):
    ada, ben = house.users(2)
    first, second = house.guild(ada, ben), house.guild(ada, ben)
    a, b, call = house.voice_channel(first), house.voice_channel(second), house.channel(ada, ben)
    assert house.sit(first, ben, a) == 0
    assert house.sit(second, ben, b) == 0
    assert house.in_room(first, a) == set() and house.in_room(second, b) == {ben}
    assert house.join(ben, call) == 0
    assert house.in_room(second, b) == set() and list(house.seats(call)) == [ben]
    assert house.told(call)[:3] == START
    assert house.sit(first, ben, a) == 0
    assert house.call(call) is None and house.told(call)[-3:] == END
    assert states(house, first, ben) == [a, None, a] and states(house, second, ben) == [b, None]
    house.settled(ben)
    assert house.location(ben) == {"place": first, "channel": a, "epoch": 4, "leaving": 0}
    poll(lambda: house.heard(first)[-1:], "the news")
    heard = [(entry["ref"], event["name"]) for entry in house.entries for event in entry["events"]]
    assert heard.index((second, *STATE)) < heard.index((call, "MESSAGE_CREATE"))
    assert heard.index((call, "CALL_DELETE")) < len(heard) - heard[::-1].index((first, *STATE))


def test_a_leave_that_names_a_guild_is_about_that_guild(house):
    ada, ben = house.users(2)
    first, second = house.guild(ada, ben), house.guild(ada, ben)
    channel = house.voice_channel(first)
    assert house.sit(first, ben, channel) == 0
    assert house.sit(second, ben) == 0
    assert house.in_room(first, channel) == {ben}
    assert house.sit(first, ben) == 0
    assert house.in_room(first, channel) == set()


def test_a_bot_is_in_one_channel_of_each_guild(house):
    ada = house.user()
    bot = house.user(bot=True)
    first, second = house.guild(ada, bot), house.guild(ada, bot)
    a, b, c = house.voice_channel(first), house.voice_channel(first), house.voice_channel(second)
    assert [house.sit(first, bot, a), house.sit(second, bot, c), house.sit(first, bot, b)] == [0, 0, 0]
    assert (house.sits(first, bot), house.sits(second, bot)) == (b, c)
    assert house.location(bot, first) == {"place": first, "channel": b, "epoch": 2, "leaving": 0}
    assert house.location(bot)["epoch"] == 0
    assert all(event["epoch"] == 0 and event["sitter"] == bot for name, event, _ in house.log(first) if name in STATE)
    assert house.leave(bot) == 0                                            # out of which?
    assert (house.sits(first, bot), house.sits(second, bot)) == (b, c)
    assert house.sit(first, bot) == 0
    assert (house.sits(first, bot), house.sits(second, bot)) == (None, c)
    assert house.sit(first, bot, a) == 0
    house.end_session(f"session-{bot}")
    assert house.ask("session_end", user=bot, session="another") == 0
    assert (house.sits(first, bot), house.sits(second, bot)) == (a, c)
    assert house.ask("session_end", user=bot, session=f"session-{bot}") == 0
    assert (house.sits(first, bot), house.sits(second, bot)) == (None, None)


def test_a_command_repeated_is_applied_once(house):
    ada, ben = house.users(2)
    guild = house.guild(ada, ben)
    home, away = house.voice_channel(guild), house.voice_channel(guild)
    join, move, leave = new_id(), new_id(), new_id()
    assert [house.sit(guild, ben, home, id=join, at=at) for at in ("one", "one", "two")] == [0, 0, 0]
    assert [house.sit(guild, ben, away, id=move, at=at) for at in ("one", "one", "two")] == [0, 0, 0]
    assert house.sit(guild, ben, home, id=join, at="two") == 0              # its answer was lost, say
    assert states(house, guild, ben) == [home, away]
    assert [house.leave(ben, id=leave, at=at) for at in ("one", "two", "one")] == [0, 0, 0]
    assert states(house, guild, ben) == [home, away, None]


def test_a_move_that_was_cut_off_is_gone_on_with_by_another(own):
    """Killed before the commit that it is about to make: the claim, the leave, the seat."""
    house = own("one", "two")
    for i in range(3):
        ada, ben = house.users(2)
        guild, call = house.guild(ada, ben), house.channel(ada, ben)
        channel, join = house.voice_channel(guild), new_id()
        assert house.join(ben, call, at="two") == 0
        trap = house.proxies["one"].trap("hold", about((f"u:{ben}", call, guild)[i]))
        house.send_to("one", "voice_update", id=join, guild=guild, **house.voice(ben, channel))
        trap.wait()
        house.kill("one")
        house.proxies["one"].disarm(trap)
        house.begin("one")
        assert house.sit(guild, ben, channel, id=join, at="two") == 0       # its asker repeats it
        house.settled(ben)
        assert house.call(call) is None and house.in_room(guild, channel) == {ben}
        assert house.location(ben)["place"] == guild and states(house, guild, ben) == [channel]


def test_a_crowd_whose_manager_was_killed_is_looked_after_by_another(own):
    house = own("one", "two")
    guild, channel, users = sat_down(house, 30)
    house.allocator.node, house.allocator.endpoint = "node-2", "127.0.0.2:443"
    trap = house.proxies["one"].trap("deaf", about(guild))                  # it is committed, and nobody hears of it
    house.send_to("one", "server_lost", place=guild, channel=channel, node="node-1")
    trap.wait()
    house.kill("one")
    house.proxies["one"].disarm(trap)
    for user in users:
        house.wait_server(guild, user, "127.0.0.2:443")


def test_two_clients_that_move_a_user_at_once_leave_him_in_one_channel(house):
    for _ in range(15):
        ada, ben = house.users(2)
        guilds = [house.guild(ada, ben) for _ in range(2)]
        places = [(guilds[0], house.voice_channel(guilds[0])), (guilds[0], house.voice_channel(guilds[0])),
                  (guilds[1], house.voice_channel(guilds[1]))]
        assert house.sit(places[0][0], ben, places[0][1], session="first") == 0
        ids = [house.send_to(name, "voice_update", guild=guild, **house.voice(ben, channel, f"session-{channel}"))
               for name, (guild, channel) in (("one", places[1]), ("two", places[2]))]
        assert [house.gateway.wait_answer(id)["err"] for id in ids] == [0, 0]
        house.settled(ben)
        seats = [(guild, channel) for guild, channel in places if ben in house.in_room(guild, channel)]
        assert [guild for guild, _ in seats] == [house.location(ben)["place"]]
        for guild in guilds:
            assert (states(house, guild, ben) or [None])[-1] == house.sits(guild, ben)


def test_a_crowd_that_comes_and_goes_at_once_conflicts_with_nobody(house):
    users = house.users(60)
    guild = house.guild(*users)
    channels = [house.voice_channel(guild) for _ in range(3)]
    ids = [house.send_to("one", "voice_update", guild=guild, **house.voice(user, channels[i % 3]))
           for i, user in enumerate(users)]
    assert [house.gateway.wait_answer(id)["err"] for id in ids] == [0] * 60
    for user in users:
        house.wait_server(guild, user)
    assert sum(len(house.in_room(guild, channel)) for channel in channels) == 60
    ids = [house.send_to(("one", "two")[i % 2], "voice_update", guild=guild, **house.voice(user, channels[2 - i % 3]))
           for i, user in enumerate(users)]
    assert [house.gateway.wait_answer(id)["err"] for id in ids] == [0] * 60
    assert sum(len(house.in_room(guild, channel)) for channel in channels) == 60
    ids = [house.send_to("two", "voice_update", **house.voice(user)) for user in users]
    assert [house.gateway.wait_answer(id)["err"] for id in ids] == [0] * 60
    assert [house.in_room(guild, channel) for channel in channels] == [set()] * 3


# -- voice servers -------------------------------------------------------------------------------

def sat_down(house, n, **fields):
    """A guild with n users in one of its voice channels, each with a voice server."""
    users = house.users(n)
    guild = house.guild(*users)
    channel = house.voice_channel(guild, **fields)
    ids = [house.send_to("one", "voice_update", guild=guild, **house.voice(user, channel)) for user in users]
    assert [house.gateway.wait_answer(id)["err"] for id in ids] == [0] * n
    for user in users:
        house.wait_server(guild, user)
    return guild, channel, users


def test_the_regions_of_channel_and_client_reach_the_allocator(house):
    ada = house.user()
    guild = house.guild(ada)
    channel = house.voice_channel(guild, rtc_region="frankfurt")
    assert house.sit(guild, ada, channel, regions=["rotterdam", "mars"]) == 0
    ask = poll(lambda: house.allocator.asks(guild), "the ask")[0]
    assert (ask["region"], ask["preferred"]) == ("frankfurt", ["rotterdam", "mars"])
    # An answer from elsewhere was asked for before the region was chosen: the ask after it counts.
    house.allocator.region = "frankfurt"
    house.wait_server(guild, ada)
    assert len(house.allocator.asks(guild)) >= 2 and house.room(guild, channel)["region"] == "frankfurt"
    assert servers(house, guild, ada) == ["127.0.0.1:443"]


def test_an_allocator_that_is_silent_is_asked_again(house):
    ada = house.user()
    guild = house.guild(ada)
    channel = house.voice_channel(guild)
    house.allocator.silent = True
    assert house.sit(guild, ada, channel) == 0
    poll(lambda: house.allocator.asks(guild), "the first ask")
    house.allocator.silent = False
    house.wait_server(guild, ada)
    assert house.told(guild) == [*STATE, *BEGINS, *SERVER]
    poll(lambda: house.due(f"s:{guild}:{ada}") is None, "the seat's row to go")


def test_without_a_free_node_the_endpoint_is_null_until_there_is_one_for_everybody(house):
    users = house.users(3)
    guild = house.guild(*users)
    channel = house.voice_channel(guild)
    house.allocator.endpoint = ""
    for user in users:
        assert house.sit(guild, user, channel) == 0
        house.wait_server(guild, user, None)
    assert house.ask("server_free", place=guild, channel=channel) == 0      # somebody else was quicker
    poll(lambda: all(sum(ask["user"] == user for ask in house.allocator.asks(guild)) >= 2 for user in users),
         "asks that find nothing")
    assert len(servers(house, guild, users[0])) == 1                        # he knows already
    house.allocator.endpoint = "127.0.0.1:443"
    assert house.ask("server_free", place=guild, channel=channel) == 0
    for user in users:
        house.wait_server(guild, user)
        assert servers(house, guild, user) == [None, "127.0.0.1:443"]
    assert house.ask("server_free", place=guild, channel=channel) == 0      # nobody waits any more
    assert house.room(guild, channel)["node"] == "node-1"


def test_who_waits_follows_when_one_of_them_finds_a_node(house):
    users = house.users(2)
    guild = house.guild(*users)
    channel = house.voice_channel(guild)
    house.allocator.endpoint = ""
    for user in users:
        assert house.sit(guild, user, channel) == 0
        house.wait_server(guild, user, None)
    house.allocator.endpoint = "127.0.0.1:443"
    assert house.sit(guild, users[0], channel) == 0                         # said the same again
    for user in users:
        house.wait_server(guild, user)


def test_a_lost_node_is_null_at_once_and_then_another_for_all_of_a_crowd(house):
    guild, channel, users = sat_down(house, 50)
    assert house.ask("server_lost", place=guild, channel=channel, node="node-7") == 0   # not where it lives
    house.allocator.node, house.allocator.endpoint = "node-2", "127.0.0.2:443"
    lost = new_id()
    assert [house.ask("server_lost", at=at, id=lost, place=guild, channel=channel, node="node-1")
            for at in ("one", "two")] == [0, 0]
    for user in users:
        house.wait_server(guild, user, "127.0.0.2:443")
    poll(lambda: house.due(f"r:{guild}:{channel}") is None, "the room's row to go")
    ends = [servers(house, guild, user) for user in users]
    assert all(told[0] == "127.0.0.1:443" and told[-1] == "127.0.0.2:443" for told in ends)
    assert sum(None in told for told in ends) >= 20
    assert all(told.count("127.0.0.2:443") == 1 for told in ends)
    assert house.room(guild, channel)["node"] == "node-2" and house.in_room(guild, channel) == {*users}


def test_an_answer_that_names_a_node_which_was_lost_meanwhile_does_not_count(house):
    ada, ben = house.users(2)
    guild = house.guild(ada, ben)
    channel = house.voice_channel(guild)
    house.allocator.silent = True
    assert house.sit(guild, ada, channel) == 0
    ask = poll(lambda: house.allocator.asks(guild), "the ask")[0]
    seat = house.seat(guild, ada)
    assert house.ask("server_lost", place=guild, channel=channel, node="node-1") == 0
    assert house.room(guild, channel)["gone"] == ["node-1"]
    house.allocator.silent = False
    house.allocator.node, house.allocator.endpoint = "node-2", "127.0.0.2:443"
    house.wait_server(guild, ada, "127.0.0.2:443")
    assert servers(house, guild, ada) == ["127.0.0.2:443"] and ask["user"] == ada and seat["server"] == 0


def test_a_room_that_moves_to_another_node_takes_everybody_along(house):
    """The allocator sent the next one elsewhere: it knew before we did."""
    guild, channel, users = sat_down(house, 30)
    house.allocator.node, house.allocator.endpoint = "node-2", "127.0.0.2:443"
    assert house.sit(guild, users[0], channel) == 0
    for user in users:
        house.wait_server(guild, user, "127.0.0.2:443")
    assert all(servers(house, guild, user) == ["127.0.0.1:443", "127.0.0.2:443"] for user in users)


def test_the_allocator_learns_that_a_room_is_no_more(house):
    guild = house.guild(house.user())
    channel = house.voice_channel(guild)
    for command, more in (("server_lost", {"node": "node-1"}), ("server_free", {})):
        assert house.ask(command, place=guild, channel=channel, **more) == MISSING
        assert house.ask(command, place=guild, channel=new_id(), **more) == MISSING


# -- gateways ------------------------------------------------------------------------------------

def test_a_session_that_goes_on_at_another_gateway_is_nothing_to_tell(house):
    ada, ben = house.users(2)
    bot = house.user(bot=True)
    guilds = [house.guild(ada, ben, bot) for _ in range(2)]
    channels = [house.voice_channel(guild) for guild in guilds]
    other = house.peer("gateway")
    assert house.sit(guilds[0], ben, channels[0], gateway=other.instance) == 0
    for guild, channel in zip(guilds, channels):
        assert house.sit(guild, bot, channel, gateway=other.instance) == 0
    for guild, user in ((guilds[0], ben), (guilds[0], bot), (guilds[1], bot)):
        house.wait_server(guild, user)
        assert house.redis.zscore(f"gateway:{other.instance}:places", f"{guild}:{user}")
    told = [house.told(guild) for guild in guilds]
    for user in (ben, bot):
        assert house.ask("session_moved", user=user, session=f"session-{user}", gateway=house.gateway.instance) == 0
    assert [house.told(guild) for guild in guilds] == told
    for guild, user in ((guilds[0], ben), (guilds[0], bot), (guilds[1], bot)):
        assert house.seat(guild, user)["gateway"] == house.gateway.instance
        assert house.redis.zscore(f"gateway:{house.gateway.instance}:places", f"{guild}:{user}")
    poll(lambda: not house.redis.zcard(f"gateway:{other.instance}:places"), "the seats to be forgotten")


def test_the_seats_of_a_lost_gateway_go_and_nobody_elses(own):
    house = own("one", SB_RESUME_WINDOW_MS="1500")
    users = house.users(40)
    guild = house.guild(*users)
    channels = [house.voice_channel(guild) for _ in range(2)]
    lost = house.peer("gateway")
    lost.link(house.instance("one"), KIND)
    for i, user in enumerate(users):
        assert house.sit(guild, user, channels[i % 2], gateway=lost.instance if i % 4 else house.gateway.instance) == 0
    heir = users[1]
    house.hold_session(f"session-{heir}", house.gateway.instance, 9)        # went on here, and nobody told of it
    gone = {user for i, user in enumerate(users) if i % 4} - {heir}
    lost.die()
    poll(lambda: house.in_room(guild, channels[0]) | house.in_room(guild, channels[1]) == {*users} - gone,
         "the seats of that gateway to go")
    assert house.seat(guild, heir)["gateway"] == house.gateway.instance
    assert all(states(house, guild, user)[-1] is None for user in gone)
    poll(lambda: not house.redis.sismember("gateways:known", lost.instance), "the gateway to be forgotten")


# -- records -------------------------------------------------------------------------------------

def test_who_was_removed_learns_of_it_though_the_manager_died_in_between(house):
    """Nobody repeats the command; a row of the timers knows of it. Who is a member is welcomed by whoever took him in."""
    ada, ben, cleo = house.users(3)
    guild = house.guild(ada, ben)
    house.redis.hdel(f"{{{guild}}}:mb", ben)
    house.redis.hset(f"{{{guild}}}:mb", cleo, pack("member", user=cleo))
    for user in (ben, cleo):
        house.redis.zadd("timers:call", {f"a:{guild}:{user}": now_ms()})
    poll(lambda: not house.redis.hexists(f"{{u:{ben}}}:g", guild), "the guild to go out of his record")
    poll(lambda: house.due(f"a:{guild}:{cleo}") is None, "her row to go")
    (name, event, body), = house.log(f"u:{ben}")
    assert (name, body, event["to"], event["user"], event["place_op"], event["place"], event["place_version"]) == (
        "GUILD_DELETE", {"id": str(guild)}, 1, ben, 2, guild, 1)
    assert house.log(f"u:{cleo}") == []


def test_a_seat_that_was_taken_too_late_goes(house):
    """Whoever sat down died before he looked at his claim again."""
    ada, ben = house.users(2)
    guild = house.guild(ada, ben)
    channel, call = house.voice_channel(guild), house.channel(ada, ben)
    assert house.sit(guild, ben, channel) == 0
    location = pack("location", place=call, channel=call, epoch=2)
    house.redis.hset(f"{{u:{ben}}}:s", "voice", location)
    house.redis.zadd("timers:call", {f"a:{guild}:{ben}": now_ms()})
    poll(lambda: house.in_room(guild, channel) == set(), "the seat to go")


def test_a_record_that_does_not_decode_or_add_up_harms_nobody(house):
    ada, ben = house.users(2)
    guild, sound = house.guild(ada, ben), house.guild(ada, ben)
    channel, other = house.voice_channel(guild), house.voice_channel(sound)
    assert house.sit(guild, ben, channel) == 0
    house.wait_server(guild, ben)                                           # nothing is under way
    house.redis.hdel(f"{{{guild}}}:vc", channel)                            # a room that has a seat, and is not there
    assert house.leave(ben) == -1 and house.sit(guild, ben, channel) == -1
    house.redis.hset(f"{{{guild}}}:vs", ben, b"rubbish")
    assert house.leave(ben) == -1
    house.redis.hset(f"{{{guild}}}:r", 7, b"rubbish")
    assert house.sit(guild, ada, channel) == -1
    house.redis.zadd("timers:call", {"s:rubbish": 1, "r:1": 1, f"s:{guild}:{ben}": 1, f"r:{guild}:{channel}": 1,
                                     f"r:{new_id()}:7": 1})
    assert house.sit(sound, ada, other) == 0
    poll(lambda: all(house.due(row) is None for row in ("s:rubbish", "r:1", f"s:{guild}:{ben}")), "rows of nothing to go")
