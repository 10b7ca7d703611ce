"""gateway_house: a gateway alone, with everything that it stands on played by hand: records put into Redis as the
owners of state put them there, tokens minted here, and a call manager that commits, publishes, and forgets to."""
import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import struct
from contextlib import ExitStack

import aiohttp

from bus import BusPeer, alone, instances_of, metrics_of, now_ms, pack, redis_of
from client import Account, Client
from harness import fetch

ALL, USER, SESSION, NOT_USER = 0, 1, 2, 3
LISTEN, UNLISTEN, END_SESSIONS = 1, 2, 3
ids = itertools.count(1_198_765_432_109_876_599)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mint(secret, user, issued_ms):
    """A token as services/gateway/token.h describes it."""
    text = f"{base64url(str(user).encode())}.{base64url(struct.pack('>Q', issued_ms))}"
    return f"{text}.{base64url(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"


def event(name="", body=None, to=ALL, **more):
    return {"name": name, "to": to, "body": b"" if body is None else json.dumps(body).encode(), **more}


class Peer(BusPeer):
    """Counts every command that comes in, repeats included."""

    def __init__(self, *args, **more):
        self.seen, self.taken = [], {}
        super().__init__(*args, **more)

    def _take(self, command):
        self.seen.append(command.id)
        self.taken[command.id] = command
        super()._take(command)

    def answer_all(self):
        """What no test has answered, and what comes from now on."""
        self.on_command = lambda command: command.reply() or True
        for id, command in list(self.taken.items()):
            if self.answered.get(id) is None:
                command.reply()


class Record:
    """One record in Redis: "{5}" a place, "{u:7}" a user, and its place in events."""

    def __init__(self, house, key, ref):
        self.house, self.key, self.ref = house, key, ref
        self.version = 0

    def commit(self, *events, publish=True, changes=()):
        """The next version: (hash suffix, field, value) changed, the entry in the log, and on the bus unless that
        loses it. Returns the entry's bytes."""
        self.version += 1
        entry = pack("place_event", ref=self.ref, version=self.version, at=now_ms(), events=list(events))
        with self.house.redis.pipeline(transaction=True) as pipe:
            for suffix, field, value in changes:
                pipe.hset(f"{self.key}:{suffix}", field, value)
            pipe.xadd(f"{self.key}:log", {"e": entry}, id=f"{self.version}-0")
            pipe.hset(f"{self.key}:s", "v", self.version)
            pipe.execute()
        if publish:
            self.house.publish(entry)
        return entry

    def listeners(self):
        return {name.decode() for name in self.house.redis.smembers(f"{self.key}:gw")}


