"""House: call managers alone, with a gateway and a region allocator that a test plays by hand, and records put in Redis
by hand. Each manager may see Redis through a proxy of its own, which fails where the test wants it."""
import json
import queue
import re
import secrets
import signal
from contextlib import contextmanager

from bus import PROTO, BusPeer, alone, metrics_of, now_ms, pack, poll, redis_of, unpack
from harness import fetch
from redis_proxy import RedisProxy

KIND = "call-manager"
START = ["MESSAGE_CREATE", "CALL_CREATE", "VOICE_STATE_UPDATE"]
SERVER = ["VOICE_SERVER_UPDATE"]
END = ["VOICE_STATE_UPDATE", "MESSAGE_UPDATE", "CALL_DELETE"]
USER_BIT = 1 << 63
REGIONS = [{"id": region, "name": region.title(), "optimal": region == "rotterdam", "deprecated": False,
            "custom": False} for region in ("rotterdam", "frankfurt")]
MAY, EVERYONE = {}, 0     # permissions by name; those of @everyone in a new guild
for name, bit, everyone in re.findall(r"^PERMISSION\((\w+), (\d+), (\w+)\)", (PROTO / "permissions.def").read_text(),
                                      re.M):
    MAY[name] = 1 << int(bit)
    EVERYONE |= MAY[name] if everyone == "true" else 0
FAST = {"SB_RING_MS": "2000", "SB_SERVER_DELAY_MS": "20", "SB_RESUME_WINDOW_MS": "400"}
PATIENT = {"SB_RING_MS": "60000", "SB_RESUME_WINDOW_MS": "60000"}     # for tests that wait for neither
RETRY_MS = 2000           # an ask for a voice server that nobody answers is made again


def new_id():
    return secrets.randbits(60) + 1


def without_repeats(items):
    """What is said again at once may be because the test was held up before it answered."""
    return [item for i, item in enumerate(items) if i == 0 or item != items[i - 1]]


def asks_since(begun):
    """How often a voice server may have been asked for, for one seat that was to get one since then."""
    return 1 + (now_ms() - begun + 20) // RETRY_MS      # of two clocks, rounded


def about(record):
    """Fits a request that commits a record, "5" or "u:7"."""
    return lambda args: args[:2] == [b"FCALL", b"sb_commit"] and args[3] == f"{{{record}}}:s".encode()


@contextmanager
def houses():
    """A function that builds houses; all of them are closed at the end."""
    built = []

    def build(*managers, **env):
        built.append(House(*managers, **env))
        return built[-1]

    yield build
    for house in built:
        house.close()


class Allocator:
    """Says what it is told to say, and remembers what it was asked."""

    def __init__(self, redis):
        self.asked, self.released, self.released_channels = [], [], []
        self.silent = self.deaf = False       # deaf: it does not even tell of regions
        self.node, self.region, self.endpoint = "node-1", "rotterdam", "127.0.0.1:443"
        self.peer = BusPeer(redis, "region-allocator")
        self.peer.on_command = self.take

    def take(self, command):
        if command.name == "regions_list":
            if not self.deaf:
                command.reply(json.dumps(REGIONS))
        elif command.name == "assign":
            token = f"{len(self.asked):016x}"
            self.asked.append(command.fields | {"token": token, "deadline": command.deadline})
            if not self.silent:
                command.reply(pack("assigned", node=self.node if self.endpoint else "", region=self.region,
                                   endpoint=self.endpoint, token=token, token_ms=300_000))
        elif command.name == "release":
            self.released.append(command.fields["place"])
            self.released_channels.append(command.fields["channel"])
            command.reply()
        return True

    def asks(self, place):
        """The asks for a place, each with the token that it was answered with, and its deadline by its manager's clock."""
        return [fields for fields in self.asked if fields["place"] == place]


