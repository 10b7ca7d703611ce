"""replay: plays a scene of captured traffic (tests/e2e/golden) and holds what each side is sent to what was captured."""
import itertools
import json
from pathlib import Path

from client import snowflake_now
from shape import check, fill, same

GOLDEN = Path(__file__).resolve().parents[1] / "e2e" / "golden"
SHAPES = json.loads((GOLDEN / "shapes.json").read_text())


def scenes(pattern):
    """{name: scene} of the files that fit."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob(pattern))}


class Replay:
    """The stage of one scene: who is who, what has been named, and what each side was sent."""

    def __init__(self, sides, **names):
        self.sides = sides
        self.names = names
        for side, client in sides.items():
            self.names |= {side: client.id, f"session_{side}": client.session_id}

    async def play(self, step):
        actor = self.sides[step["by"]]
        if "sends" in step:
            await actor.send(**fill(step["sends"], self.names))
        else:
            self.names["acked"] = snowflake_now() if step["acks"] == "now" else fill(step["acks"], self.names)
            assert await actor.rest.ack(self.names["channel"], self.names["acked"]) == {"token": None}
        got = {side: await self.hear(client, step.get(side, []), f"{step['does']}: {side}")
               for side, client in self.sides.items()}
        for (side, heard), (other, heard_too) in itertools.combinations(got.items(), 2):
            for name in set(heard) & set(heard_too):
                assert same(heard[name], heard_too[name]), f"{side} and {other} see the same {name}"

    async def hear(self, client, expected, at):
        got = {}
        for item in expected:
            wanted = {one["t"]: one["d"] for one in item.get("any_order", [item])}
            for name, data in (await client.any_order(*wanted)).items():
                check(data, wanted[name], self.names, SHAPES, f"{at}: {name}")
                got[name] = data
        return got
