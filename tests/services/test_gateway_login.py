"""The gateway alone: what it says of guilds at log-in and over REST, who sits where in them, to whom, and in which form;
and that a large guild is never read whole for it."""
import json
import threading
import time
from contextlib import contextmanager

import pytest

from bus import now_ms, pack
from client import CAPABILITIES, Rest
from gateway_house import Clients, House, event, ids

GUILDS, MEMBERS, VOICE_STATES, PRESENCES = 1 << 0, 1 << 1, 1 << 7, 1 << 8
DEDUPED = 1 << 4
VIEW = 1 << 10
VOICE, STAGE = 2, 13
LARGE, TALKING = 100_000, 5_000


class Talk:
    """A guild with a channel for everybody, one for Mods alone, and a stage that is open."""

    def __init__(self, house, *members, mods=()):
        self.house = house
        self.guild = house.place(next(ids))
        self.id = str(self.guild.ref)
        self.lounge, self.vault, self.stage, self.mods, self.open = [next(ids) for _ in range(5)]
        only_mods = [{"id": self.guild.ref, "deny": VIEW}, {"id": self.mods, "allow": VIEW}]
        rows = [("s", "guild", pack("guild", id=self.guild.ref, name="Talk", owner=next(ids))),
                ("r", self.guild.ref, pack("role", id=self.guild.ref, name="@everyone", permissions=VIEW)),
                ("r", self.mods, pack("role", id=self.mods, name="Mods", position=1, hoist=True)),
                ("vc", self.lounge, pack("voice_room", channel=self.lounge, seats=1, status="quiet")),
                ("st", self.stage, pack("stage", id=self.open, channel=self.stage, topic="News", privacy=2))]
        for position, (channel, kind, more) in enumerate((
                (self.lounge, VOICE, {}), (self.vault, VOICE, {"overwrites": only_mods}), (self.stage, STAGE, {}))):
            rows.append(("ch", channel, pack("guild_channel", id=channel, type=kind, name=f"c{position}",
                                             position=position, **more)))
        for person in members:
            roles = [self.mods] if person in mods else []
            rows.append(("mb", int(person.id), pack("member", user=int(person.id), roles=roles, joined_at=now_ms())))
        self.guild.commit(changes=rows, publish=False)
        house.redis.zadd(f"{self.guild.key}:mi", {f"{int(person.id):020}": 0 for person in members})
        for person in members:
            house.user_record(person.id).commit(changes=[("g", self.id, "")], publish=False)

    def sits(self, person, channel, **more):
        row = pack("voice_seat", user=int(person.id), channel=channel, session="s" * 32, gateway="elsewhere", **more)
        self.guild.commit(changes=[("vs", int(person.id), row)], publish=False)


@pytest.fixture
def talk(house):
    """(talk, ann, mod, ben in the lounge, cat in the vault, quiet dan, a bot)"""
    people = house.users("ann", "mod", "ben", "cat", "dan")
    bot = house.user("bot", bot=True)
    made = Talk(house, *people, bot, mods=[people[1]])
    made.sits(people[2], made.lounge, self_mute=True)
    made.sits(people[3], made.vault)
    return made, *people, bot


def sitting(guild):
    return {state["user_id"] for state in guild["voice_states"]}


def named(guild):
    return {member["user"]["id"] for member in guild["members"]}


def channels_of(guild):
    return [channel["id"] for channel in guild["channels"]]


# -- bots ------------------------------------------------------------------------------------------


async def test_a_bot_is_told_of_people_as_its_intents_say(house, clients, talk):
    made, ann, mod, ben, cat, dan, bot = talk
    everybody = {person.id for person in (ann, mod, ben, cat, dan, bot)}
    for intents, states, members in ((GUILDS, set(), {bot.id, ben.id}), (GUILDS | MEMBERS, set(), {bot.id, ben.id}),
                                     (GUILDS | VOICE_STATES, {ben.id}, {bot.id, ben.id}),
                                     (GUILDS | VOICE_STATES | PRESENCES, {ben.id}, everybody)):
        client = await clients.login(bot, intents=intents)
        guild = client.events[-1].d
        assert (sitting(guild), named(guild)) == (states, members), intents
        assert (guild["member_count"], guild["large"], guild["unavailable"]) == (6, False, False)
        assert channels_of(guild) == [str(made.lounge), str(made.stage)]
        assert guild["channels"][0]["status"] == "quiet"
        assert [stage["channel_id"] for stage in guild["stage_instances"]] == [str(made.stage)]


