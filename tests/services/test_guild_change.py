"""What people change in a guild, at call managers alone: real processes, a real redis-server, a gateway and a region
allocator that the test plays by hand. Who may what is in tests/unit/test_guild_change.c."""
import itertools
import re
import signal
import threading
from contextlib import closing

import pytest
from bus import now_ms, pack, poll, unpack
from call_house import EVERYONE, MAY, SERVER, House, about, new_id, without_repeats
from guild_house import VOICE, Guild

UNKNOWN_CHANNEL, UNKNOWN_GUILD, UNKNOWN_MEMBER, UNKNOWN_ROLE = 10003, 10004, 10007, 10011
UNKNOWN_VOICE_STATE, UNKNOWN_STAGE, NOT_IN_VOICE, STAGE_IS_OPEN = 10065, 10067, 40032, 150006
MISSING_PERMISSIONS, INVALID_FORM, INVALID_GUILD = 50013, 50035, 50055
CROWD = 45                                       # more than one commit takes, and more than two


@pytest.fixture
def house(two_managers):
    return two_managers


def crowded(house, channel_of, members=CROWD):
    """A guild in one of whose channels many sit, each with a server."""
    guild = Guild(house, members)
    channel = channel_of(guild)
    for user in guild.members:
        guild.join(user, channel)
    for user in guild.members:
        guild.wait_server(user)
    return guild, channel


# -- members -----------------------------------------------------------------------------------

def test_a_mute_stands_in_one_entry_for_member_and_seat_and_outlives_a_leave(house):
    guild = Guild(house)
    ada, = guild.members
    guild.join(ada, guild.voice)
    guild.wait_server(ada)
    body = guild.done("member_edit", target=ada, set=1, to={"mute": True})
    assert body["mute"] is True and body["user"]["id"] == str(ada) and "guild_id" not in body
    entry = unpack(house.raw_log(guild.id)[-1], "place_event")
    member, state = entry["events"]
    assert (member["name"], state["name"]) == ("GUILD_MEMBER_UPDATE", "VOICE_STATE_UPDATE")
    assert member["row"] == pack("member", **guild.member(ada)) and guild.member(ada)["mute"]
    assert state["row"] == pack("voice_seat", **guild.seat(ada)) and guild.seat(ada)["mute"]
    assert (state["channel"], state["sitter"], member["channel"]) == (guild.voice, ada, 0)
    house.all_heard(guild.id)
    guild.join(ada)
    assert guild.seat(ada) is None
    guild.join(ada, guild.voice)
    assert guild.seat(ada)["mute"] is True
    guild.join(ada)
    assert guild.refused("member_edit", target=ada, set=1, to={"mute": False}) == NOT_IN_VOICE


def test_who_is_moved_is_sent_to_a_server_anew_and_who_is_put_out_is_out(house):
    guild = Guild(house)
    ada, = guild.members
    guild.join(ada, guild.voice)
    first = guild.wait_server(ada)
    guild.done("member_edit", target=ada, set=4, to={}, channel=guild.other)
    assert (guild.sitting(guild.voice), guild.sitting(guild.other)) == (set(), {ada})
    assert (guild.room(guild.voice), guild.room(guild.other)["seats"]) == (None, 1)
    poll(lambda: guild.wait_server(ada)["token"] != first["token"], "another token")
    asked = house.allocator.asks(guild.id)
    assert without_repeats([ask["channel"] for ask in asked]) == [guild.voice, guild.other]
    guild.done("member_edit", target=ada, set=4, to={}, channel=0)
    assert guild.seat(ada) is None and guild.room(guild.other) is None
    assert guild.log()[-1][0] == "VOICE_CHANNEL_START_TIME_UPDATE"
    assert guild.log()[-2][2]["channel_id"] is None
    guild.join(ada, guild.voice)                 # what a moderator did keeps nobody away
    guild.wait_server(ada)


