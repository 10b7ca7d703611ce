"""Logging in: Hello, heartbeats, Identify as a user and as a bot, READY in its forms.
One test per field group that a library needs; ids are strings everywhere."""
from contextlib import suppress

import pytest
from aiohttp import WSServerHandshakeError

from client import CAPABILITIES
from shape import check

USER_KEYS = ["id", "username", "discriminator", "global_name", "avatar", "banner", "accent_color", "bio", "email",
             "verified", "mfa_enabled", "phone", "premium_type", "flags", "public_flags", "purchased_flags",
             "nsfw_allowed", "locale", "pronouns", "avatar_decoration_data", "desktop", "mobile"]
PARTIAL_USER = {"id": "id", "username": "string", "discriminator": "string", "global_name": "string?",
                "avatar": "string?", "...": True}
VERSIONED = {"entries": "list", "version": "int", "partial": "bool"}
DM = {"id": "id", "type": {"=": 1}, "last_message_id": "id?", "flags": "int", "...": True}
GROUP = {"id": "id", "type": {"=": 3}, "owner_id": "id", "name": "string?", "icon": "string?",
         "last_message_id": "id?", "...": True}
ROLE = {"id": "id", "name": "string", "permissions": "string", "...": True}
MEMBER = {"roles": ["id"], "joined_at": "string", "mute": "bool", "deaf": "bool", "...": True}


def by_id(things):
    return {thing["id"]: thing for thing in things}


# -- Hello and the frame around everything ---------------------------------------------------------


async def test_hello_is_the_first_frame_and_needs_nothing(world):
    client = await world.client(world.user()).connect()
    hello = await client.hello()
    check(hello, {"op": {"=": 10}, "d": {"heartbeat_interval": {"=": 41250}, "_trace": "list"},
                  "s": "null", "t": "null"})


@pytest.mark.parametrize("op", [1, 40])
async def test_heartbeats_are_answered_before_and_after_identify(world, op):
    client = await world.connect(world.user())
    assert await client.heartbeat(op) == {"op": 11, "d": None, "s": None, "t": None}
    await client.identify()
    assert await client.heartbeat(op) == {"op": 11, "d": None, "s": None, "t": None}


async def test_identify_may_be_sent_before_hello_was_read(world):
    client = await world.client(world.user()).connect()
    await client.send(1, None)
    await client.identify()
    assert client.ready["user"]["id"] == client.id
    assert [frame["op"] for frame in client.controls] == [10, 11]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("compress", [None, "zlib-stream", "zstd-stream", "payload"], ids=["plain", "zlib", "zstd", "payload"])
@pytest.mark.parametrize("v", [9, 10])
async def test_every_version_compression_and_frame_kind_carries_a_session(world, v, compress, binary):
    user = world.user()
    place = world.quiet_place(user)
    client = await world.login(user, v=v, compress=compress, binary=binary)
    assert client.ready["v"] == v
    await client.heartbeat()
    await client.quiet_until_message(place)


async def test_unknown_query_parameters_are_ignored(world):
    client = await world.client(world.user()).connect("encoding=json&v=10&shiny=1")
    await client.hello()
    await client.identify()
    assert client.ready["v"] == 10


async def test_permessage_deflate_is_not_agreed_to(world):
    client = await world.client(world.user()).connect(offer_deflate=True)
    assert "Sec-WebSocket-Extensions" not in client.ws._response.headers
    await client.hello()
    await client.identify()


# -- a user account --------------------------------------------------------------------------------


async def user_with_everything(world):
    """A user with a friend, a DM, a group and a guild."""
    ann, bob, cat = world.users("ann", "bob", "cat")
    world.friends(ann, bob)
    places = {"dm": world.dm(ann, bob), "group": world.group(ann, bob, cat), "guild": world.guild(ann, bob)}
    return ann, bob, cat, places


async def test_ready_holds_the_user_the_session_and_where_to_resume(world):
    ann = world.user("ann", global_name="Ann")
    ready = (await world.login(ann)).ready
    check(ready, {"v": {"=": 9}, "_trace": "list", "session_id": "session", "resume_gateway_url": "string",
                  "session_type": {"=": "normal"}, "user": PARTIAL_USER, "...": True}, at="READY")
    assert ready["user"]["id"] == ann.id
    assert ready["user"]["username"] == ann.username
    assert ready["user"]["global_name"] == "Ann"
    missing = [key for key in USER_KEYS if key not in ready["user"]]
    assert not missing, missing
    assert ready["resume_gateway_url"].startswith("ws")
    assert "?" not in ready["resume_gateway_url"]


