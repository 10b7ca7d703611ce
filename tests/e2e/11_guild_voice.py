"""Voice channels of guilds, as clients live through them: the captured scenes for who acts, who may see the channel and
who may not; and what grew around them: moves, permissions, moderators, stages."""
import pytest

from client import CAPABILITIES
from replay import Replay, scenes

SCENES = scenes("guild*.json")


def places(guild):
    """{name: id} of a world's guild()."""
    ids = {c["name"]: c["id"] for c in guild["channels"]}
    return {"guild": guild["id"], "general": ids["general"], "lounge": ids["one"], "workshop": ids["two"],
            "stage": ids["stage"]}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
@pytest.mark.parametrize("bystander", ["user", "bot"])
async def test_scene_of_the_capture_is_replayed_and_who_may_not_see_the_channel_hears_nothing(world, scene, bystander):
    owner, a, c = world.users("owner", "a", "c")
    b = world.user("b", bot=bystander == "bot")
    at = places(world.guild(owner, a, b, hidden_from=[c]))
    place = world.quiet_place(c)
    sides = {"A": await world.login(a), "B": await world.login(b)}
    stranger = await world.login(c)
    replay = Replay(sides, **at)
    for step in scene["steps"]:
        await replay.play(step)
    await stranger.quiet_until_call(place)
