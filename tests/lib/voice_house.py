"""voice_house: a voice node alone: its redis-server, the rows that others would have written, and the bus's events of them.
Calls and guilds are written by hand, as proto/README.md and records.def describe."""
import asyncio
import itertools
import secrets

from bus import BusPeer, metrics_of, now_ms, pack, redis_of
from client import DEADLINE_S
from harness import System
from voice_client import VoiceClient

KIND = "voice-node"
NODE = "node-1"
VIEW, CONNECT, SPEAK, STREAM, PRIORITY = 1 << 10, 1 << 20, 1 << 21, 1 << 9, 1 << 8
EVERYTHING = VIEW | CONNECT | SPEAK | STREAM | PRIORITY
TOLD = 2  # call_member.server: it was sent to the node that stands there
ENV = {"SB_DRAIN_MS": "200"}  # a test that ends waits for nobody
_ids = itertools.count((1 << 61) + secrets.randbits(40))


def new_id():
    return next(_ids)


class Place:
    """What is the same of a private call and a guild's channel. seats: {user: fields of his row}"""

    def __init__(self, house, server, channel):
        self.house, self.server, self.channel = house, server, channel
        self.seats, self.version, self.node = {}, 1, house.node

    def key(self, suffix):
        return f"{{{self.server}}}:{suffix}"

    def sit(self, user=None, session=None, **fields):
        """Somebody takes a seat and is told a token: his grant."""
        user = user or new_id()
        old = self.seats.get(user)
        session = session or (old["session"] if old else secrets.token_hex(16))
        self.seats[user] = {"user": user, "session": session, "gateway": "gateway-1", "epoch": 1, "joined_at": now_ms(),
                            "server": TOLD} | fields
        self.write(user)
        return self.grant(user)

    def grant(self, user, **wrong):
        """Another token for who sits here; wrong: fields of the row that are not as they should be."""
        token, session = secrets.token_hex(8), self.seats[user]["session"]
        row = {"token": token, "user": user, "session": session, "server": self.server, "channel": self.channel,
               "node": self.node} | wrong
        self.house.redis.set(self.key(f"t:{session}"), pack("voice_token", **row), px=300_000)
        return {"server_id": str(self.server), "channel_id": str(self.channel), "user_id": str(user),
                "session_id": session, "token": token}

    def change(self, user, **fields):
        """His row says something else, and it is told."""
        self.seats[user] |= fields
        self.write(user)

    def rise(self, user):
        """He leaves: his row and his token are taken away."""
        session = self.seats.pop(user)["session"]
        self.house.redis.delete(self.key(f"t:{session}"))
        self.write(user)

    def tell(self, **event):
        self.version += 1
        entry = pack("place_event", ref=self.server, version=self.version, at=now_ms(), events=[event])
        self.house.tell(entry)


class Call(Place):
    def __init__(self, house):
        channel = new_id()
        super().__init__(house, channel, channel)

    def write(self, user):
        row = pack("call_rec", id=new_id(), region="test", node=self.node, endpoint="", members=list(self.seats.values()))
        self.house.redis.hset(self.key("s"), "call", row)
        self.tell(name="VOICE_STATE_UPDATE", sitter=user, epoch=1)

    def end(self):
        self.house.redis.hdel(self.key("s"), "call")
        self.tell(name="CALL_DELETE")


class GuildChannel(Place):
    """A voice channel; `other` gives another one of the same guild."""

    def __init__(self, house, guild=None, allow=EVERYTHING):
        super().__init__(house, guild or new_id(), new_id())
        redis = house.redis
        redis.hset(self.key("s"), "guild", pack("guild", id=self.server, name="G", owner=1))
        redis.hset(self.key("r"), self.server, pack("role", id=self.server, name="@everyone", permissions=allow))
        redis.hset(self.key("ch"), self.channel, pack("guild_channel", id=self.channel, type=2, name="V"))

    def other(self):
        return GuildChannel(self.house, self.server)

    def write(self, user):
        redis = self.house.redis
        redis.hset(self.key("vc"), self.channel, pack("voice_room", channel=self.channel, seats=len(self.seats),
                                                      node=self.node, region="test", endpoint=""))
        redis.hset(self.key("mb"), user, pack("member", user=user, joined_at=1))
        row = pack("voice_seat", **self.seats[user], channel=self.channel) if user in self.seats else b""
        if row:
            redis.hset(self.key("vs"), user, row)
        else:
            redis.hdel(self.key("vs"), user)
        self.tell(name="VOICE_STATE_UPDATE", sitter=user, channel=self.channel, row=row)

    def allow(self, permissions):
        """What @everyone may."""
        row = pack("role", id=self.server, name="@everyone", permissions=permissions)
        self.house.redis.hset(self.key("r"), self.server, row)
        self.tell(name="GUILD_ROLE_UPDATE", row=row)

    def move(self, user, to):
        """A moderator takes him into another channel: his grant there."""
        return to.sit(user, self.seats.pop(user)["session"])


class VoiceHouse:
    def __init__(self, certificate=None, **env):
        self.system = System(world=None, instances={kind: 0 for kind in
                                                    ("region-allocator", "message", "call-manager", "gateway")})
        self.node, self.certificate = NODE, certificate
        self.redis = redis_of(self.system)
        self.peers = []
        try:
            self.allocator, self.manager = self.peer("region-allocator"), self.peer("call-manager")
            self.system.extra_env = {KIND: {"SB_INSTANCE": NODE, "SB_REGION": "test", "SB_ENDPOINT": "node.test:443"} | ENV
                                     | (certificate.env if certificate else {}) | env}
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def service(self):
        return self.system.services[KIND]

    @property
    def ports(self):
        return self.service.ports

    @property
    def url(self):
        return f"ws{'s' if self.certificate else ''}://127.0.0.1:{self.ports['voice']}"

    def start(self):
        if KIND not in self.system.services:
            self.system._add(KIND, KIND)
        self.system.start_all()

    def peer(self, kind):
        self.peers.append(BusPeer(self.redis, kind))
        return self.peers[-1]

    def tell(self, entry):
        self.manager.publish(NODE, KIND, entry)

    def call(self):
        return Call(self)

    def channel(self):
        return GuildChannel(self)

    def close(self):
        for peer in self.peers:
            peer.close()
        self.system.stop()
    def metrics(self):
        return metrics_of(self.system, KIND)


class Voices:
    """Voice clients that are closed at a test's end."""

    def __init__(self, house):
        self.house, self.all = house, []

    async def open(self, v=8, **more):
        """A socket that has been told Hello, and nothing more."""
        self.all.append(VoiceClient(self.house.url, v=v, **more))
        return await self.all[-1].open()

    async def join(self, grant, mode=None, v=8, **more):
        """One who is heard and hears."""
        return await (await self.open(v)).join(grant, mode, **more)

    async def settle(self, *clients):
        """All that clients have said so far has been told to all of them."""
        for client in clients or self.all:
            await client.settle()
        for client in clients or self.all:
            await client.settle()

    async def refused(self, op, d, v=8):
        """The code with which a fresh socket is closed for having said that."""
        client = await self.open(v)
        await client.send(op, d)
        return await client.closed()

    async def close(self):
        for client in self.all:
            await client.close()


async def until(true, what):
    """Waits for something that is asked again and again."""
    end = asyncio.get_running_loop().time() + DEADLINE_S
    while not true():
        assert asyncio.get_running_loop().time() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.02)
