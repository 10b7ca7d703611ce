"""The admin API: how an operator, or a chat system of theirs, fills the directory.
It answers on a port of its own and only to the one who knows its token."""
import pytest

from harness import fetch
from world import unique

NOBODY = {"message": "401: Unauthorized", "code": 0}


@pytest.mark.parametrize("token", ["", "wrong", "0" * 32])
def test_nothing_is_answered_without_the_admin_token(system, token):
    for method, path in (("GET", "/admin/users"), ("POST", "/admin/users"), ("GET", "/admin/list"),
                         ("POST", "/admin/load"), ("DELETE", "/admin/users/ada/tokens")):
        reply = system.admin(method, path, {} if method == "POST" else None, token=token)
        assert (reply.status, reply.json) == (401, NOBODY)


@pytest.mark.parametrize("prefix", ["", "/api", "/api/v9"])
def test_the_admin_api_is_not_on_the_public_port(system, prefix):
    public = system.api_base.removesuffix("/api")
    status, _, _ = fetch("GET", f"{public}{prefix}/admin/users", None,
                         {"Authorization": f"Bearer {system.admin_token}"})
    assert status in (401, 404)


def test_a_user_is_added_once(system):
    name = unique("ann")
    made = system.admin_ok("POST", "/admin/users", {"username": name, "global_name": "Ann"})
    assert (made["username"], made["global_name"], made["bot"]) == (name, "Ann", False)
    taken = system.admin("POST", "/admin/users", {"username": name})
    assert taken.status == 409 and taken.json["message"]
    listed = [user for user in system.admin_ok("GET", "/admin/users") if user["username"] == name]
    assert [user["id"] for user in listed] == [made["id"]]
    assert all("token" not in user for user in listed)


def test_a_user_may_bring_its_own_id(system):
    wanted = "800000000000000123"
    made = system.admin_ok("POST", "/admin/users", {"username": unique("ann"), "id": wanted})
    assert made["id"] == wanted
    assert system.admin("POST", "/admin/users", {"username": unique("bob"), "id": wanted}).status == 409


@pytest.mark.parametrize("body", [{}, {"username": ""}, {"username": 7}, {"username": "x" * 200}, []])
def test_a_user_without_a_proper_name_is_refused(system, body):
    reply = system.admin("POST", "/admin/users", body)
    assert reply.status == 400 and reply.json["message"]


async def test_a_token_minted_later_is_as_good_as_the_first(world, system):
    ann = world.user("ann")
    minted = system.admin_ok("POST", f"/admin/users/{ann.username}/token")
    client = await world.connect(ann)
    await client.identify(token=minted["token"])
    assert (await world.rest(ann).get("/users/@me")).ok()["id"] == ann.id


def test_a_dm_is_the_same_one_each_time_by_ids_or_names(system, world_sync):
    ann, bob = world_sync("ann"), world_sync("bob")
    first = system.admin_ok("POST", "/admin/dms", {"users": [ann["id"], bob["id"]]})
    again = system.admin_ok("POST", "/admin/dms", {"users": [bob["username"], ann["username"]]})
    assert first["id"] == again["id"]


def test_an_unknown_user_is_404(system):
    for method, path, body in (("POST", "/admin/users/nobody_at_all/token", None),
                               ("DELETE", "/admin/users/nobody_at_all/tokens", None),
                               ("POST", "/admin/dms", {"users": ["ada", "nobody_at_all"]})):
        reply = system.admin(method, path, body)
        assert reply.status == 404 and reply.json["message"], (path, reply)


async def test_friends_see_each_other_in_ready(world):
    ann, bob = world.users("ann", "bob")
    world.friends(ann, bob)
    for me, other in ((ann, bob), (bob, ann)):
        client = await world.login(me)
        assert [(r["user_id"], r["type"]) for r in client.ready["relationships"]] == [(other.id, 1)]


def test_loading_the_same_world_again_keeps_every_id(system):
    ann, bob = unique("ann"), unique("bob")
    document = {"users": [{"name": ann}, {"name": bob}], "bots": [{"name": unique("dj")}], "friends": [[ann, bob]],
                "dms": [[ann, bob]], "groups": [{"name": unique("duo"), "owner": ann, "users": [ann, bob]}],
                "guilds": [{"name": unique("club"), "owner": ann, "members": [ann, bob],
                            "roles": [{"name": "Staff", "permissions": ["MOVE_MEMBERS"], "members": [bob]}],
                            "channels": [{"name": "general", "type": "text"}, {"name": "Room", "type": "voice"}]}]}

    def skeleton(loaded):
        return {"users": [u["id"] for u in loaded["users"]], "bots": [b["id"] for b in loaded["bots"]],
                "dms": loaded["dms"], "groups": loaded["groups"], "guilds": loaded["guilds"]}

    first = system.load(document)
    assert [channel["type"] for channel in first["guilds"][0]["channels"]] == [0, 2]
    assert [user["username"] for user in first["users"]] == [ann, bob]
    assert sorted(first["dms"][0]["users"]) == sorted(user["id"] for user in first["users"])
    assert skeleton(system.load(document)) == skeleton(first)


def test_the_list_shows_what_there_is(system):
    shown = system.admin_ok("GET", "/admin/list")
    assert {"ada", "ben", "cleo", "dan"} <= {user["username"] for user in shown["users"]}
    channels = {channel["id"]: channel for channel in shown["private_channels"]}
    assert channels[system.demo["dm_channel_id"]]["type"] == 1
    assert channels[system.demo["group_channel_id"]]["name"] == "trio"
    assert "Demo" in {guild["name"] for guild in shown["guilds"]}


@pytest.fixture
def world_sync(system):
    """Makes users where a test needs no client."""
    return lambda name: system.admin_ok("POST", "/admin/users", {"username": unique(name)})
