"""Who may not view a channel learns nothing of it and of who is in it, by any route and by any opcode, whatever else he
may do in the guild; and who is no member learns nothing of the guild. What he is told of it is compared with what he is
told of something that is not there."""
import json
import re
from pathlib import Path

import pytest_asyncio

from client import AMBIENT
from world import unique

ROUTES_DEF = Path(__file__).resolve().parents[2] / "services" / "gateway" / "routes.def"
ROUTES = re.findall(r'^ROUTE\((\w+), "(\w+)", "([^"]+)", (WHO_\w+), (\d+)\)$', ROUTES_DEF.read_text(), re.M)
EVERYTHING = ["CREATE_INSTANT_INVITE", "KICK_MEMBERS", "MANAGE_CHANNELS", "MANAGE_GUILD", "MANAGE_ROLES", "MANAGE_NICKNAMES",
              "MUTE_MEMBERS", "DEAFEN_MEMBERS", "MOVE_MEMBERS", "MODERATE_MEMBERS", "CONNECT", "SPEAK", "VIEW_CHANNEL"]
NOTHING = "998877665544332211"                  # no channel, no guild, no user
BODIES = {"message_send": {"content": "x"}, "message_edit": {"content": "x"}, "overwrite_put": {"type": 1, "allow": "0"},
          "voice_status": {"status": "x"}, "stage_edit": {"topic": "x"}, "channel_edit": {"name": "xx"},
          "call_region": {"region": "rotterdam"}, "call_ring": {"recipients": None}, "member_edit": {"nick": "x"},
          "my_member_edit": {"nick": "x"}, "guild_edit": {"name": "xx"}, "channel_create": {"name": "x"}, "role_edit": {"name": "x"},
          "voice_state_edit": {"suppress": True}, "my_voice_state_edit": {"suppress": True}}


class Club:
    """ann owns it; may sits in the vault and sue on the loft, which is a stage, and nobody but these three may view
    either of them, nor the notes and the attic. mod may do everything else in the guild, eve and the bot dj are
    members, zoe is none, and lee sits nowhere; tim sits in the hall, which all may view."""

    def __init__(self, world):
        self.world = world
        self.ann, self.may, self.sue, self.mod, self.eve, self.lee, self.tim, self.zoe = world.users(
            "ann", "may", "sue", "mod", "eve", "lee", "tim", "zoe")
        self.dj = world.bot("dj")
        members = (self.may, self.sue, self.mod, self.eve, self.lee, self.tim, self.dj)
        allowed = [{"member": who.username, "allow": ["VIEW_CHANNEL"]} for who in (self.may, self.sue)]
        hide = [{"role": "@everyone", "deny": ["VIEW_CHANNEL"]}, *allowed]
        self.names = {name: unique(name) for name in ("vault", "loft", "notes", "attic", "topic", "status", "club")}
        kinds = {"vault": "voice", "loft": "stage", "notes": "text", "attic": "category"}
        made = world.guild(self.ann, *members, name=self.names["club"],
                           roles=[{"name": "all", "permissions": EVERYTHING, "members": [self.mod.username]}],
                           channels=[{"name": self.names[name], "type": kind, "overwrites": hide} for name, kind in kinds.items()]
                           + [{"name": "hall", "type": "voice"}, {"name": "talk", "type": "text"}])
        self.id, self.role = made["id"], made["roles"][0]["id"]
        ids = {channel["name"]: channel["id"] for channel in made["channels"]}
        self.hidden = {name: ids[self.names[name]] for name in kinds}
        self.hall, self.talk = ids["hall"], ids["talk"]
        self.secrets = set(self.hidden.values()) | set(self.names.values()) - {self.names["club"]}
        self.clients = {}

    async def open(self):
        """People sit where they do."""
        for name, channel in (("ann", None), ("may", self.hidden["vault"]), ("sue", self.hidden["loft"]), ("tim", self.hall)):
            client = self.clients[name] = await self.world.login(getattr(self, name))
            if channel:
                await client.join(channel, guild=self.id)
                await client.expect("VOICE_SERVER_UPDATE", guild_id=self.id)
                self.secrets |= {client.session_id} if name != "tim" else set()
        rest = self.clients["ann"].rest
        (await rest.put(f"/channels/{self.hidden['vault']}/voice-status", {"status": self.names["status"]})).ok(204)
        (await rest.post("/stage-instances", {"channel_id": self.hidden["loft"], "topic": self.names["topic"]})).ok()
        return self

    def told_in(self, text):
        return sorted(secret for secret in self.secrets if secret in text)


