"""Guilds that change while their members are there: by REST, as moderators do it, and by the operator."""
import asyncio
import sys

import pytest

from harness import ROOT
from world import unique

VIEW, CONNECT, SPEAK = 1 << 10, 1 << 20, 1 << 21


class Club:
    """A guild of its own: ann owns it, bob is a member, cat is none; one text and one voice channel."""

    def __init__(self, world, system):
        self.world, self.system = world, system
        self.ann, self.bob, self.cat = world.users("ann", "bob", "cat")
        self.name = unique("club")
        made = system.admin_ok("POST", "/admin/guilds", {
            "name": self.name, "owner": self.ann.username, "members": [self.bob.username],
            "channels": [{"name": "general", "type": "text"}, {"name": "Hall", "type": "voice"}]})
        self.id = made["id"]
        self.text, self.hall = [channel["id"] for channel in made["channels"]]

    def admin(self, method, path="", body=None):
        return self.system.admin(method, f"/admin/guilds/{self.name}{path}", body)

    async def channels(self, account):
        return {channel["name"] for channel in (await self.world.rest(account).get(f"/guilds/{self.id}/channels")).ok()}


@pytest.fixture
def club(world, system):
    return Club(world, system)


async def test_a_channel_is_made_hidden_shown_and_deleted(club, world):
    ann, bob = world.rest(club.ann), world.rest(club.bob)
    (await bob.post(f"/guilds/{club.id}/channels", {"name": "x"})).refused(403, 50013)
    made = (await ann.post(f"/guilds/{club.id}/channels", {"name": "Vault", "type": 2, "user_limit": 3})).ok(201)
    assert (made["guild_id"], made["user_limit"], made["type"]) == (club.id, 3, 2)
    assert (await bob.get(f"/channels/{made['id']}")).ok() == made
    (await ann.put(f"/channels/{made['id']}/permissions/{club.id}", {"type": 0, "deny": str(VIEW)})).ok(204)
    assert await club.channels(club.bob) == {"general", "Hall"}
    (await bob.get(f"/channels/{made['id']}")).refused(404, 10003)
    (await ann.put(f"/channels/{made['id']}/permissions/{club.bob.id}", {"type": 1, "allow": str(VIEW)})).ok(204)
    assert await club.channels(club.bob) == {"general", "Hall", "Vault"}
    (await bob.patch(f"/channels/{made['id']}", {"name": "y"})).refused(403, 50013)
    edited = (await ann.patch(f"/channels/{made['id']}", {"name": "Safe", "bitrate": 96000})).ok()
    assert (edited["name"], edited["bitrate"], len(edited["permission_overwrites"])) == ("Safe", 96000, 2)
    (await ann.delete(f"/channels/{made['id']}/permissions/{club.bob.id}")).ok(204)
    assert await club.channels(club.bob) == {"general", "Hall"}
    assert (await ann.delete(f"/channels/{made['id']}")).ok()["name"] == "Safe"
    (await ann.get(f"/channels/{made['id']}")).refused(404, 10003)


async def test_channels_and_roles_are_put_into_another_order(club, world):
    ann, bob = world.rest(club.ann), world.rest(club.bob)
    order = [{"id": club.hall, "position": 0}, {"id": club.text, "position": 1}]
    (await bob.patch(f"/guilds/{club.id}/channels", order)).refused(403, 50013)
    (await ann.patch(f"/guilds/{club.id}/channels", order)).ok(204)
    channels = (await bob.get(f"/guilds/{club.id}/channels")).ok()
    assert [channel["id"] for channel in channels] == [club.hall, club.text]
    roles = [(await ann.post(f"/guilds/{club.id}/roles", {"name": name})).ok()["id"] for name in ("a", "b")]
    moved = (await ann.patch(f"/guilds/{club.id}/roles", [{"id": roles[0], "position": 9}])).ok()
    assert {role["id"]: role["position"] for role in moved}[roles[0]] == 9
    assert {role["id"]: role["position"] for role in (await bob.get(f"/guilds/{club.id}/roles")).ok()}[roles[0]] == 9


