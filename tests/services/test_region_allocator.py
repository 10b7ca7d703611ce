"""The region allocator alone: the real process, a real redis-server, voice nodes and call managers played by hand."""
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import threading

import pytest
from bus import (ERR, KINDS, BusPeer, alone, instances_of, live_instances, metrics_of, now_ms, pack, poll, redis_of,
                 unpack)
from harness import fetch

KIND = "region-allocator"
REGIONS = {"default": "rotterdam", "regions": [
    {"id": "rotterdam", "name": "Rotterdam", "nodes": [
        {"id": "rot-1", "endpoint": "127.0.0.1:443", "capacity": 500},
        {"id": "rot-2", "endpoint": "127.0.0.2:443", "capacity": 500}]},
    {"id": "frankfurt", "name": "Frankfurt", "nodes": [
        {"id": "fra-1", "endpoint": "127.0.0.3:443", "capacity": 500}]},
    {"id": "tiny", "name": "Tiny"}]}
# How long a node may be silent. A test that is held up silences those that it plays: the first is for those that lose
# none, the second for those that lose one and keep the others.
PATIENT, FAST = {"SB_NODE_LEASE_MS": "20000"}, {"SB_NODE_LEASE_MS": "5000"}
SETTLED_MS = 5000  # until then the answer that told of an assignment may still be on its way


class Node:
    """A voice node that announces itself, several times a second, until it is silenced."""

    def __init__(self, house, region, capacity=10, command=False, **fields):
        self.house, self.command = house, command
        self.id = f"node-{secrets.token_hex(4)}"
        self.peer = house.peer("voice-node")
        self.fields = {"node": self.id, "region": region, "endpoint": f"{self.id}.test:443", "capacity": capacity,
                       "epoch": now_ms()} | fields
        self.silent = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        house.nodes.append(self)

    def _run(self):
        while not self.silent.is_set():
            self.speak()
            self.silent.wait(0.2)

    def speak(self):
        try:
            for allocator in live_instances(self.house.redis, KIND):
                if self.command:
                    self.peer.send(KIND, "node_announce", instance=allocator, **self.fields)
                else:
                    self.peer.publish(allocator, KIND, pack("node_announce", **self.fields))
        except Exception:  # the test has just killed an allocator, or Redis
            pass

    def silence(self):
        self.silent.set()
        self.thread.join()

    def known(self):
        """Waits until a new call in its region lands on it (and takes that back)."""
        place = new_id()
        poll(lambda: self.house.assign(place, region=self.fields["region"])["node"] == self.id, f"{self.id} in use")
        self.house.release(place)
        return self


class House:
    """One or more allocators, a call manager that says yes to everything, and whoever else is needed."""

    def __init__(self, tmp_path, count=1, **env):
        self.file = tmp_path / "regions.json"
        self.file.write_text(json.dumps(REGIONS))
        self.system = alone(KIND, count, SB_REGIONS_FILE=str(self.file), **PATIENT | env)
        self.redis = redis_of(self.system)
        self.peers, self.nodes, self.told = [], [], []
        self.manager = self.peer("call-manager")
        self.manager.on_command = self.be_told
        self.answering = True
        self.gateway = self.peer("gateway")
        self.allocators = instances_of(self.system, KIND, count)
        for allocator in self.allocators:  # each now knows the way back
            self.manager.command(KIND, "regions_list", instance=allocator, user=1)

    def names(self):
        return list(self.system.services)

    def peer(self, kind):
        self.peers.append(BusPeer(self.redis, kind))
        return self.peers[-1]

    def be_told(self, command):
        self.told.append((command.name, command.fields))
        if self.answering:
            command.reply()
        return True

    def was_told(self, name, place, **fields):
        return sum(1 for told, f in self.told if told == name and f["place"] == place
                   and all(f[key] == value for key, value in fields.items()))

    def wait_told(self, name, place, **fields):
        poll(lambda: self.was_told(name, place, **fields), f"{name} for {place}")

    def ask(self, place, **fields):
        """The command's fields of an assign."""
        return {"place": place, "channel": place, "server": place, "user": 11, "session": "0123456789abcdef"} | fields

    def assign(self, place, instance=None, id=None, **fields):
        answer = self.manager.command(KIND, "assign", instance=instance, id=id, **self.ask(place, **fields))
        assert answer["err"] == 0, answer
        return unpack(answer["body"], "assigned")

    def release(self, place, **fields):
        assert self.manager.command(KIND, "release", place=place, channel=place, **fields)["err"] == 0

    def regions(self):
        answer = self.gateway.command(KIND, "regions_list", user=11)
        assert answer["err"] == 0
        return json.loads(answer["body"])

    def assignment(self, place):
        raw = self.redis.hget(f"{{{place}}}:a", place)
        return unpack(raw, "assignment") if raw else None

    def lists(self, node, place):
        return bool(self.redis.sismember(f"node:{node}:calls", f"{place} {place}"))

    def metric(self, name):
        return sum(metrics_of(self.system, service)[name] for service in self.names())

    def close(self):
        for node in self.nodes:
            node.silence()
        try:
            self.system.stop()
        finally:
            for peer in self.peers:
                peer.close()


