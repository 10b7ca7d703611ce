"""The gateway alone: the real process, a real redis-server, records and events made by hand, plain clients."""
import asyncio
import secrets
import threading

import pytest
import pytest_asyncio

from bus import now_ms, pack
from client import AUTO_CALL_BIT, CAPABILITIES
from gateway_house import END_SESSIONS, LISTEN, NOT_USER, SESSION, UNLISTEN, USER, event, ids, until

GUILDS, VOICE_STATES, GUILD_MESSAGES, DMS = 1 << 0, 1 << 7, 1 << 9, 1 << 12


@pytest_asyncio.fixture
async def pair(house, clients):
    """Two users in a DM, both there: (a, b, place)."""
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    return await clients.login(ann), await clients.login(ben), place


def number(n, **more):
    """An event that carries a number."""
    return event("TEST", {"n": n}, **more)


async def hears(client, *numbers):
    """Exactly these numbers come next, in this order."""
    for n in numbers:
        await client.next("TEST", n=n)


# -- op 4 ------------------------------------------------------------------------------------------


async def test_an_op_4_becomes_one_command_that_is_repeated_until_it_is_answered(house, clients, pair):
    a, _, place = pair
    seen = len(house.manager.seen)
    await a.join(str(place.ref), mute=True, preferred_regions=["far", "near"], flags=2)
    command = await asyncio.to_thread(house.manager.take_command, "voice_update", channel=place.ref)
    assert command.fields == {
        "user": int(a.id), "session": a.session_id, "gateway": house.gateway, "guild": 0, "channel": place.ref,
        "self_mute": True, "self_deaf": False, "self_video": False, "flags": 2, "regions": ["far", "near"],
        "hold": int(kept(house, a)[0][b"owner"].split()[1], 16), "turn": 1}
    await until(lambda: house.manager.seen[seen:].count(command.id) >= 3, "repeats")
    await a.leave()                             # has to wait for the first to be answered
    await a.heartbeat()
    await until(lambda: house.manager.seen[seen:].count(command.id) >= 4, "one more repeat")
    assert set(house.manager.seen[seen:]) == {command.id}
    command.reply()
    leave = await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(a.id))
    assert leave.id != command.id
    assert leave.fields["channel"] == 0
    leave.reply()


async def test_a_refused_command_is_not_told_to_the_client_and_the_next_one_follows(house, clients, pair):
    a, _, place = pair
    for n in range(3):
        await a.join(str(place.ref + n))
    for n in range(3):
        command = await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(a.id))
        assert command.fields["channel"] == place.ref + n
        command.reply(err=10003)
    place.commit(number(1))
    await hears(a, 1)


async def test_ids_go_through_exactly_in_either_form(house, clients, pair):
    a, _, _ = pair
    for channel in (1198765432109876599, "1198765432109876601"):
        await a.join(channel)
        command = await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(a.id))
        assert command.fields["channel"] == int(channel)
        command.reply()


# -- audiences -------------------------------------------------------------------------------------


async def test_each_audience_gets_what_is_for_it_and_numbers_without_a_gap(house, clients):
    ann, ben, eve = house.users("ann", "ben", "eve")
    place = house.channel(ann, ben)
    one, two = await clients.login(ann), await clients.login(ann, compress="zlib-stream")
    other, stranger = await clients.login(ben), await clients.login(eve)
    place.commit(
        number(1), number(2, to=USER, user=int(ann.id)), number(3, to=SESSION, session=two.session_id),
        number(4, to=NOT_USER, user=int(ann.id)), number(5, to=SESSION, session="0" * 32),
        number(6, to=USER, user=int(eve.id)), number(7, to=SESSION, session=stranger.session_id), number(8))
    await hears(one, 1, 2, 8)
    await hears(two, 1, 2, 3, 8)
    await hears(other, 1, 4, 8)
    house.user_record(eve.id).commit(number(9))
    await hears(stranger, 9)


async def test_a_user_hears_his_own_record_and_nobody_else_does(house, clients, pair):
    a, b, place = pair
    house.user_record(a.id).commit(number(1))
    place.commit(number(2))
    await hears(a, 1, 2)
    await hears(b, 2)


