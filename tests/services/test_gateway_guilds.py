"""The gateway alone: who in a guild is told of what, while roles, channels, members and voice states change.
Records and events are made by hand, as the call manager and the message service make them."""
import asyncio
from contextlib import contextmanager

import pytest
import pytest_asyncio

from bus import SCHEMAS, pack
from gateway_house import LISTEN, NOT_USER, UNLISTEN, USER, event, ids, until

GUILDS, MEMBERS, VOICE_STATES = 1 << 0, 1 << 1, 1 << 7
VIEW, ADMINISTRATOR = 1 << 10, 1 << 3
TEXT, VOICE, CATEGORY = 0, 2, 4


def mark(n, **more):
    """An event that carries a number."""
    return event("TEST", {"n": n}, **more)


async def hears(*clients, n):
    """This number comes next."""
    for client in clients:
        await client.next("TEST", n=n)


def row(kind, id_, values=None):
    """What an event says of a row: it stands from now on, or has gone."""
    return {"row_tag": SCHEMAS[kind].tag, "row_id": id_, "row": b"" if values is None else pack(kind, **values)}


def deny(id_, kind=0):
    return {"id": id_, "type": kind, "deny": VIEW}


def allow(id_, kind=0):
    return {"id": id_, "type": kind, "allow": VIEW}


class Guild:
    """A guild of these people, with a voice channel that all may see and one that only those with a role may."""

    def __init__(self, house, owner, *members):
        self.house, self.record = house, house.place(next(ids))
        self.id, self.mods = self.record.ref, next(ids)
        self.hall, self.open, self.hidden = next(ids), next(ids), next(ids)
        self.owner, self.channels = int(owner.id), {}
        rows = [("s", "guild", pack("guild", id=self.id, name="Demo", owner=self.owner)),
                ("r", self.id, pack("role", id=self.id, name="@everyone", permissions=VIEW)),
                ("r", self.mods, pack("role", id=self.mods, name="mods", position=1))]
        for id_, kind, name, overwrites in [(self.hall, CATEGORY, "hall", []), (self.open, VOICE, "open", []),
                                            (self.hidden, VOICE, "hidden", [deny(self.id), allow(self.mods)])]:
            self.channels[id_] = {"id": id_, "type": kind, "name": name, "overwrites": overwrites}
            rows.append(("ch", id_, pack("guild_channel", **self.channels[id_])))
        for person in (owner, *members):
            rows.append(("mb", int(person.id), pack("member", user=int(person.id), joined_at=1)))
        self.record.commit(changes=rows, publish=False)
        for person in (owner, *members):
            house.user_record(person.id).commit(changes=[("g", self.id, "")], publish=False)

    def commit(self, *events, **more):
        return self.record.commit(*events, **more)

    def mark(self, n, **more):
        self.commit(mark(n, **more))

    # Each returns (event, change), for a commit.

    def member(self, person, *roles, name="GUILD_MEMBER_UPDATE", **more):
        values = {"user": int(person.id), "joined_at": 1, "roles": roles, **more}
        body = {"guild_id": str(self.id), "user": {"id": person.id}}
        return (event(name, body, **row("member", int(person.id), values)),
                ("mb", int(person.id), pack("member", **values)))

    def role(self, id_, permissions):
        values = {"id": id_, "name": "role", "permissions": permissions}
        body = {"guild_id": str(self.id), "role": {"id": str(id_)}}
        return (event("GUILD_ROLE_UPDATE", body, **row("role", id_, values)), ("r", id_, pack("role", **values)))

    def channel(self, id_, name="CHANNEL_UPDATE", **more):
        self.channels[id_] = {"type": VOICE, "name": "new", **self.channels.get(id_, {}), "id": id_, **more}
        packed = pack("guild_channel", **self.channels[id_])
        return (event(name, {"id": str(id_), "name": self.channels[id_]["name"]}, channel=id_,
                      **row("guild_channel", id_, self.channels[id_])), ("ch", id_, packed))

    def change(self, *changes, publish=True):
        return self.record.commit(*(e for e, _ in changes), changes=[c for _, c in changes], publish=publish)

    def delete_channel(self, id_, *more):
        self.house.redis.hdel(f"{self.record.key}:ch", id_)
        self.commit(event("CHANNEL_DELETE", {"id": str(id_)}, channel=id_, **row("guild_channel", id_)), *more)

    def seat(self, person, channel, epoch):
        return {"user": int(person.id), "channel": channel, "session": "s" * 32, "gateway": "elsewhere",
                "epoch": epoch, "bot": person.bot}

    def state(self, person, channel):
        return {"guild_id": str(self.id), "user_id": person.id, "channel_id": channel and str(channel)}

    def sits(self, person, channel, epoch=1, came_from=None):
        """He sits down there, or moves."""
        values, sitter = self.seat(person, channel, epoch), int(person.id)
        events = [event("VOICE_STATE_UPDATE", self.state(person, channel), channel=channel, sitter=sitter, epoch=epoch,
                        **row("voice_seat", sitter, values))]
        if came_from:
            events.append(event("VOICE_STATE_UPDATE", self.state(person, None), channel=came_from, unless=channel,
                                to=NOT_USER, user=sitter, sitter=sitter, epoch=epoch))
        self.record.commit(*events, changes=[("vs", sitter, pack("voice_seat", **values))])

    def gets_up(self, person, channel, epoch=1):
        self.house.redis.hdel(f"{self.record.key}:vs", person.id)
        self.commit(event("VOICE_STATE_UPDATE", self.state(person, None), channel=channel, sitter=int(person.id),
                          epoch=epoch, left=True, **row("voice_seat", int(person.id))))

    def joins(self, person, *roles, publish=True):
        """A member more; his own record tells him of it."""
        self.change(self.member(person, *roles, name="GUILD_MEMBER_ADD"), publish=publish)
        told = event("GUILD_CREATE", place_op=LISTEN, place=self.id, place_version=self.record.version)
        self.house.user_record(person.id).commit(told, changes=[("g", self.id, "")])

    def ends(self, *more, publish=True):
        """It is deleted, as the call manager does it; its members' own records still list it."""
        self.house.redis.hdel(f"{self.record.key}:s", "guild")
        self.house.redis.delete(*(f"{self.record.key}:{suffix}" for suffix in ("r", "ch", "mb", "mi", "vs", "vc", "st")))
        self.commit(event("GUILD_DELETE", {"id": str(self.id)}, place_op=UNLISTEN, place=self.id,
                           place_version=self.record.version + 1), *more, publish=publish)

    def removes(self, person, publish=True):
        self.house.redis.hdel(f"{self.record.key}:mb", person.id)
        self.commit(event("GUILD_MEMBER_REMOVE", {"user": {"id": person.id}}, to=NOT_USER, user=int(person.id),
                          **row("member", int(person.id))),
                    event(to=USER, user=int(person.id), place_op=UNLISTEN, place=self.id), publish=publish)

    def tells(self, person):
        """His own record says that he has lost it."""
        self.house.redis.hdel(f"{self.house.user_record(person.id).key}:g", self.id)
        self.house.user_record(person.id).commit(
            event("GUILD_DELETE", {"id": str(self.id)}, place_op=UNLISTEN, place=self.id))

    def loses(self, person):
        self.removes(person)
        self.tells(person)


