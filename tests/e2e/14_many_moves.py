"""A moderator who moves people as fast as he can, over several connections, also where the call manager has room for few
commands at a time: each request is answered, no queue grows, all see in the end what stands, and nobody else waits."""
import asyncio
import itertools
import signal

import pytest

from bus import metrics_of, redis_of, unpack
from bystander import until_done
from gateway_house import until
from harness import System

MEMBERS, MOVES = 20, 1000
SEATS_BESIDE = 4                                # of bystanders
UNAVAILABLE = {0, 130000}                       # codes of a 503: not in time, too much at a time
# jobs at a time, connections, and the share of the moves that has to get through
ROOM = {"2,000 commands at a time": (2000, 10, 0.5), "4 commands": (4, 10, 0.1), "16 commands, many connections": (16, 90, 0.1)}


@pytest.fixture(scope="module", params=ROOM.values(), ids=ROOM)
def system(request):
    jobs_max, connections, share = request.param
    running = System(env={"call-manager": {"SB_JOBS_MAX": str(jobs_max)},
                          "gateway": {"SB_COMMAND_MS": 5000, "SB_HEARTBEAT_MS": 600_000}})     # nobody's heart beats meanwhile
    running.jobs_max, running.connections, running.share = jobs_max, connections, share
    yield running
    running.stop()


async def dump_of(service):
    """What a process says of itself, {first word: line}."""
    before = service.log.read_text().count(f"--- {service.kind}")
    service.proc.send_signal(signal.SIGUSR1)
    await until(lambda: service.log.read_text().count(f"--- {service.kind}") > before, f"the dump of {service.name}")
    lines = service.log.read_text().rpartition(f"--- {service.kind}")[2].splitlines()
    return {line.split()[0]: line for line in lines if line.split()}


async def watch(system, over):
    """Looks at every queue again and again; returns the most that was seen in each."""
    most = {}
    while not over.is_set():
        found = {}
        for name, service in system.services.items():
            metrics = await asyncio.to_thread(metrics_of, system, name)
            found |= {f"{name} {key}": value for key, value in metrics.items()
                      if key in ("store_pending", "memory_clients_bytes", "memory_events_bytes")}
            words = (await dump_of(service))["bus"].replace(",", "").split()
            found |= {f"{name} {words[i + 1]}": int(words[i]) for i in range(len(words)) if words[i].isdigit()}
        jobs = (await dump_of(system.services["call-manager"]))["jobs"].split()
        found["jobs"] = int(jobs[2])
        most |= {key: max(value, most.get(key, 0)) for key, value in found.items()}
    return most


def picture(client, guild):
    """{user: channel} as the client was told of it, one event after another."""
    seats = {}
    for event in client.events:
        if event.t == "VOICE_STATE_UPDATE" and event.d["guild_id"] == guild:
            seats[event.d["user_id"]] = event.d["channel_id"]
    return seats


async def test_a_thousand_moves_in_a_loop(world, system, bystander):
    ann, *people = world.users("ann", *[f"m{n}" for n in range(MEMBERS)])
    guild = world.guild(ann, *people)
    ids = {channel["name"]: channel["id"] for channel in guild["channels"]}
    clients = [await world.login(person) for person in people]
    mod = await world.login(ann)
    for client in clients:
        await client.join(ids["one"], guild=guild["id"])
        await client.expect("VOICE_SERVER_UPDATE", guild_id=guild["id"])
    turns, over, answers = itertools.count(), asyncio.Event(), []

    async def move():
        rest = world.rest(ann)
        while (n := next(turns)) < MOVES:
            to = ids["two" if n // MEMBERS % 2 == 0 else "one"]
            reply = await rest.patch(f"/guilds/{guild['id']}/members/{people[n % MEMBERS].id}", {"channel_id": to})
            assert reply.status == 200 or (reply.status == 503 and reply.json["code"] in UNAVAILABLE), reply
            answers.append(reply.status)
    watching, before = asyncio.create_task(watch(system, over)), bystander.moves
    await asyncio.gather(*[move() for _ in range(system.connections)])
    others = bystander.moves - before
    over.set()
    most = await watching
    assert len(answers) == MOVES and answers.count(200) > MOVES * system.share, answers.count(200)
    assert others, "nobody else's moves had a turn meanwhile"
    assert most["jobs"] <= system.jobs_max
    # The moderator's, and the bystanders'.
    assert most["gateway commands"] <= system.connections + 10, most
    # One ask for each seat, one release for each room, and one for the regions; those of the bystanders among them.
    assert most["call-manager commands"] <= MEMBERS + SEATS_BESIDE + 2 * 2 + 1, most
    assert max(value for key, value in most.items() if key.endswith("store_pending")) < 2000, most
    assert max(value for key, value in most.items() if key.endswith("_bytes")) < 16 << 20, most
    print(f"\n{answers.count(200)} moved, {answers.count(503)} refused; at most: {most}")

    (await until_done(lambda: mod.rest.patch(f"/guilds/{guild['id']}/members/{ann.id}", {"nick": "the end"}))).ok()
    with redis_of(system) as redis:
        rows = [unpack(row, "voice_seat") for row in redis.hvals(f"{{{guild['id']}}}:vs")]
    stands = {str(seat["user"]): str(seat["channel"]) for seat in rows}
    assert set(stands) == {person.id for person in people}
    for client in (mod, *clients):
        await client.expect("GUILD_MEMBER_UPDATE", nick="the end")
        assert picture(client, guild["id"]) == stands
    for client in clients:                      # who was moved has a server that he can talk on
        await until(lambda c=client: [e.d for e in c.events if e.t == "VOICE_SERVER_UPDATE"][-1]["endpoint"], "a server")
