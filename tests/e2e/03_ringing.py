"""Private calls: ringing, answering, declining, second clients, moving, groups, regions, and how calls end.
Tables 2.4 and 2.5 of the call specification, as the clients of all members see them."""
import pytest

import calls
from client import AUTO_CALL_BIT, CAPABILITIES
from shape import check

VOICE_STATE_IN_CALL = {
    "user_id": "id", "session_id": "session", "channel_id": "id", "mute": "bool", "deaf": "bool",
    "self_mute": "bool", "self_deaf": "bool", "self_video": "bool", "suppress": "bool",
    "request_to_speak_timestamp": "null", "self_stream?": "bool", "connected_at?": "int?", "discoverable?": "bool"}
CALL_UPDATE = {"channel_id": "id", "message_id": "id", "region": "string", "ringing": ["id"],
               "ongoing_rings": "object"}


async def pair(world, **options):
    """Two users with a DM, both logged in: (a, b, channel)."""
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    return await world.login(ann, **options), await world.login(bob, **options), channel


async def who_is_in(client, channel):
    """Asks for the call with op 13; the states as {user id: state}."""
    await client.ask_for_call(channel)
    created = await client.next("CALL_CREATE", channel_id=channel)
    return {state["user_id"]: state for state in created["voice_states"]}


async def regions_of(client):
    return [region["id"] for region in (await client.rest.get("/voice/regions")).ok()]


async def another_region(client, call):
    return next(region for region in await regions_of(client) if region != call.region)


# -- the table of 2.5 ------------------------------------------------------------------------------


async def test_a_rings_b_who_answers_and_both_leave(world):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await a.rest.ring(channel)
    for client in (a, b):
        update = await calls.ringing(client, channel, [b], ringer=a)
        check(update, CALL_UPDATE, at="CALL_UPDATE")
        assert update["message_id"] == call.message["id"]
    await calls.join(b, a, call=call, rung=[])
    assert call.servers[a]["token"] != call.servers[b]["token"]
    assert call.servers[a]["endpoint"] == call.servers[b]["endpoint"], "a call's people are on one node"
    await calls.leave(a, b)
    over = await calls.leave_last(b, a, call=call)
    assert sorted(over["call"]["participants"]) == sorted([a.id, b.id])


async def test_declining_ends_the_ring_and_the_caller_stays(world):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await a.rest.ring(channel)
    for client in (a, b):
        await calls.ringing(client, channel, [b])
    await b.rest.stop_ringing(channel)
    for client in (a, b):
        await calls.ringing(client, channel, [])
    assert set(await who_is_in(b, channel)) == {a.id}
    over = await calls.leave_last(a, b, call=call)
    assert over["call"]["participants"] == [a.id], "a missed call does not name who missed it"


async def test_the_caller_cancels_the_ring_naming_the_other_as_an_integer(world):
    a, b, channel = await pair(world)
    await calls.start(a, b, channel=channel)
    await a.rest.ring(channel)
    for client in (a, b):
        await calls.ringing(client, channel, [b])
    await a.rest.stop_ringing(channel, [int(b.id)])
    for client in (a, b):
        await calls.ringing(client, channel, [])


async def test_ringing_with_explicit_recipients_as_integers_and_strings(world):
    for form in (int, str):
        a, b, channel = await pair(world)
        await calls.start(a, b, channel=channel)
        await a.rest.ring(channel, [form(b.id)])
        for client in (a, b):
            await calls.ringing(client, channel, [b], ringer=a)


async def test_one_who_is_in_the_call_is_not_rung(world):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await calls.join(b, a, call=call)
    await a.rest.ring(channel)
    await a.rest.ring(channel, [b.id])
    await b.join(channel, mute=True)
    for client in (a, b):
        await client.next("VOICE_STATE_UPDATE", user_id=b.id, self_mute=True)


async def test_somebody_from_outside_is_never_rung(world):
    a, b, channel = await pair(world)
    eve = world.user("eve")
    place = world.quiet_place(eve)
    outsider = await world.login(eve)
    await calls.start(a, b, channel=channel)
    answer = await a.rest.post(f"/channels/{channel}/call/ring", {"recipients": [eve.id, b.id]})
    assert answer.status in (204, 400), answer
    await a.ask_for_call(channel)
    state = await a.expect("CALL_CREATE", channel_id=channel)
    assert eve.id not in state["ringing"]
    await outsider.quiet_until_call(place)


