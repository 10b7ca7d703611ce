"""REST: log-in calls, users, private channels, messages, read states, regions, call endpoints, errors.
Every JSON answer is checked to say exactly `application/json` by the client itself."""
import json

import pytest

from client import snowflake_now
from shape import check

USER = {"id": "id", "username": "string", "discriminator": "string", "global_name": "string?", "avatar": "string?",
        "public_flags?": "int", "...": True}
MESSAGE = {"id": "id", "channel_id": "id", "type": {"=": 0}, "author": USER, "content": "string",
           "timestamp": "timestamp", "edited_timestamp": "timestamp?", "tts": {"=": False},
           "mention_everyone": "bool", "mentions": "list", "mention_roles": "list", "attachments": "list",
           "embeds": "list", "components": "list", "flags": "int", "pinned": {"=": False}, "...": True}
DM = {"id": "id", "type": {"=": 1}, "recipients": [USER], "last_message_id": "id?", "flags": "int", "...": True}
GROUP = {"id": "id", "type": {"=": 3}, "owner_id": "id", "name": "string?", "icon": "string?",
         "recipients": [USER], "last_message_id": "id?", "...": True}
NOBODY = {"message": "401: Unauthorized", "code": 0}
UNKNOWN_ID = "123456789012345678"


def ids(things):
    return [thing["id"] for thing in things]


# -- log-in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["", "/v9", "/v10"])
async def test_the_gateway_address_is_told_to_everybody_under_every_base_path(world, system, version):
    answer = (await world.rest(version=version).get("/gateway")).ok()
    assert answer["url"].rstrip("/") == system.gateway_url


async def test_bots_are_told_about_shards_and_session_starts(world, system):
    answer = (await world.rest(world.bot()).get("/gateway/bot")).ok()
    check(answer, {"url": "string", "shards": {"=": 1},
                   "session_start_limit": {"total": "int", "remaining": "int", "reset_after": "int",
                                           "max_concurrency": "int"}})
    assert answer["url"].rstrip("/") == system.gateway_url


@pytest.mark.parametrize("version", ["", "/v9", "/v10"])
async def test_a_user_sees_itself(world, version):
    ann = world.user("ann", global_name="Ann")
    me = (await world.rest(ann, version).get("/users/@me?with_analytics_token=true&unknown=1")).ok()
    check(me, USER | {"id": {"=": ann.id}, "username": {"=": ann.username}, "global_name": {"=": "Ann"},
                      "email": "any", "verified": "bool", "mfa_enabled": "bool", "flags": "int"}, at="user")
    assert not me.get("bot")


async def test_a_bot_sees_itself_and_its_application(world):
    bot = world.bot()
    me = (await world.rest(bot).get("/users/@me")).ok()
    assert (me["id"], me["bot"]) == (bot.id, True)
    for path in ("/oauth2/applications/@me", "/oauth2/applications/%40me"):
        check((await world.rest(bot).get(path)).ok(), {
            "id": "id", "name": "string", "icon": "string?", "description": "string", "bot_public": "bool",
            "bot_require_code_grant": "bool", "owner": USER, "flags": "int", "verify_key": "string", "...": True})


async def test_another_user_is_shown_in_part(world):
    ann, bob = world.users("ann", "bob")
    shown = (await world.rest(ann).get(f"/users/{bob.id}")).ok()
    check(shown, USER | {"id": {"=": bob.id}, "username": {"=": bob.username}})
    for private in ("email", "phone", "mfa_enabled", "token"):
        assert private not in shown
    (await world.rest(ann).get(f"/users/{UNKNOWN_ID}")).refused(404, 10013)


async def test_paths_are_percent_decoded(world):
    ann = world.user("ann")
    assert (await world.rest(ann).get("/users/%40me")).ok()["id"] == ann.id
    assert (await world.rest(ann).get("/users/%40%6de/channels")).ok() == []


# -- errors ----------------------------------------------------------------------------------------


