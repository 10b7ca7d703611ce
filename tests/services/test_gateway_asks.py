"""The gateway alone: what a client asks about guilds that it sees, and what it is told."""


from gateway_guild import GUILDS, MEMBERS, Guild
from gateway_house import UNLISTEN, USER, event, until


def people_of(chunk):
    return [member["user"]["id"] for member in chunk["members"]]


async def asks(client, guild, **more):
    await client.send(8, {"guild_id": guild.id, **more})


# -- op 8 ------------------------------------------------------------------------------------------


async def test_members_are_found_by_id_and_who_is_not_there_is_told(house, clients):
    ann, ben, eve = house.users("ann", "ben", "eve")
    guild = Guild(house, ann, ben)
    client = await clients.login(ben)
    await asks(client, guild, user_ids=[ann.id, int(ben.id), eve.id, "5"], limit=0, nonce="abc")
    chunk = await client.next("GUILD_MEMBERS_CHUNK", guild_id=guild.id, chunk_index=0, chunk_count=1, nonce="abc")
    assert people_of(chunk) == [ann.id, ben.id]
    assert chunk["members"][0]["user"]["username"] == "ann"
    assert chunk["not_found"] == [eve.id, "5"]
    assert "presences" not in chunk
    await client.send(8, {"guild_id": [guild.id], "user_ids": ann.id, "nonce": "n" * 33})
    chunk = await client.next("GUILD_MEMBERS_CHUNK", not_found=[])
    assert people_of(chunk) == [ann.id]
    assert "nonce" not in chunk


async def test_members_are_found_by_the_beginning_of_a_name_or_nick(house, clients):
    ann, anton, ben, eve = house.users("ann", "anton", "ben", "eve")
    guild = Guild(house, ann, anton, ben, eve, nicks={int(eve.id): "Andy"})
    client = await clients.login(ben)
    await asks(client, guild, query="AN", limit=10)
    chunk = await client.next("GUILD_MEMBERS_CHUNK", chunk_count=1)
    assert people_of(chunk) == [ann.id, anton.id, eve.id]
    await asks(client, guild, query="an", limit=1)
    assert people_of(await client.next("GUILD_MEMBERS_CHUNK")) == [ann.id]
    await asks(client, guild, query="nobody", limit=1)
    assert people_of(await client.next("GUILD_MEMBERS_CHUNK")) == []


async def test_presences_come_with_members_when_they_are_asked_for(house, clients):
    ann, ben = house.users("ann", "ben")
    bot = house.user("robot", bot=True)
    guild = Guild(house, ann, ben, bot)
    await clients.login(ann)
    client = await clients.login(ben)
    robot = await clients.login(bot, intents=GUILDS)
    await until(lambda: house.redis.hlen(f"{{u:{ann.id}}}:on"), "ann to be there")
    await asks(client, guild, user_ids=[ann.id], presences=True)
    [presence] = (await client.next("GUILD_MEMBERS_CHUNK"))["presences"]
    assert presence["user"] == {"id": ann.id}
    assert presence["status"] == "online"
    await asks(robot, guild, user_ids=[ann.id], presences=True)
    assert "presences" not in await robot.next("GUILD_MEMBERS_CHUNK")