async def test_ready_lists_the_sessions_of_the_user(world):
    client = await world.login(world.user())
    check(client.ready["sessions"], [{"session_id": "session", "status": "string", "activities": "list",
                                      "client_info": "object", "...": True}], at="sessions")
    assert client.session_id in [session["session_id"] for session in client.ready["sessions"]]


async def test_each_login_gets_a_session_id_of_its_own(world):
    ann = world.user("ann")
    first, second = await world.login(ann), await world.login(ann)
    assert first.session_id != second.session_id


async def test_ready_with_deduped_users_names_users_once_and_elsewhere_by_id(world):
    ann, bob, cat, places = await user_with_everything(world)
    ready = (await world.login(ann)).ready
    check(ready["users"], [PARTIAL_USER], at="users")
    assert {bob.id, cat.id} <= set(by_id(ready["users"]))
    channels = by_id(ready["private_channels"])
    assert set(channels) == {places["dm"], places["group"]}
    check(channels[places["dm"]], DM | {"recipient_ids": {"=": [bob.id]}}, at="DM")
    check(channels[places["group"]], GROUP | {"recipient_ids": {"set": [bob.id, cat.id]}}, at="group")
    assert channels[places["group"]]["owner_id"] == ann.id
    check(ready["relationships"], [{"id": {"=": bob.id}, "type": {"=": 1}, "user_id": {"=": bob.id},
                                    "nickname": "null", "...": True}], at="relationships")
    assert len(ready["relationships"]) == 1


async def test_ready_holds_guilds_with_their_fields_in_properties(world):
    ann, _, _, places = await user_with_everything(world)
    ready = (await world.login(ann)).ready
    assert [guild["id"] for guild in ready["guilds"]] == [places["guild"]["id"]]
    guild = ready["guilds"][0]
    check(guild, {"id": "id", "joined_at": "string", "large": "bool", "member_count": "int",
                  "data_mode": {"=": "full"},
                  "properties": {"id": "id", "name": {"=": places["guild"]["name"]}, "owner_id": {"=": ann.id},
                                 "...": True},
                  "channels": [{"id": "id", "type": "int", "name": "string", "position": "int", "...": True}],
                  "roles": [ROLE], "emojis": "list", "stickers": "list", "threads": "list",
                  "stage_instances": "list", "guild_scheduled_events": "list", "...": True}, at="guild")
    assert set(by_id(guild["channels"])) == {channel["id"] for channel in places["guild"]["channels"]}
    assert guild["id"] in by_id(guild["roles"]), "the @everyone role has the guild's id"
    assert [[m["user_id"] for m in members] for members in ready["merged_members"]] == [[ann.id]]
    check(ready["merged_members"], [[MEMBER | {"user_id": "id"}]], at="merged_members")


async def test_ready_holds_versioned_read_states_and_settings_and_a_settings_proto(world):
    ready = (await world.login(world.user())).ready
    check(ready["read_state"], VERSIONED, at="read_state")
    check(ready["user_guild_settings"], VERSIONED, at="user_guild_settings")
    check(ready["user_settings_proto"], "string", at="user_settings_proto")
    assert "notes" not in ready


async def test_ready_orders_the_voice_regions_for_the_client(world):
    ann = world.user("ann")
    ready = (await world.login(ann)).ready
    known = by_id((await world.rest(ann).get("/voice/regions")).ok())
    assert ready["geo_ordered_rtc_regions"]
    assert set(ready["geo_ordered_rtc_regions"]) <= set(known)


async def test_ready_carries_the_minor_fields_too(world):
    ready = (await world.login(world.user())).ready
    check(ready, {"connected_accounts": "list", "consents": {"personalization": {"consented": "bool"}},
                  "tutorial": "null", "analytics_token": "any", "auth_session_id_hash": "any",
                  "static_client_session_id": "string", "auth": {"authenticator_types": "list"},
                  "country_code": "string", "api_code_version": "int", "experiments": "list",
                  "guild_experiments": "list", "notification_settings": {"flags": "int"},
                  "friend_suggestion_count": "int", "guild_join_requests": "list", "game_relationships": "list",
                  "linked_users": "list", "pending_payments": "list", "explicit_content_scan_version": "int",
                  "...": True}, at="READY")