PROTECTED = [("GET", "/users/@me"), ("GET", "/users/@me/channels"), ("POST", "/users/@me/channels"),
             ("GET", "/gateway/bot"), ("GET", f"/channels/{UNKNOWN_ID}"), ("GET", f"/users/{UNKNOWN_ID}"),
             ("GET", f"/channels/{UNKNOWN_ID}/messages"), ("POST", f"/channels/{UNKNOWN_ID}/messages"),
             ("POST", f"/channels/{UNKNOWN_ID}/call/ring"), ("GET", "/voice/regions"),
             ("GET", "/oauth2/applications/@me")]


@pytest.mark.parametrize("method,path", PROTECTED, ids=[" ".join(row) for row in PROTECTED])
async def test_without_a_good_token_the_answer_is_401(world, method, path):
    rest = world.rest()
    assert (await rest.send(method, path)).ok(401) == NOBODY
    for token in ("nonsense", "Bot nonsense", "Bearer nonsense", "Bot ", " "):
        assert (await rest.send(method, path, headers={"Authorization": token})).ok(401) == NOBODY


async def test_an_unknown_path_is_404_and_a_wrong_method_405(world):
    rest = world.rest(world.user("ann"))
    assert (await rest.get("/no/such/thing")).ok(404) == {"message": "404: Not Found", "code": 0}
    assert (await rest.delete("/gateway")).ok(405) == {"message": "405: Method Not Allowed", "code": 0}
    assert (await rest.put("/users/@me/channels")).ok(405) == {"message": "405: Method Not Allowed", "code": 0}


@pytest.mark.parametrize("path", ["", "/messages", "/call"])
async def test_an_unknown_channel_is_10003(world, path):
    (await world.rest(world.user("ann")).get(f"/channels/{UNKNOWN_ID}{path}")).refused(404, 10003)


async def test_an_id_that_is_no_number_is_refused(world):
    rest = world.rest(world.user("ann"))
    for wrong in ("abc", "-1", "99999999999999999999999", "1e3", "0x10"):
        (await rest.get(f"/channels/{wrong}")).refused((400, 404), (0, 10003, 50035))


async def test_a_body_that_is_no_json_is_refused_and_the_connection_goes_on(world):
    ann, bob = world.users("ann", "bob")
    rest, channel = world.rest(ann), world.dm(ann, bob)
    for raw in (b"", b"{", b"hello", b'{"content":"x"', b"\xff\xfe", b"[" * 5000):
        reply = await rest.send("POST", f"/channels/{channel}/messages", raw=raw)
        reply.refused(400, (50109, 50006, 50035) if raw == b"" else 50109)
    for raw in (b"[]", b"7", b'"text"', b"null"):
        reply = await rest.send("POST", f"/channels/{channel}/messages", raw=raw)
        reply.refused(400, (50109, 50006, 50035))
    await rest.say(channel, "still here")


async def test_analytics_keys_and_headers_are_ignored(world):
    ann, bob = world.users("ann", "bob")
    rest, channel = world.rest(ann), world.dm(ann, bob)
    headers = {"X-Super-Properties": "e30=", "X-Discord-Locale": "en-US", "X-Debug-Options": "bugReporterEnabled"}
    body = {"content": "hello", "analytics_location": "DM", "mobile_network_type": "unknown"}
    assert (await rest.send("POST", f"/channels/{channel}/messages?x=1", body, headers=headers)).ok()


# -- private channels ------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [
    lambda bob: {"recipients": [bob.id]}, lambda bob: {"recipients": [int(bob.id)]},
    lambda bob: {"recipient_id": bob.id}, lambda bob: {"recipient_id": int(bob.id)}],
    ids=["list", "list of integers", "one", "one integer"])