async def test_everybody_comes_in_chunks_to_a_bot_with_the_intent_and_to_nobody_else(house, clients):
    owner = house.user("owner")
    member = house.user("member")
    bot, blind = house.user("robot", bot=True), house.user("blind", bot=True)
    guild = Guild(house, owner, member, bot, blind, crowd=2300)
    client = await clients.login(bot, intents=GUILDS | MEMBERS)
    await asks(client, guild, query="", limit=0, nonce="all")
    found = []
    for index in range(3):
        chunk = await client.next("GUILD_MEMBERS_CHUNK", chunk_index=index, chunk_count=3, nonce="all")
        assert len(chunk["members"]) == (1000, 1000, 304)[index]
        found += people_of(chunk)
    assert sorted(map(int, found)) == sorted([int(p.id) for p in (owner, member, bot, blind)] + guild.crowd)
    await asks(client, guild, query="", limit=0, nonce="again")         # once in 30 s
    limited = await client.next("RATE_LIMITED", opcode=8, meta={"guild_id": guild.id, "nonce": "again"})
    assert 0 < limited["retry_after"] <= 30
    await asks(client, guild, user_ids=[owner.id])                      # others are not limited
    assert people_of(await client.next("GUILD_MEMBERS_CHUNK")) == [owner.id]
    for other in (await clients.login(blind, intents=GUILDS), await clients.login(member)):
        await asks(other, guild, query="", limit=0)
        await asks(other, guild, user_ids=[owner.id])
        assert people_of(await other.next("GUILD_MEMBERS_CHUNK")) == [owner.id]
    everybody = await clients.login(owner)
    await asks(everybody, guild, query="", limit=0)
    await everybody.next("GUILD_MEMBERS_CHUNK", chunk_count=3)


async def test_nobody_is_told_of_a_guild_that_is_not_his(house, clients):
    ann, ben, eve = house.users("ann", "ben", "eve")
    guild, own = Guild(house, ann, ben), Guild(house, eve)
    stranger = await clients.login(eve)
    await asks(stranger, guild, user_ids=[ann.id])
    await stranger.send(8, {"guild_id": [], "query": "", "limit": 0})
    await stranger.send(14, {"guild_id": guild.id, "channels": {guild.open: [[0, 99]]}})
    await stranger.send(36, {"guild_id": guild.id})
    await stranger.send(43, {"guild_id": guild.id, "fields": ["status"]})
    await stranger.send(31, {"guild_ids": [guild.id]})
    await asks(stranger, own, user_ids=[eve.id])
    await stranger.next("GUILD_MEMBERS_CHUNK", guild_id=own.id)
    # he was there, and is not any more
    client = await clients.login(ben)
    house.user_record(ben.id).commit(event("GUILD_DELETE", {"id": guild.id}, to=USER, user=int(ben.id),
                                           place_op=UNLISTEN, place=guild.place.ref))
    await client.next("GUILD_DELETE")
    await asks(client, guild, user_ids=[ann.id])
    await client.send(14, {"guild_id": guild.id, "channels": {guild.open: [[0, 99]]}})
    await client.heartbeat()
    house.user_record(ben.id).commit(event("TEST", {}))
    await client.next("TEST")


async def test_who_asks_for_more_than_waits_is_told_to_come_again(house, clients):
    ann, ben = house.users("ann", "ben")
    guild = Guild(house, ann, ben)
    client = await clients.login(ben)
    with house.system.held("gateway"):          # so that all are there at once
        for number in range(30):
            await asks(client, guild, user_ids=[ann.id], nonce=str(number))
    answers = {}
    while len(answers) < 30:
        got = await client._until(client._next_event, "an answer")
        answers[got.d["nonce"] if got.t == "GUILD_MEMBERS_CHUNK" else got.d["meta"]["nonce"]] = got.t
    assert answers["0"] == "GUILD_MEMBERS_CHUNK"
    assert list(answers.values()).count("RATE_LIMITED") >= 1
    assert list(answers.values()).count("GUILD_MEMBERS_CHUNK") >= 9


async def test_what_a_walk_has_sent_is_resumed_and_the_walk_ends_with_the_socket(house, clients):
    owner, bot = house.user("owner"), house.user("robot", bot=True)
    guild = Guild(house, owner, bot, crowd=1500)
    client = await clients.login(bot, intents=GUILDS | MEMBERS)
    await asks(client, guild, query="", limit=0)
    await client.next("GUILD_MEMBERS_CHUNK", chunk_index=0)
    await client.abort()
    await client.reconnect_and_resume()
    await asks(client, guild, user_ids=[owner.id], nonce="then")
    await client.expect("GUILD_MEMBERS_CHUNK", nonce="then")