async def test_an_event_reaches_clients_as_the_owner_wrote_it(house, clients, pair):
    a, _, place = pair
    body = {"text": "§ \" \\ \n\u2028 \U0001f600", "id": "1198765432109876599", "list": [None, True, {}]}
    place.commit(event("ANYTHING", body))
    assert await a.next("ANYTHING") == body


async def test_bots_are_sent_what_their_intents_say(house, clients):
    owner, quiet, loud = house.user("owner"), house.user("quiet", bot=True), house.user("loud", bot=True)
    guild = house.guild(owner, quiet, loud)
    silent = await clients.login(quiet, intents=GUILDS)
    talkative = await clients.login(loud, intents=GUILDS | VOICE_STATES | GUILD_MESSAGES)
    user = await clients.login(owner)
    guild.commit(event("VOICE_STATE_UPDATE", {"n": 1}), event("MESSAGE_CREATE", {"n": 2}),
                 event("CHANNEL_UPDATE", {"n": 3}), event("VOICE_SERVER_UPDATE", {"n": 4}))
    await silent.sequence("CHANNEL_UPDATE", "VOICE_SERVER_UPDATE")
    for client in (talkative, user):
        await client.sequence("VOICE_STATE_UPDATE", "MESSAGE_CREATE", "CHANNEL_UPDATE", "VOICE_SERVER_UPDATE")


# -- what the bus loses ----------------------------------------------------------------------------


async def test_a_version_that_the_bus_dropped_is_recovered_from_the_log_in_order(house, clients, pair):
    a, b, place = pair
    place.commit(number(1))
    place.commit(number(2), publish=False)
    place.commit(number(3), publish=False)
    place.commit(number(4))
    for client in (a, b):
        await hears(client, 1, 2, 3, 4)


async def test_a_version_that_comes_twice_or_late_is_told_once(house, clients, pair):
    a, b, place = pair
    first = place.commit(number(1))
    second = place.commit(number(2), publish=False)
    third = place.commit(number(3), publish=False)
    house.publish(third, second, first, second, third)
    place.commit(number(4))
    for client in (a, b):
        await hears(client, 1, 2, 3, 4)


async def test_a_lost_tail_shows_in_the_next_beat_and_is_read(house, clients, pair):
    a, b, place = pair
    place.commit(number(1))
    place.commit(number(2), publish=False)
    await asyncio.to_thread(house.lose)
    for client in (a, b):
        await hears(client, 1, 2)
    await until(lambda: house.ready() is None, "the gateway to be ready again")


async def test_a_long_loss_is_read_to_its_end(house, clients, pair):
    a, _, place = pair
    for n in range(700):
        place.commit(number(n), publish=False)
    place.commit(number(700))
    await hears(a, *range(701))


async def test_what_the_log_does_not_hold_any_more_costs_the_session(house, clients, pair):
    a, b, place = pair
    for n in range(5):
        place.commit(number(n), publish=False)
    house.redis.xtrim(f"{place.key}:log", minid=f"{place.version}-0", approximate=False)
    place.commit(number(5))
    for client in (a, b):
        await client.closes_with(4000)
        assert not [e for e in client.events if e.t == "TEST"]
    await a.connect()
    await a.hello()
    await a.send_resume()
    assert await a.invalidated() is False
    await a.identify()
    place.commit(number(6))
    await hears(a, 6)


async def test_a_version_that_does_not_exist_does_no_harm(house, clients, pair):
    a, _, place = pair
    house.publish(pack("place_event", ref=place.ref, version=1 << 62, events=[number(99)]))
    place.commit(number(1))
    await hears(a, 1)


async def test_an_unreadable_entry_in_the_log_is_passed_over(house, clients, pair):
    a, _, place = pair
    place.version += 1
    house.redis.xadd(f"{place.key}:log", {"e": b"\xc1 nonsense"}, id=f"{place.version}-0")
    house.redis.hset(f"{place.key}:s", "v", place.version)
    place.commit(number(1))
    await hears(a, 1)


@pytest.mark.parametrize("garbage", [
    b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x93\x6e\xa1x", pack("place_event", ref=1, version=1)[:-1],
    b"\x95\x6f\xa1x\x01\x02\x90", b"\x00"], ids=["never", "huge", "short", "cut", "wrong-type", "no-array"])