def test_a_time_out_is_heard_in_voice_at_once_and_roles_with_the_next_move(house):
    guild = Guild(house)
    ada, = guild.members
    silent = guild.put_role(position=2)
    guild.join(ada, guild.voice)
    overwrites = [{"id": silent, "type": 0, "allow": 0, "deny": MAY["SPEAK"]}]
    guild.done("channel_put", by=guild.owner, set=64, to={"id": guild.voice, "overwrites": overwrites})
    guild.done("member_edit", target=ada, set=16, to={"roles": [silent]})
    assert guild.seat(ada)["suppress"] is False
    for channel in guild.other, guild.voice:
        guild.done("member_edit", target=ada, set=4, to={}, channel=channel)
    assert guild.seat(ada)["suppress"] is True
    guild.done("member_edit", target=ada, set=16, to={"roles": []})
    assert guild.seat(ada)["suppress"] is True
    for channel in guild.other, guild.voice:
        guild.done("member_edit", target=ada, set=4, to={}, channel=channel)
    assert guild.seat(ada)["suppress"] is False
    until = now_ms() + 60000
    body = guild.done("member_edit", target=ada, set=32, to={"disabled_until": until})
    assert body["communication_disabled_until"] is not None
    assert guild.seat(ada)["suppress"] is True and guild.seat(ada)["channel"] == guild.voice


def test_a_removed_member_loses_seat_row_and_guild_and_hears_it_in_his_own_record(house):
    guild = Guild(house, 2)
    ada, ben = guild.members
    guild.join(ada, guild.voice)
    house.redis.sadd(f"{{u:{ada}}}:gw", house.gateway.instance)
    guild.done("member_remove", target=ada)
    assert guild.member(ada) is None and guild.seat(ada) is None and guild.sitting(guild.voice) == set()
    assert house.redis.zscore(guild.key("mi"), f"{ada:020}") is None
    assert guild.told()[-3:] == ["VOICE_STATE_UPDATE", "VOICE_CHANNEL_START_TIME_UPDATE", "GUILD_MEMBER_REMOVE"]
    assert not house.redis.hexists(f"{{u:{ada}}}:g", guild.id)
    (name, event, body), = house.log(f"u:{ada}")[-1:]
    assert (name, body, event["place_op"], event["place"]) == ("GUILD_DELETE", {"id": str(guild.id)}, 2, guild.id)
    assert guild.refused("member_remove", target=ada) == UNKNOWN_MEMBER
    guild.done("member_remove", by=ben, target=ben)
    assert guild.member(ben) is None and not house.redis.hexists(f"{{u:{ben}}}:g", guild.id)
    assert guild.refused("member_remove", by=guild.owner, target=guild.owner) == INVALID_GUILD
    assert guild.refused("member_remove", by=ada, target=guild.moderator) == UNKNOWN_GUILD


# -- channels ----------------------------------------------------------------------------------

def test_a_channel_is_made_changed_and_deleted(house):
    guild = Guild(house)
    made = guild.done("channel_put", set=1 | 4 | 2048,
                      to={"name": "Den", "type": VOICE, "parent": guild.category})
    id = int(made["id"])
    assert (made["name"], made["type"], made["parent_id"]) == ("Den", VOICE, str(guild.category))
    assert guild.channel(id)["name"] == "Den"
    known = unpack(house.redis.hget(f"{{{id}}}:s", "chan"), "channel")  # for who has its id alone
    assert (known["id"], known["type"], known["guild"]) == (id, VOICE, guild.id)
    changed = guild.done("channel_put", set=1 | 8, to={"id": id, "name": "Lair", "bitrate": 96000})
    assert (changed["name"], changed["bitrate"], changed["type"]) == ("Lair", 96000, VOICE)
    assert guild.done("channel_put", set=1, to={"id": id, "name": "Lair"})["name"] == "Lair"  # nothing to change
    assert guild.done("channel_delete", channel=id)["id"] == str(id)
    assert guild.channel(id) is None
    poll(lambda: house.redis.keys(f"{{{id}}}:*") == [], "nothing to be left of it")
    assert guild.told() == ["CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE"]
    assert all(event["channel"] == id for _, event, _ in guild.log())
    assert guild.refused("channel_delete", channel=id) == UNKNOWN_CHANNEL


def test_a_channel_that_was_made_is_found_by_its_id_whoever_was_killed():
    """The manager is killed when the channel can be found and is not yet there; the same command goes to the other."""
    with closing(House("one", "two")) as own:
        guild = Guild(own)
        trap = own.proxies["one"].trap("hold", about(guild.id))
        id = own.send_to("one", "channel_put", guild=guild.id, user=guild.moderator, set=1,
                         more={"to": {"name": "Den"}})
        trap.wait()
        own.kill("one")
        own.proxies["one"].disarm(trap)
        assert guild.told() == []
        made = int(guild.done("channel_put", at="two", id=id, set=1, to={"name": "Den"})["id"])
        assert guild.told() == ["CHANNEL_CREATE"] and guild.channel(made)["name"] == "Den"
        assert unpack(own.redis.hget(f"{{{made}}}:s", "chan"), "channel")["guild"] == guild.id


