"""Bots of discord.js and discord.py log in and find the guild with its channels, members and their own rights."""
import pytest

LIBRARIES = {
    "discord.js": {
        "runner": "run_node", "program": "discordjs_login.js", "refused": "TokenInvalid",
        "types": {"text": "GuildText", "voice": "GuildVoice", "stage": "GuildStageVoice"},
        "rights": {"MoveMembers", "MuteMembers", "DeafenMembers"},
    },
    "discord.py": {
        "runner": "run_python", "program": "discordpy_login.py", "refused": "Improper token has been passed.",
        "types": {"text": "text", "voice": "voice", "stage": "stage_voice"},
        "rights": {"move_members", "mute_members", "deafen_members"}, "transport": "zstd-stream",
    },
}
LIBRARIES["discord.py with zlib"] = LIBRARIES["discord.py"] | {"program": "discordpy_zlib_login.py",
                                                               "transport": "zlib-stream"}


@pytest.fixture(scope="module", params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


@pytest.fixture(scope="module")
def lines(library, request):
    return request.getfixturevalue(library["runner"])(library["program"])


@pytest.fixture(scope="module")
def demo(system):
    return system.demo


def of(lines, event):
    return [line for line in lines if line["event"] == event]


def test_every_bot_is_ready_as_itself(lines, demo, library):
    assert {line.get("transport") for line in of(lines, "ready")} == {library.get("transport")}
    assert [line["user"] for line in of(lines, "ready")] == [bot["id"] for bot in demo["bots"]]
    assert [line["username"] for line in of(lines, "ready")] == [bot["username"] for bot in demo["bots"]]


def test_the_guild_is_there_with_its_channels(lines, demo, library):
    guild, types = demo["guild"], library["types"]
    expected = {guild["text_channel_id"]: (types["text"], False), guild["stage_channel_id"]: (types["stage"], True)}
    expected |= {channel: (types["voice"], True) for channel in guild["voice_channel_ids"]}
    found = of(lines, "guild")
    assert len(found) == len(demo["bots"])
    for seen, more in zip(found, ({guild["staff_channel_id"]: (types["voice"], True)}, {})):  # the first is a moderator
        assert seen["id"] == guild["id"] and seen["available"] and seen["owner"] == demo["users"][0]["id"]
        assert {c["id"]: (c["type"], c["voice"]) for c in seen["channels"]} == expected | more


def test_the_guild_is_there_with_its_members(lines, demo):
    expected = {person["id"]: (person["username"], is_bot)
                for kind, is_bot in (("users", False), ("bots", True)) for person in demo[kind]}
    for seen in of(lines, "guild"):
        assert {m["id"]: (m["username"], m["bot"]) for m in seen["members"]} == expected


def test_only_the_moderator_has_a_moderators_rights(lines, demo, library):
    moderator, other = (set(seen["mine"]) for seen in of(lines, "guild"))
    assert moderator - other == library["rights"]
    assert other <= moderator
    for seen in of(lines, "guild"):
        assert {role["id"] for role in seen["roles"]} > {demo["guild"]["id"]}


def test_a_wrong_token_is_refused(lines, library):
    assert lines[-1] == {"event": "refused", "code": library["refused"]}
