"""The two private-call scenes of a capture of the original service, replayed: the same events to both sides, in
the same order, with the same fields and types, and the fields that newer clients need (golden/*.json)."""
import pytest

from client import snowflake_now
from replay import Replay, scenes
from shape import fill

SCENES = scenes("scene*.json")


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
async def test_scene_of_the_capture_is_replayed_and_an_outsider_hears_nothing_of_it(world, scene):
    a, b, dan = world.users("a", "b", "dan")
    channel, place = world.dm(a, b), world.quiet_place(dan)
    sides = {"A": await world.login(a), "B": await world.login(b, binary=True)}
    outsider = await world.login(dan)
    replay = Replay(sides, channel=channel)
    for step in scene["steps"]:
        await replay.play(step)
    regions = (await sides["A"].rest.get("/voice/regions")).ok()
    assert replay.names["region"] in [region["id"] for region in regions]
    for client in sides.values():
        await client.quiet_until_ack(channel)
    await outsider.quiet_until_call(place)


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
@pytest.mark.parametrize("encoding,compress", [("json", "zlib-stream"), ("json", "payload"), ("etf", "zstd-stream")])
async def test_the_scenes_play_alike_in_other_encodings_and_version_10(world, scene, encoding, compress):
    a, b = world.users("a", "b")
    channel = world.dm(a, b)
    replay = Replay({"A": await world.login(a, v=10, encoding=encoding, compress=compress),
                     "B": await world.login(b, encoding=encoding, compress=compress)}, channel=channel)
    for step in scene["steps"]:
        await replay.play(step)


async def test_read_state_versions_grow_from_ack_to_ack(world):
    a, b = world.users("a", "b")
    channel = world.dm(a, b)
    client = await world.login(a)
    versions = []
    for _ in range(3):
        await client.rest.ack(channel, snowflake_now())
        versions.append((await client.next("MESSAGE_ACK"))["version"])
    assert versions == sorted(set(versions)), versions


async def test_the_demo_dm_rings_the_same_way(world, system):
    ada, ben = await world.login(world.demo_user(0)), await world.login(world.demo_user(1))
    replay = Replay({"A": ada, "B": ben}, channel=system.demo["dm_channel_id"])
    for step in SCENES["scene1_start_and_leave"]["steps"]:
        await replay.play(step)


# -- somebody who is not in the channel ------------------------------------------------------------


def endpoints_of(channel, message, stranger):
    """Every endpoint of a private channel: (method, path, body)."""
    at = f"/channels/{channel}"
    return [
        ("GET", at, None),
        ("GET", f"{at}/messages", None),
        ("GET", f"{at}/messages/{message}", None),
        ("POST", f"{at}/messages", {"content": "let me in"}),
        ("PATCH", f"{at}/messages/{message}", {"content": "mine now"}),
        ("DELETE", f"{at}/messages/{message}", None),
        ("POST", f"{at}/messages/{message}/ack", {"token": None}),
        ("GET", f"{at}/call", None),
        ("PATCH", f"{at}/call", {"region": "$region"}),
        ("POST", f"{at}/call/ring", {"recipients": None}),
        ("POST", f"{at}/call/stop-ringing", {}),
        ("PUT", f"{at}/recipients/{stranger}", None),
        ("DELETE", f"{at}/recipients/{stranger}", None),
    ]


@pytest.mark.parametrize("kind", ["dm", "group"])
async def test_an_outsider_is_refused_at_every_endpoint_of_the_channel(world, kind):
    a, b, c, dan = world.users("a", "b", "c", "dan")
    channel = world.dm(a, b) if kind == "dm" else world.group(a, b, c)
    place = world.quiet_place(dan)
    caller, outsider = await world.login(a), await world.login(dan)
    await caller.join(channel)
    message = (await caller.next("MESSAGE_CREATE"))["id"]
    region = (await caller.next("CALL_CREATE"))["region"]
    await caller.sequence("VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE")
    for method, path, body in endpoints_of(channel, message, dan.id):
        answer = await outsider.rest.send(method, path, fill(body, {"region": region}))
        answer.refused((403, 404), (10003, 10008, 50001, 50003, 50013))
    await outsider.join(channel)
    await outsider.ask_for_call(channel)
    await outsider.heartbeat()
    await outsider.quiet_until_call(place)
    await caller.quiet_until_message(channel)