# -- op 14 and 37 ----------------------------------------------------------------------------------


def rows_of(op):
    """A list as short text: group ids with counts, members by id."""
    return [f"{item['group']['id']} x{item['group']['count']}" if "group" in item else item["member"]["user"]["id"]
            for item in op["items"]]


async def test_a_list_shows_who_is_there_and_who_is_not(house, clients):
    zoe, ann, ben, eve = house.users("zoe", "ann", "ben", "eve")
    guild = Guild(house, zoe, ann, ben, eve, staff=(zoe, eve))
    for person in (zoe, ben):
        await clients.login(person)
    client = await clients.login(ann)
    await until(lambda: all(house.redis.hlen(f"{{u:{p.id}}}:on") for p in (zoe, ann, ben)), "all to be there")
    await client.send(14, {"guild_id": guild.id, "typing": True, "activities": True,
                           "channels": {guild.open: [[0, 99], [100, 199]]}})
    update = await client.next("GUILD_MEMBER_LIST_UPDATE", guild_id=guild.id, id="everyone", member_count=4,
                               online_count=3)
    assert update["groups"] == [{"id": guild.staff, "count": 1}, {"id": "online", "count": 2},
                                {"id": "offline", "count": 1}]
    first, second = update["ops"]
    assert (first["op"], first["range"], second["range"], second["items"]) == ("SYNC", [0, 99], [100, 199], [])
    assert rows_of(first) == [f"{guild.staff} x1", zoe.id, "online x2", ann.id, ben.id, "offline x1", eve.id]
    assert first["items"][1]["member"]["presence"]["status"] == "online"
    assert first["items"][6]["member"]["presence"]["status"] == "offline"


async def test_a_hidden_channel_is_listed_to_those_who_may_view_it_and_with_them_alone(house, clients):
    owner, ann, ben = house.users("owner", "ann", "ben")
    guild = Guild(house, owner, ann, ben, staff=(ann,))
    client, other = await clients.login(ann), await clients.login(ben)
    await until(lambda: house.redis.hlen(f"{{u:{ben.id}}}:on"), "ben to be there")
    subscription = {"subscriptions": {guild.id: {"channels": {guild.hidden: [[0, 99]], "5": [[0, 99]]}}}}
    await client.send(37, subscription)
    update = await client.next("GUILD_MEMBER_LIST_UPDATE", guild_id=guild.id, id=lambda text: text.isdigit())
    assert rows_of(update["ops"][0]) == [f"{guild.staff} x1", ann.id, "offline x1", owner.id]
    await other.send(37, subscription)
    await other.send(37, {"subscriptions": {guild.id: {"channels": {guild.open: [[0, 0]]}}}})
    update = await other.next("GUILD_MEMBER_LIST_UPDATE", id="everyone")
    assert [op["range"] for op in update["ops"]] == [[0, 0]]


async def test_bots_have_no_lists(house, clients):
    owner, bot = house.user("owner"), house.user("robot", bot=True)
    guild = Guild(house, owner, bot)
    client = await clients.login(bot, intents=GUILDS)
    await client.send(14, {"guild_id": guild.id, "channels": {guild.open: [[0, 99]]}})
    await asks(client, guild, user_ids=[owner.id])
    await client.next("GUILD_MEMBERS_CHUNK")


async def test_lists_are_answered_while_a_walk_goes_on(house, clients):
    owner = house.user("owner")
    guild = Guild(house, owner, crowd=1500)
    client = await clients.login(owner)
    await asks(client, guild, query="", limit=0)
    await client.send(14, {"guild_id": guild.id, "channels": {guild.open: [[0, 99]]}})
    got = {}
    while len(got) < 2:
        seen = await client._until(client._next_event, "chunks and a list")
        got[seen.t] = seen.d
    assert got["GUILD_MEMBER_LIST_UPDATE"]["member_count"] == 1501
    shown = rows_of(got["GUILD_MEMBER_LIST_UPDATE"]["ops"][0])
    assert len(shown) == 100