async def test_supplemental_follows_ready_at_once_with_lists_parallel_to_the_guilds(world):
    ann, _, _, places = await user_with_everything(world)
    client = await world.login(ann)
    assert [event.t for event in client.events[:2]] == ["READY", "READY_SUPPLEMENTAL"]
    check(client.supplemental, {
        "guilds": [{"id": "id", "voice_states": "list", "...": True}],
        "merged_members": [[MEMBER | {"user_id": "id"}]],
        "merged_presences": {"friends": "list", "guilds": ["list"]},
        "lazy_private_channels": "list", "...": True}, at="READY_SUPPLEMENTAL")
    assert [guild["id"] for guild in client.supplemental["guilds"]] == [places["guild"]["id"]]
    assert len(client.supplemental["merged_members"]) == 1
    assert len(client.supplemental["merged_presences"]["guilds"]) == 1


async def test_a_user_without_guilds_gets_empty_parallel_lists(world):
    client = await world.login(world.user())
    assert client.ready["guilds"] == client.ready["merged_members"] == []
    assert client.supplemental["guilds"] == client.supplemental["merged_members"] == []
    assert client.supplemental["merged_presences"]["guilds"] == []


async def test_ready_without_capabilities_is_the_full_form_and_nothing_follows(world):
    ann, bob, cat, places = await user_with_everything(world)
    client = await world.login(ann, capabilities=0)
    ready = client.ready
    channels = by_id(ready["private_channels"])
    check(channels[places["dm"]], DM | {"recipients": [PARTIAL_USER]}, at="DM")
    assert set(by_id(channels[places["dm"]]["recipients"])) == {bob.id}
    check(channels[places["group"]], GROUP | {"recipients": [PARTIAL_USER]}, at="group")
    assert set(by_id(channels[places["group"]]["recipients"])) == {bob.id, cat.id}
    check(ready["relationships"], [{"id": {"=": bob.id}, "type": {"=": 1}, "user": PARTIAL_USER, "...": True}],
          at="relationships")
    check(ready, {"read_state": "list", "user_guild_settings": "list", "user_settings": "object",
                  "notes": {}, "...": True}, at="READY")
    check(ready["guilds"], [{
        "id": {"=": places["guild"]["id"]}, "name": {"=": places["guild"]["name"]}, "owner_id": {"=": ann.id},
        "roles": [ROLE], "channels": [{"id": "id", "type": "int", "name": "string", "...": True}],
        "members": [MEMBER | {"user": PARTIAL_USER}], "voice_states": "list", "...": True}], at="guilds")
    assert len(ready["guilds"]) == 1
    await client.quiet_until_ack(places["dm"])


async def test_the_frames_that_libraries_send_after_ready_are_swallowed(world):
    ann = world.user("ann")
    place, guild = world.quiet_place(ann), world.guild(ann)
    client = await world.login(ann)
    await client.send(41, {"initialization_timestamp": 1, "session_id": "x", "client_launch_id": "y"})
    await client.send(3, {"status": "online", "since": 0, "activities": [], "afk": False})
    await client.send(4, {"guild_id": None, "channel_id": None, "self_mute": False, "self_deaf": False})
    await client.send(37, {"subscriptions": {guild["id"]: {"typing": True, "threads": True}}})
    await client.send(14, {"guild_id": guild["id"], "typing": True, "channels": {}})
    await client.send(8, {"guild_id": [], "query": "", "limit": 0})
    await client.send(5, None)
    await client.ask_for_call(place)
    await client.heartbeat(40)
    await client.quiet_until_call(place)


async def test_unknown_opcodes_are_tolerated(world):
    ann = world.user("ann")
    place = world.quiet_place(ann)
    client = await world.login(ann)
    for op in [12, 15, 16, 17, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33, 34, 35, 38, 39, 42]:
        await client.send(op, {"anything": [1, {"at": "all"}]})
        await client.send(op, None)
    await client.heartbeat()
    await client.quiet_until_ack(place)