async def test_a_message_that_does_not_validate_is_counted_and_dropped(house, clients, pair, garbage):
    a, _, place = pair
    before = house.metrics()["bus_invalid"]
    house.publish(garbage)
    await until(lambda: house.metrics()["bus_invalid"] > before, "the count")
    place.commit(number(1))
    await hears(a, 1)


async def test_an_event_of_a_record_that_nobody_listens_to_ends_the_listening(house, clients, pair):
    a, _, place = pair
    eve, zoe = house.users("eve", "zoe")
    other = house.channel(eve, zoe)
    house.redis.sadd(f"{other.key}:gw", house.gateway)
    other.commit(number(1))
    await until(lambda: house.gateway not in other.listeners(), "the gateway to stop listening")
    place.commit(number(2))
    await hears(a, 2)


# -- who listens where -----------------------------------------------------------------------------


async def test_the_gateway_stands_in_the_list_of_each_record_that_its_sessions_hear(house, clients):
    ann, ben = house.users("ann", "ben")
    places = [house.user_record(ann.id), house.channel(ann, ben), house.guild(ann, ben)]
    assert not any(place.listeners() for place in places)
    one, two = await clients.login(ann), await clients.login(ann)
    for place in places:
        assert place.listeners() == {house.gateway}
    await one.close()
    places[1].commit(number(1))
    await hears(two, 1)
    assert places[1].listeners() == {house.gateway}
    await two.close()
    for place in places:
        await until(lambda place=place: not place.listeners(), f"nobody to listen to {place.key}")
    assert house.everybody.listeners() == {house.gateway}


async def test_a_new_channel_is_heard_from_the_version_on_that_its_announcement_names(house, clients, pair):
    a, b, _ = pair
    new = house.channel(a.account, b.account, listed=False)
    told = new.version
    new.commit(number(1), publish=False)        # while nobody here listens yet
    for client in (a, b):
        house.user_record(client.id).commit(
            event("CHANNEL_CREATE", {"id": str(new.ref)}, to=USER, user=int(client.id), place_op=LISTEN,
                  place=new.ref, place_version=told), changes=[("ch", new.ref, "")])
        await client.next("CHANNEL_CREATE", id=str(new.ref))
        await hears(client, 1)
    assert new.listeners() == {house.gateway}
    new.commit(number(2))
    for client in (a, b):
        await hears(client, 2)


async def test_one_who_joins_late_catches_up_alone(house, clients, pair):
    a, b, place = pair
    cat = house.user("cat")
    late = await clients.login(cat)
    told = place.version
    for n in range(3):
        place.commit(number(n))
    for client in (a, b):
        await hears(client, 0, 1, 2)
    house.user_record(cat.id).commit(event(to=USER, user=int(cat.id), place_op=LISTEN, place=place.ref,
                                           place_version=told))
    await hears(late, 0, 1, 2)
    place.commit(number(3))
    for client in (a, b, late):
        await hears(client, 3)


async def test_one_who_is_taken_out_hears_no_more(house, clients, pair):
    a, b, place = pair
    place.commit(event("CHANNEL_DELETE", {"n": 1}, to=USER, user=int(b.id), place_op=UNLISTEN, place=place.ref),
                 number(2), number(3, to=USER, user=int(b.id)))
    place.commit(number(4))
    await hears(a, 2, 4)
    await b.next("CHANNEL_DELETE")
    house.user_record(b.id).commit(number(5))
    await hears(b, 5)
    house.user_record(a.id).commit(event(to=USER, user=int(a.id), place_op=UNLISTEN, place=place.ref))
    await until(lambda: not place.listeners(), "the gateway to stop listening")


async def test_a_channel_that_does_not_hold_the_user_is_not_shown_and_not_heard(house, clients):
    ann, ben, eve = house.users("ann", "ben", "eve")
    place, marker = house.channel(ann, ben), house.user_record(eve.id)
    marker.commit(changes=[("ch", place.ref, "")], publish=False)   # a removal that stopped half-way
    inside, outside = await clients.login(ann), await clients.login(eve)
    assert outside.ready["private_channels"] == []
    place.commit(number(1))
    await hears(inside, 1)
    await outside.ask_for_call(str(place.ref))
    marker.commit(number(2))
    await hears(outside, 2)


