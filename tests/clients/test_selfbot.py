"""discord.js-selfbot-v13: two users ring each other, a second client of one of them sees all of it."""
import itertools
import re

import pytest

RING = ["MESSAGE_CREATE", "CALL_CREATE", "VOICE_STATE_UPDATE", "CALL_UPDATE"]
END = ["VOICE_STATE_UPDATE", "MESSAGE_UPDATE", "CALL_DELETE"]
SCENES = {
    "answered": RING + ["CALL_UPDATE", "MESSAGE_UPDATE", "VOICE_STATE_UPDATE", "VOICE_STATE_UPDATE"] + END,
    "declined": RING + ["CALL_UPDATE"] + END,
}
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
PEOPLE = ("caller", "callee", "second")
JOINS = [("caller", "answered"), ("callee", "answered"), ("caller", "declined")]


class Report:
    """What the program reported, by scene and by who saw it."""

    def __init__(self, lines):
        self.lines = lines
        self.scenes, scene = {}, None
        for line in lines:
            if line["event"] == "scene":
                scene = self.scenes.setdefault(line["name"], [])
            elif scene is not None:
                scene.append(line)

    def of(self, who, event, scene=None):
        lines = self.lines if scene is None else self.scenes[scene]
        return [line for line in lines if line.get("who") == who and line["event"] == event]

    def dispatches(self, who, scene, *names):
        return [line for line in self.of(who, "dispatch", scene) if not names or line["t"] in names]

    def payloads(self, who, scene, name):
        return [line["d"] for line in self.dispatches(who, scene, name)]


@pytest.fixture(scope="module")
def report(run_node):
    return Report(run_node("selfbot_call.js"))


@pytest.fixture(scope="module")
def demo(system):
    return system.demo


def test_three_clients_log_in_and_find_their_world(report, demo):
    ada, ben = demo["users"][0]["id"], demo["users"][1]["id"]
    guild = demo["guild"]
    for who, me, friend in zip(PEOPLE, (ada, ben, ben), (ben, ada, ada)):
        (ready,) = report.of(who, "ready")
        assert ready["user"] == me
        assert friend in ready["friends"]
        assert {c["id"]: c["type"] for c in ready["privateChannels"]} == {
            demo["dm_channel_id"]: "DM", demo["group_channel_id"]: "GROUP_DM"}
        (found,) = ready["guilds"]
        assert found["id"] == guild["id"]
        kinds = {c["id"]: c["type"] for c in found["channels"]}
        assert (kinds.pop(guild["staff_channel_id"], None) == "GUILD_VOICE") == (me == ada)  # who owns the guild
        assert kinds == {guild["text_channel_id"]: "GUILD_TEXT", guild["stage_channel_id"]: "GUILD_STAGE_VOICE",
                         **dict.fromkeys(guild["voice_channel_ids"], "GUILD_VOICE")}
        assert sorted(found["members"]) == sorted(person["id"] for person in demo["users"] + demo["bots"])
    assert len({report.of(who, "ready")[0]["session"] for who in PEOPLE}) == 3


@pytest.mark.parametrize("scene, who", list(itertools.product(SCENES, PEOPLE)))
def test_everybody_sees_every_event_once_and_in_order(report, scene, who):
    seen = [line["t"] for line in report.dispatches(who, scene)]
    assert [t for t in seen if t != "VOICE_SERVER_UPDATE"] == SCENES[scene]


@pytest.mark.parametrize("scene", SCENES)
def test_each_client_was_told_the_same(report, scene):
    told = [[(line["t"], line["d"]) for line in report.dispatches(who, scene) if line["t"] != "VOICE_SERVER_UPDATE"]
            for who in PEOPLE]
    assert told[0] == told[1] == told[2]