async def test_a_voice_state_within_a_guild_says_neither_guild_nor_member(house, clients, talk):
    made, _, _, ben, _, _, bot = talk
    state, = (await clients.login(bot, intents=GUILDS | VOICE_STATES)).events[-1].d["voice_states"]
    assert state.pop("self_stream", False) is False
    assert state == {"channel_id": str(made.lounge), "user_id": ben.id, "session_id": "s" * 32, "deaf": False,
                     "mute": False, "self_deaf": False, "self_mute": True, "self_video": False, "suppress": False,
                     "request_to_speak_timestamp": None}


async def test_without_the_intent_a_bot_hears_no_more_of_its_guilds_than_that_they_are_there(house, clients, talk):
    made, *_, bot = talk
    client = await clients.login(bot, intents=VOICE_STATES)
    assert client.ready["guilds"] == [{"id": made.id, "unavailable": True}]
    made.guild.commit(event("TEST", {"n": 1}))
    await client.next("TEST")
    assert [e.t for e in client.events] == ["READY", "TEST"]


async def test_what_is_large_is_for_the_bot_to_say(house, clients):
    people = house.users(*[f"p{n}" for n in range(50)])
    bot = house.user("bot", bot=True)
    made = Talk(house, *people, bot)
    made.sits(people[7], made.lounge)
    for threshold, large in ((50, True), (51, False), (1, True), (None, True), (1000, False)):
        client = await clients.connect(bot)
        more = {} if threshold is None else {"large_threshold": threshold}
        identification = client.identification(intents=GUILDS | PRESENCES)
        identification.pop("large_threshold")
        await client.send(2, identification | more)
        guild = await client.expect("GUILD_CREATE")
        assert (guild["large"], guild["member_count"]) == (large, 51), threshold
        assert len(guild["members"]) == (2 if large else 51), threshold
        await client.close()


async def test_a_bot_with_too_many_guilds_on_one_shard_closes_with_4011(house, clients):
    bot = house.user("bot", bot=True)
    number = next(ids)
    house.redis.hset(f"{{u:{bot.id}}}:g", mapping={number + (n << 22): "" for n in range(2501)})
    client = await clients.connect(bot)
    await client.send(2, client.identification())
    await client.closes_with(4011)
    client = await clients.connect(bot)
    await client.identify(shard=[0, 2])
    assert client.ready["guilds"] == []     # none of them is there


@pytest.fixture
def forgetful():
    """A house whose gateway keeps little for resumes."""
    standing = House(SB_REPLAY_BYTES="20000")
    yield standing
    standing.close()


@pytest.mark.parametrize("guilds", [1, 40])
async def test_guilds_that_cannot_be_kept_as_a_whole_are_sent_all_the_same(forgetful, guilds):
    house, clients = forgetful, Clients(forgetful)
    owner, bot = house.user("owner"), house.user("bot", bot=True)
    made = [house.guild(owner, bot) for _ in range(guilds)]
    client = await clients.login(bot)
    assert [e.d["id"] for e in client.events[1:]] == [str(guild.ref) for guild in made]
    made[0].commit(event("CHANNEL_CREATE", {"n": 1}))
    await client.next("CHANNEL_CREATE")
    await client.abort()
    assert [e.t for e in await client.reconnect_and_resume(seq=client.seq - 1)] == ["CHANNEL_CREATE"]
    await client.abort()
    await client.connect()
    await client.hello()
    start = len(client.events)
    await client.send_resume(seq=1)                     # who has got none of them
    if guilds == 1:
        assert [e.t for e in await client.replayed(start)] == ["GUILD_CREATE", "CHANNEL_CREATE"]
    else:
        assert await client.invalidated() is False
    await clients.close()
    house.system.check_alive()