async def test_no_event_is_lost_or_doubled_around_a_log_in(house, clients):
    """While one after another logs in, a place changes all the time, and the bus drops a part of it."""
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben, last=1)
    first = place.version
    stop = threading.Event()

    def change():
        while not stop.is_set() and place.version < 3000:
            n = place.version + 1 - first + 1   # last_message_id as of that version
            place.commit(event("MESSAGE_CREATE", {"n": n}), changes=[("s", "last", n)],
                         publish=secrets.randbelow(4) > 0)

    changing = asyncio.create_task(asyncio.to_thread(change))
    try:
        people = [await clients.login(ann, compress=[None, "zlib-stream"][n % 2]) for n in range(20)]
    finally:
        stop.set()
        await changing
    place.commit(event("MESSAGE_CREATE", {"n": 0}))
    for client in people:
        await client.expect("MESSAGE_CREATE", n=0)
        seen = [e.d["n"] for e in client.events if e.t == "MESSAGE_CREATE"][:-1]
        known = int(client.ready["private_channels"][0]["last_message_id"])
        assert seen == list(range(known + 1, place.version - first + 1))


# -- calls that stand ------------------------------------------------------------------------------


async def test_a_call_is_shown_after_ready_or_when_asked_for(house, clients, pair):
    a, b, place = pair
    call = house.call(place, a.account, ringing=[{"user": int(b.id), "by": int(a.id)}])
    for client in (a, b):
        await client.next("CALL_CREATE")
    auto = await clients.login(b.account)
    asked = await clients.login(b.account, capabilities=CAPABILITIES & ~AUTO_CALL_BIT)
    await asked.ask_for_call(str(place.ref))
    for client in (auto, asked):
        shown = await client.next("CALL_CREATE")
        assert shown == {
            "channel_id": str(place.ref), "message_id": call, "region": "local", "ringing": [b.id],
            "ongoing_rings": {b.id: a.id}, "embedded_activities": [], "voice_states": [
                {"channel_id": str(place.ref), "user_id": a.id, "session_id": "s" * 32, "deaf": False, "mute": False,
                 "self_deaf": False, "self_mute": False, "self_video": False, "suppress": False,
                 "request_to_speak_timestamp": None}]}


async def test_a_call_that_is_unavailable_is_not_shown(house, clients, pair):
    """Clients that know of it were told that it is gone; all are told when it is there again."""
    a, b, place = pair
    other = house.channel(b.account, a.account)
    house.call(place, a.account, unavailable=True)
    house.call(other, a.account)
    auto = await clients.login(b.account)
    asked = await clients.login(b.account, capabilities=CAPABILITIES & ~AUTO_CALL_BIT)
    await asked.ask_for_call(str(place.ref))
    await asked.ask_for_call(str(other.ref))
    for client in (auto, asked):
        await client.expect("CALL_CREATE", channel_id=str(other.ref))
        assert [e.d["channel_id"] for e in client.events if e.t == "CALL_CREATE"] == [str(other.ref)]


async def test_asking_for_a_call_that_is_not_there_or_not_ones_own_brings_nothing(house, clients, pair):
    a, _, place = pair
    eve, zoe = house.users("eve", "zoe")
    strange = house.channel(eve, zoe)
    house.call(strange, eve)
    guild = house.guild(a.account)
    for channel in (place.ref, strange.ref, guild.ref, next(ids)):
        await a.ask_for_call(str(channel))
    place.commit(number(1))
    await hears(a, 1)


# -- READY -----------------------------------------------------------------------------------------


