"""What is secret stands in no log, no dump and no metric: tokens, secrets, passwords, voice tokens and keys, what people
say, and what they write: messages, nicknames, topics and statuses, descriptions, names of guilds, channels and roles, what they play.
A world is driven through with everything logged, well and badly, and then all that any process has said is searched."""
import base64
import contextlib
import json
import secrets
import signal

import aiohttp
import pytest

import calls
from bus import redis_of
from client import Client
from gateway_house import until
from hall import Hall, ask, play, recorded, until_over
from harness import KINDS, fetch
from voice_client import VoiceClient

# Some of it is refused when a request has waited for as long as it may.
SYSTEM = {"env": {"*": {"SB_LOG_LEVEL": "debug"}, "gateway": {"SB_COMMAND_MS": 5000}}, "nodes": {"node-1": "rotterdam"}}


class Secrets:
    """Texts that nobody may find, by what they are."""

    def __init__(self):
        self.known = {}

    def add(self, what, text):
        assert len(text) >= 8, f"{what} is too short to be looked for"
        self.known[text] = what
        return text

    def fresh(self, what):
        return self.add(what, f"x{secrets.token_hex(12)}")

    def found_in(self, text):
        return sorted({what for secret, what in self.known.items()
                       for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex())
                       if form in text})


@pytest.fixture(scope="module")
def hidden(system):
    """Everything that this system knows from its start on. Redis wants a password from now on, too."""
    found = Secrets()
    found.add("the admin token", system.admin_token)
    found.add("the token secret", system.token_secret)
    for person in system.demo["users"] + system.demo["bots"]:
        found.add("a client token", person["token"])
    password = found.fresh("the password of Redis")
    with redis_of(system) as redis:
        redis.config_set("requirepass", password)
    for service in system.services.values():
        service.env["REDIS_URL"] = f"redis://:{password}@127.0.0.1:{system.redis_port}/0"
        system.terminate(service.name)
    system.start_all()
    return found


async def everything_said(system):
    """{log or page: all of it}, after every process has dumped its state."""
    def dumps(service):
        return service.log.read_text().count("\n--- ")

    for service in system.services.values():
        before = dumps(service)
        service.proc.send_signal(signal.SIGUSR1)
        await until(lambda s=service, n=before: dumps(s) > n, f"the dump of {service.name}")
    texts = {path.name: path.read_text(errors="replace") for path in system.dir.glob("*.log")}
    for name in system.services:
        for page in ("/healthz", "/readyz", "/metrics", "/"):
            texts[name + page] = fetch("GET", system.health_url_of(name) + page)[2].decode()
    return texts


async def nothing_told(system, hidden, *people):
    """These people have left traces, but nothing that is theirs alone."""
    texts = await everything_said(system)
    assert len(texts) == 5 * len(KINDS) + 1 and "level=debug" in texts["gateway.log"]
    assert all(any(person.id in text for text in texts.values()) for person in people)
    told = {where: hidden.found_in(text) for where, text in texts.items()}
    assert not {where: what for where, what in told.items() if what}


async def test_a_day_of_calls_and_messages(system, world, hidden):
    ada, ben = world.users("ada", "ben")
    for account in (ada, ben):
        hidden.add("a client token", account.token)
    channel = world.dm(ada, ben)
    one, two = await world.login(ada), await world.login(ben, compress="zlib-stream")
    call = await calls.start(one, two, channel=channel)
    await one.rest.ring(channel)
    for client in (one, two):
        await calls.ringing(client, channel, [two], one)
    await calls.join(two, one, call=call, rung=[])
    for server in call.servers.values():
        hidden.add("a voice token", server["token"])
    for client in (one, two):
        await client.rest.say(channel, hidden.fresh("a message"), nonce=hidden.fresh("a nonce")[:25])
        await two.expect("MESSAGE_CREATE", type=0)
    await one.abort()
    await one.reconnect_and_resume()
    await calls.leave(two, one)
    await calls.leave_last(one, two, call=call)
    again = system.admin_ok("POST", f"/admin/users/{ada.id}/token")
    hidden.add("a client token", again["token"])
    system.admin_ok("DELETE", f"/admin/users/{ben.id}/tokens")
    await nothing_told(system, hidden, ada, ben)