async def test_overwrites_that_are_put_at_the_same_time_all_stand(club, world):
    ann = world.rest(club.ann)
    targets = [club.id, club.ann.id, club.bob.id, club.cat.id]
    answers = await asyncio.gather(*(
        ann.put(f"/channels/{club.hall}/permissions/{target}", {"type": int(target != club.id), "allow": str(CONNECT)})
        for target in targets))
    assert [answer.status for answer in answers] == [204] * 4
    channel = (await ann.get(f"/channels/{club.hall}")).ok()
    assert {overwrite["id"] for overwrite in channel["permission_overwrites"]} == set(targets)


async def test_roles_are_made_given_and_taken_away(club, world):
    ann, bob = world.rest(club.ann), world.rest(club.bob)
    (await bob.post(f"/guilds/{club.id}/roles", {})).refused(403, 50013)
    role = (await ann.post(f"/guilds/{club.id}/roles", {"name": "Staff", "permissions": str(SPEAK), "hoist": True})).ok()
    assert (role["name"], role["permissions"], role["hoist"]) == ("Staff", str(SPEAK), True)
    member = (await ann.patch(f"/guilds/{club.id}/members/{club.bob.id}", {"roles": [role["id"]], "nick": "B"})).ok()
    assert (member["roles"], member["nick"], member["user"]["id"]) == ([role["id"]], "B", club.bob.id)
    assert (await bob.get(f"/guilds/{club.id}/members/{club.bob.id}")).ok()["hoisted_role"] == role["id"]
    (await bob.patch(f"/guilds/{club.id}/members/{club.ann.id}", {"nick": "A"})).refused(403, 50013)
    assert (await bob.patch(f"/guilds/{club.id}/members/@me", {"nick": "Bobby"})).ok()["nick"] == "Bobby"
    changed = (await ann.patch(f"/guilds/{club.id}/roles/{role['id']}", {"colors": {"primary_color": 255}})).ok()
    assert (changed["color"], changed["name"]) == (255, "Staff")
    (await ann.delete(f"/guilds/{club.id}/roles/{role['id']}")).ok(204)
    assert [r["id"] for r in (await bob.get(f"/guilds/{club.id}/roles")).ok()] == [club.id]


async def test_members_are_put_out_and_leave(club, world):
    ann, bob, cat = (world.rest(account) for account in (club.ann, club.bob, club.cat))
    (await bob.delete(f"/guilds/{club.id}/members/{club.ann.id}")).refused(403, 50013)
    (await cat.get(f"/guilds/{club.id}")).refused(404, 10004)
    (await cat.patch(f"/guilds/{club.id}/members/@me", {"nick": "C"})).refused(404, 10004)
    (await ann.delete(f"/guilds/{club.id}/members/{club.bob.id}")).ok(204)
    (await bob.get(f"/guilds/{club.id}")).refused(404, 10004)
    assert club.admin("PUT", f"/members/{club.bob.username}", {}).status == 204
    assert (await bob.get(f"/guilds/{club.id}")).ok()["id"] == club.id
    (await bob.delete(f"/users/@me/guilds/{club.id}")).ok(204)
    assert club.id not in {guild["id"] for guild in (await bob.get("/users/@me/guilds")).ok()}


async def test_who_is_added_at_run_time_is_shown_the_guild_and_who_is_put_out_loses_it(club, world):
    ann, cat = await world.login(club.ann), await world.login(club.cat)
    answer = club.admin("PUT", f"/members/{club.cat.username}", {"nick": "Kitty"})
    assert (answer.status, answer.json["nick"]) == (200, "Kitty")
    guild = await cat.expect("GUILD_CREATE", id=club.id)
    assert {channel["name"] for channel in guild["channels"]} == {"general", "Hall"}
    assert (await ann.expect("GUILD_MEMBER_ADD", guild_id=club.id))["user"]["id"] == club.cat.id
    assert club.admin("POST", "/channels", {"name": "Annex", "type": "voice"}).status == 200
    for client in (ann, cat):
        assert (await client.expect("CHANNEL_CREATE", guild_id=club.id))["name"] == "Annex"
    assert club.admin("DELETE", f"/members/{club.cat.username}").status == 204
    await cat.expect("GUILD_DELETE", id=club.id)
    assert (await ann.expect("GUILD_MEMBER_REMOVE", guild_id=club.id))["user"]["id"] == club.cat.id