async def test_ready_shows_the_records_as_they_stand(house, clients):
    ann, ben, cat = house.users("ann", "ben", "cat")
    dm, group = house.channel(ann, ben, last=77), house.channel(ben, ann, cat, kind=3, owner=int(ben.id), name="trio")
    house.user_record(ann.id).commit(publish=False, changes=[
        ("rel", ben.id, 1), ("rel", cat.id, 4),
        ("rs", dm.ref, pack("read_state", id=dm.ref, version=3, last_message_id=76, mention_count=1))])
    ready = (await clients.login(ann)).ready
    assert [c["id"] for c in ready["private_channels"]] == [str(dm.ref), str(group.ref)]
    assert ready["private_channels"][0]["last_message_id"] == "77"
    assert ready["private_channels"][1]["recipient_ids"] == [ben.id, cat.id]
    assert ready["private_channels"][1]["name"] == "trio"
    assert [(r["user_id"], r["type"]) for r in ready["relationships"]] == [(ben.id, 1), (cat.id, 4)]
    assert ready["read_state"]["entries"][0]["last_message_id"] == "76"
    assert ready["read_state"]["version"] == 3
    assert {u["username"] for u in ready["users"]} == {"ben", "cat"}


async def test_a_bot_gets_its_guilds_one_by_one_and_a_shard_only_its_own(house, clients):
    owner, bot = house.user("owner"), house.user("bot", bot=True)
    guilds = [house.guild(owner, bot) for _ in range(3)]
    client = await clients.login(bot)
    assert [g["id"] for g in client.ready["guilds"]] == [str(g.ref) for g in guilds]
    assert [e.d["id"] for e in client.events[1:]] == [str(g.ref) for g in guilds]
    shard = (guilds[0].ref >> 22) % 2
    for number_ in (0, 1):
        part = await clients.connect(bot)
        await part.identify(shard=[number_, 2])
        assert part.ready["shard"] == [number_, 2]
        wanted = [str(g.ref) for g in guilds if (g.ref >> 22) % 2 == number_]
        assert [g["id"] for g in part.ready["guilds"]] == wanted
    guilds[0].commit(event("CHANNEL_CREATE", {"n": 1}))
    await client.next("CHANNEL_CREATE")
    await clients.made[1 + shard].next("CHANNEL_CREATE")


async def test_a_bot_without_intents_closes_with_4013(house, clients):
    bot = house.user("bot", bot=True)
    client = await clients.connect(bot)
    await client.send(2, {"token": bot.token, "properties": {}})
    await client.closes_with(4013)


async def test_a_token_of_nobody_closes_with_4004(house, clients):
    client = await clients.connect(None)
    await client.send(2, {"token": house.token(next(ids)), "properties": {}})
    await client.closes_with(4004)


# -- revoked tokens --------------------------------------------------------------------------------


async def test_a_revocation_ends_the_sessions_of_older_tokens_at_once(house, clients, pair):
    a, b, place = pair
    before = now_ms() + 1
    young = await clients.login(a.account, token=house.token(int(a.id), before))
    gone = await clients.login(a.account)
    await gone.abort()
    house.everybody.commit(event(to=USER, user=int(a.id), place_op=END_SESSIONS),
                           changes=[("rv", a.id, before)])
    await a.closes_with(4004)
    for old in (a, gone):
        await old.connect()
        await old.hello()
        await old.send_resume()
        assert await old.invalidated() is False
        await old.send(2, old.identification())
        await old.closes_with(4004)
    place.commit(number(1))
    await hears(young, 1)
    await hears(b, 1)


async def test_a_revocation_that_the_bus_lost_is_found(house, clients, pair):
    a, _, _ = pair
    house.everybody.commit(event(to=USER, user=int(a.id), place_op=END_SESSIONS), changes=[("rv", a.id, now_ms() + 1)],
                           publish=False)
    await asyncio.to_thread(house.lose)
    await a.closes_with(4004)


# -- resume and end --------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [None, "zlib-stream"], ids=["plain", "zlib"])
async def test_a_resume_replays_exactly_what_was_missed(house, clients, compress):
    ann, ben = house.users("ann", "ben")
    place = house.channel(ann, ben)
    client = await clients.login(ann, compress=compress)
    place.commit(number(1))
    await hears(client, 1)
    await client.abort()
    for n in range(2, 50):
        place.commit(number(n), publish=n % 5 > 0)
    place.commit(number(50))
    missed = await client.reconnect_and_resume()    # what is still being read from the log follows it
    place.commit(number(51))
    await client.expect("TEST", n=51)
    heard = [e.d["n"] for e in missed if e.t == "TEST"]
    late = [e.d["n"] for e in client.events if e.t == "TEST"]
    assert heard == list(range(2, 2 + len(heard)))
    assert late == list(range(1, 52))