def new_id():
    return secrets.randbits(60) + 1


@pytest.fixture
def house(tmp_path):
    built = []

    def build(count=1, **env):
        built.append(House(tmp_path, count, **env))
        return built[-1]

    yield build
    for one in built:
        one.close()


# -- placing -----------------------------------------------------------------------------------

def test_a_call_gets_a_node_of_the_pool_and_a_token(house):
    h = house()
    place = new_id()
    got = h.assign(place, user=77)
    assert got["region"] == "rotterdam" and got["node"] in ("rot-1", "rot-2")
    assert got["endpoint"] in ("127.0.0.1:443", "127.0.0.2:443")
    assert len(got["token"]) == 16 and int(got["token"], 16) >= 0
    assert got["token_ms"] == 300_000
    assert h.assignment(place)["node"] == got["node"] and h.assignment(place)["endpoint"] == got["endpoint"]
    assert h.lists(got["node"], place)


def test_how_long_a_token_is_good_is_said_with_it(house):
    assert house(SB_VOICE_TOKEN_MS="3000").assign(new_id())["token_ms"] == 3000


def test_everybody_in_a_call_lands_on_its_node_with_a_token_of_his_own(house):
    h = house()
    place = new_id()
    first = h.assign(place, session="a", preferred=["frankfurt"])
    others = [h.assign(place, session=f"b{i}", preferred=["rotterdam"]) for i in range(8)]
    assert first["node"] == "fra-1"
    assert {o["node"] for o in others} == {"fra-1"}
    assert len({o["token"] for o in others} | {first["token"]}) == 9


def test_a_command_repeated_three_times_is_applied_once(house):
    h = house(2)
    place, id = new_id(), new_id()
    before = h.metric("assignments")
    first = h.assign(place, id=id, instance=h.allocators[0])
    again = [h.assign(place, id=id, instance=h.allocators[i % 2]) for i in range(3)]
    assert again == [first] * 3
    assert h.metric("assignments") == before + 1
    assert h.assign(place)["token"] != first["token"]  # another command is another token


def test_one_command_at_two_allocators_at_once_has_one_answer(house):
    h = house(2)
    askers = [h.peer("call-manager") for _ in h.allocators]  # of their own, so that both may carry one id
    for asker, instance in zip(askers, h.allocators):
        asker.command(KIND, "regions_list", instance=instance, user=1)  # now the way back is known
    for _ in range(30):
        place, id = new_id(), new_id()
        for asker, instance in zip(askers, h.allocators):
            asker.send(KIND, "assign", instance=instance, id=id, **h.ask(place))
        answers = [unpack(asker.wait_answer(id)["body"], "assigned") for asker in askers]
        assert answers[0] == answers[1]