def test_what_is_refused_says_why(house):
    guild = Guild(house)
    ada, = guild.members
    err, body = guild.command("channel_put", set=8, to={"id": guild.voice, "bitrate": 7})
    assert err == INVALID_FORM and body["errors"]["bitrate"]["_errors"][0]["code"] == "NUMBER_TYPE_MIN"
    err, body = guild.command("channel_put", set=32, to={"id": guild.voice, "rtc_region": "moon"})
    assert err == INVALID_FORM and body["errors"]["rtc_region"]["_errors"][0]["code"] == "BASE_TYPE_CHOICES"
    assert guild.command("channel_put", by=ada, set=1, to={"name": "x"}) == (MISSING_PERMISSIONS, None)
    assert guild.command("channel_put", by=new_id(), set=1, to={"name": "x"}) == (UNKNOWN_GUILD, None)
    assert guild.refused("member_edit", target=new_id(), set=8, to={"nick": "x"}) == UNKNOWN_MEMBER
    assert guild.told() == []


def test_a_crowded_channel_goes_after_all_who_sat_there(house):
    guild, channel = crowded(house, lambda guild: guild.stage)
    guild.done("stage_put", channel=channel, opens=True, set=1, to={"topic": "town hall"})
    before = len(guild.told())
    assert guild.done("channel_delete", channel=channel)["id"] == str(channel)
    told = guild.told()[before:]
    assert told == ["VOICE_STATE_UPDATE"] * CROWD + ["VOICE_CHANNEL_START_TIME_UPDATE", "STAGE_INSTANCE_DELETE",
                                                     "CHANNEL_DELETE"]
    assert {int(body["user_id"]) for name, _, body in guild.log()[before:] if name == "VOICE_STATE_UPDATE"} == {
        *guild.members}
    assert guild.channel(channel) is None and guild.room(channel) is None and guild.open_stage(channel) is None
    assert guild.sitting(channel) == set() and not house.redis.exists(guild.key("vs"))
    poll(lambda: channel in house.allocator.released_channels, "the server to be released")
    for user in guild.members[:3]:
        guild.join(user, guild.voice)
    assert guild.sitting(guild.voice) == {*guild.members[:3]}


def test_a_full_category_goes_and_what_was_in_it_stays(house):
    guild = Guild(house)
    inside = [guild.put_channel(VOICE, parent=guild.category) for _ in range(CROWD)]
    guild.done("channel_delete", channel=guild.category)
    assert guild.told() == ["CHANNEL_UPDATE"] * (CROWD + 2) + ["CHANNEL_DELETE"]
    assert all(guild.channel(id)["parent"] == 0 for id in inside)


@pytest.mark.parametrize("delay", ["20", "2500"], ids=["they are sent", "they wait for their time"])
def test_of_a_seat_one_ask_is_out_and_of_a_room_one_release_however_often_people_are_moved(own, delay):
    """While the region allocator says nothing. What it answers then to those that were taken back counts for nothing."""
    house = own("one", SB_SERVER_DELAY_MS=delay)
    guild, allocator, held = Guild(house, 2), house.allocator, []
    channels = guild.other, guild.voice

    def hold(command):
        return command.name in ("assign", "release") and not held.append(command) or allocator.take(command)

    def served(user):
        """The tokens that he was told, each with a server."""
        return [body["token"] for name, event, body in guild.log()
                if name in SERVER and event["user"] == user and body["endpoint"]]

    def out():
        """(servers asked for, to be released, commands waiting)"""
        service = house.system.services["one"]
        before = service.log.read_text().count("--- ")
        service.proc.send_signal(signal.SIGUSR1)

        def dumped():
            text = service.log.read_text()
            said = text.rpartition("--- ")[2]
            return said if text.count("--- ") > before and "\nregions 2\n" in said else None
        said = poll(dumped, "the dump")
        return [int(re.search(what, said)[1]) for what in
                (r"servers (\d+) asked for", r"asked for, (\d+) to be released", r"peers, (\d+) commands waiting")]

    allocator.peer.on_command = hold
    for user in guild.members:
        guild.join(user, guild.voice)
    most = [0, 0, 0]
    for n in range(20):
        for user in guild.members:
            guild.done("member_edit", target=user, set=4, to={}, channel=channels[n % 2])
        most = [max(pair) for pair in zip(most, out())]
    assert 1 <= most[0] <= 2 and 1 <= most[1] <= 2, most
    assert most[2] <= 2 + 2 + 1, most            # and it asks which regions there are
    allocator.peer.on_command = allocator.take
    for command in held:
        allocator.take(command)
    poll(lambda: out()[:2] == [0, 0] and all(served(user) for user in guild.members), "nothing to be out any more")
    for user in guild.members:
        last = max((ask for ask in allocator.asks(guild.id) if ask["user"] == user), key=lambda ask: ask["deadline"])
        assert last["channel"] == guild.voice and served(user)[-1] == last["token"]