async def test_a_day_in_a_guild(system, world, hidden):
    ada, ben, cat = world.users("ada", "ben", "cat")
    for account in (ada, ben, cat):
        hidden.add("a client token", account.token)
    names = {what: hidden.fresh(f"the name of a {what}") for what in ("guild", "text", "voice", "stage", "role")}
    made = world.guild(ada, ben, name=names["guild"], description=hidden.fresh("a description"),
                       roles=[{"name": names["role"], "permissions": ["MUTE_MEMBERS"], "members": [ben.username]}],
                       channels=[{"name": names[kind], "type": kind} for kind in ("text", "voice", "stage")])
    guild, at = f"/guilds/{made['id']}", {c["name"]: c["id"] for c in made["channels"]}
    voice, stage = at[names["voice"]], at[names["stage"]]
    one, two = await world.login(ada), await world.login(ben, encoding="etf")
    for client, channel in ((one, voice), (two, stage)):
        await client.join(channel, guild=made["id"])
        hidden.add("a voice token", (await client.expect("VOICE_SERVER_UPDATE", guild_id=made["id"]))["token"])
    edits = [("PATCH", f"{guild}/members/{ben.id}", {"nick": hidden.fresh("a nick")}),
             ("PATCH", f"{guild}/members/@me", {"nick": hidden.fresh("a nick")}),
             ("PATCH", f"{guild}/members/{ben.id}", {"channel_id": voice, "mute": True}),
             ("PUT", f"/channels/{voice}/voice-status", {"status": hidden.fresh("a status")}),
             ("POST", "/stage-instances", {"channel_id": stage, "topic": hidden.fresh("a topic of a stage")}),
             ("PATCH", f"/stage-instances/{stage}", {"topic": hidden.fresh("a topic of a stage")}),
             ("PATCH", f"/channels/{at[names['text']]}", {"topic": hidden.fresh("a topic"), "name": hidden.fresh("a name")}),
             ("POST", f"{guild}/channels", {"name": hidden.fresh("a name"), "type": 2, "topic": hidden.fresh("a topic")}),
             ("POST", f"{guild}/roles", {"name": hidden.fresh("a name")}),
             ("PATCH", guild, {"name": hidden.fresh("a name"), "description": hidden.fresh("a description")}),
             ("PATCH", f"/channels/{voice}", {"rtc_region": "rotterdam"}), ("DELETE", f"/channels/{stage}", None)]
    for method, path, body in edits:
        assert (await one.rest.send(method, path, body)).status < 300, (path, body)
    for client in (one, two):
        await client.send(3, {"status": "online", "since": 0, "afk": False,
                              "activities": [{"name": hidden.fresh("a game"), "type": 0, "state": hidden.fresh("a status")}]})
        await client.send(8, {"guild_id": made["id"], "query": hidden.fresh("a query"), "limit": 5, "nonce": hidden.fresh("a nonce")[:25]})
        await client.send(14, {"guild_id": made["id"], "channels": {at[names["text"]]: [[0, 99]]}})
        await client.heartbeat()
    await one.abort()
    await one.reconnect_and_resume()
    system.admin_ok("PUT", f"/admin/guilds/{made['id']}/members/{cat.username}", {"nick": hidden.fresh("a nick")})
    (await one.rest.delete(f"{guild}/members/{cat.id}")).ok(204)
    for account, client in ((ada, one), (ben, two)):
        await client.leave()
        for event in client.events:
            if event.t == "VOICE_SERVER_UPDATE" and event.d["token"] not in hidden.known:
                hidden.add("a voice token", event.d["token"])
    texts = {"a nick": "nick", "a topic": "topic", "a name": "name", "a status": "status"}
    for what, field in texts.items():           # and badly
        text = hidden.fresh(what)
        for body in ({field: [text]}, {field: text * 200}, {field: text, "type": "x", "roles": text, "mute": text}, text):
            for method, path in (("PATCH", f"{guild}/members/{ben.id}"), ("PATCH", f"/channels/{voice}"), ("POST", f"{guild}/roles"),
                                 ("PUT", f"/channels/{voice}/voice-status"), ("POST", "/stage-instances"), ("POST", f"{guild}/channels")):
                await one.rest.send(method, path, body)
            for op in (4, 8, 14, 36, 37, 43):
                stray = await world.login(ben)
                await stray.send(op, {"guild_id": text, "channel_id": text, "query": text * 20, "subscriptions": {text: text}, "fields": text})
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    await stray.send(1)
                await stray.rejected()
                if stray.close_code is None:
                    await stray.close()
    await nothing_told(system, hidden, ada, ben)