def test_two_allocators_given_the_same_call_at_once_agree(house):
    h = house(2)
    nodes = set()
    for _ in range(40):
        place = new_id()
        ids = [h.manager.send(KIND, "assign", instance=instance, **h.ask(place, session=f"s{i}"))
               for i, instance in enumerate(h.allocators)]
        answers = [unpack(h.manager.wait_answer(id)["body"], "assigned") for id in ids]
        assert answers[0]["token"] != answers[1]["token"]
        assert answers[0]["node"] == answers[1]["node"] == h.assignment(place)["node"]
        assert h.lists(answers[0]["node"], place)
        nodes.add(answers[0]["node"])
    assert nodes == {"rot-1", "rot-2"}


def test_an_allocator_killed_in_the_middle_leaves_nothing_half_done(house):
    h = house(2)
    said = re.search(r" instance=(\S+)", h.system.services[KIND].log.read_text())[1]
    survivor, = set(h.allocators) - {said}
    places = {h.manager.send(KIND, "assign", instance=said, **h.ask(place)): place
              for place in (new_id() for _ in range(150))}
    poll(lambda: any(h.assignment(place) for place in places.values()), "the first of them to be placed")
    h.system.kill(KIND)
    for id, place in places.items():
        early = [unpack(a["body"], "assigned") for a in h.manager.answers_so_far(id)]  # of the one that died
        got = h.assign(place, id=id, instance=survivor)  # the same command, repeated
        assert early in ([], [got])
        assert h.assignment(place)["node"] == got["node"] and h.lists(got["node"], place)


def test_release_ends_it_and_the_next_call_is_a_new_one(house):
    h = house()
    place = new_id()
    got = h.assign(place)
    h.release(place)
    assert h.assignment(place) is None
    poll(lambda: not h.lists(got["node"], place), "the list to be cleaned")
    h.release(place)  # of nothing
    assert h.assign(place, region="frankfurt")["node"] == "fra-1"


def test_a_release_and_the_next_call_s_assign_sent_at_once_keep_their_order(house):
    h = house()
    for _ in range(20):
        place = new_id()
        h.assign(place, region="frankfurt")
        release = h.manager.send(KIND, "release", place=place, channel=place)
        assign = h.manager.send(KIND, "assign", **h.ask(place))
        assert h.manager.wait_answer(release)["err"] == 0
        got = unpack(h.manager.wait_answer(assign)["body"], "assigned")
        assert got["region"] == "rotterdam" and h.assignment(place)["node"] == got["node"]


def test_a_region_change_moves_the_call_and_all_of_it_follows(house):
    h = house()
    place = new_id()
    h.assign(place)
    moved = h.assign(place, region="frankfurt", move=True)
    assert moved["node"] == "fra-1"
    assert h.assign(place, region="frankfurt", move=True, session="b")["node"] == "fra-1"
    assert h.assign(place, session="c")["node"] == "fra-1"
    back = h.assign(place, region="rotterdam", move=True)
    assert h.assign(place, region="rotterdam", move=True, session="b")["node"] == back["node"]


def test_a_move_to_a_region_that_does_not_exist_is_a_form_error(house):
    h = house()
    place = new_id()
    got = h.assign(place)
    answer = h.manager.command(KIND, "assign", **h.ask(place, region="atlantis", move=True))
    assert answer["err"] == 50035 and answer["body"] == b""
    assert h.assignment(place)["node"] == got["node"]


def test_malformed_commands_are_answered_as_such(house):
    h = house()
    for bad in ({"place": 0}, {"user": 0}, {"session": ""}, {"session": "a b"}, {"server": 0}):
        assert h.manager.command(KIND, "assign", **h.ask(new_id()) | bad)["err"] == ERR["INVALID"]
    assert h.manager.command(KIND, "release", place=0, channel=5)["err"] == ERR["INVALID"]
    assert h.manager.command(KIND, "call_ring", user=1, channel=2)["err"] == ERR["INVALID"]


# -- regions -----------------------------------------------------------------------------------