async def test_the_last_one_out_takes_the_ringing_along(world):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await a.rest.ring(channel)
    for client in (a, b):
        await calls.ringing(client, channel, [b])
    await a.leave()
    for client in (a, b):
        await client.expect("VOICE_STATE_UPDATE", user_id=a.id, channel_id=None)
        await client.expect("MESSAGE_UPDATE", id=call.message["id"])
        await client.expect("CALL_DELETE", channel_id=channel)
    again = await calls.start(b, a, channel=channel)
    assert again.message["id"] != call.message["id"], "the next call is a new one"


async def test_an_ended_call_can_be_followed_by_another(world):
    a, b, channel = await pair(world)
    first = await calls.start(a, b, channel=channel)
    await calls.leave_last(a, b, call=first)
    second = await calls.start(a, b, channel=channel)
    assert int(second.message["id"]) > int(first.message["id"])
    assert second.servers[a]["token"] != first.servers[a]["token"]
    await calls.leave_last(a, b, call=second)


async def test_one_who_comes_back_is_not_written_into_the_message_twice(world):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await calls.join(b, a, call=call)
    first_token = call.servers[b]["token"]
    await calls.leave(b, a)
    await calls.join(b, a, call=call, first_time=False)
    assert call.servers[b]["token"] != first_token, "each join has a token of its own"


async def test_all_sessions_of_a_member_see_the_call_but_only_the_joining_one_gets_a_server(world):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, a_too, b = [await world.login(who) for who in (ann, ann, bob)]
    call = await calls.start(a, a_too, b, channel=channel)
    await a.rest.ring(channel)
    for client in (a, a_too, b):
        await calls.ringing(client, channel, [b])
    await calls.join(b, a, a_too, call=call, rung=[])
    await calls.leave(b, a, a_too)
    await calls.leave_last(a, a_too, b, call=call)


# -- coming online in the middle -------------------------------------------------------------------


async def ringing_call(world):
    """A is in a call and rings B, who is not there: (a, bob, channel, call)."""
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a = await world.login(ann)
    call = await calls.start(a, channel=channel)
    await a.rest.ring(channel)
    await calls.ringing(a, channel, [bob], ringer=ann)
    return a, bob, channel, call


def check_late_call(created, a, bob, call):
    check(created, CALL_UPDATE | {"voice_states": [VOICE_STATE_IN_CALL], "embedded_activities": "list"},
          at="CALL_CREATE")
    assert created["message_id"] == call.message["id"]
    assert created["region"] == call.region
    assert created["ringing"] == [bob.id]
    assert created["ongoing_rings"] == {bob.id: a.id}
    assert [(s["user_id"], s["session_id"], s["channel_id"]) for s in created["voice_states"]] == [
        (a.id, a.session_id, call.channel)]


async def test_b_coming_online_is_told_of_the_ringing_call_after_ready_with_capability_bit_12(world):
    a, bob, channel, call = await ringing_call(world)
    b = await world.login(bob, capabilities=CAPABILITIES | AUTO_CALL_BIT)
    check_late_call(await b.next("CALL_CREATE", channel_id=channel), a, bob, call)
    await calls.join(b, a, call=call, rung=[])


async def test_b_coming_online_without_that_bit_is_told_only_on_asking(world):
    a, bob, channel, call = await ringing_call(world)
    b = await world.login_without_calls(bob)
    await b.quiet_until_ack(channel)
    await b.ask_for_call(channel)
    check_late_call(await b.next("CALL_CREATE", channel_id=channel), a, bob, call)
    await b.ask_for_call(int(channel))
    check_late_call(await b.next("CALL_CREATE", channel_id=channel), a, bob, call)


async def test_asking_for_a_call_is_answered_to_the_asking_session_only(world):
    a, b, channel = await pair(world)
    await calls.start(a, b, channel=channel)
    assert set(await who_is_in(b, channel)) == {a.id}
    await a.join(channel, mute=True)
    await a.next("VOICE_STATE_UPDATE", user_id=a.id, self_mute=True)


async def test_asking_where_there_is_no_call_is_answered_by_nothing(world):
    a, b, channel = await pair(world)
    await b.ask_for_call(channel)
    await b.ask_for_call("1")
    await b.heartbeat()
    await b.quiet_until_call(channel)


# -- second client, same user (2.4 J) --------------------------------------------------------------


async def two_clients_in_turn(world):
    """Ann joins with one client, then takes over with a second one: (first, second, b, call)."""
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    first, second, b = [await world.login(who) for who in (ann, ann, bob)]
    call = await calls.start(first, second, b, channel=channel)
    await second.join(channel)
    for client in (first, second, b):
        await calls.joined(client, second, channel)
    call.servers[second] = await second.next("VOICE_SERVER_UPDATE", channel_id=channel)
    return first, second, b, call