def test_only_the_session_that_joins_gets_a_voice_server(report, demo):
    got = {(who, scene): report.payloads(who, scene, "VOICE_SERVER_UPDATE") for who in PEOPLE for scene in SCENES}
    assert {join for join, servers in got.items() if servers} == set(JOINS)
    servers = [server for servers in got.values() for server in servers]
    assert len(servers) == len(JOINS)
    for server in servers:
        assert server["guild_id"] is None
        assert server["channel_id"] == demo["dm_channel_id"]
        assert re.fullmatch(r"[0-9a-f]{16}", server["token"])
        assert re.fullmatch(r"[^:/]+:\d+", server["endpoint"])
    assert len({server["token"] for server in servers}) == len(servers)


def test_one_call_has_one_endpoint(report):
    caller, callee = (report.payloads(who, "answered", "VOICE_SERVER_UPDATE")[0] for who in ("caller", "callee"))
    assert caller["endpoint"] == callee["endpoint"]


@pytest.mark.parametrize("who, scene", JOINS)
def test_the_library_is_placed_with_its_own_session_and_connects(report, who, scene, system):
    (ready,) = report.of(who, "ready")
    (placed,) = report.of(who, "placed", scene)
    (server,) = report.payloads(who, scene, "VOICE_SERVER_UPDATE")
    assert placed["session"] == ready["session"]
    assert placed["token"] == server["token"]
    (voice,) = report.of(who, "voice", scene)
    assert voice["outcome"] == ("connected" if system.on_443 else "unreachable")


@pytest.mark.parametrize("who, scene", JOINS)
def test_own_voice_state_comes_before_the_voice_server(report, who, scene):
    (ready,) = report.of(who, "ready")
    names = [line["t"] for line in report.dispatches(who, scene, "VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE")
             if line["d"].get("session_id") in (None, ready["session"])]
    assert names == ["VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE", "VOICE_STATE_UPDATE"]


@pytest.mark.parametrize("scene", SCENES)
def test_ringing_names_who_is_rung_and_by_whom(report, demo, scene):
    ada, ben = demo["users"][0]["id"], demo["users"][1]["id"]
    (created,) = report.payloads("second", scene, "CALL_CREATE")
    rung, quiet = report.payloads("second", scene, "CALL_UPDATE")
    (message,) = report.payloads("second", scene, "MESSAGE_CREATE")
    assert (created["ringing"], created["ongoing_rings"], created["voice_states"]) == ([], {}, [])
    assert (rung["ringing"], rung["ongoing_rings"]) == ([ben], {ben: ada})
    assert (quiet["ringing"], quiet["ongoing_rings"]) == ([], {})
    for call in (created, rung, quiet):
        assert call["channel_id"] == demo["dm_channel_id"]
        assert call["message_id"] == message["id"]
        assert isinstance(call["region"], str) and call["region"]


@pytest.mark.parametrize("scene, joined", [("answered", 2), ("declined", 1)])
def test_the_call_message_ends_with_the_call_and_is_whole_each_time(report, demo, scene, joined):
    people = [user["id"] for user in demo["users"][:2]]
    (created,) = report.payloads("second", scene, "MESSAGE_CREATE")
    updates = report.payloads("second", scene, "MESSAGE_UPDATE")
    assert created["type"] == 3 and created["author"]["id"] == people[0]
    assert [mention["id"] for mention in created["mentions"]] == [people[1]]
    assert created["call"] == {"participants": people[:1], "ended_timestamp": None}
    for update in updates:
        assert {**update, "call": None} == {**created, "call": None}
    last = updates[-1]["call"]
    assert sorted(last["participants"]) == sorted(people[:joined])
    assert ISO_TIME.fullmatch(last["ended_timestamp"])
    assert all(update["call"]["ended_timestamp"] is None for update in updates[:-1])


def test_a_second_call_is_another_call(report):
    first, second = (report.payloads("second", scene, "MESSAGE_CREATE")[0]["id"] for scene in SCENES)
    assert int(first) < int(second)


def test_logging_out_closes_normally(report):
    assert [report.of(who, "closed")[0]["code"] for who in PEOPLE] == [1000] * 3


def test_a_wrong_token_is_refused(report):
    assert report.lines[-1] == {"event": "refused", "code": "TOKEN_INVALID"}