def test_the_region_list_is_the_file_s_then_announced_ones(house):
    h = house()

    def row(id, name, optimal):
        return {"id": id, "name": name, "optimal": optimal, "deprecated": False, "custom": False}

    listed = [row("rotterdam", "Rotterdam", True), row("frankfurt", "Frankfurt", False), row("tiny", "Tiny", False)]
    assert h.regions() == listed
    Node(h, "oslo")
    poll(lambda: h.regions() == listed + [row("oslo", "oslo", False)], "oslo in the list")


def test_without_any_region_it_is_not_ready(house, tmp_path):
    h = house()
    h.file.write_text('{"regions":[]}')
    h.system.terminate(KIND)
    service = h.system.services[KIND]
    h.system._spawn(service)

    def readiness():
        try:
            service.ports = json.loads(service.ports_file.read_text())
            status, _, body = fetch("GET", h.system.health_url_of(KIND) + "/readyz", timeout_s=2)
            return status, json.loads(body)
        except (OSError, ValueError):
            return None

    def no_region():
        status, said = readiness() or (0, {})
        return status == 503 and "no region" in said["why"]

    poll(no_region, "a word about the missing region")
    node = Node(h, "oslo")
    poll(lambda: readiness() == (200, {"ready": True}), "to be ready")
    assert [(r["id"], r["optimal"]) for r in h.regions()] == [("oslo", True)]
    assert h.assign(new_id())["node"] == node.id


@pytest.mark.parametrize("text, words", [
    ("{", "line 1"),
    ('{"regions":[{"id":"a","name":"A","nodes":[{"id":"n","endpoint":"n","capacity":1}]}]}',
     "regions[0].nodes[0].endpoint must be host:port"),
    ('{"regions":[],"default":"a"}', "default names a, which is not one of the regions"),
    (None, "cannot be read"),
])
def test_a_wrong_regions_file_is_refused_with_a_sentence(tmp_path, text, words):
    file = tmp_path / "regions.json"
    if text is not None:
        file.write_text(text)
    binary = os.path.join(os.environ["SB_BUILD"], "bin", f"switchboard-{KIND}")
    done = subprocess.run([binary, f"--regions-file={file}", "--redis-url=redis://127.0.0.1:1/0"], timeout=30,
                          capture_output=True, text=True)
    assert done.returncode == 2
    assert f"SB_REGIONS_FILE: {file}: " in done.stderr and words in done.stderr
    assert "Sanitizer" not in done.stderr


# -- nodes that announce themselves --------------------------------------------------------------

@pytest.mark.parametrize("command", [False, True])
def test_a_node_announces_itself_by_event_or_by_command(house, command):
    h = house()
    node = Node(h, "oslo", command=command).known()
    place = new_id()
    assert h.assign(place, region="oslo")["endpoint"] == node.fields["endpoint"]
    assert h.metric("nodes") == 4


def test_a_silent_node_s_calls_are_told_and_go_elsewhere(house):
    h = house(2, **FAST)
    node, other = Node(h, "oslo").known(), None
    places = [new_id() for _ in range(70)]
    node.fields["capacity"] = 1000
    poll(lambda: all(h.assign(p, region="oslo")["node"] for p in places), "all to be placed")
    other = Node(h, "oslo", capacity=1000)
    node.silence()
    for place in places:
        h.wait_told("server_lost", place, channel=place, node=node.id)
    poll(lambda: not any(h.lists(node.id, place) for place in places), "the list to be cleaned")
    assert {h.assign(place, region="oslo")["node"] for place in places} == {other.id}
    poll(lambda: h.metric("nodes_lost") == 2, "each of the two to have lost it")
    poll(lambda: not h.redis.sismember("nodes:used", node.id), "the node to be forgotten")


def test_a_call_manager_that_does_not_answer_is_told_again(house):
    h = house(**FAST)
    node = Node(h, "oslo").known()
    place = new_id()
    h.assign(place, region="oslo")
    h.answering = False
    h.manager.unregister()
    node.silence()
    poll(lambda: h.metric("nodes_lost") == 1, "the node to be lost")
    h.manager.register()
    h.wait_told("server_lost", place, node=node.id)
    assert h.assignment(place)["node"] == node.id  # not forgotten before they know
    h.answering = True
    poll(lambda: h.assignment(place) is None and not h.lists(node.id, place), "it to be done with")