async def test_a_second_client_of_the_same_user_takes_the_call_over(world):
    first, second, b, call = await two_clients_in_turn(world)
    assert call.servers[second]["token"] != call.servers[first]["token"]
    states = await who_is_in(b, call.channel)
    assert {user: state["session_id"] for user, state in states.items()} == {second.id: second.session_id}
    await calls.leave_last(second, first, b, call=call)


async def test_a_leave_by_the_client_that_no_longer_owns_the_state_is_ignored(world):
    first, second, b, call = await two_clients_in_turn(world)
    await first.leave()
    await first.heartbeat()
    await second.join(call.channel, mute=True)
    for client in (first, second, b):
        await client.next("VOICE_STATE_UPDATE", user_id=second.id, session_id=second.session_id, self_mute=True)
    assert set(await who_is_in(b, call.channel)) == {second.id}


async def test_the_first_client_going_away_leaves_the_call_to_the_second(world):
    first, second, b, call = await two_clients_in_turn(world)
    await first.close(1000)
    assert set(await who_is_in(b, call.channel)) == {second.id}
    await calls.leave_last(second, b, call=call)


# -- what must be silent, or nearly ----------------------------------------------------------------


async def test_leaving_without_being_anywhere_does_nothing(world):
    a, b, channel = await pair(world)
    await a.leave()
    await a.heartbeat()
    await a.quiet_until_call(channel)


async def test_joining_a_channel_that_is_not_ones_own_is_answered_by_silence(world):
    a, b, channel = await pair(world)
    eve = world.user("eve")
    place = world.quiet_place(eve)
    outsider = await world.login(eve)
    await outsider.join(channel)
    await outsider.join("1")
    await outsider.join(channel, guild=channel)
    await outsider.heartbeat()
    await outsider.quiet_until_call(place)
    await a.quiet_until_message(channel)


@pytest.mark.parametrize("flag", ["mute", "deaf", "video"])
async def test_a_toggle_is_one_state_update_and_brings_no_new_server(world, flag):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await calls.join(b, a, call=call)
    for value in (True, False):
        await a.join(channel, **{flag: value})
        for client in (a, b):
            await client.next("VOICE_STATE_UPDATE", user_id=a.id, channel_id=channel, session_id=a.session_id,
                              **{f"self_{flag}": value})
    # a server update of the toggles would be under way before the one of this region change, with the old place
    region = await another_region(a, call)
    (await b.rest.patch(f"/channels/{channel}/call", {"region": region})).ok(204)
    for client in (a, b):
        await client.next("CALL_UPDATE", region=region)
        server = await client.next("VOICE_SERVER_UPDATE", channel_id=channel)
        assert server["endpoint"] != call.servers[a]["endpoint"]
    await calls.leave(a, b)
    await calls.leave_last(b, a, call=call)


async def test_the_flags_of_the_join_stand_in_the_state(world):
    a, b, channel = await pair(world)
    await a.join(channel, mute=True, deaf=True, video=True, flags=2, preferred_regions=[])
    for client in (a, b):
        await client.sequence("MESSAGE_CREATE", "CALL_CREATE")
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, self_mute=True, self_deaf=True, self_video=True)


async def test_flags_that_are_absent_count_as_false(world):
    a, b, channel = await pair(world)
    await a.send(4, {"channel_id": channel})
    for client in (a, b):
        await client.sequence("MESSAGE_CREATE", "CALL_CREATE")
        await client.next("VOICE_STATE_UPDATE", user_id=a.id, self_mute=False, self_deaf=False, self_video=False)


# -- moving (2.4 K) --------------------------------------------------------------------------------


async def movers(world):
    """Ann, Bob and Cat; Ann and Bob have a DM, all three a group: (a, b, c, dm, group)."""
    ann, bob, cat = world.users("ann", "bob", "cat")
    dm, group = world.dm(ann, bob), world.group(ann, bob, cat)
    return *[await world.login(who) for who in (ann, bob, cat)], dm, group