async def test_a_session_closed_for_good_is_told_to_the_call_manager_when_it_had_voice(house, clients, pair):
    a, b, place = pair
    await b.close()
    await a.join(str(place.ref))
    voice = await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(a.id))
    await a.close()                             # the end does not wait for it: who knows how late it comes
    end = await asyncio.to_thread(house.manager.take_command, "session_end", user=int(a.id))
    assert end.fields == {"user": int(a.id), "session": a.session_id}
    await until(lambda: house.manager.seen.count(end.id) >= 2, "a repeat")
    end.reply()
    voice.reply()
    assert int(b.id) not in [c.fields["user"] for c in list(house.manager.commands.queue)]


async def test_a_lost_socket_keeps_its_session_and_its_voice(house, clients, pair):
    a, b, place = pair
    await a.join(str(place.ref))
    (await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(a.id))).reply()
    await a.abort()
    place.commit(number(1))
    await hears(b, 1)
    assert [e.d for e in await a.reconnect_and_resume()] == [{"n": 1}]
    await a.leave()
    leave = await asyncio.to_thread(house.manager.take_command, user=int(a.id))
    assert leave.name == "voice_update"         # and no session_end before it
    leave.reply()
    await a.close()
    (await asyncio.to_thread(house.manager.take_command, "session_end", user=int(a.id))).reply()


# -- what of a session is in the store -------------------------------------------------------------


def kept(house, client):
    """(hash, positions, texts) of a session."""
    hash_, positions, texts = (f"{{s:{client.session_id}}}:{part}" for part in "hpr")
    return house.redis.hgetall(hash_), house.redis.hgetall(positions), house.redis.lrange(texts, 0, -1)


async def test_what_a_session_was_sent_is_kept_before_it_is_sent(house, clients, pair):
    a, _, place = pair
    place.commit(number(1), number(2))
    await hears(a, 1, 2)
    hash_, positions, texts = kept(house, a)
    assert (int(hash_[b"seq"]), int(hash_[b"user"])) == (a.seq, int(a.id))
    assert hash_[b"owner"].split()[0].decode() == house.gateway
    assert int(positions[str(place.ref).encode()]) == place.version
    assert texts[0].startswith(b'"t":"READY_SUPPLEMENTAL"')
    assert texts[1:] == [b'"t":"TEST","d":{"n": 1}}', b'"t":"TEST","d":{"n": 2}}']


async def test_a_session_that_somebody_else_has_is_let_go_without_a_word(house, clients, pair):
    a, b, place = pair
    await a.join(str(place.ref))
    (await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(a.id))).reply()
    house.redis.hset(f"{{s:{a.session_id}}}:h", "owner", "elsewhere 1")
    place.commit(number(1))
    await hears(b, 1)
    await a.closes_with(4000)
    assert not [e for e in a.events if e.t == "TEST"]
    assert kept(house, a)[0][b"owner"] == b"elsewhere 1"
    missed = await a.reconnect_and_resume()     # and taken back: what the other did not tell comes from the log
    await hears(a, 1)
    assert missed == []
    moved = await asyncio.to_thread(house.manager.take_command, user=int(a.id))
    hold = int(kept(house, a)[0][b"owner"].split()[1], 16)
    assert (moved.name, moved.fields) == ("session_moved", {
        "user": int(a.id), "session": a.session_id, "gateway": house.gateway, "hold": hold})
    moved.reply()                               # and no session_end before it
    await a.close()
    (await asyncio.to_thread(house.manager.take_command, "session_end", user=int(a.id))).reply()


async def test_a_voice_update_of_a_session_that_somebody_else_has_goes_nowhere(house, clients, pair):
    a, b, place = pair
    house.redis.hset(f"{{s:{a.session_id}}}:h", "owner", "elsewhere 1")
    await a.join(str(place.ref))
    await a.closes_with(4000)
    await b.join(str(place.ref))
    command = await asyncio.to_thread(house.manager.take_command, "voice_update")
    assert command.fields["user"] == int(b.id)
    command.reply()