class House:
    """managers: names of the call managers that start with it; begin() starts more, or one that was killed again."""

    def __init__(self, *managers, **env):
        self.system = alone(KIND, 0, **FAST | env)
        self.redis = redis_of(self.system)
        self.starts, self.proxies, self.peers, self.entries = 0, {}, [], []
        try:
            self.allocator = Allocator(self.redis)
            self.gateway = self.peer("gateway")
            for name in managers or ("one",):
                self.begin(name)
        except BaseException:
            self.close()
            raise

    # -- processes

    def peer(self, kind):
        self.peers.append(BusPeer(self.redis, kind))
        for name, service in self.system.services.items():
            if kind == "gateway" and service.proc:
                self.greet(self.peers[-1], name)
        return self.peers[-1]

    def greet(self, gateway, name):
        """The way to a manager and back stands: from here on nothing has to wait for a link, or until it looks who is there."""
        gateway.command(KIND, "session_end", instance=self.instance(name), user=1, session="none")

    def add(self, name):
        """Starts a manager; each start has an instance name of its own, as without SB_INSTANCE."""
        if name not in self.system.services:
            self.system._add(KIND, name)
            self.proxies[name] = RedisProxy(self.system.redis_port)
        self.starts += 1
        self.system.services[name].env |= {"SB_INSTANCE": f"{name}-{self.starts}", "REDIS_URL": self.proxies[name].url}
        self.system._spawn(self.system.services[name])

    def not_ready(self, name):
        """Why a manager is not ready; "" when it is."""
        service = self.system.services[name]
        if not service.ports and not service.ports_file.exists():
            return "it has not written its ports file"
        service.ports = json.loads(service.ports_file.read_text())
        return json.loads(fetch("GET", self.system.health_url_of(name) + "/readyz")[2]).get("why", "")

    def begin(self, name):
        """The same, and waits until it is ready."""
        self.add(name)
        self.system._wait_ready(self.system.services[name])
        for peer in [self.allocator.peer, *self.peers]:
            peer.link(self.instance(name), KIND)
        self.greet(self.gateway, name)

    def instance(self, name):
        return self.system.services[name].env["SB_INSTANCE"]

    def kill(self, name):
        self.system.kill(name)

    def close(self):
        try:
            self.system.stop()
        finally:
            for peer in [self.allocator.peer, *self.peers]:
                peer.close()
            for proxy in self.proxies.values():
                proxy.close()
            self.redis.close()

    def stop_redis(self):
        self.system.redis.send_signal(signal.SIGKILL)
        self.system.redis.wait()
        self.system.redis = None

    def start_redis(self):
        self.system._start_redis()

    def metric(self, name, counter):
        return metrics_of(self.system, name)[counter]

    # -- records as the owners of state write them

    def user(self, **fields):
        user = secrets.randbits(60) + 1
        self.redis.hset(f"{{u:{user}}}:s", mapping={
            "v": 1, "user": pack("user", id=user, username=f"user{user % 1000}", discriminator="0", **fields)})
        return user

    def users(self, n):
        return [self.user() for _ in range(n)]

    def channel(self, *users, group=False):
        """A DM, or a group whose owner is the first. The gateway listens to it."""
        channel = secrets.randbits(60) + 1
        chan = pack("channel", id=channel, type=3 if group else 1, owner=users[0] if group else 0, recipients=users)
        self.redis.hset(f"{{{channel}}}:s", mapping={"v": 1, "chan": chan})
        for user in users:
            self.redis.hset(f"{{u:{user}}}:ch", channel, "")
        self.redis.sadd(f"{{{channel}}}:gw", self.gateway.instance)
        return channel

    def guild(self, owner, *members, roles=(), **fields):
        """A guild with an everyone role and the members (the owner is one). roles: rows, as dicts. The gateway listens."""
        guild = new_id()
        self.redis.hset(f"{{{guild}}}:s", mapping={
            "v": 1, "guild": pack("guild", id=guild, name="Guild", owner=owner, **fields)})
        for role in ({"id": guild, "name": "@everyone", "permissions": EVERYONE}, *roles):
            self.redis.hset(f"{{{guild}}}:r", role["id"], pack("role", **{"name": "role"} | role))
        for user in dict.fromkeys((owner, *members)):
            self.member(guild, user)
        self.redis.sadd(f"{{{guild}}}:gw", self.gateway.instance)
        return guild

    def member(self, guild, user, **fields):
        """Writes his row, as it is from now on."""
        self.redis.hset(f"{{{guild}}}:mb", user, pack("member", user=user, joined_at=1_700_000_000_000, **fields))
        self.redis.zadd(f"{{{guild}}}:mi", {str(user).zfill(20): 0})
        self.redis.hset(f"{{u:{user}}}:g", guild, "")

    def voice_channel(self, guild, *, id=None, type=2, **fields):
        channel = id or new_id()
        self.redis.hset(f"{{{guild}}}:ch", channel, pack("guild_channel", id=channel, type=type, name="voice", **fields))
        return channel

    # -- what stands there

    def seat(self, guild, user):
        raw = self.redis.hget(f"{{{guild}}}:vs", user)
        return unpack(raw, "voice_seat") if raw else None

    def sits(self, guild, user):
        """The channel where he sits, or None."""
        seat = self.seat(guild, user)
        return seat and seat["channel"]

    def room(self, guild, channel):
        raw = self.redis.hget(f"{{{guild}}}:vc", channel)
        return unpack(raw, "voice_room") if raw else None

    def in_room(self, guild, channel):
        """Who sits there, by the set and by the rows, which have to agree with the room's counts."""
        at_once = self.redis.pipeline()
        at_once.smembers(f"{{{guild}}}:vu:{channel}").hvals(f"{{{guild}}}:vs").hget(f"{{{guild}}}:vc", channel)
        users, rows, room = at_once.execute()
        users = {int(user) for user in users}
        seats = [seat for seat in (unpack(raw, "voice_seat") for raw in rows) if seat["channel"] == channel]
        room = unpack(room, "voice_room") if room else {"seats": 0, "videos": 0, "speakers": 0}
        assert {seat["user"] for seat in seats} == users
        assert (room["seats"], room["videos"]) == (len(users), sum(seat["self_video"] for seat in seats))
        assert room["speakers"] == sum(not seat["suppress"] for seat in seats)
        return users

    def call(self, channel):
        raw = self.redis.hget(f"{{{channel}}}:s", "call")
        return unpack(raw, "call_rec") if raw else None

    def seats(self, channel):
        """{user: call_member}"""
        call = self.call(channel)
        return {member["user"]: member for member in call["members"]} if call else {}

    def rung(self, channel):
        call = self.call(channel)
        return {ring["user"] for ring in call["ringing"]} if call else set()

    def location(self, user, guild=None):
        """Of a bot: its in that guild."""
        raw = self.redis.hget(f"{{u:{user}}}:s", f"voice:{guild}" if guild else "voice")
        said = unpack(raw, "location") if raw else {}
        return {key: said.get(key, 0) for key in ("place", "channel", "epoch", "leaving")}

    def recipients(self, channel):
        return set(unpack(self.redis.hget(f"{{{channel}}}:s", "chan"), "channel")["recipients"])

    def lists(self, user, channel):
        return bool(self.redis.hexists(f"{{u:{user}}}:ch", channel))

    def due(self, member):
        """When a timer row is due, or None."""
        return self.redis.zscore("timers:call", member)

    def raw_log(self, key):
        return [fields[b"e"] for _, fields in self.redis.xrange(f"{{{key}}}:log")]

    def log(self, key):
        """The events of a record's log ("5", "u:7"), without those that have no name: [(name, event, JSON)]"""
        found = []
        for raw in self.raw_log(key):
            entry = unpack(raw, "place_event")
            found += [(event["name"], event, json.loads(event["body"])) for event in entry["events"] if event["name"]]
        return found

    def told(self, key):
        return [name for name, _, _ in self.log(key)]

    def states(self, channel):
        """The voice states that clients were told of: [(user, in the channel?)]"""
        return [(int(body["user_id"]), body["channel_id"] is not None)
                for name, _, body in self.log(channel) if name == "VOICE_STATE_UPDATE"]

    # -- what the gateway says and hears

    def ask(self, command, *, at=None, id=None, **fields):
        """The error of a command's answer, 0 when there is none."""
        return self.gateway.command(KIND, command, instance=at and self.instance(at), id=id, **fields)["err"]

    def hold_session(self, session, gateway, hold=0):
        """As a gateway does when it has a session."""
        self.redis.hset(f"{{s:{session}}}:h", "owner", f"{gateway} {hold:016x}")

    def end_session(self, session):
        """As a gateway does before it tells of the end."""
        self.redis.hset(f"{{s:{session}}}:h", mapping={"owner": f"{self.gateway.instance} {0:016x}", "over": 1})

    def voice(self, user, channel=0, session=None, gateway=None):
        """The fields of an op 4."""
        return {"user": user, "channel": channel, "session": session or f"session-{user}",
                "gateway": gateway or self.gateway.instance}

    def join(self, user, channel, *, at=None, id=None, session=None, gateway=None, **flags):
        return self.ask("voice_update", at=at, id=id, **self.voice(user, channel, session, gateway), **flags)

    def sit(self, guild, user, channel=0, **more):
        """An op 4 with a guild."""
        return self.join(user, channel, guild=guild, **more)

    def leave(self, user, **more):
        return self.join(user, 0, **more)

    def heard(self, ref):
        """The entries of a record that came over the bus so far."""
        while True:
            try:
                name, fields = self.gateway.events.get_nowait()
            except queue.Empty:
                return [entry for entry in self.entries if entry["ref"] == ref]
            assert name == "place_event", name
            self.entries.append(fields)

    def all_heard(self, ref):
        """Waits until every entry of a record's log has come over the bus, in the very same bytes; one that could have
        been lost may come twice."""
        poll(lambda: {pack("place_event", **entry) for entry in self.heard(ref)} == {*self.raw_log(ref)},
             "the whole log on the bus")

    def wait_server(self, channel, user, endpoint="127.0.0.1:443"):
        """Waits until the user was sent to a voice server (None: to none)."""
        def sent():
            for name, event, body in reversed(self.log(channel)):
                if name == "VOICE_SERVER_UPDATE" and event["user"] == user:
                    return body if body["endpoint"] == endpoint else None
            return None
        return poll(sent, f"a voice server for {user}")

    def send_to(self, name, command, id=None, **fields):
        """Sends a command once, and waits for nothing."""
        return self.gateway.send(KIND, command, instance=self.instance(name), id=id, **fields)

    def caught_or_answered(self, trap, id):
        """Waits for either; whether it was caught."""
        poll(lambda: trap.caught.is_set() or not self.gateway.waiting[id].empty(), "the trap or the answer")
        return trap.caught.is_set()

    def settled(self, user):
        """Waits until no move of the user's is unfinished."""
        poll(lambda: self.location(user)["leaving"] == 0, "the move to be settled")