async def test_what_a_document_adds_is_told_like_anything_else(club, world, system):
    bob = await world.login(club.bob)
    system.load({"guilds": [{"id": club.id, "members": [club.cat.username],
                             "roles": [{"name": "Late", "permissions": ["SPEAK"], "members": [club.bob.username]}],
                             "channels": [{"name": "Loft", "type": "voice", "overwrites": [
                                 {"role": "@everyone", "deny": ["CONNECT"]}]}]}]})
    assert (await bob.expect("GUILD_ROLE_CREATE", guild_id=club.id))["role"]["name"] == "Late"
    channel = await bob.expect("CHANNEL_CREATE", guild_id=club.id)
    assert (channel["name"], channel["permission_overwrites"][0]["deny"]) == ("Loft", str(CONNECT))
    assert (await bob.expect("GUILD_MEMBER_ADD", guild_id=club.id))["user"]["id"] == club.cat.id
    assert len((await bob.expect("GUILD_MEMBER_UPDATE", guild_id=club.id))["roles"]) == 1


@pytest.mark.parametrize("by", ["owner", "operator"])
async def test_a_guild_is_deleted_for_everybody_and_its_name_is_free(club, world, system, by):
    ann, bob = [await world.login(account) for account in (club.ann, club.bob)]
    robot = await world.login(club.bob)
    for client in (ann, bob):
        await client.join(club.hall, guild=club.id)
        await client.expect("VOICE_SERVER_UPDATE", guild_id=club.id)
    (await bob.rest.delete(f"/guilds/{club.id}")).refused(403, 50013)
    (await world.rest(club.cat).delete(f"/guilds/{club.id}")).refused(404, 10004)
    if by == "owner":
        (await ann.rest.delete(f"/guilds/{club.id}")).ok(204)
    else:
        command = await asyncio.create_subprocess_exec(
            sys.executable, ROOT / "deploy" / "admin", "--url", system.admin_url, "--token", system.admin_token,
            "guild", "remove", club.name)
        assert await command.wait() == 0
    for client in (ann, bob, robot):
        for account in (club.ann, club.bob):
            await client.expect("VOICE_STATE_UPDATE", guild_id=club.id, channel_id=None, user_id=account.id)
        await client.expect("GUILD_DELETE", id=club.id)
    for path in (f"/guilds/{club.id}", f"/guilds/{club.id}/channels", f"/channels/{club.hall}"):
        assert (await world.rest(club.ann).get(path)).status == 404
    (await world.rest(club.ann).delete(f"/guilds/{club.id}")).refused(404, 10004)
    assert club.admin("GET").status == club.admin("DELETE").status == 404
    assert club.id not in {guild["id"] for guild in system.admin_ok("GET", "/admin/guilds")}
    again = await world.login(club.bob)
    assert club.id not in {guild["id"] for guild in again.ready["guilds"]}
    made = system.admin_ok("POST", "/admin/guilds", {
        "name": club.name, "owner": club.ann.username, "members": [club.bob.username],
        "channels": [{"name": "Hall", "type": "voice"}]})
    assert made["id"] != club.id
    await again.expect("GUILD_CREATE", id=made["id"])
    await again.join(club.hall, guild=club.id)   # silence
    await again.join(made["channels"][0]["id"], guild=made["id"])
    await again.expect("VOICE_SERVER_UPDATE", guild_id=made["id"])


async def test_the_operator_does_what_nobody_else_may(club, system):
    assert club.admin("PATCH", body={"name": club.name, "owner": club.bob.username}).json["owner_id"] == club.bob.id
    shown = club.admin("GET").json
    assert (shown["owner_id"], shown["member_count"]) == (club.bob.id, 2)
    assert club.admin("PATCH", "/roles/@everyone", {"permissions": ["VIEW_CHANNEL"]}).json["permissions"] == str(VIEW)
    assert club.admin("PATCH", "/channels/Hall", {"user_limit": 100}).status == 400
    assert club.admin("DELETE", f"/members/{club.cat.username}").status == 404
    assert club.admin("PATCH", f"/members/{club.ann.username}", {"channel": "Hall"}).json["code"] == 40032
    assert [member["user"]["id"] for member in club.admin("GET", "/members?limit=1").json] == [club.ann.id]