class House:
    """One gateway, or `count` of them, and nothing else."""

    def __init__(self, count=1, **env):
        self.system = alone("gateway", count, **env)
        self.redis = redis_of(self.system)
        self.gateways = instances_of(self.system, "gateway", count)
        self.gateway = self.gateways[0]
        self.manager = self.new_manager()
        self.records = {}

    def close(self):
        with ExitStack() as ends:
            for end in (self.redis.close, self.manager.close, self.system.stop):
                ends.callback(end)
            self.manager.answer_all()   # a gateway that has something to tell waits for that when it stops

    def new_manager(self):
        """A call manager that the gateway knows; its instance name carries no state."""
        return Peer(self.redis, "call-manager")

    def publish(self, *entries):
        for gateway in self.gateways:
            self.manager.publish(gateway, "gateway", *entries)

    def lose(self, *_):
        """A batch of events that is numbered, and never arrives."""
        link = self.manager.link(self.gateway, "gateway")
        with self.manager.lock:
            link.seq += 1

    def metrics(self):
        return metrics_of(self.system, "gateway")

    # -- records ---------------------------------------------------------------------------------

    def record(self, key, ref):
        return self.records.setdefault(key, Record(self, key, ref))

    def user_record(self, user):
        return self.record(f"{{u:{int(user)}}}", int(user) | 1 << 63)

    def place(self, place):
        return self.record(f"{{{int(place)}}}", int(place))

    @property
    def everybody(self):
        """What concerns every gateway."""
        return self.record("{u:0}", 1 << 63)

    def token(self, user, issued_ms=None):
        return mint(self.system.token_secret, user, issued_ms or now_ms())

    def user(self, name, bot=False):
        user = next(ids)
        row = pack("user", id=user, username=name, discriminator="0", bot=bot)
        self.user_record(user).commit(changes=[("s", "user", row)], publish=False)
        return Account(str(user), name, self.token(user), bot)

    def users(self, *names):
        return [self.user(name) for name in names]

    def channel(self, *people, kind=1, last=0, listed=True, **more):
        """A private channel of these people, in their lists too. Returns its record."""
        place = self.place(next(ids))
        members = [int(person.id) for person in people]
        row = pack("channel", id=place.ref, type=kind, recipients=members, **more)
        place.commit(changes=[("s", "chan", row), ("s", "last", last)], publish=False)
        for person in people if listed else ():
            self.user_record(person.id).commit(changes=[("ch", place.ref, "")], publish=False)
        return place

    def guild(self, owner, *members):
        guild = self.place(next(ids))
        rows = [("s", "guild", pack("guild", id=guild.ref, name="Demo", owner=int(owner.id))),
                ("r", guild.ref, pack("role", id=guild.ref, name="@everyone", permissions=1024))]
        for number, (name, kind) in enumerate([("general", 0), ("Lounge", 2)]):
            channel = next(ids)
            rows.append(("ch", channel, pack("guild_channel", id=channel, type=kind, name=name, position=number)))
        for person in (owner, *members):
            rows.append(("mb", int(person.id), pack("member", user=int(person.id), joined_at=now_ms())))
        guild.commit(changes=rows, publish=False)
        self.redis.zadd(f"{guild.key}:mi", {f"{int(person.id):020}": 0 for person in (owner, *members)})
        for person in (owner, *members):
            self.user_record(person.id).commit(changes=[("g", guild.ref, "")], publish=False)
        return guild

    def call(self, place, *members, publish=True, **more):
        """A call stands in a channel from now on."""
        call = next(ids)
        states = [{"user": int(m.id), "session": "s" * 32, "gateway": "elsewhere"} for m in members]
        row = pack("call_rec", id=call, author=int(members[0].id), region="local", members=states, **more)
        place.commit(event("CALL_CREATE", {"channel_id": str(place.ref)}), changes=[("s", "call", row)],
                     publish=publish)
        return str(call)

    # -- Redis dies ------------------------------------------------------------------------------

    def redis_dies(self):
        self.system.redis.kill()
        self.system.redis.wait()
        self.system.redis = None

    def redis_returns(self):
        self.system._start_redis()

    def ready(self):
        """What /readyz says: None when all is well."""
        status, _, body = fetch("GET", self.system.health_url_of("gateway") + "/readyz")
        return None if status == 200 else json.loads(body)["why"]


class Clients:
    """The plain websocket clients of one test, closed at its end."""

    def __init__(self, house):
        self.house = house
        self.http = aiohttp.ClientSession()
        self.made = []

    async def close(self):
        for client in self.made:
            if client.ws is not None and client.close_code is None:
                await client.close()
        await self.http.close()

    def client(self, account, **options):
        client = Client(self.http, self.house.system.gateway_url, account, **options)
        self.made.append(client)
        return client

    async def connect(self, account, **options):
        client = await self.client(account, **options).connect()
        await client.hello()
        return client

    async def login(self, account, *, intents=None, **options):
        identify = {key: options.pop(key) for key in ("capabilities", "token") if key in options}
        client = await self.connect(account, **options)
        await client.identify(**identify, **({"intents": intents} if intents is not None else {}))
        return client


async def until(condition, what, deadline_s=30):
    """As harness.poll, without holding up the clients of the same loop."""
    end = asyncio.get_running_loop().time() + deadline_s
    while not (answer := await asyncio.to_thread(condition)):
        assert asyncio.get_running_loop().time() < end, f"waited {deadline_s} s in vain for {what}"
    return answer
