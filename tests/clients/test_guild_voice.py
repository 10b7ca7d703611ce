"""Unmodified libraries in voice channels of a guild: they join, are given a voice server, see others come, move and leave;
the bots silence, move and throw out. The programs check what they see themselves, in order; each ends when all came."""
import re

import pytest

PROGRAMS = {
    "discord.js": ("run_node", "discordjs_voice.js", 4),        # how many voice servers it is given
    "discord.py": ("run_python", "discordpy_voice.py", 3),
    "discord.js-selfbot-v13": ("run_node", "selfbot_guild.js", 3),
}


@pytest.mark.parametrize("library", PROGRAMS)
def test_a_library_joins_leaves_and_sees_others_in_a_guild(library, request, system):
    runner, program, servers = PROGRAMS[library]
    lines = request.getfixturevalue(runner)(program)
    given = [line.get("d", line) for line in lines
             if line["event"] == "server" or line.get("t") == "VOICE_SERVER_UPDATE"]
    assert len(given) == servers
    assert len({server["token"] for server in given}) == servers
    for server in given:
        assert server.get("guild", server.get("guild_id")) == system.demo["guild"]["id"]
        assert "channel_id" not in server
        assert re.fullmatch(r"[^:/]+:\d+", server["endpoint"])