def left_behind(house, client):
    """Another gateway has the session now, and dies: the next thing that it would be told shows it."""
    house.redis.hset(f"{{s:{client.session_id}}}:h", "owner", "elsewhere 1")


def position(house, client, record):
    return house.redis.hget(f"{{s:{client.session_id}}}:p", record.ref)


@pytest_asyncio.fixture
async def cast(house, clients):
    """(guild, owner, mod, ann): the owner sees all, mod has the role, ann sees the open channel."""
    owner, mod, ann = house.users("owner", "mod", "ann")
    guild = Guild(house, owner, mod, ann)
    guild.change(guild.member(mod, guild.mods), publish=False)
    return (guild, await clients.login(owner), await clients.login(mod), await clients.login(ann))


# -- who may see -----------------------------------------------------------------------------------


async def test_an_event_of_a_channel_is_for_those_who_may_view_it(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.commit(mark(1, channel=guild.hidden), mark(2, channel=guild.open), mark(3, channel=next(ids)), mark(4))
    for client in (owner, mod):
        for n in (1, 2, 4):
            await hears(client, n=n)
    await hears(ann, n=2)
    await hears(ann, n=4)


async def test_a_move_is_seen_from_three_sides(house, clients):
    owner, mod, ann, zoe, ben = house.users("owner", "mod", "ann", "zoe", "ben")
    guild = Guild(house, owner, mod, ann, zoe, ben)
    guild.change(guild.member(mod, guild.mods), guild.member(zoe, guild.mods), publish=False)
    guild.change(guild.channel(guild.open, overwrites=[deny(int(ben.id), 1)]),
                 guild.channel(guild.hidden, overwrites=[deny(guild.id), allow(guild.mods), allow(int(ben.id), 1)]),
                 publish=False)
    both, here, there, himself = [await clients.login(person) for person in (mod, ann, ben, zoe)]
    guild.sits(zoe, guild.open)
    for client in (both, here, himself):
        await client.next("VOICE_STATE_UPDATE", user_id=zoe.id, channel_id=str(guild.open))
    guild.sits(zoe, guild.hidden, epoch=2, came_from=guild.open)
    for client in (both, there, himself):
        await client.next("VOICE_STATE_UPDATE", user_id=zoe.id, channel_id=str(guild.hidden))
    await here.next("VOICE_STATE_UPDATE", user_id=zoe.id, channel_id=None)
    guild.gets_up(zoe, guild.hidden, epoch=2)
    for client in (both, there, himself):
        await client.next("VOICE_STATE_UPDATE", user_id=zoe.id, channel_id=None)
    guild.mark(1)
    await hears(both, here, there, himself, n=1)


async def test_he_is_told_of_himself_where_he_may_not_look(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.sits(ann.account, guild.hidden)
    for client in (owner, mod, ann):
        await client.next("VOICE_STATE_UPDATE", user_id=ann.id, channel_id=str(guild.hidden))
    guild.gets_up(ann.account, guild.hidden)
    for client in (owner, mod, ann):
        await client.next("VOICE_STATE_UPDATE", user_id=ann.id, channel_id=None)


async def test_a_bot_needs_the_intent_but_for_his_own_row(house, clients):
    owner, quiet, loud = house.user("owner"), house.user("quiet", bot=True), house.user("loud", bot=True)
    guild = Guild(house, owner, quiet, loud)
    silent = await clients.login(quiet, intents=GUILDS)
    talkative = await clients.login(loud, intents=GUILDS | MEMBERS | VOICE_STATES)
    guild.change(guild.member(owner, guild.mods))
    guild.change(guild.member(quiet, guild.mods))
    guild.sits(owner, guild.hidden)
    guild.mark(1)
    await silent.next("GUILD_MEMBER_UPDATE", user={"id": quiet.id})
    await silent.next("CHANNEL_CREATE", id=str(guild.hidden))
    await talkative.next("GUILD_MEMBER_UPDATE", user={"id": owner.id})
    await talkative.next("GUILD_MEMBER_UPDATE", user={"id": quiet.id})
    await hears(silent, talkative, n=1)


# -- what appears and vanishes ---------------------------------------------------------------------


async def test_a_role_given_and_taken_shows_and_hides_a_channel_and_who_sits_there(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.sits(mod.account, guild.hidden)
    for client in (owner, mod):
        await client.next("VOICE_STATE_UPDATE", user_id=mod.id)
    guild.change(guild.member(ann.account, guild.mods))
    await ann.next("GUILD_MEMBER_UPDATE")
    created = await ann.next("CHANNEL_CREATE", id=str(guild.hidden), guild_id=str(guild.id), type=VOICE)
    assert created["name"] == "hidden"
    assert [o["id"] for o in created["permission_overwrites"]] == [str(guild.id), str(guild.mods)]
    await ann.next("VOICE_STATE_UPDATE", user_id=mod.id, channel_id=str(guild.hidden), guild_id=str(guild.id))
    guild.mark(1, channel=guild.hidden)
    for client in (owner, mod):
        await client.next("GUILD_MEMBER_UPDATE")
    await hears(owner, mod, ann, n=1)
    guild.change(guild.member(ann.account))
    await ann.next("GUILD_MEMBER_UPDATE")
    await ann.next("VOICE_STATE_UPDATE", user_id=mod.id, channel_id=None, guild_id=str(guild.id))
    await ann.next("CHANNEL_DELETE", id=str(guild.hidden), guild_id=str(guild.id))
    guild.commit(mark(2, channel=guild.hidden), mark(3))
    await hears(ann, n=3)


async def test_what_a_role_may_changes_for_those_who_have_it(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.change(guild.role(guild.id, 0))
    for client in (mod, ann):
        await client.next("GUILD_ROLE_UPDATE")
        await client.next("CHANNEL_DELETE", id=str(guild.open))
        await client.next("CHANNEL_DELETE", id=str(guild.hall))     # after what is in it
    guild.change(guild.role(guild.mods, ADMINISTRATOR))
    await mod.next("GUILD_ROLE_UPDATE")
    await mod.next("CHANNEL_CREATE", id=str(guild.hall))
    await mod.next("CHANNEL_CREATE", id=str(guild.open))
    guild.commit(mark(1, channel=guild.open), mark(2))
    await hears(mod, n=1)
    await ann.next("GUILD_ROLE_UPDATE")
    await hears(mod, ann, n=2)
    await owner.sequence("GUILD_ROLE_UPDATE", "GUILD_ROLE_UPDATE", "TEST", "TEST")


async def test_an_overwrite_that_shows_or_hides_is_a_channel_made_or_deleted(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.change(guild.channel(guild.hidden, overwrites=[deny(guild.id), allow(int(ann.id), 1)]))
    await owner.next("CHANNEL_UPDATE", id=str(guild.hidden))
    await mod.next("CHANNEL_DELETE", id=str(guild.hidden))
    await ann.next("CHANNEL_CREATE", id=str(guild.hidden))
    guild.change(guild.channel(guild.hidden))
    guild.mark(1)
    for client in (owner, ann):
        await client.next("CHANNEL_UPDATE", id=str(guild.hidden))
    await hears(owner, mod, ann, n=1)


async def test_a_channel_is_made_and_deleted_for_those_who_see_it(house, clients, cast):
    guild, owner, mod, ann = cast
    secret = next(ids)
    guild.change(guild.channel(secret, name="CHANNEL_CREATE", overwrites=[deny(guild.id), allow(guild.mods)]))
    guild.sits(mod.account, secret)
    guild.mark(1)
    for client in (owner, mod):
        await client.next("CHANNEL_CREATE", id=str(secret))
        await client.next("VOICE_STATE_UPDATE", user_id=mod.id, channel_id=str(secret))
    await hears(owner, mod, ann, n=1)
    guild.delete_channel(secret)
    guild.gets_up(mod.account, secret)      # told already, but to himself
    guild.mark(2)
    await owner.next("VOICE_STATE_UPDATE", user_id=mod.id, channel_id=None)
    await owner.next("CHANNEL_DELETE", id=str(secret))
    await mod.next("CHANNEL_DELETE", id=str(secret))
    await mod.next("VOICE_STATE_UPDATE", user_id=mod.id, channel_id=None)
    await hears(owner, mod, ann, n=2)


async def test_what_the_bus_lost_shows_and_hides_too(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.change(guild.member(ann.account, guild.mods), publish=False)
    guild.commit(mark(1, channel=guild.hidden), publish=False)
    guild.change(guild.member(ann.account), publish=False)
    guild.commit(mark(2, channel=guild.hidden), mark(3))
    await ann.sequence("GUILD_MEMBER_UPDATE", "CHANNEL_CREATE")
    await hears(ann, n=1)
    await ann.sequence("GUILD_MEMBER_UPDATE", "CHANNEL_DELETE")
    await hears(ann, n=3)


async def test_a_new_session_sees_what_stands_by_then(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.change(guild.member(ann.account, guild.mods))
    await ann.sequence("GUILD_MEMBER_UPDATE", "CHANNEL_CREATE")
    second = await clients.login(ann.account)
    guild.commit(mark(1, channel=guild.hidden))
    await hears(ann, second, n=1)


# -- members come and go ---------------------------------------------------------------------------


@pytest.mark.parametrize("bot", [True, False], ids=["bot", "user"])
async def test_who_becomes_a_member_is_told_of_the_guild_and_hears_it_from_then_on(house, clients, cast, bot):
    guild, owner, mod, ann = cast
    new = house.user("new", bot=bot)
    client, second = await clients.login(new), await clients.login(new)
    guild.mark(1)
    guild.joins(new, guild.mods)
    for each in (client, second):
        created = await each.next("GUILD_CREATE", id=str(guild.id), unavailable=False)
        assert new.id in [m["user"]["id"] for m in created["members"]]
    await hears(owner, n=1)
    await owner.next("GUILD_MEMBER_ADD")
    guild.commit(mark(2, channel=guild.hidden), mark(3))
    for each in (client, second):
        await hears(each, n=2)
        await hears(each, n=3)
        await until(lambda each=each: position(house, each, guild.record) == b"g%d" % guild.record.version,
                    "its position to be kept")
    assert house.gateway in guild.record.listeners()


async def test_the_only_member_here_is_told_too_and_nothing_stays_when_he_goes(house, clients):
    owner, new = house.users("owner", "new")
    guild = Guild(house, owner)
    client = await clients.login(new)
    guild.joins(new)
    await client.next("GUILD_CREATE", id=str(guild.id))
    guild.mark(1)
    await hears(client, n=1)
    guild.loses(new)
    await client.next("GUILD_DELETE", id=str(guild.id))
    guild.mark(2)
    house.user_record(new.id).commit(mark(3))
    await hears(client, n=3)
    await until(lambda: not guild.record.listeners(), "nobody to listen")


async def test_who_is_no_member_any_more_hears_that_it_has_gone_and_nothing_else(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.loses(ann.account)
    guild.mark(1)
    house.user_record(ann.id).commit(mark(2))
    for client in (owner, mod):
        await client.next("GUILD_MEMBER_REMOVE", user={"id": ann.id})
        await hears(client, n=1)
    await ann.next("GUILD_DELETE", id=str(guild.id))
    await hears(ann, n=2)
    assert position(house, ann, guild.record) is None
    guild.joins(ann.account)                    # and again
    await ann.next("GUILD_CREATE", id=str(guild.id))
    guild.mark(3)
    await hears(ann, n=3)


async def test_who_comes_is_not_shown_an_older_guild_than_others_know_already(house, clients):
    """What happened to himself meanwhile could not be told him any more."""
    owner, new = house.users("owner", "new")
    guild = Guild(house, owner)
    there, client = await clients.login(owner), await clients.login(new)
    guild.change(guild.member(new, name="GUILD_MEMBER_ADD"))
    word = event("GUILD_CREATE", place_op=LISTEN, place=guild.id, place_version=guild.record.version)
    named, row_of_him = guild.member(new, nick="Kitty")
    early = {"ref": guild.id, "version": guild.record.version + 1, "events": [named]}
    house.publish(pack("place_event", **early))             # the bus is faster than a replica
    await there.next("GUILD_MEMBER_ADD")
    await there.next("GUILD_MEMBER_UPDATE")

    def reads():
        return house.redis.info("commandstats")["cmdstat_eval_ro"]["calls"]
    before = reads()
    house.user_record(new.id).commit(word, changes=[("g", guild.id, "")])
    await until(lambda: reads() > before, "the guild to be read")
    guild.commit(named, changes=[row_of_him], publish=False)
    created = await client.next("GUILD_CREATE", id=str(guild.id))
    assert [m["nick"] for m in created["members"] if m["user"]["id"] == new.id] == ["Kitty"]
    guild.mark(1)
    await hears(there, client, n=1)


async def test_word_of_a_guild_that_he_has_left_again_is_no_guild(house, clients):
    owner, new = house.users("owner", "new")
    guild = Guild(house, owner)
    client = await clients.login(new)
    house.user_record(new.id).commit(
        event("GUILD_CREATE", place_op=LISTEN, place=guild.id, place_version=guild.record.version), mark(1))
    await hears(client, n=1)
    await until(lambda: not guild.record.listeners(), "nobody to listen")
    house.user_record(new.id).commit(mark(2))
    await hears(client, n=2)


# -- the guild's end -------------------------------------------------------------------------------


async def test_a_guild_that_is_deleted_is_gone_for_everybody_at_once(house, clients, cast):
    guild, owner, mod, ann = cast
    second, bot = await clients.login(ann.account), house.user("bot", bot=True)
    guild.joins(bot)
    robot = await clients.login(bot, intents=GUILDS)
    guild.sits(mod.account, guild.hidden)
    guild.gets_up(mod.account, guild.hidden)
    guild.ends(mark(1))                         # nobody listens any more
    for person in (owner, mod, ann, bot):
        house.user_record(person.id).commit(mark(2))
    for client in (owner, mod, ann, second, robot):
        await client.expect("GUILD_DELETE", id=str(guild.id))
        await hears(client, n=2)
        assert [e.t for e in client.events].count("GUILD_DELETE") == 1
    await until(lambda: not guild.record.listeners(), "nobody to listen")
    for client in (owner, second, robot):
        assert position(house, client, guild.record) is None


@pytest.mark.parametrize("published", [True, False], ids=["bus", "log"])
async def test_who_comes_after_the_end_of_a_guild_comes_without_it(house, clients, published):
    owner, ann = house.users("owner", "ann")
    guild, home = Guild(house, owner, ann), Guild(house, owner, ann)
    there = await clients.login(owner)
    guild.ends(publish=published)
    client = await clients.login(ann)
    assert [g["id"] for g in client.ready["guilds"]] == [str(home.id)]
    await client.send(8, {"guild_id": str(guild.id), "query": "", "limit": 0})
    await client.send(14, {"guild_id": str(guild.id), "channels": {str(guild.open): [[0, 99]]}})
    home.mark(1)
    await hears(client, n=1)
    if not published:                           # it is read at the next thing that is heard
        guild.mark(2)
    await there.expect("GUILD_DELETE", id=str(guild.id))


@pytest.mark.parametrize("known", [True, False], ids=["known", "not-known"])
@pytest.mark.parametrize("published", [True, False], ids=["bus", "log"])
async def test_who_is_resumed_after_the_end_of_a_guild_is_told_of_it_once(house, clients, known, published):
    owner, ann = house.users("owner", "ann")
    guild, home = Guild(house, owner, ann), Guild(house, owner, ann)
    other = await clients.login(owner) if known else None
    client = await clients.login(ann)
    await lost(house, home, client, 1)
    guild.sits(owner, guild.open)
    guild.gets_up(owner, guild.open)
    guild.ends(publish=published)
    if known and published:
        await other.expect("GUILD_DELETE", id=str(guild.id))
    await resumed(client)
    await client.expect("GUILD_DELETE", id=str(guild.id))
    await until(lambda: position(house, client, guild.record) is None, "its position to be forgotten")
    await lost(house, home, client, 2)          # and the next gateway says no more of it
    await resumed(client)
    home.mark(3)
    await client.expect("TEST", n=3)
    assert [e.t for e in client.events].count("GUILD_DELETE") == 1


# -- from another gateway --------------------------------------------------------------------------


async def lost(house, guild, client, n):
    """It is let go: its gateway is another one, which is gone by now. What it was told last it will be told again."""
    left_behind(house, client)
    guild.mark(n)
    await client.closes_with(4000)


async def resumed(client):
    """And taken back: as on any gateway that has never heard of it."""
    await client.reconnect_and_resume()


async def test_who_is_resumed_hears_what_it_missed_of_what_it_may_see(house, clients):
    owner, mod, ann = house.users("owner", "mod", "ann")
    guild = Guild(house, owner, mod, ann)
    client = await clients.login(ann)
    await lost(house, guild, client, 1)
    guild.commit(mark(2, channel=guild.hidden), mark(3, channel=guild.open))
    guild.sits(mod, guild.open)
    guild.sits(mod, guild.hidden, epoch=2, came_from=guild.open)
    guild.change(guild.member(mod, guild.mods))             # somebody else's row
    await resumed(client)
    await client.expect("TEST", n=1)
    await hears(client, n=3)
    await client.next("VOICE_STATE_UPDATE", channel_id=str(guild.open))
    await client.next("VOICE_STATE_UPDATE", channel_id=None)
    await client.next("GUILD_MEMBER_UPDATE", user={"id": mod.id})
    guild.commit(mark(4, channel=guild.hidden), mark(5))
    await hears(client, n=5)
    guild.change(guild.member(ann, guild.mods))
    await client.sequence("GUILD_MEMBER_UPDATE", "CHANNEL_CREATE")
    await client.next("VOICE_STATE_UPDATE", user_id=mod.id, channel_id=str(guild.hidden))


async def test_who_is_resumed_where_the_guild_is_known_is_known_by_his_own_row(house, clients, cast):
    guild, owner, mod, ann = cast
    await lost(house, guild, mod, 1)
    guild.commit(mark(2, channel=guild.hidden), mark(3))
    await resumed(mod)
    await mod.expect("TEST", n=1)
    await hears(mod, n=2)
    await hears(mod, n=3)
    await lost(house, guild, ann, 4)
    guild.commit(mark(5, channel=guild.hidden), mark(6))
    await resumed(ann)
    await ann.expect("TEST", n=4)
    await hears(ann, n=6)


@pytest.mark.parametrize("known", [True, False], ids=["known", "not-known"])
@pytest.mark.parametrize("change", [
    lambda guild, ann: guild.role(guild.mods, ADMINISTRATOR), lambda guild, ann: guild.member(ann, guild.mods),
    lambda guild, ann: guild.channel(guild.open, overwrites=[deny(guild.id)])], ids=["role", "own-row", "overwrite"])
async def test_who_is_resumed_over_a_change_of_what_it_may_see_is_cut(house, clients, change, known):
    owner, ann = house.users("owner", "ann")
    guild = Guild(house, owner, ann)
    other = await clients.login(owner) if known else None
    client = await clients.login(ann)
    await lost(house, guild, client, 1)
    guild.change(change(guild, ann))
    guild.mark(2)
    if known:
        await other.expect("TEST", n=2)
    await client.connect()
    await client.hello()
    await client.send_resume()
    await client.closes_with(4000)
    assert not [e for e in client.events if e.t == "TEST" and e.d["n"] == 2]
    await client.connect()
    await client.hello()
    await client.send_resume()
    assert await client.invalidated() is False
    client.cursor = len(client.events)
    await client.identify()
    guild.mark(3)
    await hears(client, n=3)


async def test_the_first_log_that_says_so_tells_that_the_guild_has_gone(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.removes(ann.account)
    await ann.next("GUILD_DELETE", id=str(guild.id))
    late = await clients.login(ann.account)  # his own record has the guild yet
    assert not [g for g in late.ready["guilds"] if g["id"] == str(guild.id)]
    guild.tells(ann.account)
    house.user_record(ann.id).commit(mark(1))
    await hears(ann, late, n=1)


async def test_who_comes_again_before_he_has_heard_that_he_went_hears_both(house, clients, cast):
    guild, owner, mod, ann = cast
    guild.removes(ann.account, publish=False)
    guild.joins(ann.account, publish=False)
    await ann.next("GUILD_DELETE", id=str(guild.id))
    await ann.next("GUILD_CREATE", id=str(guild.id))
    guild.mark(1)
    await hears(ann, n=1)
    await owner.next("GUILD_MEMBER_REMOVE")
    await owner.next("GUILD_MEMBER_ADD")
    await hears(owner, n=1)


async def test_who_sits_in_a_guild_that_he_is_only_told_of_now_asks_for_his_voice_server_again(house, clients):
    owner, new = house.users("owner", "new")
    guild = Guild(house, owner)
    client, other = await clients.login(new), await clients.login(new)
    for session, server in ((client.session_id, 0), (other.session_id, 2)):
        seat = {**guild.seat(new, guild.open, 3), "session": session, "self_mute": True, "server": server}
        guild.commit(changes=[("vs", int(new.id), pack("voice_seat", **seat))])
        guild.joins(new)
        for each in (client, other):
            await each.expect("GUILD_CREATE", id=str(guild.id))
        if server:  # it was sent to one before this began
            command = await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(new.id))
            assert (command.fields["session"], command.fields["guild"], command.fields["channel"],
                    command.fields["self_mute"]) == (session, guild.id, guild.open, True)
            command.reply()
        guild.loses(new)
        for each in (client, other):
            await each.expect("GUILD_DELETE", id=str(guild.id))
    assert int(new.id) not in [c.fields["user"] for c in list(house.manager.commands.queue)]


async def test_who_was_a_member_when_it_was_left_is_told_that_the_guild_has_gone(house, clients):
    owner, ann = house.users("owner", "ann")
    guild = Guild(house, owner, ann)
    client = await clients.login(ann)
    await lost(house, guild, client, 1)
    guild.loses(ann)
    await resumed(client)
    await client.expect("GUILD_DELETE", id=str(guild.id))
    assert not [e for e in client.events if e.t == "TEST"]
    await until(lambda: position(house, client, guild.record) is None, "its position to be forgotten")


async def test_a_guild_that_it_was_not_told_of_before_its_gateway_died_is_told_by_the_next(house, clients):
    owner, new = house.users("owner", "new")
    guild, home = Guild(house, owner), Guild(house, owner, new)
    client = await clients.login(new)
    await lost(house, home, client, 1)
    guild.joins(new)                            # the other gateway noted that, and nothing else
    positions = f"{{s:{client.session_id}}}:p"
    house.redis.hset(positions, str(house.user_record(new.id).ref), house.user_record(new.id).version)
    house.redis.hset(positions, str(guild.id), "g0")
    await resumed(client)
    got = {(await client._until(client._next_event, "an event")).t for _ in range(2)}
    assert got <= {"GUILD_CREATE", "TEST"}
    assert "GUILD_CREATE" in {e.t for e in client.events}
    guild.mark(2)
    await client.expect("TEST", n=2)


@contextmanager
def unreadable(house, guild):
    """Nobody can read its members meanwhile."""
    key = f"{guild.record.key}:mb"
    house.redis.rename(key, f"{key}:aside")
    house.redis.set(key, "nonsense")
    try:
        yield
    finally:
        house.redis.rename(f"{key}:aside", key)


async def test_a_guild_that_cannot_be_read_yet_is_owed_for_as_long_as_it_takes(house, clients):
    owner, new = house.users("owner", "new")
    guild, home = Guild(house, owner), Guild(house, owner, new)
    client = await clients.login(new)
    guild.change(guild.member(new, name="GUILD_MEMBER_ADD"))
    with unreadable(house, guild):
        house.user_record(new.id).commit(
            event("GUILD_CREATE", place_op=LISTEN, place=guild.id, place_version=guild.record.version), mark(1))
        await hears(client, n=1)
        await until(lambda: position(house, client, guild.record) == b"g0", "it to be owed")
        guild.mark(2)                           # it will be in what is read then
        await lost(house, home, client, 3)      # and the next gateway owes it, too
        await resumed(client)
        await client.expect("TEST", n=3)
        assert position(house, client, guild.record) == b"g0"
    await client.next("GUILD_CREATE", id=str(guild.id))
    guild.mark(4)
    await hears(client, n=4)


async def test_who_is_resumed_waits_for_a_guild_that_cannot_be_read_yet(house, clients, cast):
    guild, owner, mod, ann = cast
    with unreadable(house, guild):
        for n, client in enumerate((owner, mod, ann), 1):   # so that nobody knows it any more
            await lost(house, guild, client, n)
        for client in (mod, ann):
            await resumed(client)
        guild.commit(mark(4, channel=guild.hidden), mark(5))
    for client, numbers in ((mod, (2, 3, 4, 5)), (ann, (3, 5))):
        for n in numbers:
            await hears(client, n=n)


async def test_what_the_log_of_a_guild_does_not_hold_any_more_costs_the_session(house, clients, cast):
    guild, owner, mod, ann = cast
    for n in range(3):
        guild.commit(mark(n), publish=False)
    house.redis.xtrim(f"{guild.record.key}:log", minid=f"{guild.record.version}-0", approximate=False)
    guild.mark(9)
    for client in (owner, mod, ann):
        await client.closes_with(4000)
    await ann.connect()
    await ann.hello()
    await ann.identify()
    guild.commit(mark(10, channel=guild.hidden), mark(11))
    await ann.expect("TEST", n=11)
    assert not [e for e in ann.events if e.t == "TEST" and e.d["n"] == 10]


# -- where else he sits ----------------------------------------------------------------------------


async def test_calls_and_guilds_are_told_of_each_by_itself_whatever_comes_first(house, clients):
    """A voice state names its guild, or that it is in none: clients keep them apart, and each log is in order."""
    owner, ann, ben = house.users("owner", "ann", "ben")
    guild, place = Guild(house, owner, ann, ben), house.channel(ann, ben)
    guild.sits(ben, guild.open, epoch=3)
    everybody = [await clients.login(ben), await clients.login(ann)]

    def call_state(channel):
        return {"user_id": ben.id, "channel_id": channel, "guild_id": None}

    place.commit(event("VOICE_STATE_UPDATE", call_state(str(place.ref)), sitter=int(ben.id), epoch=4))
    for client in everybody:
        await client.expect("VOICE_STATE_UPDATE", user_id=ben.id, channel_id=str(place.ref))
    guild.gets_up(ben, guild.open, epoch=3)
    for client in everybody:
        await client.next("VOICE_STATE_UPDATE", guild_id=str(guild.id), user_id=ben.id, channel_id=None)
    guild.sits(ben, guild.open, epoch=5)
    for client in everybody:
        await client.next("VOICE_STATE_UPDATE", user_id=ben.id, channel_id=str(guild.open))
    place.commit(event("VOICE_STATE_UPDATE", call_state(None), sitter=int(ben.id), epoch=4, left=True))
    for client in everybody:
        await client.next("VOICE_STATE_UPDATE", guild_id=None, user_id=ben.id, channel_id=None)