def test_a_word_that_overtook_the_answer_before_it_is_said_again(house):
    h = house(SB_NODE_LEASE_MS="2500")

    def overtaken():
        """Whether it was said again; if not, it came so late that it had to be believed, and was."""
        node = Node(h, "oslo").known()
        place, early, begun = new_id(), [], now_ms()

        def know_nothing(command):  # as a call manager that has not yet got the answer to its assign
            if command.name == "server_lost" and command.fields["place"] == place and not early:
                early.append(command)
                command.reply(err=ERR["STATE"])
                return True
            return h.be_told(command)

        h.manager.on_command = know_nothing
        if h.assign(place, region="oslo")["node"] != node.id:
            return False            # this test was held up, and the node is lost already
        node.silence()
        poll(lambda: early and (h.was_told("server_lost", place, node=node.id) or not h.lists(node.id, place)), "the word")
        again = h.was_told("server_lost", place, node=node.id)
        assert again or now_ms() >= begun + SETTLED_MS
        return again

    assert any(overtaken() for _ in range(4))


def test_what_was_lost_while_no_allocator_lived_is_found_by_the_next(house):
    h = house(**FAST)
    node = Node(h, "oslo").known()
    place = new_id()
    h.assign(place, region="oslo")
    h.system.kill(KIND)
    node.silence()
    h.system.start(KIND)
    h.wait_told("server_lost", place, node=node.id)
    poll(lambda: h.assignment(place) is None, "the assignment to go")


def test_a_join_before_the_sweep_takes_a_living_node_and_the_others_hear_of_it(house):
    h = house(**FAST)
    place = new_id()
    ghost = pack("assignment", place=place, channel=place, node="ghost", region="rotterdam", endpoint="ghost:443",
                 assigned_at=now_ms())
    h.redis.hset(f"{{{place}}}:a", place, ghost)  # no list has it: the join alone finds it
    poll(lambda: h.assign(place)["node"] != "ghost", "the allocator to be sure that it is gone")
    h.wait_told("server_lost", place, node="ghost")
    assert h.assignment(place)["node"] in ("rot-1", "rot-2")


def test_a_draining_node_takes_nothing_new_and_is_emptied_into_another(house):
    h = house(**FAST)
    node = Node(h, "oslo").known()
    bound, free = new_id(), new_id()
    assert h.assign(bound, region="oslo")["node"] == h.assign(free, preferred=["oslo"])["node"] == node.id
    node.fields["draining"] = True
    poll(lambda: h.assign(new_id(), region="oslo")["endpoint"] == "", "it to take nothing new")
    h.wait_told("server_lost", free, node=node.id, drains=True)  # other regions have nodes
    assert h.assign(free)["node"] != node.id
    # Of a region that has no other: better there than nowhere, and nobody is disturbed.
    assert h.assign(bound, region="oslo")["node"] == node.id
    assert not h.was_told("server_lost", bound)
    other = Node(h, "oslo").known()
    h.wait_told("server_lost", bound, node=node.id, drains=True)
    assert h.assignment(bound)["node"] == node.id  # it is there until it asks for another
    assert h.assign(bound, region="oslo")["node"] == other.id
    poll(lambda: not h.lists(node.id, bound) and not h.lists(node.id, free), "the list to be cleaned")
    assert h.assignment(bound)["node"] == other.id
    assert not h.was_told("server_lost", bound, drains=False)


def test_a_node_that_drained_and_ends_with_calls_on_it_is_lost(house):
    h = house(**FAST)
    node = Node(h, "oslo").known()
    place = new_id()
    h.assign(place, region="oslo")
    node.fields["draining"] = True
    poll(lambda: h.assign(new_id(), region="oslo")["endpoint"] == "", "it to take nothing new")
    node.silence()
    h.wait_told("server_lost", place, node=node.id, drains=False)
    poll(lambda: h.assignment(place) is None, "the assignment to go")