def test_another_region_sends_everybody_to_another_server(house):
    guild, channel = crowded(house, lambda guild: guild.voice)
    tokens = {user: guild.wait_server(user)["token"] for user in guild.members}
    house.allocator.node, house.allocator.region = "node-2", "frankfurt"
    house.allocator.endpoint = "127.0.0.2:443"
    asked = len(house.allocator.asks(guild.id))
    guild.done("channel_put", set=32, to={"id": channel, "rtc_region": "frankfurt"})
    for user in guild.members:
        assert guild.wait_server(user, "127.0.0.2:443")["token"] != tokens[user]
    anew = house.allocator.asks(guild.id)[asked:]
    assert {ask["region"] for ask in anew} == {"frankfurt"} and {ask["user"] for ask in anew} == {*guild.members}
    assert (guild.room(channel)["region"], guild.room(channel)["node"]) == ("frankfurt", "node-2")


def test_a_deletion_that_was_begun_is_finished_by_whoever_gets_the_command_next():
    """The manager is killed when some have left; the same command goes to the other one."""
    with closing(House("one", "two")) as own:
        guild, channel = crowded(own, lambda guild: guild.voice)
        commits, is_commit = itertools.count(1), about(guild.id)
        trap = own.proxies["one"].trap("hold", lambda args: is_commit(args) and next(commits) == 2)
        id = own.send_to("one", "channel_delete", guild=guild.id, user=guild.moderator, channel=channel)
        trap.wait()
        own.kill("one")
        own.proxies["one"].disarm(trap)
        assert 0 < len(guild.sitting(channel)) < CROWD
        assert guild.done("channel_delete", at="two", id=id, channel=channel)["id"] == str(channel)
        assert guild.told().count("CHANNEL_DELETE") == 1 and guild.sitting(channel) == set()
        assert own.redis.hlen(guild.key("vs")) == 0


# -- the guild's end ---------------------------------------------------------------------------

def gone(house, guild):
    """Nothing is left but its version and log, and its last word is to everybody."""
    entry = unpack(house.raw_log(guild.id)[-1], "place_event")
    event, = entry["events"]
    assert (event["name"], event["to"], event["row_tag"]) == ("GUILD_DELETE", 0, 0)
    assert (event["place_op"], event["place"], event["place_version"]) == (2, guild.id, entry["version"])
    assert guild.log()[-1][2] == {"id": str(guild.id)} and guild.told().count("GUILD_DELETE") == 1
    left = {key.decode().partition(":")[2] for key in house.redis.keys(guild.key("*"))}
    assert {suffix for suffix in left if not suffix.startswith("c:")} <= {"s", "log", "gw"}
    assert house.redis.hkeys(guild.key("s")) == [b"v"]


def test_a_guild_goes_after_all_who_sat_anywhere_in_it(house):
    guild, channel = crowded(house, lambda guild: guild.stage)
    ben = house.users(1)[0]
    house.member(guild.id, ben)
    guild.join(ben, guild.voice)
    guild.wait_server(ben)
    for user in guild.members:
        guild.wait_server(user)
    guild.done("stage_put", channel=channel, opens=True, set=1, to={"topic": "town hall"})
    made = int(guild.done("channel_put", set=1, to={"name": "Den"})["id"])
    before = len(guild.told())
    assert guild.refused("guild_delete") == MISSING_PERMISSIONS
    assert guild.refused("guild_delete", by=new_id()) == UNKNOWN_GUILD
    id = new_id()
    for at in ("one", "two", "one"):  # the same command, again
        assert guild.done("guild_delete", by=guild.owner, id=id, at=at) is None
    told = guild.told()[before:]
    assert told.count("VOICE_STATE_UPDATE") == CROWD + 1 and told[-1] == "GUILD_DELETE"
    left = [int(body["user_id"]) for name, _, body in guild.log()[before:] if name == "VOICE_STATE_UPDATE"]
    assert sorted(left) == sorted([*guild.members, ben])
    assert all(body["channel_id"] is None for name, _, body in guild.log()[before:] if name == "VOICE_STATE_UPDATE")
    gone(house, guild)
    poll(lambda: {channel, guild.voice} <= set(house.allocator.released_channels), "the servers to be released")
    poll(lambda: house.redis.keys(f"{{{made}}}:*") == [], "nothing to be left of its channels")
    assert guild.refused("guild_delete", by=guild.owner) == UNKNOWN_GUILD
    assert guild.refused("channel_put", by=0, set=1, to={"name": "x"}) == UNKNOWN_GUILD