# -- a bot -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("v", [9, 10])
@pytest.mark.parametrize("prefix", ["", "Bot "], ids=["bare", "prefixed"])
async def test_a_bot_logs_in_and_its_guilds_follow_one_by_one(world, prefix, v):
    owner, bot = world.user("owner"), world.bot()
    guild = world.guild(owner, bot)
    client = await world.connect(bot, v=v)
    ready = await client.identify(token=prefix + bot.token)
    check(ready, {"v": {"=": v}, "user": PARTIAL_USER | {"bot": {"=": True}}, "session_id": "session",
                  "resume_gateway_url": "string", "application": {"id": "id", "flags": "int", "...": True},
                  "guilds": [{"id": "id", "unavailable": {"=": True}}], "private_channels": {"=": []},
                  "...": True}, at="READY")
    assert ready["user"]["id"] == bot.id
    assert [g["id"] for g in ready["guilds"]] == [guild["id"]]
    assert [event.t for event in client.events[:2]] == ["READY", "GUILD_CREATE"]
    created = client.events[1].d
    assert created["id"] == guild["id"]
    assert created["unavailable"] is False


async def test_guild_create_holds_what_bot_libraries_need(world):
    owner, bot = world.user("owner"), world.bot()
    guild = world.guild(owner, bot)
    client = await world.login(bot)
    created = client.events[1].d
    check(created, {
        "id": {"=": guild["id"]}, "name": {"=": guild["name"]}, "owner_id": {"=": owner.id},
        "unavailable": {"=": False}, "joined_at": "string", "large": "bool", "member_count": {"=": 2},
        "roles": [ROLE | {"position": "int", "color": "int", "hoist": "bool", "managed": "bool",
                          "mentionable": "bool",
                          "colors": {"primary_color": "int", "secondary_color": "any", "tertiary_color": "any"}}],
        "channels": [{"id": "id", "type": "int", "name": "string", "position": "int", "parent_id": "id?",
                      "permission_overwrites": "list", "...": True}],
        "members": [MEMBER | {"user": PARTIAL_USER, "flags": "int"}],
        "voice_states": {"=": []}, "threads": "list", "presences": "list", "emojis": "list", "stickers": "list",
        "stage_instances": "list", "guild_scheduled_events": "list", "...": True}, at="GUILD_CREATE")
    assert guild["id"] in by_id(created["roles"])
    assert bot.id in [member["user"]["id"] for member in created["members"]]
    assert set(by_id(created["channels"])) == {channel["id"] for channel in guild["channels"]}
    for channel in created["channels"]:
        if channel["type"] in (2, 13):
            check(channel, {"bitrate": "int", "user_limit": "int", "rtc_region": "string?", "...": True}, at="voice")
        else:
            assert "bitrate" not in channel, "libraries take a channel with a bitrate for a voice channel"


async def test_a_bot_that_names_its_shard_sees_it_in_ready(world):
    bot = world.bot()
    client = await world.connect(bot)
    ready = await client.identify(shard=[0, 1])
    assert ready["shard"] == [0, 1]


async def test_the_demo_bot_is_in_the_demo_guild(world, system):
    client = await world.login(world.demo_bot(0))
    assert [guild["id"] for guild in client.ready["guilds"]] == [system.demo["guild"]["id"]]
    created = client.events[1].d
    mine = next(m for m in created["members"] if m["user"]["id"] == client.id)
    granted = 0
    for role in mine["roles"]:
        granted |= int(by_id(created["roles"])[role]["permissions"])
    wanted = 1 << 22 | 1 << 23 | 1 << 24
    assert granted & wanted == wanted, "MUTE_MEMBERS, DEAFEN_MEMBERS and MOVE_MEMBERS"


# -- refusals --------------------------------------------------------------------------------------


async def test_a_bad_token_closes_with_4004(world):
    ann = world.user("ann")
    altered = ann.token[:-6] + ("A" if ann.token[-6] != "A" else "B") + ann.token[-5:]
    for token in ["", "nonsense", altered, ann.token + "x"]:
        client = await world.connect(ann)
        await client.send(2, client.identification(token=token))
        await client.closes_with(4004)


async def test_a_second_identify_closes_with_4005(world):
    client = await world.login(world.user())
    await client.send(2, client.identification())
    await client.closes_with(4005)


async def test_resuming_on_an_identified_socket_closes_with_4005(world):
    client = await world.login(world.user())
    await client.send_resume()
    await client.closes_with(4005)


@pytest.mark.parametrize("op", [3, 4, 8, 13, 14, 37])
async def test_anything_but_heartbeats_before_identify_closes_with_4003(world, op):
    client = await world.connect(world.user())
    await client.send(op, {"guild_id": None, "channel_id": None})
    await client.closes_with(4003)


@pytest.mark.parametrize("v", ["5", "7", "11", "99", "x"])
async def test_an_unknown_version_closes_with_4012(world, v):
    client = await world.client(world.user()).connect(f"v={v}&encoding=json")
    await client.closes_with(4012)