def test_a_restarted_node_has_forgotten_its_calls(house):
    h = house()
    node = Node(h, "oslo").known()
    place = new_id()
    h.assign(place, region="oslo")
    node.fields["epoch"] += 1
    h.wait_told("server_lost", place, node=node.id)
    assert h.assign(place, region="oslo")["node"] == node.id
    node.fields["epoch"] -= 1  # an old process of that name is not listened to
    poll(lambda: h.metric("nodes_refused") > 0, "the old process to be refused")


def test_a_full_region_answers_without_an_endpoint_and_tells_when_there_is_room(house):
    h = house()
    node = Node(h, "oslo", capacity=1)
    place, waiting, elsewhere = new_id(), new_id(), new_id()
    poll(lambda: h.assign(place, region="oslo")["node"] == node.id, "the node's only place")
    got = h.assign(waiting, region="oslo")
    assert (got["node"], got["endpoint"]) == ("", "") and len(got["token"]) == 16
    assert h.assign(elsewhere, region="atlantis")["endpoint"] == ""
    assert h.metric("assignments_refused") >= 2
    assert not h.was_told("server_free", waiting)
    node.fields["capacity"] = 5
    h.wait_told("server_free", waiting, channel=waiting)
    assert h.assign(waiting, region="oslo")["node"] == node.id
    poll(lambda: h.redis.zcard("waiting:in:oslo") == 0, "nobody to wait")
    assert not h.was_told("server_free", elsewhere)
    assert h.redis.zcard("waiting:in:atlantis") == 1
    h.release(elsewhere)
    poll(lambda: h.redis.zcard("waiting:in:atlantis") == 0, "nobody to wait")


def test_who_waits_for_any_region_hears_of_any(house):
    h = house()
    h.file.write_text('{"regions":[{"id":"tiny","name":"Tiny","nodes":[]}]}')
    h.system.restart(KIND)
    place = new_id()
    poll(lambda: h.assign(place)["endpoint"] == "", "no node")
    assert h.assignment(place)["node"] == ""
    node = Node(h, "oslo")
    h.wait_told("server_free", place)
    assert h.assign(place)["node"] == node.id


def test_a_waiting_call_that_is_not_answered_for_is_told_again(house):
    h = house()
    place = new_id()
    h.assign(place, region="oslo")
    h.answering = False
    Node(h, "oslo")
    h.wait_told("server_free", place)
    h.answering = True
    poll(lambda: h.was_told("server_free", place) > 1, "a second word")


def test_load_that_a_node_reports_and_what_was_just_sent_there_steer_the_choice(house):
    h = house()
    busy, idle = Node(h, "oslo", capacity=100, load=60), Node(h, "oslo", capacity=100)
    busy_id, idle_id = busy.id, idle.id
    poll(lambda: len([r for r in h.regions() if r["id"] == "oslo"]) == 1 and h.metric("nodes") == 5, "both nodes")
    picked = [h.assign(new_id(), region="oslo")["node"] for _ in range(120)]
    assert picked[:50] == [idle_id] * 50
    assert abs(picked.count(idle_id) - 90) <= 5 and picked.count(busy_id) >= 25


def test_the_fleet_is_bounded_and_what_is_over_it_is_counted(house):
    h = house(SB_NODES_MAX="4")
    Node(h, "oslo").known()
    answer = h.peer("voice-node").command(KIND, "node_announce", node="one-more", region="oslo", endpoint="h:1",
                                          capacity=5, epoch=1)
    assert answer["err"] == ERR["FULL"]
    assert h.metric("nodes_refused") >= 1 and h.metric("nodes") == 4