# -- user accounts ---------------------------------------------------------------------------------


async def test_a_user_is_told_in_each_form_of_ready_who_sits_where_he_may_look(house, clients, talk):
    made, ann, mod, ben, cat, *_ = talk
    for person, seen in ((ann, {ben.id}), (mod, {ben.id, cat.id}), (cat, {ben.id, cat.id})):
        plain = (await clients.login(person, capabilities=0)).ready
        guild, = plain["guilds"]
        assert (sitting(guild), len(guild["members"])) == (seen, 6)
        deduped = (await clients.login(person, capabilities=DEDUPED)).ready
        guild, = deduped["guilds"]
        assert sitting(guild) == seen and "members" not in guild
        assert {m["user_id"] for m in deduped["merged_members"][0]} == seen | {person.id}
        client = await clients.login(person, capabilities=CAPABILITIES)
        guild, = client.ready["guilds"]
        assert "voice_states" not in guild and "members" not in guild
        assert str(made.vault) in channels_of(guild) if person is mod else str(made.vault) not in channels_of(guild)
        assert [m["user_id"] for m in client.ready["merged_members"][0]] == [person.id]
        extra = client.supplemental
        assert [g["id"] for g in extra["guilds"]] == [made.id]
        assert sitting(extra["guilds"][0]) == seen
        assert {m["user_id"] for m in extra["merged_members"][0]} == seen - {person.id}
        assert {u["id"] for u in client.ready["users"]} == seen - {person.id}
        assert extra["merged_presences"]["guilds"] == [[]]


async def test_a_guild_that_the_user_has_just_left_is_not_told(house, clients, talk):
    made, ann, *_ = talk
    stays = Talk(house, ann)
    house.redis.hdel(f"{made.guild.key}:mb", ann.id)
    client = await clients.login(ann)
    assert [g["id"] for g in client.ready["guilds"]] == [stays.id]
    assert [len(client.supplemental[key]) for key in ("guilds", "merged_members")] == [1, 1]
    made.guild.commit(event("TEST", {"n": 1}))
    stays.guild.commit(event("TEST", {"n": 2}))
    await client.next("TEST", n=2)
    assert [e.d["n"] for e in client.events if e.t == "TEST"] == [2]


# -- REST ------------------------------------------------------------------------------------------


async def test_rest_hides_what_may_not_be_viewed_and_pages_through_members(house, clients, talk):
    made, ann, mod, *rest = talk
    hers, his = [Rest(clients.http, house.system.api_base, person) for person in (ann, mod)]
    for channel in (made.lounge, made.vault):
        row = pack("channel", id=channel, type=VOICE, guild=made.guild.ref)
        house.place(channel).commit(changes=[("s", "chan", row)], publish=False)
    assert (await hers.get(f"/channels/{made.lounge}")).ok()["id"] == str(made.lounge)
    (await hers.get(f"/channels/{made.vault}")).refused(404, 10003)
    assert (await his.get(f"/channels/{made.vault}")).ok()["id"] == str(made.vault)
    shown = [[c["id"] for c in (await who.get(f"/guilds/{made.id}/channels")).ok()] for who in (hers, his)]
    assert shown == [[str(made.lounge), str(made.stage)], [str(made.lounge), str(made.vault), str(made.stage)]]
    seen, after = [], "0"
    while page := (await hers.get(f"/guilds/{made.id}/members?limit=2&after={after}")).ok():
        seen += page
        after = page[-1]["user"]["id"]
    assert [m["user"]["id"] for m in seen] == sorted((p.id for p in (ann, mod, *rest)), key=int)
    assert [m["hoisted_role"] for m in seen if m["user"]["id"] == mod.id] == [str(made.mods)]


# -- a large guild ---------------------------------------------------------------------------------


@contextmanager
def watched(house):
    """The commands that Redis carries out meanwhile, those of scripts too."""
    commands, end = [], f"end-{next(ids)}"
    with house.redis.monitor() as monitor:
        def listen():
            for one in monitor.listen():
                commands.append(one["command"])
                if end in one["command"]:
                    return
        thread = threading.Thread(target=listen)
        thread.start()
        yield commands
        house.redis.echo(end)
        thread.join()