async def test_a_dm_is_opened_and_is_the_same_one_each_time_from_both_sides(world, body):
    ann, bob = world.users("ann", "bob")
    opened = (await world.rest(ann).post("/users/@me/channels", body(bob))).ok()
    check(opened, DM, at="channel")
    assert ids(opened["recipients"]) == [bob.id]
    again = (await world.rest(ann).post("/users/@me/channels", body(bob))).ok()
    from_bob = (await world.rest(bob).post("/users/@me/channels", {"recipients": [ann.id]})).ok()
    assert opened["id"] == again["id"] == from_bob["id"] == world.dm(ann, bob)
    assert ids(from_bob["recipients"]) == [ann.id]


async def test_opening_a_dm_shows_it_before_its_first_message(world):
    ann, bob = world.users("ann", "bob")
    a, b = await world.login(ann), await world.login(bob)
    channel = (await a.rest.post("/users/@me/channels", {"recipients": [bob.id]})).ok()["id"]
    created = await a.next("CHANNEL_CREATE", id=channel, type=1)
    assert ids(created["recipients"]) == [bob.id]
    await a.rest.say(channel, "hello")
    created = await b.next("CHANNEL_CREATE", id=channel, type=1)
    assert ids(created["recipients"]) == [ann.id], "without the one who reads it"
    await b.next("MESSAGE_CREATE", channel_id=channel, content="hello")
    await a.next("MESSAGE_CREATE", channel_id=channel, content="hello")


async def test_a_dm_with_nobody_that_exists_is_refused(world):
    rest = world.rest(world.user("ann"))
    (await rest.post("/users/@me/channels", {"recipients": [UNKNOWN_ID]})).refused(400, 50033)
    for wrong in ({"recipients": "bob"}, {"recipients": ["bob"]}, {"recipients": [{}]}):
        (await rest.post("/users/@me/channels", wrong)).refused(400, (50033, 50035))
    assert (await rest.get("/users/@me/channels")).ok() == []