async def test_lists_of_more_guilds_than_are_read_at_a_time_are_all_answered(house, clients):
    people = house.users(*(f"u{number}" for number in range(12)))
    guilds = [Guild(house, person) for person in people]
    watchers = [await clients.login(person) for person in people]
    with house.system.held("gateway"):          # so that all are asked for at once
        for client, guild in zip(watchers, guilds):
            await client.send(14, {"guild_id": guild.id, "channels": {guild.open: [[0, 99]], guild.lounge: [[0, 9]]}})
    for client, guild in zip(watchers, guilds):
        for rows in ([0, 99], [0, 9]):
            update = await client.next("GUILD_MEMBER_LIST_UPDATE", guild_id=guild.id)
            assert update["ops"][0]["range"] == rows


async def test_a_session_that_is_resumed_need_not_subscribe_again_on_the_same_gateway(house, clients):
    ann, ben = house.users("ann", "ben")
    guild = Guild(house, ann, ben, crowd=300)   # a large one: only those subscribed to are told of
    client = await clients.login(ann)
    await client.send(14, {"guild_id": guild.id, "members": [ben.id]})
    await client.heartbeat()
    await client.abort()
    await client.reconnect_and_resume()
    await clients.login(ben)
    await client.expect("PRESENCE_UPDATE", user={"id": ben.id}, guild_id=guild.id)


# -- what stands beside channels -------------------------------------------------------------------


async def test_channel_info_tells_of_channels_that_one_may_view(house, clients):
    owner, ann = house.users("owner", "ann")
    guild = Guild(house, owner, ann)
    client, all_seeing = await clients.login(ann), await clients.login(owner)
    await client.send(43, {"guild_id": guild.id, "fields": ["status", "voice_start_time"]})
    lounge = {"id": guild.lounge, "status": "hello", "voice_start_time": 5000}
    assert await client.next("CHANNEL_INFO") == {"guild_id": guild.id, "channels": [lounge]}
    await client.send(36, {"guild_id": guild.id})
    statuses = [{"id": guild.lounge, "status": "hello"}]
    assert await client.next("CHANNEL_STATUSES") == {"guild_id": guild.id, "channels": statuses}
    await all_seeing.send(36, {"guild_id": int(guild.id)})
    statuses.append({"id": guild.den, "status": "secret"})
    assert await all_seeing.next("CHANNEL_STATUSES") == {"guild_id": guild.id, "channels": statuses}


async def test_sounds_and_streams_are_answered_as_what_there_is_not(house, clients):
    owner, = house.users("owner")
    guild = Guild(house, owner)
    client = await clients.login(owner)
    await client.send(31, {"guild_ids": [guild.id, "5"]})
    assert await client.next("SOUNDBOARD_SOUNDS") == {"guild_id": guild.id, "soundboard_sounds": []}
    await client.send(18, {"type": "guild", "guild_id": guild.id, "channel_id": guild.lounge})
    assert await client.next("STREAM_DELETE") == {
        "stream_key": f"guild:{guild.id}:{guild.lounge}:{owner.id}", "reason": "unauthorized"}
    await client.send(20, {"stream_key": "call:5:6"})
    assert await client.next("STREAM_DELETE") == {"stream_key": "call:5:6", "reason": "unauthorized"}
    await client.send(5, None)
    await client.heartbeat()


async def test_what_does_not_fit_its_opcode_is_passed_over(house, clients):
    ann, = house.users("ann")
    guild = Guild(house, ann)
    client = await clients.login(ann)
    for op in (8, 14, 18, 20, 31, 36, 37, 43):
        for nonsense in (None, "no object", [], 7):
            await client.send(op, nonsense)
    await asks(client, guild, user_ids=[ann.id])
    await client.next("GUILD_MEMBERS_CHUNK")