def test_who_sat_in_a_guild_that_is_gone_sits_down_elsewhere(house):
    guild, other = Guild(house), Guild(house)
    ada, = guild.members
    house.member(other.id, ada)
    guild.join(ada, guild.voice)
    guild.wait_server(ada)
    guild.done("guild_delete", by=0)
    gone(house, guild)
    for channel in (0, guild.voice):             # he hangs up, too late, and comes again
        assert house.sit(guild.id, ada, channel) == UNKNOWN_CHANNEL
    other.join(ada, other.voice)
    other.wait_server(ada)
    assert other.sitting(other.voice) == {ada}
    gone(house, guild)


def test_the_end_of_a_guild_that_was_begun_is_finished_by_whoever_gets_the_command_next():
    """The manager is killed when some have left; the same command goes to the other one."""
    with closing(House("one", "two")) as own:
        guild, channel = crowded(own, lambda guild: guild.voice)
        commits, is_commit = itertools.count(1), about(guild.id)
        trap = own.proxies["one"].trap("hold", lambda args: is_commit(args) and next(commits) == 2)
        id = own.send_to("one", "guild_delete", guild=guild.id, user=guild.owner)
        trap.wait()
        own.kill("one")
        own.proxies["one"].disarm(trap)
        assert 0 < len(guild.sitting(channel)) < CROWD and guild.itself()
        assert guild.done("guild_delete", at="two", id=id, by=guild.owner) is None
        gone(own, guild)


# -- roles, the guild, stages ------------------------------------------------------------------

def test_a_role_is_made_once_however_often_it_is_asked_for(house):
    guild = Guild(house)
    id = new_id()
    bodies = [guild.done("role_put", id=id, at=at, set=1, to={"name": "crew"}) for at in ("one", "two", "one")]
    assert bodies[0] == bodies[1] == bodies[2] and guild.told() == ["GUILD_ROLE_CREATE"]
    role = int(bodies[0]["id"])
    assert (guild.role(role)["name"], guild.role(role)["permissions"]) == ("crew", EVERYONE)
    assert guild.done("role_put", set=2, to={"id": role, "permissions": MAY["MANAGE_CHANNELS"]})["permissions"] == str(
        MAY["MANAGE_CHANNELS"])
    id = new_id()
    for at in ("one", "two"):
        assert guild.done("role_delete", id=id, at=at, role=role) is None
    assert guild.role(role) is None
    assert guild.refused("role_delete", role=role) == UNKNOWN_ROLE
    assert guild.told() == ["GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE"]


def test_many_change_one_guild_at_once_and_nothing_is_lost(house):
    guild = Guild(house)
    failed = []

    def work(number):
        err, _ = guild.command("role_put", at=("one", "two")[number % 2], set=1, to={"name": f"r{number}"})
        failed.extend([err] if err else [])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    names = {unpack(raw, "role")["name"] for raw in house.redis.hvals(guild.key("r"))}
    assert names >= {f"r{number}" for number in range(24)}
    assert guild.told() == ["GUILD_ROLE_CREATE"] * 24


def test_a_guild_is_edited_and_given_away(house):
    guild = Guild(house)
    ada, = guild.members
    body = guild.done("guild_edit", set=1 | 8, to={"name": "city", "afk_channel": guild.other})
    assert (body["name"], body["afk_channel_id"]) == ("city", str(guild.other))
    assert {role["name"] for role in body["roles"]} == {"@everyone", "moderators"}
    assert guild.itself()["afk_channel"] == guild.other
    guild.join(ada, guild.other)
    assert guild.seat(ada)["suppress"] is True
    assert guild.refused("guild_edit", set=4, to={"owner": guild.moderator}) == MISSING_PERMISSIONS
    assert guild.done("guild_edit", by=guild.owner, set=4, to={"owner": ada})["owner_id"] == str(ada)
    assert guild.done("guild_edit", by=0, set=1, to={"name": "town"})["name"] == "town"  # by the operator
    guild.done("channel_delete", channel=guild.other)
    assert guild.itself()["afk_channel"] == 0