@pytest_asyncio.fixture
async def club(world):
    return await Club(world).open()


def plain(reply, *ids):
    """(status, body) without the ids and names by which the question was asked."""
    text = json.dumps(reply.json)
    for id in ids:
        text = text.replace(id, "ID")
    return reply.status, text


def bodies_of(name, method):
    """(raw body) worth trying on a route: none, no JSON, nothing, something wrong in every field, something right."""
    if method == "GET":
        return [None]
    wrong = {field: {} for field in ("name", "type", "topic", "status", "content", "allow", "recipients", "region", "token")}
    return [None, b"{", b"{}", json.dumps(wrong).encode(), json.dumps(BODIES.get(name, {})).encode()]


async def test_of_a_channel_that_he_may_not_view_somebody_is_told_what_he_is_told_of_none(club, world):
    tried = 0
    for asker in (club.mod, club.eve, club.dj, club.zoe):
        rest = world.rest(asker)
        for name, method, path, _, _ in ROUTES:
            if ":channel_id" not in path:
                continue
            for raw in bodies_of(name, method):
                for target in (club.may.id, NOTHING):
                    rest_of = re.sub(r":(user|overwrite|message)_id", target, path)
                    none = plain(await rest.send(method, rest_of.replace(":channel_id", NOTHING), raw=raw), NOTHING)
                    for what, channel in club.hidden.items():
                        reply = await rest.send(method, rest_of.replace(":channel_id", channel), raw=raw)
                        assert plain(reply, channel) == none, (asker.username, what, raw, reply)
                        assert reply.status >= 400 and not club.told_in(json.dumps(reply.json).replace(channel, "")), reply
                        tried += 1
    assert tried > 1000
    assert {channel["id"] for channel in (await club.clients["ann"].rest.get(f"/guilds/{club.id}/channels")).ok()} \
        >= set(club.hidden.values()), "all of them stand"


async def test_naming_it_in_a_body_tells_nothing_either(club, world):
    guild, tim = f"/guilds/{club.id}", club.tim.id
    rows = [("PATCH", f"{guild}/members/{tim}", lambda id: {"channel_id": id}),
            ("PATCH", f"{guild}/members/{club.lee.id}", lambda id: {"channel_id": id}),
            ("PATCH", f"{guild}/members/{club.may.id}", lambda id: {"channel_id": id}),
            ("PATCH", f"{guild}/voice-states/@me", lambda id: {"channel_id": id, "suppress": False}),
            ("PATCH", f"{guild}/voice-states/{tim}", lambda id: {"channel_id": id, "suppress": False}),
            ("PATCH", f"{guild}/voice-states/{club.sue.id}", lambda id: {"channel_id": id, "suppress": False}),
            ("PATCH", guild, lambda id: {"afk_channel_id": id}),
            ("POST", f"{guild}/channels", lambda id: {"name": "x", "parent_id": id}),
            ("PATCH", f"/channels/{club.hall}", lambda id: {"parent_id": id}),
            ("PATCH", f"{guild}/channels", lambda id: [{"id": id, "position": 3}]),
            ("PATCH", f"{guild}/channels", lambda id: [{"id": club.hall, "position": 3, "parent_id": id}]),
            ("POST", "/stage-instances", lambda id: {"channel_id": id, "topic": "x"}),
            ("POST", "/stage-instances", lambda id: {"channel_id": id}),
            ("POST", "/users/@me/channels", lambda id: {"recipients": [id]})]
    for asker in (club.mod, club.eve, club.dj, club.zoe):
        rest = world.rest(asker)
        for method, path, body in rows:
            none = plain(await rest.send(method, path, body(NOTHING)), NOTHING)
            for what, channel in club.hidden.items():
                reply = await rest.send(method, path, body(channel))
                assert plain(reply, channel) == none and reply.status >= 400, (asker.username, what, none, reply)