async def test_a_day_on_a_voice_node(system, world, hidden):
    hall = Hall(world, "ada", "ben")
    ada, ben = hall.accounts
    begun = system.admin_ok("POST", f"/admin/channels/{hall.channel}/recordings")["id"]
    voices = [(await hall.enter(account))[1] for account in (ada, ben)]
    one, two = voices
    for voice in voices:
        hidden.add("a voice token", voice.grant["token"])
        key = hidden.add("a key", bytes(voice.description["secret_key"]).hex())
        hidden.add("a key", ", ".join(map(str, bytes.fromhex(key))))
        hidden.add("a key", ",".join(map(str, bytes.fromhex(key))))
    for speaker, listener in (voices, voices[::-1]):
        said = hidden.fresh("what is said").encode()
        speaker.say(said)
        assert (await listener.hear(speaker.ssrc)).payload == said
        speaker.media.send(said * 9)                                    # and what nobody can open
    played = hidden.fresh("what is played").encode()
    music = play(system, hall.channel, "jukebox", [played] * 5)
    assert (await one.hear()).payload == played and (await until_over(system, music))["over"]
    system.admin_ok("POST", f"/admin/recordings/{begun}/stop")
    assert recorded(system, begun, ada.id)
    await one.lose()
    await one.resume()
    wrong = hidden.fresh("a wrong token")
    for op, d in ((0, one.grant | {"token": wrong[:16]}), (0, one.grant | {"token": wrong * 3}), (0, {"token": [wrong]}),
                  (7, one.grant | {"token": wrong[:16]}), (7, {"session_id": wrong, "token": wrong}), (99, wrong), (1, {"data": wrong}),
                  (5, {"speaking": wrong}), (12, {"streams": [{"rid": wrong}]})):
        async with VoiceClient(one.url.split("/?")[0], ssl=system.authority.trust()) as stray:
            await stray.send(op, d)
            assert await stray.closed() >= 4000
    assert ask(system, "POST", f"/admin/channels/{hall.channel}/plays?user=x", hidden.fresh("no file").encode())[0] >= 400
    await hall.close()
    await nothing_told(system, hidden, ada, ben)


async def test_guilds_that_do_not_decode_or_are_refused(system, world, hidden):
    """What the admin port is given, and what stands in Redis, is quoted nowhere."""
    ada = world.user("ada")
    hidden.add("a client token", ada.token)
    text = hidden.fresh("a name")
    for body in ({"name": [text]}, {"name": text * 9, "owner": ada.username}, {"name": text, "owner": text},
                 {"name": text, "owner": ada.username, "channels": [{"name": text, "type": text}]},
                 {"name": text, "owner": ada.username, "roles": [{"name": text, "permissions": [text]}]}):
        assert system.admin("POST", "/admin/guilds", body).status >= 400
    made = world.guild(ada, name=text)
    voice = next(c["id"] for c in made["channels"] if c["name"] == "one")
    client = await world.login(ada)
    await client.join(voice, guild=made["id"])
    hidden.add("a voice token", (await client.expect("VOICE_SERVER_UPDATE", guild_id=made["id"]))["token"])
    await client.close()
    password = system.services["message"].env["REDIS_URL"].split(":")[2].split("@")[0]
    with redis_of(system) as redis:
        redis.connection_pool.connection_kwargs["password"] = password
        for key, field in ((":mb", ada.id), (":vs", ada.id), (":vc", voice), (":r", made["id"]), (":ch", voice), (":s", "guild")):
            redis.hset(f"{{{made['id']}}}{key}", field, text)
            late = await world.connect(ada)
            await late.send(2, late.identification())
            with contextlib.suppress(AssertionError):
                await late.heartbeat()
            with contextlib.suppress(aiohttp.ClientConnectionError):
                await late.join(voice, guild=made["id"])
            await world.rest(ada).patch(f"/guilds/{made['id']}/members/@me", {"nick": text})
            await late.close()
    await nothing_told(system, hidden, ada)