async def test_moving_leaves_and_ends_the_old_call_before_the_new_one_starts(world):
    a, b, c, dm, group = await movers(world)
    old = await calls.start(a, b, channel=dm)
    await a.join(group)
    for client in (a, b):
        await calls.left(client, a)
    await calls.ended(a, b, call=old)
    for client in (a, b, c):
        await client.next("MESSAGE_CREATE", channel_id=group, type=3)
        await client.next("CALL_CREATE", channel_id=group)
        await calls.joined(client, a, group)
    server = await a.next("VOICE_SERVER_UPDATE", channel_id=group)
    assert server["token"] != old.servers[a]["token"]


async def test_moving_out_of_a_call_that_goes_on_into_one_that_stands(world):
    a, b, c, dm, group = await movers(world)
    new = await calls.start(c, a, b, channel=group)
    old = await calls.start(a, b, channel=dm)
    await calls.join(b, a, call=old)
    await a.join(group)
    for client in (a, b):
        await calls.left(client, a)
    for client in (a, b, c):
        await client.next("MESSAGE_UPDATE", id=new.message["id"], channel_id=group)
        await calls.joined(client, a, group)
    await a.next("VOICE_SERVER_UPDATE", channel_id=group)
    assert set(await who_is_in(b, dm)) == {b.id}
    assert set(await who_is_in(b, group)) == {a.id, c.id}


