"""gateway_guild: a guild put into Redis as the owners of state put it there, with something to hide."""
from bus import now_ms, pack
from gateway_house import ids

VIEW, CONNECT = 1 << 10, 1 << 20
GUILDS, MEMBERS, PRESENCES = 1 << 0, 1 << 1, 1 << 8         # intents


class Guild:
    """A guild with a hoisted role, a hidden channel, and two voice channels, one of them hidden."""

    def __init__(self, house, owner, *members, staff=(), nicks=None, crowd=0, roles=VIEW | CONNECT):
        self.place = house.place(next(ids))
        self.id = str(self.place.ref)
        self.staff, self.open, self.hidden, self.lounge, self.den = (str(next(ids)) for _ in range(5))
        hides = [{"id": self.place.ref, "type": 0, "allow": 0, "deny": VIEW},
                 {"id": int(self.staff), "type": 0, "allow": VIEW, "deny": 0}]
        rows = [("s", "guild", pack("guild", id=self.place.ref, name="Demo", owner=int(owner.id))),
                ("r", self.id, pack("role", id=self.place.ref, name="@everyone", permissions=roles)),
                ("r", self.staff, pack("role", id=int(self.staff), name="staff", hoist=True, position=1))]
        for at, (channel, kind, over) in enumerate([(self.open, 0, []), (self.hidden, 0, hides), (self.lounge, 2, []),
                                                    (self.den, 2, hides)]):
            row = pack("guild_channel", id=int(channel), type=kind, name=f"c{at}", position=at, overwrites=over)
            rows.append(("ch", channel, row))
        for channel, status in ((self.lounge, "hello"), (self.den, "secret")):
            rows.append(("vc", channel, pack("voice_room", channel=int(channel), seats=1, started_at=5_000_999,
                                             status=status)))
        everybody = [int(person.id) for person in (owner, *members)]
        self.crowd = [next(ids) for _ in range(crowd)]
        for person in everybody + self.crowd:
            held = [int(self.staff)] if person in [int(one.id) for one in staff] else []
            rows.append(("mb", person, pack("member", user=person, joined_at=now_ms(), roles=held,
                                            nick=(nicks or {}).get(person))))
        self.place.commit(changes=rows, publish=False)
        house.redis.zadd(f"{self.place.key}:mi", {f"{person:020}": 0 for person in everybody + self.crowd})
        with house.redis.pipeline() as pipe:
            for person in self.crowd:
                pipe.hset(f"{{u:{person}}}:s", "user",
                          pack("user", id=person, username=f"crowd{person}", discriminator="0"))
            pipe.execute()
        for person in (owner, *members):
            house.user_record(person.id).commit(changes=[("g", self.id, "")], publish=False)