async def test_an_unknown_compression_is_refused(world):
    client = world.client(world.user())
    try:
        await client.connect("v=9&encoding=json&compress=lz77-stream")
    except WSServerHandshakeError as refusal:
        assert 400 <= refusal.status < 500
        return
    await client.closes_with(*range(4000, 4016))
    assert not client.controls, "no Hello to somebody who would not understand it"


@pytest.mark.parametrize("frame", [
    "", "hello", "{", '{"op":1,"d":null', "[1,2]", "1", '{"op":1,"d":nul}', '{"op":1}{"op":1}', "[" * 4000],
    ids=["empty", "word", "brace", "cut", "list", "number", "misspelt", "two", "deep"])
async def test_an_undecodable_frame_closes_with_4002(world, frame):
    client = await world.connect(world.user())
    await client.send_text(frame)
    await client.closes_with(4002)


async def test_a_binary_frame_that_is_no_utf8_closes_with_4002(world):
    client = await world.connect(world.user())
    await client.send_bytes(b'{"op":1,"d":"\xff\xfe\xc0"}')
    await client.closes_with(4002)


async def test_an_opcode_that_is_no_number_closes_the_connection(world):
    client = await world.connect(world.user())
    await client.send("hello", None)
    await client.closes_with(4001, 4002)


async def test_a_frame_of_15_kib_passes_and_a_larger_one_closes_with_4002(world):
    client = await world.connect(world.user())
    frame = '{"op":1,"d":null,"pad":"%s"}'
    await client.send_text(frame % ("x" * (15 * 1024 - len(frame) + 2)))
    await client.control(11)
    await client.send_text(frame % ("x" * (15 * 1024 - len(frame) + 3)))
    await client.closes_with(4002)


async def test_a_frame_of_a_megabyte_ends_its_own_connection_only(world):
    ann = world.user("ann")
    place = world.quiet_place(ann)
    neighbour, client = await world.login(ann), await world.connect(world.user())
    with suppress(ConnectionError):             # the server need not wait for the end of it
        await client.send_text('{"op":1,"d":null,"pad":"%s"}' % ("x" * (1 << 20)))
    await client.closes_with(4002, 1006)        # a close frame may get lost behind unread data
    await neighbour.quiet_until_call(place)


async def test_120_events_a_minute_pass_and_the_next_one_closes_with_4008(world):
    client = await world.connect(world.user())
    for _ in range(120):
        await client.send(1, None)
    for _ in range(120):
        await client.control(11)
    await client.send(1, None)
    await client.closes_with(4008)


async def test_an_impossible_shard_closes_with_4010(world):
    bot = world.bot()
    client = await world.connect(bot)
    await client.send(2, client.identification(shard=[2, 2]))
    await client.closes_with(4010)


async def test_one_clients_bad_frames_cost_its_neighbours_nothing(world):
    ann = world.user("ann")
    place = world.quiet_place(ann)
    good, bad = await world.login(ann), await world.login(world.user("eve"))
    await bad.send_text("{{{{")
    await bad.closes_with(4002)
    await good.quiet_until_call(place)


# -- ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [str, int], ids=["string", "integer"])
async def test_ids_are_understood_exactly_as_strings_and_as_64_bit_integers(world, form):
    ann, bob = world.users("ann", "bob")
    channel = world.dm(ann, bob)
    assert int(channel) > 1 << 53, "a smaller id would not tell doubles from integers"
    client = await world.login(ann)
    await client.join(form(channel))
    await client.sequence("MESSAGE_CREATE", "CALL_CREATE")
    await client.next("VOICE_STATE_UPDATE", channel_id=channel)
    await client.next("VOICE_SERVER_UPDATE", channel_id=channel)
    await client.ask_for_call(form(channel))
    await client.next("CALL_CREATE", channel_id=channel)


async def test_an_id_that_is_off_by_one_is_another_channel(world):
    ann, bob = world.users("ann", "bob")
    channel, place = world.dm(ann, bob), world.quiet_place(ann)
    client = await world.login(ann)
    await client.join(int(channel) + 1)
    await client.join(int(channel) - 1)
    await client.quiet_until_call(place)


async def test_the_capabilities_of_the_spec_are_the_ones_tested(world):
    wanted = {0, *range(2, 11), 12, 14}
    assert CAPABILITIES == sum(1 << bit for bit in wanted)
