"""The gateway's HTTP half alone: the real process and a real redis-server; records stand in Redis by hand, and the
services that carry out commands are played by the test."""
import base64
import hashlib
import hmac
import json
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis as redis_client

import bus
from harness import System, fetch, poll

ALONE = {"call-manager": 0, "region-allocator": 0, "message": 0}
ANN, BOB, CAT, DJ = 11, 22, 33, 44
GHOST = 55  # has a token, but no record
DM, GROUP, CLUB, TEXT, VOICE = 900, 901, 100, 110, 120
NOBODY = {"message": "401: Unauthorized", "code": 0}
NOT_FOUND = {"message": "404: Not Found", "code": 0}
WRONG_METHOD = {"message": "405: Method Not Allowed", "code": 0}
AWAY = {"message": "503: Service Unavailable", "code": 0}
REGIONS = [{"id": "here", "name": "Here", "optimal": True, "deprecated": False, "custom": False}]
JOINED_MS = 1420070400000
COMMAND_MS = 15000  # a test that is held up answers all the same


def text64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class House:
    """A gateway, a small world in Redis, and a peer for each service that it speaks to."""

    def __init__(self, env=None, peers=("message", "call-manager", "region-allocator")):
        self.system = System(instances=ALONE, world=None,
                             env={"gateway": {"SB_COMMAND_MS": COMMAND_MS, "SB_INSTANCE": "gateway-alone", "SB_IDENTIFY_RATE": 16} | (env or {})})
        self.redis = redis_client.Redis(port=self.system.redis_port)
        self.pool = ThreadPoolExecutor(16)
        self.peers = {}
        self._write_world()
        for kind in peers:
            self.add_peer(kind)

    def add_peer(self, kind):
        peer = bus.BusPeer(self.redis, kind)
        if kind == "region-allocator":
            peer.on_command = self._tell_regions
        self.peers[kind] = peer
        return peer

    @staticmethod
    def _tell_regions(command):
        if command.name == "regions_list":
            command.reply(json.dumps(REGIONS).encode())
        return command.name == "regions_list"

    def close(self):
        try:
            self.system.check_alive()
        finally:
            for peer in self.peers.values():
                peer.close()
            self.pool.shutdown()
            self.redis.close()
            self.system.stop()

    # -- the world -----------------------------------------------------------------------------

    def _write_world(self):
        for user, name, bot in ((ANN, "ann", False), (BOB, "bob", False), (CAT, "cat", False), (DJ, "dj", True)):
            self.hash(f"{{u:{user}}}:s", v=1, user=bus.pack("user", id=user, username=name, discriminator="0", bot=bot))
        self._channel(DM, 1, [ANN, BOB], last=905)
        self._channel(GROUP, 3, [ANN, BOB, CAT], owner=ANN, name="trio")
        self.hash(f"{{u:{ANN}}}:rel", **{str(BOB): 1, str(CAT): 2})
        self.hash(f"{{{CLUB}}}:s", v=1, guild=bus.pack("guild", id=CLUB, name="Club", owner=ANN))
        self.hash(f"{{{CLUB}}}:r", **{
            str(CLUB): bus.pack("role", id=CLUB, name="@everyone", permissions=1024),
            "101": bus.pack("role", id=101, name="Staff", permissions=1 << 24, position=1)})
        for position, (channel, kind, name) in enumerate(((TEXT, 0, "general"), (VOICE, 2, "Lounge"))):
            row = bus.pack("guild_channel", id=channel, type=kind, name=name, position=position)
            self.hash(f"{{{CLUB}}}:ch", **{str(channel): row})
            self.hash(f"{{{channel}}}:s", v=1, chan=bus.pack("channel", id=channel, type=kind, guild=CLUB, name=name))
        for user, roles in ((ANN, []), (BOB, [101]), (DJ, [])):
            self.hash(f"{{{CLUB}}}:mb", **{str(user): bus.pack("member", user=user, roles=roles, joined_at=JOINED_MS)})
            self.redis.zadd(f"{{{CLUB}}}:mi", {f"{user:020}": 0})
            self.hash(f"{{u:{user}}}:g", **{str(CLUB): ""})

    def _channel(self, id, kind, recipients, last=None, **more):
        fields = {"v": 1, "chan": bus.pack("channel", id=id, type=kind, recipients=recipients, **more)}
        self.hash(f"{{{id}}}:s", **fields | ({"last": last} if last else {}))
        for user in recipients:
            self.hash(f"{{u:{user}}}:ch", **{str(id): ""})

    def hash(self, key, **fields):
        self.redis.hset(key, mapping=fields)

    def token(self, user, issued_ms=None, secret=None):
        signed = f"{text64(str(user).encode())}.{text64((issued_ms or bus.now_ms()).to_bytes(8, 'big'))}"
        mac = hmac.new((secret or self.system.token_secret).encode(), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{text64(mac)}"

    # -- asking --------------------------------------------------------------------------------

    def ask(self, method, path, body=None, user=ANN, *, raw=None, headers=None, version="/v9"):
        """(status, answer); anything but a 204 has to be JSON and say so in exactly one way."""
        with self.raw(method, path, body, user, raw=raw, headers=headers, version=version) as answer:
            data = answer.read()
            assert bool(data) == (answer.status != 204), (method, path, answer.status, data)
            if data:
                assert answer.headers.get_all("Content-Type") == ["application/json"]
            return answer.status, json.loads(data) if data else None

    def raw(self, method, path, body=None, user=ANN, *, raw=None, headers=None, version="/v9"):
        """The answer as urllib has it."""
        head = {"Authorization": self.token(user)} if user else {}
        request = urllib.request.Request(self.system.api_base + version + path, method=method,
                                         data=raw if raw is not None else
                                         None if body is None else json.dumps(body).encode(),
                                         headers=head | {"Content-Type": "application/json"} | (headers or {}))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            return opener.open(request, timeout=30)
        except urllib.error.HTTPError as refusal:
            return refusal

    def begin(self, *args, **named):
        """A request on its way: a future of what ask gives."""
        return self.pool.submit(self.ask, *args, **named)

    def refused(self, status, code, *args, **named):
        got, body = self.ask(*args, **named)
        assert (got, body["code"]) == (status, code), body
        return body

    def commanded(self, kind, name, answer, *args, **named):
        """Asks, answers the command that comes of it (body or err), and returns (its fields, status, body)."""
        asked = self.begin(*args, **named)
        command = self.peers[kind].take_command()
        assert command.name == name
        if isinstance(answer, int):
            command.reply(err=answer)
        else:
            command.reply(answer)
        return command.fields, *asked.result(30)


@pytest.fixture(scope="module")
def house():
    house = House()
    yield house
    house.close()


@pytest.fixture(autouse=True)
def nothing_is_left_over(request):
    """Each command that the gateway sent was one that its test expected."""
    yield
    if "house" in request.fixturenames:
        house = request.getfixturevalue("house")
        house.system.check_alive()
        for kind, peer in house.peers.items():
            assert peer.commands.empty(), (kind, list(peer.commands.queue))


# -- who asks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["", "/v6", "/v7", "/v8", "/v9", "/v10"])
def test_the_gateway_address_is_made_from_the_host_that_was_asked(house, version):
    status, body = house.ask("GET", "/gateway", user=None, version=version)
    assert (status, body) == (200, {"url": house.system.gateway_url})
    status, body = house.ask("GET", "/gateway", user=None, version=version, headers={"Host": "switchboard.example:99"})
    assert (status, body) == (200, {"url": "ws://switchboard.example:99"})


@pytest.mark.parametrize("host", ["a\"b", "a/b", "a b", "a\\b"])
def test_a_strange_host_is_told_to_nobody(house, host):
    status, body = house.ask("GET", "/gateway", user=None, headers={"Host": host})
    assert status == 400 or body == {"url": house.system.gateway_url}


def test_tokens_are_taken_bare_or_with_their_kind_in_front(house):
    for scheme in ("", "Bot ", "Bearer "):
        status, me = house.ask("GET", "/users/@me", user=None, headers={"Authorization": scheme + house.token(DJ)})
        assert (status, me["id"], me["bot"]) == (200, str(DJ), True)


def test_a_token_that_is_not_ours_opens_nothing(house):
    good = house.token(ANN)
    for bad in ("", " ", "Bot", "Bot ", "Bearer ", good[:-1], good + "A", "Basic " + good, "Bot Bot " + good,
                house.token(ANN, secret="x" * 32), house.token(GHOST), good.replace(".", "..", 1)):
        for method, path in (("GET", "/users/@me"), ("POST", f"/channels/{DM}/call/ring")):
            assert house.ask(method, path, user=None, headers={"Authorization": bad}) == (401, NOBODY), bad


def test_revoked_tokens_open_nothing_and_new_ones_do(house):
    old = house.token(CAT, bus.now_ms() - 5000)
    headers = {"Authorization": old}
    assert house.ask("GET", "/users/@me", user=None, headers=headers)[0] == 200
    house.redis.hset("{u:0}:rv", str(CAT), bus.now_ms() - 1000)
    event = {"to": 1, "user": CAT, "place_op": 3}
    house.peers["message"].publish("gateway-alone", "gateway", bus.pack(
        "place_event", ref=1 << 63, version=1, at=bus.now_ms(), events=[event]))
    poll(lambda: house.ask("GET", "/users/@me", user=None, headers=headers) == (401, NOBODY), "the revocation")
    assert house.ask("GET", "/users/@me", user=CAT)[0] == 200
    assert house.ask("GET", "/users/@me", user=ANN)[0] == 200


USER_ONLY = [("GET", "/users/@me/channels"), ("GET", "/users/@me/relationships"),
             ("PUT", "/users/@me/relationships/22"), ("DELETE", "/users/@me/relationships/22"),
             ("GET", "/users/@me/settings-proto/1"), ("PUT", "/channels/901/recipients/22"),
             ("DELETE", "/channels/901/recipients/22"), ("POST", "/channels/900/messages/1/ack"),
             ("POST", "/read-states/ack-bulk"), ("GET", "/channels/900/call"), ("PATCH", "/channels/900/call"),
             ("POST", "/channels/900/call/ring"), ("POST", "/channels/900/call/stop-ringing")]


@pytest.mark.parametrize("method,path", USER_ONLY, ids=[" ".join(row) for row in USER_ONLY])
def test_bots_are_kept_from_what_is_for_users(house, method, path):
    house.refused(403, 20001, method, path, user=DJ)


def test_users_are_kept_from_what_is_for_bots(house):
    house.refused(403, 20002, "GET", "/oauth2/applications/@me", user=ANN)


def test_unknown_paths_and_wrong_methods(house):
    for path in ("/no/such/thing", "/", "/gateway/", "/users/@me/nothing", "/admin/users"):
        assert house.ask("GET", path) == (404, NOT_FOUND)
    for version in ("/v5", "/v11", "/vx", "/v9/v9"):
        assert house.ask("GET", "/gateway", version=version) == (404, NOT_FOUND)
    for method, path in (("DELETE", "/gateway"), ("PUT", "/users/@me/channels"), ("GET", f"/channels/{DM}/call/ring"),
                         ("POST", "/users/@me"), ("OPTIONS", f"/channels/{DM}")):
        assert house.ask(method, path) == (405, WRONG_METHOD)


def test_paths_are_percent_decoded(house):
    assert house.ask("GET", "/users/%40me")[1]["id"] == str(ANN)
    assert house.ask("GET", "/oauth2/applications/%40me", user=DJ)[0] == 200
    assert house.ask("GET", "/users/%40%6De/ch%61nnels")[0] == 200


# -- what is answered from the records ------------------------------------------------------------------


def test_bots_are_told_about_shards(house):
    assert house.ask("GET", "/gateway/bot", user=DJ) == (200, {
        "url": house.system.gateway_url, "shards": 1, "session_start_limit": {
            "total": 1000, "remaining": 999, "reset_after": 14400000, "max_concurrency": 16}})


def test_oneself_others_and_nobody(house):
    status, me = house.ask("GET", "/users/@me?with_analytics_token=true")
    assert status == 200 and me["analytics_token"]
    assert {key: me[key] for key in ("id", "username", "discriminator", "global_name", "avatar", "email", "flags")} == {
        "id": "11", "username": "ann", "discriminator": "0", "global_name": None, "avatar": None, "email": None,
        "flags": 0}
    assert "bot" not in me
    assert house.ask("GET", "/users/22")[1]["username"] == "bob"
    house.refused(404, 10013, "GET", "/users/77")
    house.refused(400, 50035, "GET", "/users/seven")


def test_a_bot_is_its_own_application(house):
    status, app = house.ask("GET", "/oauth2/applications/@me", user=DJ)
    assert status == 200
    assert (app["id"], app["name"], app["owner"]["id"], len(app["verify_key"])) == ("44", "dj", "44", 64)
    assert (app["bot_public"], app["bot_require_code_grant"], app["team"]) == (True, False, None)


def test_private_channels(house):
    status, channels = house.ask("GET", "/users/@me/channels")
    assert status == 200 and [c["id"] for c in channels] == ["900", "901"]
    assert [r["username"] for r in channels[0]["recipients"]] == ["bob"]
    assert (channels[0]["last_message_id"], channels[1]["last_message_id"]) == ("905", None)
    assert (channels[1]["name"], channels[1]["owner_id"], len(channels[1]["recipients"])) == ("trio", "11", 2)
    assert house.ask("GET", "/channels/900") == (200, channels[0])
    assert house.ask("GET", "/users/@me/dms/22") == (200, channels[0])
    assert [c["id"] for c in house.ask("GET", "/users/@me/channels", user=CAT)[1]] == ["901"]
    house.refused(404, 10003, "GET", "/users/@me/dms/33")
    house.refused(404, 10003, "GET", "/channels/900", user=CAT)
    house.refused(404, 10003, "GET", "/channels/900", user=DJ)
    house.refused(404, 10003, "GET", "/channels/777")


def test_ids_beyond_what_records_have_name_nothing(house):
    for wrong in ("abc", "-1", "99999999999999999999999", "9223372036854775819"):  # the last is user 11's, as a record
        house.refused(400, 50035, "GET", f"/channels/{wrong}")
    house.refused(404, 10003, "GET", "/channels/9223372036854775807")
    house.refused(404, 10003, "GET", "/channels/0")


def test_guilds(house):
    status, guild = house.ask("GET", "/guilds/100?with_counts=true", user=BOB)
    assert status == 200
    assert (guild["id"], guild["name"], guild["owner_id"], guild["approximate_member_count"]) == ("100", "Club", "11", 3)
    assert [(r["id"], r["permissions"]) for r in guild["roles"]] == [("100", "1024"), ("101", str(1 << 24))]
    status, channels = house.ask("GET", "/guilds/100/channels", user=DJ)
    assert [(c["id"], c["type"], c["guild_id"]) for c in channels] == [("110", 0, "100"), ("120", 2, "100")]
    assert "bitrate" not in channels[0] and channels[1]["bitrate"] == 64000
    assert house.ask("GET", "/channels/120", user=DJ) == (200, channels[1])
    status, mine = house.ask("GET", "/users/@me/guilds", user=BOB)
    assert [(g["id"], g["owner"], g["permissions"]) for g in mine] == [("100", False, str(1024 | 1 << 24))]
    assert house.ask("GET", "/users/@me/guilds", user=CAT) == (200, [])
    status, member = house.ask("GET", "/guilds/100/members/22")
    assert (member["user"]["username"], member["roles"]) == ("bob", ["101"])
    assert member["joined_at"] == "2015-01-01T00:00:00.000000+00:00"
    assert [m["user"]["id"] for m in house.ask("GET", "/guilds/100/members?limit=9")[1]] == ["11", "22", "44"]
    assert [m["user"]["id"] for m in house.ask("GET", "/guilds/100/members?limit=1&after=11")[1]] == ["22"]
    house.refused(404, 10007, "GET", "/guilds/100/members/33")


@pytest.mark.parametrize("path", ["", "/channels", "/members", "/members/11", "/regions"])
def test_guilds_are_not_there_for_who_is_no_member(house, path):
    house.refused(404, 10004, "GET", f"/guilds/100{path}", user=CAT)
    house.refused(404, 10004, "GET", f"/guilds/101{path}", user=ANN)


def test_a_guilds_channel_is_hidden_from_who_is_no_member(house):
    house.refused(404, 10003, "GET", "/channels/110", user=CAT)
    house.refused(404, 10003, "GET", "/channels/110/call", user=CAT)


def test_relationships(house):
    status, listed = house.ask("GET", "/users/@me/relationships")
    assert [(r["id"], r["type"], r["user"]["username"]) for r in listed] == [("22", 1, "bob"), ("33", 2, "cat")]


def test_harmless_things_that_browsers_ask(house):
    assert house.ask("GET", "/users/@me/settings-proto/1") == (200, {"settings": ""})
    for path in ("/science", "/metrics", "/track"):
        assert house.ask("POST", path, {"events": []}, user=None) == (204, None)
        assert house.ask("POST", path, raw=b"\xff no JSON") == (204, None)


def test_an_eligible_call(house):
    assert house.ask("GET", "/channels/900/call") == (200, {"ringable": True})
    house.refused(404, 10003, "GET", "/channels/900/call", user=CAT)
    house.refused(400, 50024, "GET", "/channels/120/call")


# -- what becomes a command ------------------------------------------------------------------------------


COMMANDS = [  # method, path, body, who it is for, its name and fields, the status of a success
    ("POST", "/users/@me/channels", {"recipients": ["22"]}, "message",
     "channel_open", dict(user=ANN, recipients=[22], group=False, name=None), 200),
    ("POST", "/users/@me/channels", {"recipients": ["22", 33]}, "message",
     "channel_open", dict(user=ANN, recipients=[22, 33], group=True, name=None), 200),
    ("POST", "/users/@me/channels", {"recipient_id": 22}, "message",
     "channel_open", dict(user=ANN, recipients=[22], group=False, name=None), 200),
    ("PATCH", "/channels/901", {"name": "Grüße"}, "message",
     "channel_edit", dict(user=ANN, channel=901, set=1, name="Grüße", icon=None), 200),
    ("PUT", "/channels/901/recipients/44", None, "call-manager",
     "recipient_add", dict(user=ANN, channel=901, target=44), 204),
    ("DELETE", "/channels/901/recipients/33", None, "call-manager",
     "recipient_remove", dict(user=ANN, channel=901, target=33), 204),
    ("GET", "/channels/900/messages?limit=3&before=905", None, "message",
     "message_list", dict(user=ANN, channel=900, limit=3, before=905, after=0, around=0), 200),
    ("POST", "/channels/900/messages", {"content": "x\U0001F680", "nonce": 1098765432109876543, "tts": True}, "message",
     "message_send", dict(user=ANN, channel=900, content="x\U0001F680", nonce="1098765432109876543", tts=True, flags=0),
     200),
    ("GET", "/channels/900/messages/901", None, "message",
     "message_get", dict(user=ANN, channel=900, message=901), 200),
    ("PATCH", "/channels/900/messages/901", {"content": "y"}, "message",
     "message_edit", dict(user=ANN, channel=900, message=901, content="y"), 200),
    ("DELETE", "/channels/900/messages/901", None, "message",
     "message_delete", dict(user=ANN, channel=900, message=901), 204),
    ("POST", "/channels/900/typing", None, "message", "typing", dict(user=ANN, channel=900), 204),
    ("POST", "/channels/900/messages/901/ack", {"token": None, "manual": True, "mention_count": 2}, "message",
     "message_ack", dict(user=ANN, channel=900, message=901, manual=True, mention_count=2), 200),
    ("PUT", "/users/@me/relationships/22", {"type": 2}, "message",
     "relationship_put", dict(user=ANN, target=22, type=2, by_admin=False), 204),
    ("DELETE", "/users/@me/relationships/22", None, "message",
     "relationship_put", dict(user=ANN, target=22, type=0, by_admin=False), 204),
    ("POST", "/channels/900/call/ring", {"recipients": None}, "call-manager",
     "call_ring", dict(user=ANN, channel=900, all=True, recipients=[]), 204),
    ("POST", "/channels/900/call/ring", {"recipients": [22]}, "call-manager",
     "call_ring", dict(user=ANN, channel=900, all=False, recipients=[22]), 204),
    ("POST", "/channels/900/call/stop-ringing", {}, "call-manager",
     "call_stop_ringing", dict(user=ANN, channel=900, recipients=[]), 204),
    ("PATCH", "/channels/900/call", {"region": "here"}, "call-manager",
     "call_region", dict(user=ANN, channel=900, region="here"), 204),
]
COMMAND_IDS = [f"{row[0]} {row[1]} {json.dumps(row[2])}" for row in COMMANDS]


@pytest.mark.parametrize("method,path,body,kind,name,fields,status", COMMANDS, ids=COMMAND_IDS)
def test_a_request_becomes_one_command_and_its_answer(house, method, path, body, kind, name, fields, status):
    said = b'{"said":"by the service"}' if status == 200 else b""
    asked, got, answer = house.commanded(kind, name, said, method, path, body)
    assert asked == fields
    assert (got, answer) == (status, json.loads(said) if said else None)


@pytest.mark.parametrize("method,path,body,kind,name,fields,status", COMMANDS, ids=COMMAND_IDS)
def test_a_refusal_is_told_with_its_code(house, method, path, body, kind, name, fields, status):
    _, got, answer = house.commanded(kind, name, 10003, method, path, body)
    assert (got, answer) == (404, {"message": "Unknown Channel", "code": 10003})


def test_who_leaves_a_group_is_shown_it_once_more(house):
    asked, status, channel = house.commanded("call-manager", "recipient_remove", b"", "DELETE", "/channels/901", user=BOB)
    assert asked == dict(user=BOB, channel=901, target=BOB)
    assert (status, channel["id"], channel["name"]) == (200, "901", "trio")
    house.refused(403, 50003, "DELETE", "/channels/900")
    house.refused(404, 10003, "DELETE", "/channels/900", user=CAT)


def test_regions_are_the_allocators(house):
    for user in (ANN, DJ):
        assert house.ask("GET", "/voice/regions", user=user) == (200, REGIONS)
        assert house.ask("GET", "/guilds/100/regions", user=user) == (200, REGIONS)


def test_a_form_error_of_a_service_is_passed_on_whole(house):
    error = {"message": "Invalid Form Body", "code": 50035, "errors": {"region": {"_errors": [
        {"code": "BASE_TYPE_CHOICES", "message": "Value must be a known region."}]}}}
    asked = house.begin("PATCH", "/channels/900/call", {"region": "nowhere"})
    house.peers["call-manager"].take_command("call_region", region="nowhere").reply(json.dumps(error).encode(), 50035)
    assert asked.result(30) == (400, error)


def test_nothing_to_change_is_no_error(house):
    _, status, body = house.commanded("call-manager", "call_stop_ringing", bus.ERR["STATE"], "POST",
                                      "/channels/900/call/stop-ringing", {})
    assert (status, body) == (204, None)


@pytest.mark.parametrize("err,status", [(bus.ERR["TIMEOUT"], 503), (bus.ERR["FULL"], 503), (bus.ERR["INVALID"], 500)])
def test_trouble_of_a_service_is_told_as_such(house, err, status):
    _, got, body = house.commanded("message", "message_get", err, "GET", "/channels/900/messages/901")
    assert (got, body["code"]) == (status, 0)


def test_an_answer_without_a_word_where_one_is_due_is_our_fault(house):
    _, status, body = house.commanded("message", "message_get", b"", "GET", "/channels/900/messages/901")
    assert (status, body["code"]) == (500, 0)


def test_many_read_states_become_many_commands(house):
    states = [{"channel_id": str(DM), "message_id": "905", "read_state_type": 0},
              {"channel_id": GROUP, "message_id": 906}, {"channel_id": "1", "message_id": "2", "read_state_type": 1}]
    asked = house.begin("POST", "/read-states/ack-bulk", {"read_states": states})
    house.peers["message"].take_command("message_ack", channel=DM, message=905, user=ANN).reply(err=10003)
    assert not asked.done()
    house.peers["message"].take_command("message_ack", channel=GROUP, message=906).reply(b'{"token":null}')
    assert asked.result(30) == (204, None)
    assert house.ask("POST", "/read-states/ack-bulk", {"read_states": []}) == (204, None)


def test_a_command_that_is_answered_late_is_repeated_and_answered_once(house):
    asked = house.begin("GET", "/channels/900/messages/901")
    command = house.peers["message"].take_command("message_get")
    before = bus.now_ms()
    poll(lambda: bus.now_ms() - before > 600, "the command to be repeated")  # every 250 ms
    command.reply(b"{}")
    assert asked.result(30) == (200, {})


def test_a_multipart_message_is_read_from_its_payload(house):
    raw = (b'--b1\r\nContent-Disposition: form-data; name="files[0]"; filename="a"\r\n\r\nbytes\r\n'
           b'--b1\r\nContent-Disposition: form-data; name="payload_json"\r\nContent-Type: application/json\r\n\r\n'
           b'{"content":"from a form"}\r\n--b1--\r\n')
    asked, status, _ = house.commanded("message", "message_send", b"{}", "POST", "/channels/900/messages", raw=raw,
                                       headers={"Content-Type": "multipart/form-data; boundary=b1"})
    assert (asked["content"], status) == ("from a form", 200)


# -- what is malformed -----------------------------------------------------------------------------------


WITH_BODY = [row[:2] for row in COMMANDS if row[2] is not None]


@pytest.mark.parametrize("method,path", sorted(set(WITH_BODY)), ids=lambda part: part)
def test_a_body_that_is_no_json_is_refused(house, method, path):
    for raw in (b"{", b"hello", b'{"content":"x"', b"\xff\xfe", b"[" * 5000, b'{"a":"\xff"}', b"{}{}"):
        house.refused(400, 50109, method, path, raw=raw)
    for raw in (b"[]", b"7", b'"text"', b"null", b"true"):
        house.refused(400, 50035, method, path, raw=raw)


@pytest.mark.parametrize("method,path,body,field", [
    ("POST", "/users/@me/channels", {"recipients": "bob"}, "recipients"),
    ("POST", "/users/@me/channels", {"recipients": [{}]}, "recipients"),
    ("POST", "/users/@me/channels", {"recipient_id": "9223372036854775819"}, "recipient_id"),
    ("POST", "/channels/900/messages", {"content": ["x"]}, "content"),
    ("POST", "/channels/900/messages", {"content": "x" * 16001}, "content"),
    ("POST", "/channels/900/messages", {"nonce": {}}, "nonce"),
    ("POST", "/channels/900/call/ring", {"recipients": 7}, "recipients"),
    ("POST", "/channels/900/call/ring", {"recipients": list(range(33))}, "recipients"),
    ("PATCH", "/channels/900/call", {"region": 7}, "region"),
    ("PATCH", "/channels/900/call", {"region": "x" * 65}, "region"),
    ("PUT", "/users/@me/relationships/22", {"type": 3}, "type"),
    ("PATCH", "/channels/901", {"icon": "data:image/png;base64," + "A" * 100}, "icon"),
    ("GET", "/channels/900/messages?limit=0", None, "limit"),
    ("GET", "/channels/900/messages?limit=101", None, "limit"),
    ("GET", "/channels/900/messages?before=x", None, "before"),
    ("GET", "/channels/900/messages/x", None, "message_id"),
    ("GET", "/guilds/100/members?limit=1001", None, "limit"),
    ("GET", "/users/@me/guilds?limit=201", None, "limit"),
])
def test_a_wrong_field_is_named(house, method, path, body, field):
    error = house.refused(400, 50035, method, path, body)
    found = error["errors"][field]
    found = found if "_errors" in found else found["0"]
    assert found["_errors"][0]["code"] and found["_errors"][0]["message"]


def test_calls_are_checked_before_anything_is_sent(house):
    for method, path, body in (("POST", "/call/ring", {}), ("POST", "/call/stop-ringing", {}),
                               ("PATCH", "/call", {"region": "here"})):
        house.refused(404, 10003, method, f"/channels/{DM}{path}", body, user=CAT)
        house.refused(404, 10003, method, f"/channels/777{path}", body)
        house.refused(400, 50024, method, f"/channels/{VOICE}{path}", body)
    assert house.ask("POST", "/channels/900/call/ring", {"recipients": []}) == (204, None)
    assert house.ask("PATCH", "/channels/900/call", {}) == (204, None)


def test_a_body_that_is_too_large_is_refused(house):
    status, _ = house.ask("POST", "/channels/900/messages", raw=b" " * (300 * 1024))
    assert status == 413
    assert house.ask("GET", "/users/@me")[0] == 200


# -- who goes away, and who is away ----------------------------------------------------------------------


def raw_request(house, path, user=ANN):
    link = socket.create_connection(("127.0.0.1", house.system.services["gateway"].ports["public"]), timeout=10)
    link.sendall(f"GET /api/v9{path} HTTP/1.1\r\nHost: x\r\nAuthorization: {house.token(user)}\r\n\r\n".encode())
    return link


def test_a_client_that_leaves_before_its_answer_harms_nobody(house):
    links = [raw_request(house, f"/channels/900/messages/{i}") for i in range(20)]
    commands = [house.peers["message"].take_command("message_get") for _ in links]
    for link in links[:10]:
        link.close()
    for link in links[10:]:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not a farewell
        link.close()
    for command in commands:
        command.reply(b"{}")
    assert house.ask("GET", "/users/@me")[0] == 200


def test_requests_one_after_another_on_one_connection(house):
    link = raw_request(house, "/users/22")
    with link:
        answer = link.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ") and b'"bob"' in answer
        link.sendall(b"GET /api/v9/gateway HTTP/1.1\r\nHost: y\r\n\r\n")
        assert b'{"url":"ws://y"}' in link.recv(65536)


@pytest.mark.parametrize("path,body", [("/channels/900/messages/901", None), ("/voice/regions", None),
                                       ("/channels/900/call/ring", {})])
def test_what_nobody_answers_is_unavailable(path, body):
    lonely = House({"SB_COMMAND_MS": 500}, peers=())
    try:
        assert lonely.ask("POST" if body is not None else "GET", path, body) == (503, AWAY)
        assert lonely.ask("GET", "/users/@me")[0] == 200
        status, _, answer = fetch("POST", lonely.system.admin_url + "/admin/users", {"username": "ann"},
                                  {"Authorization": f"Bearer {lonely.system.admin_token}"})
        assert (status, json.loads(answer)) == (503, AWAY)
    finally:
        lonely.close()


def test_only_so_many_requests_wait_at_a_time():
    small = House({"SB_REST_PENDING_MAX": 3, "SB_COMMAND_MS": 30000}, peers=("message",))
    try:
        waiting = [small.begin("GET", f"/channels/900/messages/{i}") for i in range(3)]
        commands = [small.peers["message"].take_command("message_get") for _ in waiting]
        assert small.refused(503, 130000, "GET", "/gateway")["message"]
        for command in commands:
            command.reply(b"{}")
        assert [future.result(30) for future in waiting] == [(200, {})] * 3
        assert small.ask("GET", "/users/@me")[0] == 200
    finally:
        small.close()


def test_one_account_asks_only_so_often_and_costs_others_none():
    slow = House({"SB_REST_RATE": 5}, peers=())
    try:
        statuses = []

        def burst():
            """At once, so that they are too many for a second: those that are refused, after five at least were not."""
            answers = list(slow.pool.map(lambda _: slow.raw("GET", "/users/@me"), range(12)))
            assert slow.ask("GET", "/gateway", user=None)[0] == 200, "who is nobody has no account to be counted for"
            statuses.extend(answer.status for answer in answers)
            assert {*statuses} <= {200, 429} and statuses.count(200) >= 5, statuses
            return [answer for answer in answers if answer.status == 429]

        refused = poll(burst, "one to be refused")[0]
        body = json.loads(refused.read())
        assert body | {"retry_after": 0} == {"message": "You are being rate limited.", "retry_after": 0, "global": True,
                                             "code": 0}
        assert 0 <= body["retry_after"] <= 1
        assert {key: refused.headers[key] for key in ("Retry-After", "X-RateLimit-Global", "X-RateLimit-Scope")} == {
            "Retry-After": "1", "X-RateLimit-Global": "true", "X-RateLimit-Scope": "user"}
        assert refused.headers["Via"], "discord.py gives up at a 429 without it"
        assert slow.ask("GET", "/users/@me", user=BOB)[0] == 200
        poll(lambda: slow.ask("GET", "/users/@me")[0] == 200, "the next second")
        assert bus.metrics_of(slow.system, "gateway")["http_refused"] >= 1
    finally:
        slow.close()


def test_without_redis_the_records_are_unavailable_and_then_there_again():
    house = House()
    try:
        assert house.ask("GET", "/users/@me")[0] == 200
        house.system._stop_redis()
        for method, path in (("GET", "/users/@me"), ("GET", "/channels/900"), ("GET", "/users/@me/channels"),
                             ("POST", "/channels/900/call/ring")):
            assert house.ask(method, path) == (503, AWAY)
        assert house.ask("GET", "/gateway", user=None)[0] == 200
        house.system.start_all()
        poll(lambda: house.ask("GET", "/users/@me")[0] == 200, "the records to be there again")
    finally:
        house.close()


def test_a_stop_waits_for_answers_but_not_for_ever():
    house = House({"SB_COMMAND_MS": 60000}, peers=("message",))
    try:
        answered = house.begin("GET", "/channels/900/messages/901")
        command = house.peers["message"].take_command("message_get", message=901)
        unanswered = raw_request(house, "/channels/900/messages/902")
        house.peers["message"].take_command("message_get", message=902)
        ended = house.pool.submit(house.system.terminate, "gateway")
        log = house.system.services["gateway"].log
        poll(lambda: "service.stopping" in log.read_text(), "the stop to begin")
        command.reply(b"{}")
        assert answered.result(30) == (200, {})
        ended.result(30)  # in time, and with status 0
        unanswered.close()
    finally:
        house.close()


# -- the admin port --------------------------------------------------------------------------------------


def admin(house, method, path, body=None, token=None):
    reply = house.system.admin(method, path, body, token=token)
    return reply.status, reply.json


def admin_asked(house, *args):
    return house.pool.submit(admin, house, *args)


@pytest.mark.parametrize("token", ["", "wrong", "0" * 32])
def test_the_admin_port_knows_one_token(house, token):
    for method, path in (("GET", "/admin/users"), ("POST", "/admin/users"), ("GET", "/admin/list"), ("GET", "/nothing"),
                         ("POST", "/admin/load"), ("DELETE", "/admin/users/ann/tokens")):
        assert admin(house, method, path, token=token) == (401, NOBODY)


def test_admin_paths_and_methods(house):
    assert admin(house, "GET", "/admin") == (404, NOT_FOUND)
    assert admin(house, "GET", "/api/gateway") == (404, NOT_FOUND)
    assert admin(house, "DELETE", "/admin/users") == (405, WRONG_METHOD)


def test_the_public_port_knows_no_admin_paths(house):
    status, _, _ = fetch("GET", house.system.api_base.removesuffix("/api") + "/admin/users", None,
                         {"Authorization": f"Bearer {house.system.admin_token}"})
    assert status == 404


def test_a_user_is_made_and_its_token_is_good(house):
    made = admin_asked(house, "POST", "/admin/users", {"username": "ann", "global_name": "Ann"})
    command = house.peers["message"].take_command("user_put")
    assert command.fields == dict(id=0, username="ann", global_name="Ann", bot=False)
    command.reply(b'{"id":"11","username":"ann","global_name":"Ann","bot":false}')
    status, user = made.result(30)
    assert status == 200
    token = user.pop("token")
    assert user == {"id": "11", "username": "ann", "global_name": "Ann", "bot": False}
    assert house.ask("GET", "/users/@me", user=None, headers={"Authorization": token})[1]["id"] == "11"


def test_a_taken_name_or_id_is_a_conflict(house):
    error = {"message": "Invalid Form Body", "code": 50035, "errors": {"username": {"_errors": [
        {"code": "USERNAME_ALREADY_TAKEN", "message": "Username is already taken."}]}}}
    made = admin_asked(house, "POST", "/admin/users", {"username": "ann"})
    house.peers["message"].take_command("user_put").reply(json.dumps(error).encode(), 50035)
    assert made.result(30) == (409, error)
    made = admin_asked(house, "POST", "/admin/users", {"username": "ann", "id": "800"})
    house.peers["message"].take_command("user_find", name="800").reply(b'{"id":"800","username":"x"}')
    assert made.result(30)[0] == 409


def test_tokens_are_minted_and_revoked_by_name(house):
    minted = admin_asked(house, "POST", "/admin/users/d%20j/token")
    house.peers["message"].take_command("user_find", name="d j").reply(b'{"id":"44","username":"d j","bot":true}')
    status, user = minted.result(30)
    assert (status, user["id"], user["username"], set(user)) == (200, "44", "d j", {"id", "username", "token"})
    revoked = admin_asked(house, "DELETE", "/admin/users/44/tokens")
    house.peers["message"].take_command("user_find", name="44").reply(b'{"id":"44","username":"d j"}')
    command = house.peers["message"].take_command("token_revoke", user=44)
    issued = int.from_bytes(base64.urlsafe_b64decode(user["token"].split(".")[1] + "="), "big")
    assert command.fields["before"] > issued
    command.reply()
    assert revoked.result(30) == (204, None)


def test_private_channels_and_friendships_are_made_by_names(house):
    for path, expected, name, answer in (
            ("/admin/dms", dict(user=11, recipients=[22], group=False, name=None), "channel_open", b'{"id":"900"}'),
            ("/admin/groups", dict(user=11, recipients=[11, 22], group=True, name=None), "channel_open", b'{"id":"901"}'),
            ("/admin/friends", dict(user=11, target=22, type=1, by_admin=True), "relationship_put", b"")):
        asked = admin_asked(house, "POST", path, {"users": ["ann", "22"]})
        house.peers["message"].take_command("user_find", name="22").reply(b'{"id":"22"}')
        house.peers["message"].take_command("user_find", name="ann").reply(b'{"id":"11"}')
        command = house.peers["message"].take_command(name)
        assert command.fields == expected
        command.reply(answer)
        assert asked.result(30) == ((200, json.loads(answer)) if answer else (204, None))
    asked = admin_asked(house, "POST", "/admin/dms", {"users": ["ann", "nobody"]})
    house.peers["message"].take_command("user_find", name="ann").reply(b'{"id":"11"}')
    house.peers["message"].take_command("user_find", name="nobody").reply(err=10013)
    assert asked.result(30) == (404, {"message": "Unknown User", "code": 10013})


def test_a_world_is_loaded_and_its_people_get_tokens(house):
    document = {"users": [{"name": "ann"}], "bots": [{"name": "dj"}]}
    asked = admin_asked(house, "POST", "/admin/load", document)
    command = house.peers["message"].take_command("world_load")
    assert json.loads(command.fields["document"]) == document
    answer = {"users": [{"id": "11", "username": "ann"}], "bots": [{"id": "44", "username": "dj"}], "dms": [],
              "groups": [], "guilds": []}
    command.reply(json.dumps(answer).encode())
    status, world = asked.result(30)
    assert status == 200 and list(world) == list(answer)
    for person in (world["users"][0], world["bots"][0]):
        headers = {"Authorization": person["token"]}
        assert house.ask("GET", "/users/@me", user=None, headers=headers)[1]["id"] == person["id"]


def test_lists_are_passed_on(house):
    for path, users_only in (("/admin/users", True), ("/admin/list", False)):
        asked = admin_asked(house, "GET", path)
        house.peers["message"].take_command("directory_list", users_only=users_only).reply(b'[{"id":"11"}]')
        assert asked.result(30) == (200, [{"id": "11"}])


def test_admin_bodies_that_are_none_are_refused(house):
    for path in ("/admin/users", "/admin/dms", "/admin/groups", "/admin/friends"):
        for body in ([], 7, {"username": 7, "users": 7}, {"username": "x" * 200, "users": []}):
            status, error = admin(house, "POST", path, body)
            assert status == 400 and error["message"], (path, body)


def test_neither_tokens_nor_texts_are_in_the_log(house):
    _, status, _ = house.commanded("message", "message_send", b"{}", "POST", "/channels/900/messages",
                                   {"content": "a text that nobody else reads"})
    assert status == 200
    log = house.system.services["gateway"].log.read_text(errors="replace")
    assert "a text that nobody else reads" not in log
    assert house.system.admin_token not in log and house.system.token_secret not in log


# -- guilds that change ------------------------------------------------------------------------

def test_a_change_of_a_guild_is_the_call_managers(house):
    fields, status, body = house.commanded("call-manager", "member_edit", b'{"nick":"B"}', "PATCH", "/guilds/100/members/22",
                                           {"nick": "B", "channel_id": None}, user=DJ)
    assert (status, body, fields["set"], fields["channel"]) == (200, {"nick": "B"}, 12, 0)
    assert (fields["user"], fields["guild"], fields["target"], fields["to"]["nick"]) == (DJ, CLUB, BOB, "B")
    fields, status, body = house.commanded("call-manager", "channel_put", b'{"id":"120"}', "PATCH", "/channels/120",
                                           {"user_limit": 5})
    assert (status, fields["guild"], fields["to"]["id"], fields["to"]["user_limit"], fields["set"]) == (200, CLUB, VOICE, 5, 16)
    fields, status, body = house.commanded("call-manager", "channel_put", b'{"id":"120"}', "PUT",
                                           "/channels/120/permissions/101", {"type": 0, "allow": "1024", "deny": "0"})
    assert (status, body, fields["only"], fields["set"]) == (204, None, 101, 64)
    assert fields["to"]["overwrites"] == [{"id": 101, "type": 0, "allow": 1024, "deny": 0}]
    _, status, body = house.commanded("call-manager", "channel_put", 50013, "POST", "/guilds/100/channels", {"name": "x"})
    assert (status, body["code"]) == (403, 50013)
    _, status, body = house.commanded("call-manager", "channel_put", b'{"id":"130"}', "POST", "/guilds/100/channels",
                                      {"name": "x"})
    assert (status, body) == (201, {"id": "130"})


def test_voice_states_and_stages_are_read_from_the_guild(house):
    seat = bus.pack("voice_seat", user=BOB, channel=VOICE, session="s", epoch=1, self_mute=True)
    house.hash(f"{{{CLUB}}}:vs", **{str(BOB): seat})
    house.hash(f"{{{CLUB}}}:st", **{str(VOICE): bus.pack("stage", id=7, channel=VOICE, topic="t", privacy=2)})
    status, state = house.ask("GET", "/guilds/100/voice-states/22", user=DJ)
    assert (status, state["channel_id"], state["guild_id"], state["self_mute"]) == (200, str(VOICE), str(CLUB), True)
    assert state["member"]["roles"] == ["101"]
    house.refused(404, 10065, "GET", "/guilds/100/voice-states/@me", user=DJ)
    house.refused(403, 20002, "GET", "/guilds/100/voice-states/22", user=BOB)
    assert house.ask("GET", f"/stage-instances/{VOICE}")[1]["topic"] == "t"
    house.refused(404, 10067, "GET", f"/stage-instances/{TEXT}")
    house.redis.delete(f"{{{CLUB}}}:vs", f"{{{CLUB}}}:st")


def test_the_operator_changes_a_guild_in_nobodys_name(house):
    guild = {"id": str(CLUB), "name": "Club", "channels": [{"id": str(VOICE), "name": "Lounge"}],
             "roles": [{"id": "101", "name": "Staff"}]}

    def found():
        house.peers["message"].take_command("guild_find", name="Club").reply(json.dumps(guild).encode())

    asked = admin_asked(house, "PATCH", "/admin/guilds/Club/channels/Lounge", {"rtc_region": "here"})
    found()
    command = house.peers["call-manager"].take_command("channel_put", user=0, guild=CLUB)
    assert (command.fields["to"]["id"], command.fields["to"]["rtc_region"], command.fields["set"]) == (VOICE, "here", 32)
    command.reply(b'{"id":"120"}')
    assert asked.result(30) == (200, {"id": "120"})

    asked = admin_asked(house, "DELETE", "/admin/guilds/Club/members/bob")
    house.peers["message"].take_command("user_find", name="bob").reply(b'{"id":"22"}')
    found()
    house.peers["call-manager"].take_command("member_remove", user=0, guild=CLUB, target=BOB).reply()
    assert asked.result(30) == (204, None)

    asked = admin_asked(house, "GET", "/admin/guilds/Club/members?after=11&limit=5")
    found()
    house.peers["message"].take_command("guild_members", guild=CLUB, after=11, limit=5).reply(b"[]")
    assert asked.result(30) == (200, [])
    asked = admin_asked(house, "POST", "/admin/guilds/Club/roles", {"name": "x"})
    house.peers["message"].take_command("guild_find", name="Club").reply(err=10004)
    assert asked.result(30) == (404, {"message": "Unknown Guild", "code": 10004})