async def test_a_write_whose_fate_is_unknown_is_repeated_and_nothing_is_doubled(house, clients, pair):
    a, b, place = pair
    place.commit(number(1))
    for client in (a, b):
        await hears(client, 1)
    entry = place.commit(number(2), publish=False)
    before = house.metrics()
    with house.system.held("redis"):                # what was sent to it is carried out later, unanswered
        house.publish(entry)
        await until(lambda: house.metrics()["store_errors"] > before["store_errors"], "it to give the connection up")
        for client in (a, b):
            await client.heartbeat()
            assert [e.d["n"] for e in client.events if e.t == "TEST"] == [1]
    await until(lambda: house.metrics()["store_reconnects"] > before["store_reconnects"], "Redis again")
    place.commit(number(3))
    for client in (a, b):
        await hears(client, 2, 3)
        assert [text[-5:] for text in kept(house, client)[2][1:]] == [b": 1}}", b": 2}}", b": 3}}"]


async def test_a_stale_copy_of_a_write_changes_nothing(house, clients, pair):
    a, _, place = pair
    place.commit(number(1))
    await hears(a, 1)
    hash_, positions, texts = before = kept(house, a)
    keys = [f"{{s:{a.session_id}}}:{part}" for part in "hpr"]

    def write(turn, first, *more, owner=hash_[b"owner"]):
        return house.redis.fcall("sb_session_write", 3, *keys, owner, turn, 10000, 3, 1000, first, len(more), *more,
                                 1, place.ref, 1)

    turn, seq = int(hash_[b"turn"]), int(hash_[b"seq"])
    assert write(turn, seq + 1, "late") == 1
    assert write(turn + 1, seq + 1, "late", owner="elsewhere 1") == 0
    assert kept(house, a) == before
    assert write(turn + 1, seq, "again", "x", "y", "z") == 1    # all but the first are new; three are kept
    assert kept(house, a)[2] == [b"x", b"y", b"z"]
    assert write(turn + 2, seq + 9, "beyond a gap") == 1        # of what Redis lost
    assert kept(house, a)[2] == [b"beyond a gap"]
    assert int(kept(house, a)[0][b"seq"]) == seq + 9
    assert house.redis.fcall("sb_session_end", 3, *keys, "elsewhere 1") == 0
    for _ in range(2):                          # it may be asked twice
        assert house.redis.fcall("sb_session_end", 3, *keys, hash_[b"owner"]) == 1
    assert write(turn + 3, seq + 10, "dead") == 0
    assert house.redis.fcall("sb_session_take", 3, *keys, "elsewhere 1", "", a.id, 0) is None
    house.redis.delete(*keys)
    assert write(turn + 4, seq + 10, "dead") == -1


async def test_a_session_that_the_store_has_lost_is_over(house, clients, pair):
    a, b, place = pair
    await a.join(str(place.ref))
    (await asyncio.to_thread(house.manager.take_command, "voice_update", user=int(a.id))).reply()
    house.redis.delete(*(f"{{s:{a.session_id}}}:{part}" for part in "hpr"))
    place.commit(number(1))
    await hears(b, 1)
    await a.closes_with(4000)
    (await asyncio.to_thread(house.manager.take_command, "session_end", user=int(a.id))).reply()


# -- Redis away ------------------------------------------------------------------------------------


async def test_clients_stay_while_redis_is_away_and_miss_nothing(house, clients, pair):
    a, b, place = pair
    place.commit(number(1))
    await hears(a, 1)
    house.redis_dies()
    await until(house.ready, "the gateway to say that it is not ready")
    await a.heartbeat()
    new = await clients.connect(b.account)
    await new.send(2, new.identification())
    assert await new.invalidated() is False
    with house.system.held("gateway"):          # so that this comes before the gateway listens again
        house.redis_returns()
        place.commit(number(2), publish=False)
    await hears(a, 2)
    await hears(b, 1, 2)
    await until(lambda: house.ready() is None, "the gateway to be ready again")
    await new.identify()
    await until(lambda: house.gateway in place.listeners(), "the gateway to listen again")
    place.commit(number(3))
    for client in (a, b, new):
        await hears(client, 3)
    await b.abort()
    await b.reconnect_and_resume()