@pytest.fixture(scope="module")
def crowd(house):
    """(guild, its voice channel, a user, a bot): with many members, of whom many sit in voice."""
    user, bot = house.user("ann"), house.user("bot", bot=True)
    made = Talk(house, user, bot)
    first = next(ids) + 1_000_000
    key, people = made.guild.key, range(first, first + LARGE)
    for at in range(0, LARGE, 5000):
        some = people[at:at + 5000]
        house.redis.hset(f"{key}:mb", mapping={one: pack("member", user=one, joined_at=1) for one in some})
        house.redis.zadd(f"{key}:mi", {f"{one:020}": 0 for one in some})
    talking = people[::LARGE // TALKING]
    seats = {one: pack("voice_seat", user=one, channel=made.lounge, session="s" * 32, gateway="elsewhere")
             for one in talking}
    house.redis.hset(f"{key}:vs", mapping=seats)
    with house.redis.pipeline(transaction=False) as pipe:
        for one in talking:
            pipe.hset(f"{{u:{one}}}:s", "user", pack("user", id=one, username=f"user_{one}"))
        pipe.execute()
    return made, user, bot


def told(what, since, *payloads):
    size = sum(len(json.dumps(payload)) for payload in payloads)
    print(f"{what}: {size / 1e6:.1f} MB in {time.monotonic() - since:.2f} s")
    return size


async def test_log_in_to_a_large_guild_reads_those_who_talk_and_not_the_whole(house, clients, crowd):
    made, user, bot = crowd
    for account, options in ((user, {"capabilities": CAPABILITIES}), (user, {"capabilities": 0}),
                             (bot, {"intents": GUILDS | VOICE_STATES | PRESENCES})):
        since = time.monotonic()
        with watched(house) as commands:
            client = await clients.login(account, **options)
        guild = client.events[-1].d if account is bot else client.ready["guilds"][0]
        size = told(f"log-in of {account.username} {options}", since, *[e.d for e in client.events])
        assert (guild["member_count"], guild["large"]) == (LARGE + 2, True)
        if client.supplemental:
            assert len(client.supplemental["guilds"][0]["voice_states"]) == TALKING
            assert len(client.supplemental["merged_members"][0]) == TALKING
            assert len(client.ready["users"]) == TALKING
        else:
            assert len(guild["voice_states"]) == TALKING
            assert len(guild["members"]) == TALKING + 1
        assert size < TALKING * 1500
        assert any(f"HLEN {made.guild.key}:mb" in command for command in commands)
        assert not [command for command in commands if command.startswith(f"HGETALL {made.guild.key}:mb")]
        await client.close()


async def test_rest_reads_neither_a_large_guild_nor_all_who_talk_in_it(house, clients, crowd):
    made, user, _ = crowd
    rest = Rest(clients.http, house.system.api_base, user)
    some = house.redis.zrange(f"{made.guild.key}:mi", 500, 500)[0].decode().lstrip("0")
    since = time.monotonic()
    with watched(house) as commands:
        guild = (await rest.get(f"/guilds/{made.id}?with_counts=true")).ok()
        page = (await rest.get(f"/guilds/{made.id}/members?limit=1000&after={some}")).ok()
        member = (await rest.get(f"/guilds/{made.id}/members/{some}")).ok()
        mine, = (await rest.get("/users/@me/guilds?with_counts=true")).ok()
    told("four requests", since, guild, page, member, mine)
    assert guild["approximate_member_count"] == mine["approximate_member_count"] == LARGE + 2
    assert [int(m["user"]["id"]) for m in page] == list(range(int(some) + 1, int(some) + 1001))
    assert member["user"]["id"] == some
    whole = tuple(f"HGETALL {made.guild.key}:{part}" for part in ("mb", "vs"))
    assert not [command for command in commands if command.startswith(whole)]
    assert any(command.startswith(f"HLEN {made.guild.key}:mb") for command in commands)