async def test_a_user_is_in_one_place_only_also_when_a_second_client_goes_elsewhere(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    dm, group = world.dm(ann, bob), world.group(ann, bob, cat)
    first, second, b = [await world.login(who) for who in (ann, ann, bob)]
    old = await calls.start(first, second, b, channel=dm)
    await second.join(group)
    for client in (first, second, b):
        await calls.left(client, first)
    await calls.ended(first, second, b, call=old)
    for client in (first, second, b):
        await client.sequence("MESSAGE_CREATE", "CALL_CREATE")
        await calls.joined(client, second, group)
    await second.next("VOICE_SERVER_UPDATE", channel_id=group)


# -- regions (2.4 H) -------------------------------------------------------------------------------


async def test_changing_the_region_moves_everybody_to_another_server_with_a_new_token(world):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await calls.join(b, a, call=call)
    region = await another_region(a, call)
    (await a.rest.patch(f"/channels/{channel}/call", {"region": region})).ok(204)
    servers = []
    for client in (a, b):
        update = await client.next("CALL_UPDATE", channel_id=channel, region=region)
        check(update, CALL_UPDATE, at="CALL_UPDATE")
        servers.append(await client.next("VOICE_SERVER_UPDATE", channel_id=channel, guild_id=None))
    tokens = {server["token"] for server in [*servers, *call.servers.values()]}
    assert len(tokens) == 4, "nobody's token is used twice"
    assert servers[0]["endpoint"] == servers[1]["endpoint"] != call.servers[a]["endpoint"]


async def test_one_who_is_not_in_the_call_sees_the_region_change_but_gets_no_server(world):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    region = await another_region(a, call)
    (await b.rest.patch(f"/channels/{channel}/call", {"region": region})).ok(204)
    for client in (a, b):
        await client.next("CALL_UPDATE", channel_id=channel, region=region)
    await a.next("VOICE_SERVER_UPDATE", channel_id=channel)
    await calls.leave_last(a, b, call=call)


async def test_an_unknown_region_is_refused_and_nothing_moves(world):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    for region in ("atlantis", "", 7):
        error = (await a.rest.patch(f"/channels/{channel}/call", {"region": region})).refused(400, 50035)
        assert error["errors"]["region"]["_errors"], error
    await calls.leave_last(a, b, call=call)


async def test_the_caller_is_served_in_the_region_that_it_prefers(world):
    a, b, channel = await pair(world)
    for region in await regions_of(a):
        call = await calls.start(a, b, channel=channel, preferred_regions=["atlantis", region])
        assert call.region == region
        await calls.leave_last(a, b, call=call)


# -- groups (2.4 L) --------------------------------------------------------------------------------


async def test_ringing_in_a_group_rings_all_who_are_not_in_it_and_each_answers_alone(world):
    a, b, c, _, group = await movers(world)
    call = await calls.start(a, b, c, channel=group)
    assert sorted(u["id"] for u in call.message["mentions"]) == sorted([b.id, c.id])
    await a.rest.ring(group)
    for client in (a, b, c):
        await calls.ringing(client, group, [b, c], ringer=a)
    await calls.join(b, a, c, call=call, rung=[c])
    await c.rest.stop_ringing(group)
    for client in (a, b, c):
        await calls.ringing(client, group, [])
    await calls.leave(a, b, c)
    await calls.leave_last(b, a, c, call=call)


async def test_one_who_is_added_during_a_call_gets_the_channel_and_then_the_call(world):
    ann, bob, cat, dan = world.users("ann", "bob", "cat", "dan")
    world.friends(ann, dan)
    group = world.group(ann, bob, cat)
    a, b, d = [await world.login(who) for who in (ann, bob, dan)]
    call = await calls.start(a, b, channel=group)
    (await a.rest.put(f"/channels/{group}/recipients/{dan.id}")).ok(204)
    created = await d.expect("CHANNEL_CREATE", id=group)
    assert created["type"] == 3
    assert {user["id"] for user in created["recipients"]} == {ann.id, bob.id, cat.id}
    offered = await d.expect("CALL_CREATE", channel_id=group, message_id=call.message["id"])
    assert [(s["user_id"], s["session_id"]) for s in offered["voice_states"]] == [(ann.id, a.session_id)]
    for client in (a, b):
        added = await client.expect("CHANNEL_RECIPIENT_ADD", channel_id=group)
        assert added["user"]["id"] == dan.id
    await d.join(group)
    for client in (a, b, d):
        await client.expect("VOICE_STATE_UPDATE", user_id=dan.id, channel_id=group)
    await d.expect("VOICE_SERVER_UPDATE", channel_id=group)


async def test_one_who_is_removed_loses_state_and_ring_and_hears_no_more(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    group, place = world.group(ann, bob, cat), world.quiet_place(bob)
    a, b, c = [await world.login(who) for who in (ann, bob, cat)]
    call = await calls.start(a, b, c, channel=group)
    await calls.join(b, a, c, call=call)
    await a.rest.ring(group)
    for client in (a, b, c):
        await calls.ringing(client, group, [c])

    (await a.rest.delete(f"/channels/{group}/recipients/{bob.id}")).ok(204)
    for client in (a, c):
        await client.expect("VOICE_STATE_UPDATE", user_id=bob.id, channel_id=None)
    await b.expect("CHANNEL_DELETE", id=group)
    (await b.rest.get(f"/channels/{group}")).refused((403, 404), (10003, 50001))

    (await a.rest.delete(f"/channels/{group}/recipients/{cat.id}")).ok(204)
    await a.expect("CALL_UPDATE", channel_id=group, ringing=[])
    await a.rest.say(group, "alone at last")
    await a.expect("MESSAGE_CREATE", content="alone at last")
    mark = b.cursor
    await b.join(group)
    await b.join(place)
    await b.expect("VOICE_SERVER_UPDATE", channel_id=place)
    of_group = [e.t for e in b.events[mark:] if isinstance(e.d, dict) and e.d.get("channel_id") == group]
    assert not of_group


async def test_removal_is_announced_to_those_who_remain(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    group = world.group(ann, bob, cat)
    a, b = await world.login(ann), await world.login(bob)
    (await a.rest.delete(f"/channels/{group}/recipients/{cat.id}")).ok(204)
    for client in (a, b):
        removed = await client.expect("CHANNEL_RECIPIENT_REMOVE", channel_id=group)
        assert removed["user"]["id"] == cat.id


# -- how sessions end ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001])
async def test_closing_properly_ends_the_session_and_the_call_with_it(world, code):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await a.close(code)
    await calls.left(b, a)
    await calls.ended(b, call=call)


async def test_closing_properly_takes_one_of_two_out_of_the_call(world):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await calls.join(b, a, call=call)
    await a.close(1000)
    await calls.left(b, a)
    await calls.leave_last(b, call=call)


@pytest.mark.parametrize("how", ["abort", "close 4000"])
async def test_a_socket_that_is_lost_keeps_its_voice_state(world, how):
    a, b, channel = await pair(world)
    call = await calls.start(a, b, channel=channel)
    await (a.abort() if how == "abort" else a.close(4000))
    states = await who_is_in(b, channel)
    assert {user: state["session_id"] for user, state in states.items()} == {a.id: a.session_id}
    await a.reconnect_and_resume()
    await b.quiet_until_message(channel)
    await a.next("MESSAGE_CREATE")
    await calls.leave_last(a, b, call=call)


async def test_a_new_login_does_not_inherit_the_lost_sessions_call(world):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, b = await world.login(ann), await world.login(bob)
    await calls.start(a, b, channel=channel)
    await a.abort()
    anew = await world.login_without_calls(ann)
    assert set(await who_is_in(anew, channel)) == {ann.id}
    await anew.leave()
    await anew.heartbeat()
    states = await who_is_in(b, channel)
    assert states[ann.id]["session_id"] == a.session_id, "only the owning session can leave"