async def test_requests_that_fail(system, world, hidden):
    ada = world.user("ada")
    token, wrong = hidden.add("a client token", ada.token), hidden.fresh("a wrong token")
    text = hidden.fresh("a message")
    rest, nobody = world.rest(ada), world.rest()
    for way in (wrong, f"Bot {wrong}", f"Bearer {token}x", token[:-1], f"{token}\t{wrong}", "Basic " + wrong):
        assert (await nobody.send("GET", "/users/@me", headers={"Authorization": way})).status == 401
    for path in (f"/channels/{token}/messages", f"/{wrong}", f"/users/{wrong}", f"/channels/1/messages?nonce={wrong}",
                 f"/channels/x{text}/call/ring"):
        for method in ("GET", "POST", "PATCH", "DELETE", "OPTIONS"):
            assert (await rest.send(method, path)).status >= 400
    for raw in (text, f'{{"content":"{text}"', json.dumps({"content": [text]}), json.dumps({"content": text * 400}),
                json.dumps({"content": text, "nonce": {"a": wrong}}), f'{{"content":"{text}\x00"}}', text * 20000):
        reply = await rest.send("POST", "/channels/1/messages", raw=raw.encode())
        assert reply.status >= 400
    for headers in ({"Authorization": f"Bearer {wrong}"}, {"Authorization": wrong}, {}):
        assert fetch("POST", system.admin_url + f"/admin/users/{wrong}/token", {"password": text}, headers)[0] == 401
    right = {"Authorization": f"Bearer {system.admin_token}"}
    for body in ({"username": [text]}, {"username": text * 9}, [text]):
        assert fetch("POST", system.admin_url + "/admin/users", body, right)[0] >= 400
    assert fetch("POST", system.admin_url + "/admin/load", {"users": [{"name": [text]}, wrong]}, right)[0] >= 400
    await nothing_told(system, hidden)


async def test_frames_that_fail(system, world, hidden):
    ada = world.user("ada")
    hidden.add("a client token", ada.token)
    wrong, text = hidden.fresh("a wrong token"), hidden.fresh("a message")
    frames = [json.dumps({"op": 2, "d": {"token": wrong, "properties": {}}}),
              json.dumps({"op": 2, "d": {"token": [wrong]}}),
              json.dumps({"op": 6, "d": {"token": wrong, "session_id": "x" * 32, "seq": 1}}),
              json.dumps({"op": 6, "d": {"token": ada.token, "session_id": wrong, "seq": -1}}),
              json.dumps({"op": 99, "d": text}), f'{{"op":2,"d":{{"token":"{wrong}"', text, wrong * 2000,
              json.dumps({"op": 4, "d": {"guild_id": wrong, "channel_id": text}})]
    for frame in frames:
        client = await world.connect(ada)
        await client.send_text(frame)
        with contextlib.suppress(aiohttp.ClientConnectionError):
            await client.send(1)
        await client.rejected()         # or the heartbeat is acknowledged: the frame has been read by then
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await world.http.ws_connect(f"{system.gateway_url}/?token={wrong}", headers={"Origin": "https://evil.example"})
    for query in (f"v={wrong}", f"encoding={wrong}", f"compress={wrong}"):
        client = await Client(world.http, system.gateway_url, ada).connect(query)
        await client.closed()
    await nothing_told(system, hidden)


async def test_a_store_that_fails(system, world, hidden):
    """Its errors quote what they are about."""
    ada, ben = world.users("ada", "ben")
    for account in (ada, ben):
        hidden.add("a client token", account.token)
    channel = world.dm(ada, ben)
    rest, text = world.rest(ada), hidden.fresh("a message")
    url = system.services["message"].env["REDIS_URL"]
    password = url.split(":")[2].split("@")[0]
    with redis_of(system) as redis:
        redis.connection_pool.connection_kwargs["password"] = password
        redis.set(f"{{{channel}}}:m", text)                 # not what a commit expects there
        assert (await rest.post(f"/channels/{channel}/messages", {"content": text})).status >= 500
        redis.delete(f"{{{channel}}}:m")
        redis.hset(f"{{{channel}}}:s", "chan", text)        # a record that does not decode
        assert (await rest.get(f"/channels/{channel}/messages")).status >= 400
        await world.connect(ada)
        redis.config_set("maxmemory", 1)
        assert (await rest.post(f"/channels/{channel}/messages", {"content": text})).status >= 400
        redis.config_set("maxmemory", 0)
        redis.execute_command("FUNCTION", "DELETE", "switchboard")
        assert (await rest.post(f"/channels/{channel}/messages", {"content": text})).status >= 400
    wrong = hidden.fresh("a wrong password of Redis")
    system.terminate("region-allocator")
    service = system.services["region-allocator"]
    service.env["REDIS_URL"] = url.replace(password, wrong)
    system._spawn(service)
    await until(lambda: "WRONGPASS" in service.log.read_text(), "a refused password")
    system.terminate("region-allocator")
    service.env["REDIS_URL"] = url
    system.restart("message")           # brings the functions back
    system.start("region-allocator")
    await nothing_told(system, hidden)