async def test_of_who_sits_there_is_told_what_is_told_of_who_sits_nowhere(club, world):
    """By moderators, too, whose rights are those of the guild there."""
    edits = [{"mute": True}, {"deaf": True}, {"channel_id": None}, {"channel_id": club.hall}, {"mute": True, "nick": "x"},
             {"mute": "x"}, {}]
    states = [{"suppress": True}, {"suppress": False}, {"request_to_speak_timestamp": None}, {}]
    rows = [("GET", f"/guilds/{club.id}/{of}/", None) for of in ("members", "voice-states")]
    rows += [("PATCH", f"/guilds/{club.id}/members/", body) for body in edits]
    rows += [("PATCH", f"/guilds/{club.id}/voice-states/", body) for body in states]
    for asker in (club.mod, club.eve, club.dj, club.zoe):
        rest = world.rest(asker)
        for method, path, body in rows:
            none = plain(await rest.send(method, path + club.lee.id, body), club.lee.id, club.lee.username)
            for who in (club.may, club.sue):
                reply = await rest.send(method, path + who.id, body)
                got = plain(reply, who.id, who.username)
                assert got == none or re.sub(r'"joined_at": "[^"]*"', "", got[1]) == re.sub(r'"joined_at": "[^"]*"', "", none[1]), \
                    (asker.username, none, reply)
                assert not club.told_in(json.dumps(reply.json)), reply
    for name in ("may", "sue"):                 # nothing has become of it
        await club.clients[name].heartbeat()
        assert not [e for e in club.clients[name].events if e.t == "VOICE_STATE_UPDATE" and e.d["user_id"] == club.clients[name].id
                    and (e.d["mute"] or e.d["deaf"] or e.d["channel_id"] not in club.hidden.values())]


async def test_who_is_no_member_learns_nothing_of_a_guild(club, world):
    rest, tried = world.rest(club.zoe), 0
    for name, method, path, _, _ in ROUTES:
        if ":guild_id" not in path:
            continue
        for raw in bodies_of(name, method):
            for user, role in ((club.ann.id, club.role), (club.zoe.id, NOTHING), (NOTHING, club.id)):
                rest_of = path.replace(":user_id", user).replace(":role_id", role)
                none = plain(await rest.send(method, rest_of.replace(":guild_id", NOTHING), raw=raw), NOTHING)
                reply = await rest.send(method, rest_of.replace(":guild_id", club.id), raw=raw)
                assert plain(reply, club.id) == none and reply.status >= 400, (raw, none, reply)
                tried += 1
    assert tried > 100
    for path in (f"/channels/{club.hall}", f"/channels/{club.talk}/messages", f"/stage-instances/{club.hall}"):
        (await rest.get(path)).refused(404, 10003)


async def asks(client, club, channel, guild=None):
    """Everything that a client can ask, with that channel in each place where one may stand."""
    guild = guild or club.id
    await client.join(channel, guild=guild)
    await client.join(channel)
    await client.join(channel, guild=guild, video=True, mute=True)
    await client.ask_for_call(channel)
    await client.ask_for_call(guild)
    for ranges in ([[0, 99]], [[0, 0], [100, 199]]):
        await client.send(14, {"guild_id": guild, "channels": {channel: ranges}, "typing": True, "threads": True,
                               "activities": True, "members": [club.may.id, club.sue.id]})
        await client.send(37, {"subscriptions": {guild: {"channels": {channel: ranges}, "members": [club.may.id]}}})
    for query in ({"query": "", "limit": 0}, {"user_ids": [club.may.id, club.sue.id, channel]}, {"query": "may", "limit": 9}):
        await client.send(8, {"guild_id": guild, "presences": True, **query})
    await client.send(36, {"guild_id": guild})
    await client.send(43, {"guild_id": guild, "fields": ["status", "voice_start_time", channel]})
    await client.send(31, {"guild_ids": [guild, channel]})
    for kind, key in (("guild", f"guild:{guild}:{channel}:{club.may.id}"), ("call", f"call:{channel}:{club.may.id}")):
        await client.send(18, {"type": kind, "guild_id": guild, "channel_id": channel, "preferred_region": None})
        await client.send(20, {"stream_key": key})