def test_one_command_too_many_is_refused_and_the_others_are_answered(house):
    def call():
        place = new_id()
        return {"place": place, "channel": place, "server": place, "user": 1, "session": "s" * 32}

    def one_of_four():
        """What the last one is answered, while the others wait for Redis."""
        with h.system.held("redis"):
            asked = [asker.send(KIND, "assign", instance=h.allocators[0], **call()) for _ in range(4)]
            try:
                answer = asker.wait_answer(asked[3], 5)["err"]
            except queue.Empty:  # the others had given up before it came
                answer = None
        poll(lambda: asker.command(KIND, "assign", **call())["err"] == 0, "it to take commands again")
        return answer

    h = house(SB_JOBS_MAX="3")
    assert h.assign(new_id())["node"]
    asker = h.peer("gateway")
    assert asker.command(KIND, "release", place=1, channel=1)["err"] in (0, ERR["STATE"], ERR["MISSING"])
    # The others wait for two seconds: when this test is held up for that long, it tries again.
    assert ERR["FULL"] in (one_of_four() for _ in range(5))
    assert h.metric("commands_refused") >= 1


# -- the world -----------------------------------------------------------------------------------

def test_what_does_not_validate_is_counted_and_dropped(house):
    h = house()
    before = h.metric("bus_invalid")
    stranger = h.peer("gateway")
    head = pack("command", **{"id": 7, "deadline": now_ms() + 5000, "from": stranger.instance,
                              "kind": KINDS.index("gateway")})
    for data in (b"", b"\xdd\xff\xff\xff\xff", b"\x00" * 100, head, head + b"\x92\xcd\x00\x8c\xa1x",
                 pack("assign", place=1), secrets.token_bytes(3000)):
        stranger.push(h.allocators[0], KIND, data)
    poll(lambda: h.metric("bus_invalid") > before + 3, "the garbage to be counted")
    link = stranger.link(h.allocators[0], KIND)
    for data in (b"", b"\xdd\xff\xff\xff\xff", secrets.token_bytes(3000)):
        link.socket.send(data)
    bad = h.peer("voice-node").command(KIND, "node_announce", node="a b", region="oslo", endpoint="h:1")
    assert bad["err"] == ERR["INVALID"]
    assert h.assign(new_id())["node"]


def test_rubbish_in_redis_is_passed_over(house):
    h = house(**FAST)
    place = new_id()
    h.redis.hset(f"{{{place}}}:a", place, b"\xdd\xff\xff\xff\xff")
    assert h.assign(place)["node"]
    h.redis.sadd("nodes:used", "ghost", "no name", b"\xff\xfe")
    h.redis.sadd("node:ghost:calls", "x", "1 2 3", f"{place} {place}")
    h.redis.zadd("waiting:any", {"nonsense": 1})
    h.wait_told("server_lost", place, node="ghost")
    poll(lambda: h.redis.scard("node:ghost:calls") == 0 and h.redis.zcard("waiting:any") == 0, "it to be swept out")


def test_it_goes_on_after_redis_was_away(house):
    h = house()
    node = Node(h, "oslo").known()
    place = new_id()
    h.assign(place, region="oslo")
    h.system._stop_redis()
    poll(lambda: fetch("GET", h.system.health_url_of(KIND) + "/readyz")[0] == 503, "it to notice")
    h.system._start_redis()
    poll(lambda: fetch("GET", h.system.health_url_of(KIND) + "/readyz")[0] == 200, "it to be ready again")
    assert h.assign(place, region="oslo", session="b")["node"] == node.id
    assert h.metric("nodes_lost") == 0


def test_a_dump_shows_the_fleet(house):
    h = house()
    service = h.system.services[KIND]
    service.proc.send_signal(signal.SIGUSR1)
    poll(lambda: "rot-1 region=rotterdam endpoint=127.0.0.1:443" in service.log.read_text(), "the dump")


def test_term_ends_it_even_while_nobody_answers(house):
    h = house(**FAST, SB_BUS_LEASE_MS="60000")  # its entry does not run out in this test
    node = Node(h, "oslo").known()
    for _ in range(10):
        h.assign(new_id(), region="oslo")
    h.answering = False
    node.silence()
    poll(lambda: any(name == "server_lost" for name, _ in h.told), "the telling to have begun")
    h.system.terminate(KIND)  # checks: 0, within five seconds, no word from a sanitizer
    poll(lambda: live_instances(h.redis, KIND) == [], "it to be out of the registry")  # what it said last