def test_a_stage_from_its_opening_to_its_end(house):
    guild = Guild(house)
    ada, = guild.members
    assert guild.refused("stage_put", channel=guild.stage, set=1, to={"topic": "x"}) == UNKNOWN_STAGE
    body = guild.done("stage_put", channel=guild.stage, opens=True, set=1, to={"topic": "town hall"})
    assert (body["topic"], body["privacy_level"], body["channel_id"]) == ("town hall", 2, str(guild.stage))
    assert guild.refused("stage_put", channel=guild.stage, opens=True, set=1, to={"topic": "x"}) == STAGE_IS_OPEN
    assert guild.refused("voice_state_edit", by=ada, target=ada, set=1) == UNKNOWN_VOICE_STATE
    guild.join(ada, guild.stage)
    assert guild.seat(ada)["suppress"] is True
    guild.done("voice_state_edit", by=ada, target=ada, set=2, request_at=now_ms())
    assert guild.seat(ada)["request_at"] > 0
    assert guild.refused("voice_state_edit", by=ada, target=ada, set=1) == MISSING_PERMISSIONS
    guild.done("voice_state_edit", target=ada, set=1 | 4, channel=guild.stage)
    invited = guild.seat(ada)
    assert invited["suppress"] is False and invited["request_at"] > 0
    guild.done("voice_state_edit", by=ada, target=ada, set=1)
    assert guild.seat(ada)["suppress"] is False and guild.seat(ada)["request_at"] == 0
    assert guild.done("stage_delete", channel=guild.stage) is None
    assert guild.open_stage(guild.stage) is None
    assert [name for name in guild.told() if name.startswith("STAGE")] == ["STAGE_INSTANCE_CREATE",
                                                                          "STAGE_INSTANCE_DELETE"]


def stages_of(guild):
    return [name for name in guild.told() if name.startswith("STAGE")]


def test_a_stage_on_which_nobody_may_speak_closes_by_itself_whoever_was_killed():
    with closing(House("one", "two", SB_STAGE_MS="3000")) as own:
        spoken, left, silent = Guild(own), Guild(own), Guild(own)
        for guild in (spoken, left):
            guild.join(guild.moderator, guild.stage)
        silent.join(silent.members[0], silent.stage)
        for guild in (spoken, left, silent):
            guild.done("stage_put", at="one", channel=guild.stage, opens=True, set=1, to={"topic": "town hall"})
        assert [guild.open_stage(guild.stage)["silent_at"] > 0 for guild in (spoken, left, silent)] == [False, False, True]
        begun = now_ms()
        left.done("member_edit", at="one", target=left.moderator, set=4, channel=0, to={})
        own.kill("one")
        assert left.room(left.stage) is None and left.open_stage(left.stage)["silent_at"] >= begun
        for guild in (silent, left):
            poll(lambda guild=guild: guild.open_stage(guild.stage) is None, "the stage to close")
            name, event, body = guild.log()[-1]
            assert (name, event["channel"], body["channel_id"]) == ("STAGE_INSTANCE_DELETE", guild.stage, str(guild.stage))
            assert stages_of(guild) == ["STAGE_INSTANCE_CREATE", "STAGE_INSTANCE_DELETE"]
            poll(lambda guild=guild: own.due(f"r:{guild.id}:{guild.stage}") is None, "its timer to be settled")
        assert now_ms() >= begun + 3000
        assert stages_of(spoken) == ["STAGE_INSTANCE_CREATE"]
        assert silent.sitting(silent.stage) == set(silent.members)


def test_a_status_is_said_and_goes_with_the_last_one(house):
    guild = Guild(house)
    ada, = guild.members
    guild.join(ada, guild.voice)
    guild.wait_server(ada)
    guild.done("status_put", by=ada, channel=guild.voice, status="chess")
    assert guild.room(guild.voice)["status"] == "chess"
    name, event, body = guild.log()[-1]
    assert (name, body["status"], event["channel"]) == ("VOICE_CHANNEL_STATUS_UPDATE", "chess", guild.voice)
    guild.join(ada)
    assert guild.log()[-1][2]["status"] is None