async def live(club):
    """What goes on in the hidden channels."""
    ann, may, sue = (club.clients[name] for name in ("ann", "may", "sue"))
    vault, loft = club.hidden["vault"], club.hidden["loft"]
    await may.join(vault, guild=club.id, mute=True)
    await may.join(loft, guild=club.id)
    await ann.expect("VOICE_STATE_UPDATE", user_id=may.id, channel_id=loft)
    (await ann.rest.patch(f"/guilds/{club.id}/members/{may.id}", {"channel_id": vault})).ok()
    (await ann.rest.patch(f"/channels/{vault}", {"name": club.names["vault"] + "x", "user_limit": 5})).ok()
    (await ann.rest.patch(f"/channels/{vault}", {"rtc_region": "rotterdam"})).ok()
    (await ann.rest.put(f"/channels/{vault}/voice-status", {"status": club.names["status"] + "x"})).ok(204)
    (await ann.rest.put(f"/channels/{vault}/permissions/{club.lee.id}", {"type": 1, "allow": "0", "deny": "0"})).ok(204)
    (await ann.rest.patch(f"/stage-instances/{loft}", {"topic": club.names["topic"] + "x"})).ok()
    (await ann.rest.delete(f"/stage-instances/{loft}")).ok(204)
    (await ann.rest.patch(f"/guilds/{club.id}/members/{sue.id}", {"channel_id": None})).ok()
    (await ann.rest.delete(f"/channels/{club.hidden['notes']}")).ok()
    more = (await ann.rest.post(f"/guilds/{club.id}/channels", {
        "name": club.names["vault"] + "y", "type": 2, "permission_overwrites": [{"id": club.id, "type": 0, "deny": "1024"}]})).ok(201)
    club.secrets.add(more["id"])


async def test_what_goes_on_there_is_heard_by_nobody_else_whatever_he_asks(club, world):
    seers = [await world.login(who) for who in (club.mod, club.eve)]
    seers += [await world.login(club.dj, v=10), await world.login(club.zoe)]
    place = world.quiet_place(club.zoe)
    dj = seers[2]
    for seer in seers:
        for channel in club.hidden.values():
            await seer.join(channel, guild=club.id)
        await asks(seer, club, club.hidden["vault"])
    await live(club)
    for seer in seers:
        await asks(seer, club, club.hidden["loft"])
        await seer.heartbeat()
    (await club.clients["ann"].rest.patch(f"/guilds/{club.id}/members/{club.tim.id}", {"nick": "the end"})).ok()
    for seer in seers[:2]:
        await seer.expect("GUILD_MEMBER_UPDATE", nick="the end")
    await seers[3].rest.ack(place, NOTHING)
    # Another session of each that comes now is told no more, and a resume no more.
    late = [await world.login(who) for who in (club.mod, club.eve, club.zoe)]
    await seers[1].abort()
    await seers[1].reconnect_and_resume()
    for seer in (*seers, *late):
        await seer.heartbeat()
        for event in seer.events:
            text = re.sub(r'"stream_key": "[^"]*"|"not_found": [^]]*]', "", json.dumps(event.d))    # his own words
            assert not club.told_in(text), (seer, event)
            if seer.account is club.zoe:
                assert club.id not in text and club.names["club"] not in text, (seer, event)
    assert any(event.t == "GUILD_MEMBERS_CHUNK" for event in seers[0].events + dj.events), "some of it was answered"


async def test_who_asks_for_a_hidden_channel_hears_what_comes_for_none(club, world):
    """By each opcode. Chunks, which name whom he asked for, and presences are looked at above."""
    eve, heard = await world.login(club.eve), []
    for channel in (NOTHING, club.hidden["vault"], club.hidden["loft"], club.hidden["notes"]):
        start = len(eve.events)
        await asks(eve, club, channel)
        (await club.clients["ann"].rest.patch(f"/guilds/{club.id}/members/{club.tim.id}", {"nick": f"n{channel}"})).ok()
        await eve.expect("GUILD_MEMBER_UPDATE", nick=f"n{channel}")
        await eve.send(43, {"guild_id": club.id, "fields": ["status"]})
        await eve.expect("CHANNEL_INFO", guild_id=club.id)
        await eve.heartbeat()
        heard.append(sorted((e.t, json.dumps(e.d).replace(channel, "ID")) for e in eve.events[start:]
                            if e.t not in ("GUILD_MEMBER_UPDATE", "CHANNEL_INFO", "GUILD_MEMBERS_CHUNK", *AMBIENT)))
        await eve.close()
        eve = await world.login(club.eve)
    assert heard[1:] == heard[:1] * 3, heard
