"""A guild that is changed: for the call managers of call_house, which write and read its records; here is what is asked
of it and answered."""
import json

from bus import pack, unpack
from call_house import KIND, MAY, new_id

TEXT, VOICE, CATEGORY, STAGE = 0, 2, 4, 13
MODERATES = sum(MAY[name] for name in (
    "KICK_MEMBERS", "MANAGE_CHANNELS", "MANAGE_GUILD", "MUTE_MEMBERS", "DEAFEN_MEMBERS", "MOVE_MEMBERS",
    "MANAGE_NICKNAMES", "MANAGE_ROLES", "MODERATE_MEMBERS"))


class Guild:
    """It has an owner, a moderator and so many others as members; a text channel, two voice channels in a category, and
    a stage."""

    def __init__(self, house, members=1):
        self.house, self.redis = house, house.redis
        self.owner, self.moderator, *self.members = house.users(2 + members)
        self.moderators = new_id()
        self.id = house.guild(self.owner, *self.members, roles=[
            {"id": self.moderators, "name": "moderators", "permissions": MODERATES, "position": 5}])
        house.member(self.id, self.moderator, roles=[self.moderators])
        self.category, self.text, self.stage = (self.put_channel(type) for type in (CATEGORY, TEXT, STAGE))
        self.voice, self.other = (self.put_channel(VOICE, parent=self.category) for _ in range(2))

    def key(self, suffix):
        return f"{{{self.id}}}:{suffix}"

    def put_channel(self, type, **fields):
        return self.house.voice_channel(self.id, type=type, **fields)

    def put_role(self, **fields):
        role = new_id()
        self.redis.hset(self.key("r"), role, pack("role", id=role, name="role", **fields))
        return role

    # -- what stands there

    def row(self, suffix, id, schema):
        raw = self.redis.hget(self.key(suffix), id)
        return unpack(raw, schema) if raw else None

    def channel(self, id):
        return self.row("ch", id, "guild_channel")

    def role(self, id):
        return self.row("r", id, "role")

    def member(self, user):
        return self.row("mb", user, "member")

    def seat(self, user):
        return self.house.seat(self.id, user)

    def room(self, channel):
        return self.house.room(self.id, channel)

    def sitting(self, channel):
        return self.house.in_room(self.id, channel)

    def open_stage(self, channel):
        return self.row("st", channel, "stage")

    def itself(self):
        return self.row("s", "guild", "guild")

    def told(self):
        return self.house.told(self.id)

    def log(self):
        return self.house.log(self.id)

    # -- what is asked of it

    def command(self, name, *, by=None, at=None, id=None, **fields):
        """(error, JSON of the answer or None); by: who asks, the moderator unless said otherwise."""
        answer = self.house.gateway.command(KIND, name, instance=at and self.house.instance(at), id=id, guild=self.id,
                                            user=self.moderator if by is None else by, **fields)
        return answer["err"], json.loads(answer["body"]) if answer["body"] else None

    def done(self, name, **fields):
        """The same of a command that has to be carried out: its JSON."""
        err, body = self.command(name, **fields)
        assert err == 0, f"{name} answered {err}: {body}"
        return body

    def refused(self, name, **fields):
        return self.command(name, **fields)[0]

    def join(self, user, channel=0):
        assert self.house.sit(self.id, user, channel) == 0

    def wait_server(self, user, endpoint="127.0.0.1:443"):
        return self.house.wait_server(self.id, user, endpoint)