async def test_a_group_is_created_and_fetched_by_its_members(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    world.friends(ann, bob)
    world.friends(ann, cat)
    group = (await world.rest(ann).post("/users/@me/channels", {"recipients": [bob.id, int(cat.id)]})).ok()
    check(group, GROUP, at="group")
    assert group["owner_id"] == ann.id
    assert sorted(ids(group["recipients"])) == sorted([bob.id, cat.id])
    seen = (await world.rest(bob).get(f"/channels/{group['id']}")).ok()
    check(seen, GROUP, at="group")
    assert sorted(ids(seen["recipients"])) == sorted([ann.id, cat.id])
    another = (await world.rest(ann).post("/users/@me/channels", {"recipients": [bob.id, cat.id]})).ok()
    assert another["id"] != group["id"], "each group is one of its own"


async def test_private_channels_are_listed_with_full_recipients(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    dm, group = world.dm(ann, bob), world.group(ann, bob, cat, name="trio")
    listed = {channel["id"]: channel for channel in (await world.rest(ann).get("/users/@me/channels")).ok()}
    assert set(listed) == {dm, group}
    check(listed[dm], DM, at="DM")
    check(listed[group], GROUP, at="group")
    assert (await world.rest(ann).get(f"/channels/{dm}")).ok()["recipients"][0]["username"] == bob.username
    assert ids((await world.rest(cat).get("/users/@me/channels")).ok()) == [group]


async def test_members_come_and_go_in_a_group(world):
    ann, bob, cat, dan = world.users("ann", "bob", "cat", "dan")
    world.friends(ann, dan)
    group = world.group(ann, bob, cat)
    b, rest = await world.login(bob), world.rest(ann)
    (await rest.put(f"/channels/{group}/recipients/{dan.id}")).ok(204)
    added = await b.expect("CHANNEL_RECIPIENT_ADD", channel_id=group)
    check(added["user"], USER | {"id": {"=": dan.id}})
    assert dan.id in ids((await rest.get(f"/channels/{group}")).ok()["recipients"])
    (await world.rest(dan).get(f"/channels/{group}")).ok()
    (await rest.delete(f"/channels/{group}/recipients/{dan.id}")).ok(204)
    removed = await b.expect("CHANNEL_RECIPIENT_REMOVE", channel_id=group)
    check(removed["user"], USER | {"id": {"=": dan.id}})
    (await world.rest(dan).get(f"/channels/{group}")).refused((403, 404), (10003, 50001))
    assert dan.id not in ids((await rest.get(f"/channels/{group}")).ok()["recipients"])


async def test_only_the_owner_removes_somebody_and_a_dm_takes_nobody_in(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    dm, group = world.dm(ann, bob), world.group(ann, bob, cat)
    refused = await world.rest(bob).delete(f"/channels/{group}/recipients/{cat.id}")
    refused.refused((400, 403), (50001, 50003, 50013, 50033))
    assert cat.id in ids((await world.rest(bob).get(f"/channels/{group}")).ok()["recipients"])
    (await world.rest(ann).put(f"/channels/{group}/recipients/{UNKNOWN_ID}")).refused((400, 404), (10013, 50033))
    refused = await world.rest(ann).put(f"/channels/{dm}/recipients/{cat.id}")
    refused.refused((400, 403), (50003, 50024, 50033))
    (await world.rest(cat).get(f"/channels/{dm}")).refused((403, 404), (10003, 50001))


# -- messages --------------------------------------------------------------------------------------


async def conversation(world, count=7):
    """A DM and its messages, oldest first: (ann, bob, channel, [ids])."""
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    said = [await world.rest(ann if n % 2 else bob).say(channel, f"line {n}") for n in range(1, count + 1)]
    return ann, bob, channel, ids(said)


async def test_a_message_is_answered_and_sent_to_both_sides_with_the_nonce_for_its_author(world):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, b = await world.login(ann), await world.login(bob)
    text = "Grüße \U0001F680 \"quoted\" \\ / \t\n  \u2028 end"
    answer = await a.rest.say(channel, text, nonce="1098765432109876543", tts=False, flags=0)
    check(answer, MESSAGE, at="message")
    assert (answer["content"], answer["nonce"]) == (text, "1098765432109876543")
    assert (answer["author"]["id"], answer["channel_id"]) == (ann.id, channel)
    mine = await a.next("MESSAGE_CREATE", id=answer["id"])
    assert (mine["content"], mine["nonce"]) == (text, "1098765432109876543")
    theirs = await b.next("MESSAGE_CREATE", id=answer["id"])
    check(theirs, MESSAGE, at="MESSAGE_CREATE")
    assert theirs["content"] == text
    fetched = (await b.rest.get(f"/channels/{channel}/messages/{answer['id']}")).ok()
    check(fetched, MESSAGE, at="message")
    assert fetched["content"] == text
    assert (await b.rest.get(f"/channels/{channel}")).ok()["last_message_id"] == answer["id"]


async def test_a_nonce_may_be_an_integer(world):
    ann, bob = world.users("ann", "bob")
    answer = await world.rest(ann).say(world.dm(ann, bob), "hello", nonce=1098765432109876543)
    assert str(answer["nonce"]) == "1098765432109876543"


async def test_history_is_newest_first_and_limited(world):
    ann, bob, channel, said = await conversation(world)
    newest_first = said[::-1]
    rest = world.rest(bob)
    all_of_it = (await rest.get(f"/channels/{channel}/messages")).ok()
    assert ids(all_of_it) == newest_first
    for message in all_of_it:
        check(message, MESSAGE, at="message")
    assert ids((await rest.get(f"/channels/{channel}/messages?limit=3")).ok()) == newest_first[:3]
    assert ids((await rest.get(f"/channels/{channel}/messages?limit=100")).ok()) == newest_first
    assert (await world.rest(ann).get(f"/channels/{world.dm(ann, world.user('cat'))}/messages")).ok() == []


async def test_history_is_fifty_long_unless_asked_otherwise(world):
    _, bob, channel, said = await conversation(world, 55)
    assert ids((await world.rest(bob).get(f"/channels/{channel}/messages")).ok()) == said[:4:-1]


async def test_history_before_after_and_around_a_message(world):
    _, bob, channel, said = await conversation(world)
    rest = world.rest(bob)

    async def page(query):
        return [said.index(id_) + 1 for id_ in ids((await rest.get(f"/channels/{channel}/messages?{query}")).ok())]

    assert await page(f"before={said[4]}&limit=2") == [4, 3]
    assert await page(f"before={said[0]}") == []
    assert await page(f"after={said[1]}&limit=3") == [5, 4, 3], "the nearest ones, newest first"
    assert await page(f"after={said[6]}") == []
    assert await page(f"around={said[3]}&limit=3") == [5, 4, 3]
    assert await page(f"around={said[3]}&limit=100") == [7, 6, 5, 4, 3, 2, 1]
    assert await page(f"before={snowflake_now()}&limit=1") == [7], "any snowflake will do"
    assert await page("after=0&limit=2") == [2, 1]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=-1", "limit=many", "before=abc"])
async def test_a_page_that_cannot_be_is_refused(world, query):
    _, bob, channel, _ = await conversation(world, 1)
    (await world.rest(bob).get(f"/channels/{channel}/messages?{query}")).refused(400, 50035)


async def test_what_cannot_be_sent_is_refused_with_its_reason(world):
    ann, bob = world.users("ann", "bob")
    rest, channel = world.rest(ann), world.dm(ann, bob)
    path = f"/channels/{channel}/messages"
    for empty in ({"content": ""}, {}, {"content": None}):
        (await rest.post(path, empty)).refused(400, 50006)
    error = (await rest.post(path, {"content": "x" * 2001})).refused(400, 50035)
    assert error["errors"]["content"]["_errors"][0]["code"], error
    (await rest.post(path, {"content": ["x"]})).refused(400, 50035)
    assert (await rest.get(path)).ok() == []


async def test_the_length_limit_counts_characters_and_not_bytes(world):
    ann, bob = world.users("ann", "bob")
    rest, channel = world.rest(ann), world.dm(ann, bob)
    long = "ä" * 2000
    assert (await rest.say(channel, long))["content"] == long
    (await rest.post(f"/channels/{channel}/messages", {"content": long + "ä"})).refused(400, 50035)


async def test_an_unknown_message_is_10008(world):
    ann, bob = world.users("ann", "bob")
    rest, channel = world.rest(ann), world.dm(ann, bob)
    (await rest.get(f"/channels/{channel}/messages/{UNKNOWN_ID}")).refused(404, 10008)
    (await rest.patch(f"/channels/{channel}/messages/{UNKNOWN_ID}", {"content": "x"})).refused(404, 10008)
    (await rest.delete(f"/channels/{channel}/messages/{UNKNOWN_ID}")).refused(404, 10008)


async def test_a_message_of_another_channel_is_not_found_in_this_one(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    rest, here, there = world.rest(ann), world.dm(ann, bob), world.dm(ann, cat)
    message = await rest.say(there, "elsewhere")
    (await rest.get(f"/channels/{here}/messages/{message['id']}")).refused(404, 10008)


async def test_ones_own_message_is_edited_and_deleted_in_everybodys_sight(world):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, b = await world.login(ann), await world.login(bob)
    message = await a.rest.say(channel, "frist")
    path = f"/channels/{channel}/messages/{message['id']}"
    edited = (await a.rest.patch(path, {"content": "first"})).ok()
    check(edited, MESSAGE | {"edited_timestamp": "timestamp", "content": {"=": "first"}}, at="message")
    for client in (a, b):
        await client.next("MESSAGE_CREATE", id=message["id"], content="frist")
        update = await client.next("MESSAGE_UPDATE", id=message["id"], content="first")
        check(update, MESSAGE | {"edited_timestamp": "timestamp"}, at="MESSAGE_UPDATE")
    assert (await b.rest.get(path)).ok()["content"] == "first"
    (await a.rest.delete(path)).ok(204)
    for client in (a, b):
        await client.next("MESSAGE_DELETE", id=message["id"], channel_id=channel)
    (await b.rest.get(path)).refused(404, 10008)
    assert (await b.rest.get(f"/channels/{channel}/messages")).ok() == []


async def test_somebody_elses_message_is_neither_edited_nor_deleted(world):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    message = await world.rest(ann).say(channel, "mine")
    path = f"/channels/{channel}/messages/{message['id']}"
    (await world.rest(bob).patch(path, {"content": "yours"})).refused(403, 50005)
    (await world.rest(bob).delete(path)).refused(403, (50001, 50003, 50013))
    assert (await world.rest(ann).get(path)).ok()["content"] == "mine"


# -- read states -----------------------------------------------------------------------------------


async def test_an_ack_goes_to_all_sessions_of_that_user_with_a_growing_version_and_to_nobody_else(world):
    ann, bob, channel, said = await conversation(world, 2)
    a, a_too, b = [await world.login(who) for who in (ann, ann, bob)]
    versions = []
    for message in [*said, snowflake_now()]:
        answer = await a.rest.post(f"/channels/{channel}/messages/{message}/ack", {"token": None, "manual": False})
        assert answer.ok() == {"token": None}
        acks = [await client.next("MESSAGE_ACK", channel_id=channel, message_id=message) for client in (a, a_too)]
        assert acks[0]["version"] == acks[1]["version"]
        versions.append(acks[0]["version"])
    assert versions == sorted(set(versions)), versions
    await b.quiet_until_ack(channel)


async def test_what_was_acknowledged_is_in_the_next_ready(world):
    ann, _, channel, said = await conversation(world, 3)
    await world.rest(ann).ack(channel, said[1])
    for capabilities in (None, 0):
        client = await world.login(ann) if capabilities is None else await world.login(ann, capabilities=0)
        states = client.ready["read_state"]
        entries = states["entries"] if capabilities is None else states
        assert {e["id"]: e["last_message_id"] for e in entries}[channel] == said[1]


# -- voice regions and the call endpoints ----------------------------------------------------------


async def test_voice_regions_are_listed_with_exactly_one_optimal(world):
    for account in (world.user("ann"), world.bot()):
        regions = (await world.rest(account).get("/voice/regions")).ok()
        check(regions, [{"id": "string", "name": "string", "optimal": "bool", "deprecated": "bool",
                         "custom": "bool", "...": True}], at="regions")
        assert len(set(ids(regions))) == len(regions) >= 2
        assert len([region for region in regions if region["optimal"]]) == 1


async def test_call_endpoints_do_nothing_without_a_word_when_there_is_no_call(world):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    a, b = await world.login(ann), await world.login(bob)
    region = (await a.rest.get("/voice/regions")).ok()[0]["id"]
    await a.rest.ring(channel)
    await a.rest.ring(channel, [bob.id])
    await a.rest.stop_ringing(channel)
    await a.rest.stop_ringing(channel, [int(bob.id)])
    (await a.rest.patch(f"/channels/{channel}/call", {"region": region})).ok(204)
    await b.quiet_until_call(channel)
    await a.sequence("MESSAGE_CREATE", "CALL_CREATE", "VOICE_STATE_UPDATE", "VOICE_STATE_UPDATE", "MESSAGE_UPDATE",
                     "CALL_DELETE")


async def test_a_call_can_be_asked_for_its_eligibility(world):
    ann, bob, cat = world.users("ann", "bob", "cat")
    world.friends(ann, bob)
    for channel in (world.dm(ann, bob), world.group(ann, bob, cat)):
        assert (await world.rest(ann).get(f"/channels/{channel}/call")).ok() == {"ringable": True}


async def test_ringing_takes_an_absent_body_and_refuses_a_wrong_one(world):
    ann, bob = world.users("ann", "bob")
    rest, channel = world.rest(ann), world.dm(ann, bob)
    (await rest.post(f"/channels/{channel}/call/ring")).ok(204)
    (await rest.post(f"/channels/{channel}/call/ring", {})).ok(204)
    (await rest.post(f"/channels/{channel}/call/stop-ringing")).ok(204)
    for wrong in ({"recipients": "bob"}, {"recipients": ["bob"]}, {"recipients": 7}):
        (await rest.post(f"/channels/{channel}/call/ring", wrong)).refused(400, (50033, 50035))


async def test_a_guild_channel_has_no_private_call(world, system):
    rest = world.rest(world.demo_user(0))
    voice = system.demo["guild"]["voice_channel_ids"][0]
    (await rest.get(f"/channels/{voice}/call")).refused(400, 50024)
    (await rest.post(f"/channels/{voice}/call/ring", {"recipients": None})).refused(400, 50024)
    (await rest.post(f"/channels/{voice}/call/stop-ringing", {})).refused(400, 50024)


# -- tokens ----------------------------------------------------------------------------------------


async def test_a_revoked_token_opens_nothing_any_more_and_its_live_sessions_are_closed(world, system):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    second_token = system.admin_ok("POST", f"/admin/users/{ann.username}/token")["token"]
    a, b, rest = await world.login(ann), await world.login(bob), world.rest(ann)
    system.admin_ok("DELETE", f"/admin/users/{ann.id}/tokens")
    await a.closes_with(4003, 4004)
    assert (await rest.get("/users/@me")).ok(401) == NOBODY
    for token in (ann.token, second_token):
        again = await world.connect(ann)
        await again.send(2, again.identification(token=token))
        await again.closes_with(4004)
    await b.quiet_until_call(channel)
    new = system.admin_ok("POST", f"/admin/users/{ann.id}/token")
    assert (new["id"], new["username"]) == (ann.id, ann.username)
    client = await world.connect(ann)
    await client.identify(token=new["token"])


async def test_a_session_of_a_revoked_token_cannot_be_resumed(world, system):
    client = await world.login(world.user("ann"))
    await client.abort()
    system.admin_ok("DELETE", f"/admin/users/{client.id}/tokens")
    await client.connect()
    await client.hello()
    await client.send_resume()
    assert await client.rejected() in (9, 4004)


async def test_revoking_ones_tokens_touches_nobody_else(world, system):
    ann, bob = world.users("ann", "bob")
    place = world.quiet_place(bob)
    b = await world.login(bob)
    system.admin_ok("DELETE", f"/admin/users/{ann.id}/tokens")
    assert (await b.rest.get("/users/@me")).ok()["id"] == bob.id
    await b.quiet_until_call(place)


async def test_tokens_and_message_texts_are_nowhere_in_the_logs(world, system):
    ann = world.user("ann")
    channel, text = world.quiet_place(ann), "a text that nobody else reads"
    client = await world.login(ann)
    await client.rest.say(channel, text)
    await client.next("MESSAGE_CREATE", content=text)
    for log in system.dir.glob("*.log"):
        written = log.read_text(errors="replace")
        assert ann.token not in written and text not in written, log


async def test_ids_are_strings_in_every_answer(world):
    ann, bob, channel, _ = await conversation(world, 1)
    rest = world.rest(ann)
    for path in ("/users/@me", "/users/@me/channels", f"/channels/{channel}", f"/channels/{channel}/messages"):
        for key, value in ids_within((await rest.get(path)).ok()):
            assert value is None or isinstance(value, str), f"{path}: {key} is {json.dumps(value)}"


def ids_within(value, key=""):
    """Every (key, value) whose key is "id" or ends in "_id"."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ids_within(inner, name)
    elif isinstance(value, list):
        for item in value:
            yield from ids_within(item, "")
    elif key == "id" or key.endswith("_id"):
        yield key, value
