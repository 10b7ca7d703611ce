"""BusPeer: an instance on the bus that a test plays by hand, and the messages of proto/*.def.
Fields are typed once, in those tables: they are read from there when this module is imported."""
import queue
import re
import secrets
import threading
import time
from collections import OrderedDict
from pathlib import Path

import msgpack
import pynng
import redis as redis_client
from harness import KINDS as SERVICES
from harness import System, poll
from redis.backoff import NoBackoff
from redis.retry import Retry

PROTO = Path(__file__).resolve().parents[2] / "proto"
KINDS = ("gateway", "call-manager", "region-allocator", "message", "voice-node")
ERR = {"INVALID": -1, "STATE": -2, "MISSING": -3, "FULL": -4, "CONFLICT": -5, "TIMEOUT": -6, "IO": -7, "DENIED": -8}
LEASE_MS = 15000        # a test may be held up for seconds, and is there all the same
DYING_MS = 1500         # what is left of the lease of one that dies
RENEW_S = 0.5
REPEAT_S = 0.25
GREET_S = 0.02
BEAT_S = 0.1
WAIT_S = 30             # for what comes at once, unless something is broken; or the machine busy
DEFAULTS = {"flag": False, "oflag": False, "text": "", "hush": "", "ntext": None, "otext": None, "raw": b"",
            "oraw": b"", "blob": b"", "ids": (), "texts": (), "obj": None, "oobj": None}  # others: 0


# -- messages ---------------------------------------------------------------------------------

class Schema:
    def __init__(self, name, tag, fields):
        self.name, self.tag, self.fields = name, tag, fields  # fields: [(kind, name, row of a list or object)]


def _read_tables():
    by_name = {}
    for table in ("records.def", "messages.def", "payloads.def"):
        text = (PROTO / table).read_text().replace("\\\n", " ")
        lists = {m[1]: m[2] for m in re.finditer(r"#define (ROW_\w+)\(F, L, O\)(.*)", text)}
        for name, tag, row in re.findall(r"^ROW\((\w+), (\d+), (ROW_\w+)\)", text, re.M):
            fields = []
            for kind, a, b, c in re.findall(r"\b([FLO])\((\w+), (\w+), (\w+)\)", lists[row]):
                fields.append({"F": (a, b, None), "L": ("list", b, a), "O": (c, b, a)}[kind])
            by_name[name] = Schema(name, int(tag), fields)
    return by_name


SCHEMAS = _read_tables()
BY_TAG = {schema.tag: schema for schema in SCHEMAS.values()}


def _raw(value):
    return value.encode() if isinstance(value, str) else bytes(value)


def _to_wire(name, values):
    schema = SCHEMAS[name]
    unknown = set(values) - {field for _, field, _ in schema.fields}
    if unknown:
        raise KeyError(f"{name} has no field {', '.join(sorted(unknown))}")
    wire = [schema.tag]
    for kind, field, row in schema.fields:
        value = values.get(field, () if kind == "list" else DEFAULTS.get(kind, 0))
        if kind == "list":
            value = [_to_wire(row, item) for item in value]
        elif row is not None:
            value = None if value is None else _to_wire(row, value)
        elif kind in ("raw", "oraw", "blob"):
            value = _raw(value)
        elif kind in ("ids", "texts"):
            value = list(value)
        wire.append(value)
    return wire


def _from_wire(wire):
    schema = BY_TAG[wire[0]]
    values = {}
    for i, (kind, field, row) in enumerate(schema.fields):
        value = wire[i + 1] if i + 1 < len(wire) else ([] if kind == "list" else DEFAULTS.get(kind, 0))
        if kind == "list":
            value = [_from_wire(item)[1] for item in value]
        elif row is not None and value is not None:
            value = _from_wire(value)[1]
        values[field] = value
    return schema.name, values


def pack(name, /, **values):
    """One message as bytes; fields left out have their defaults, lists and objects are dicts."""
    return msgpack.packb(_to_wire(name, values), use_bin_type=True)


def unpack_all(data):
    """[(name, {field: value})] of concatenated messages."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="surrogateescape", max_buffer_size=2**26)
    unpacker.feed(data)
    return [_from_wire(wire) for wire in unpacker]


def unpack(data, name=None):
    """The fields of one message, which must be a `name`."""
    (found, values), = unpack_all(data)
    assert name is None or found == name, f"{found} instead of {name}"
    return values


# -- the registry ------------------------------------------------------------------------------

def now_ms():
    return time.time_ns() // 1_000_000


def live_instances(redis, kind):
    return [name.decode() for name in redis.zrangebyscore(f"bus:{kind}", f"({now_ms()}", "+inf")]


# -- one service alone -------------------------------------------------------------------------

def alone(kind, count=1, **env):
    """A System of one kind of service and nothing else: its redis-server, and peers that a test plays by hand."""
    return System(instances={name: count if name == kind else 0 for name in SERVICES}, world=None, env={kind: env})


def redis_of(system):
    return redis_client.Redis(port=system.redis_port, retry=Retry(NoBackoff(), 0))  # a test says itself when to wait


def instances_of(system, kind, count=1):
    """The names under which a service's instances stand in the registry, sorted."""
    return poll(lambda: sorted(found) if len(found := live_instances(redis_of(system), kind)) >= count else None,
                f"{count} x {kind} in the registry")


def metrics_of(system, name):
    """{metric without its prefix: value} of one process."""
    return system.metrics(name)


# -- the peer ----------------------------------------------------------------------------------

class Command:
    """A command that came in. reply(body) or reply(err=…) answers it; repeats get the same answer by themselves."""

    def __init__(self, peer, head, name, fields):
        self.peer, self.id, self.sender, self.deadline = peer, head["id"], head["from"], head["deadline"]
        self.kind, self.name, self.fields = KINDS[head["kind"]], name, fields

    def __repr__(self):
        return f"<{self.name} {self.fields}>"

    def reply(self, body=b"", err=0):
        self.peer._answer(self, pack("answer", id=self.id, err=err, body=body))


class _Link:
    """Events to one instance: numbered batches and beats."""

    def __init__(self, url):
        self.socket = pynng.Pub0()
        self.socket.send_buffer_size = 4096
        self.ready = threading.Event()
        self.socket.add_post_pipe_connect_cb(lambda _: self.ready.set())
        self.socket.dial(url, block=False)
        self.seq = 0

    def send(self, peer, data=b"", beat=False):
        if not beat:
            self.seq += 1
        self.socket.send(pack("bus_head", instance=peer.instance, epoch=peer.epoch, seq=self.seq, beat=beat) + data)


class BusPeer:
    """BusPeer(redis, kind) registers itself under a lease of lease_ms, as common/bus.h describes, and
    command(to, name, **fields)   sends a command, repeats it until answered, and returns the answer: {id, err, body}
    commands, events              queues of what came in: Command, (name, fields); see take_command, take_event
    on_command                    a function (Command) -> True when it took care; others go to the queue
    publish(instance, kind, data) sends events
    heads                         the bus_heads received, for tests of numbering and beats
    """

    def __init__(self, redis, kind, instance=None, register=True, lease_ms=LEASE_MS):
        assert kind in KINDS
        self.redis, self.kind, self.lease_ms = redis, kind, lease_ms
        self.instance = instance or f"test-{kind}-{secrets.token_hex(4)}"
        self.epoch = now_ms()
        self.commands, self.events, self.heads = queue.Queue(), queue.Queue(), []
        self.on_command = None
        self.lock, self.leasing = threading.RLock(), threading.Lock()
        self.links, self.pushes = {}, {}
        self.waiting, self.answered = {}, OrderedDict()
        self.heard = set()              # instances that have found the way here
        self.stopping = threading.Event()
        self.sub, self.pull = pynng.Sub0(), pynng.Pull0()
        self.sub.subscribe(b"")
        self.sub.recv_buffer_size = self.pull.recv_buffer_size = 4096
        self.events_url, self.commands_url = self._listen(self.sub), self._listen(self.pull)
        self.registered = register
        self.threads = [threading.Thread(target=run, daemon=True)
                        for run in (self._run_events, self._run_commands, self._run_lease)]
        if register:
            self.register()
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def _listen(socket):
        listener = socket.listen("tcp://127.0.0.1:0")
        address = str(listener.local_address)
        return address if address.startswith("tcp://") else f"tcp://{address}"

    # -- registry

    def register(self):
        with self.leasing:
            self.registered = True
            self._lease(self.lease_ms)

    def unregister(self):
        with self.leasing:
            self.registered = False
            with self.redis.pipeline() as pipe:
                pipe.zrem(f"bus:{self.kind}", self.instance)
                pipe.delete(f"bus:{self.kind}:{self.instance}")
                pipe.execute()

    def die(self):
        """As after kill -9: what is left of the lease runs out, and is not renewed."""
        with self.leasing:
            self.registered = False
            self._lease(DYING_MS)

    def _lease(self, ms):
        node = pack("bus_node", instance=self.instance, events_url=self.events_url, commands_url=self.commands_url,
                    epoch=self.epoch)
        with self.redis.pipeline() as pipe:
            pipe.set(f"bus:{self.kind}:{self.instance}", node, px=ms)
            pipe.zadd(f"bus:{self.kind}", {self.instance: now_ms() + ms})
            pipe.execute()

    def _renew(self):
        with self.leasing:      # who has just taken himself out does not come back by it
            if self.registered:
                self._lease(self.lease_ms)

    def node_of(self, kind, instance):
        """The registry's entry of an instance; waits for it."""
        data = poll(lambda: self.redis.get(f"bus:{kind}:{instance}"), f"{instance} in the registry")
        return unpack(data, "bus_node")

    def _run_lease(self):
        renewed = 0
        while not self.stopping.wait(BEAT_S):
            if time.monotonic() - renewed > RENEW_S:
                try:
                    self._renew()
                    renewed = time.monotonic()
                except Exception:  # Redis is away in some tests: the lease runs out, as it should
                    pass
            self._greet_gateways()
            with self.lock:
                links = list(self.links.values())
            for link in links:
                try:
                    link.send(self, beat=True)
                except pynng.NNGException:
                    pass

    def _greet_gateways(self):
        """Who has events for gateways beats to all of them."""
        if not self.registered or self.kind not in ("call-manager", "message"):
            return
        try:
            for name in live_instances(self.redis, "gateway"):
                node = self.redis.get(f"bus:gateway:{name}") if name not in self.links else None
                if node:
                    with self.lock:
                        self.links.setdefault(name, _Link(unpack(node, "bus_node")["events_url"]))
        except Exception:  # Redis is away in some tests, or the peer is being closed
            pass

    # -- what comes in

    def _run_events(self):
        for data in self._messages(self.sub):
            messages = unpack_all(data)
            assert messages[0][0] == "bus_head", messages
            self.heads.append(messages[0][1])
            self.heard.add(messages[0][1]["instance"])
            for name, fields in messages[1:]:
                if name == "answer":
                    waiter = self.waiting.get(fields["id"])
                    if waiter:
                        waiter.put(fields)
                else:
                    self.events.put((name, fields))

    def _run_commands(self):
        for data in self._messages(self.pull):
            messages = unpack_all(data)
            for (head_name, head), (name, fields) in zip(messages[::2], messages[1::2]):
                assert head_name == "command", head_name
                self._take(Command(self, head, name, fields))

    def _take(self, command):
        known = self.answered.get(command.id, False)
        if known:
            self._send_answer(command, known)
        if known is not False:  # answered, or still being worked on
            return
        self.answered[command.id] = None
        while len(self.answered) > 65536:
            self.answered.popitem(last=False)
        if not (self.on_command and self.on_command(command)):
            self.commands.put(command)

    def _messages(self, socket):
        while True:
            try:
                yield socket.recv()
            except pynng.Closed:
                return

    def _answer(self, command, data):
        self.answered[command.id] = data
        self._send_answer(command, data)

    def _send_answer(self, command, data):
        try:
            if command.sender in self.links or self.redis.exists(f"bus:{command.kind}:{command.sender}"):
                self.publish(command.sender, command.kind, data)
        except redis_client.RedisError:  # away, in some tests; the asker repeats itself
            pass

    # -- what goes out

    def link(self, instance, kind):
        """The event link to an instance, connected."""
        with self.lock:
            if instance not in self.links:
                self.links[instance] = _Link(self.node_of(kind, instance)["events_url"])
            link = self.links[instance]
        assert link.ready.wait(WAIT_S), f"no event link to {instance}"
        return link

    def publish(self, instance, kind, *messages):
        """Sends packed messages as one batch of events."""
        link = self.link(instance, kind)
        with self.lock:
            link.send(self, b"".join(messages))

    def push(self, instance, kind, data):
        """Bytes on an instance's command link, whatever they are."""
        with self.lock:
            if instance not in self.pushes:
                socket = pynng.Push0(send_timeout=WAIT_S * 1000)
                socket.dial(self.node_of(kind, instance)["commands_url"], block=True)
                self.pushes[instance] = socket
            self.pushes[instance].send(data)

    def send(self, to, name, /, *, instance=None, id=None, deadline_s=WAIT_S, more=(), **fields):
        """Sends a command once; wait_answer(id) waits for its answer. more: fields that are called as arguments are."""
        id = id or secrets.randbits(62) + 1
        self.waiting.setdefault(id, queue.Queue())
        self._push_command(to, name, fields | dict(more), instance, id, now_ms() + int(deadline_s * 1000))
        return id

    def _push_command(self, to, name, fields, instance, id, deadline):
        instance = instance or poll(lambda: live_instances(self.redis, to), f"a {to}")[0]
        head = pack("command", **{"id": id, "deadline": deadline, "from": self.instance,
                                  "kind": KINDS.index(self.kind)})
        self.push(instance, to, head + pack(name, **fields))
        return instance

    def wait_answer(self, id, deadline_s=WAIT_S):
        return self.waiting[id].get(timeout=deadline_s)

    def answers_so_far(self, id):
        """The answers to a command that have come and were not waited for."""
        found = []
        while not self.waiting[id].empty():
            found.append(self.waiting[id].get())
        return found

    def command(self, to, name, /, *, instance=None, id=None, deadline_s=WAIT_S, more=(), **fields):
        """A command as a service of ours sends it: repeated until answered, to `instance` or any. Who does not know us
        yet looks for us when it has the answer, and has to be asked once more."""
        id = id or secrets.randbits(62) + 1
        answers = self.waiting.setdefault(id, queue.Queue())
        end = time.monotonic() + deadline_s
        deadline = now_ms() + int(deadline_s * 1000)
        while time.monotonic() < end:
            asked = self._push_command(to, name, fields | dict(more), instance, id, deadline)
            try:
                return answers.get(timeout=REPEAT_S if asked in self.heard else GREET_S)
            except queue.Empty:
                continue
        raise AssertionError(f"{name} was not answered within {deadline_s} s")

    # -- waiting for what comes in

    def take_command(self, name=None, /, deadline_s=WAIT_S, **fields):
        """The next command (of that name and with these fields); others are put aside for later."""
        return self._next(self.commands, lambda c: (name is None or c.name == name)
                          and all(c.fields[key] == value for key, value in fields.items()), deadline_s,
                          name or "a command")

    def take_event(self, name=None, deadline_s=WAIT_S):
        return self._next(self.events, lambda e: name is None or e[0] == name, deadline_s, name or "an event")

    def _next(self, source, fits, deadline_s, what):
        end, aside = time.monotonic() + deadline_s, []
        try:
            while True:
                try:
                    item = source.get(timeout=max(0.0, end - time.monotonic()))
                except queue.Empty:
                    raise AssertionError(f"{self.instance} waited {deadline_s} s in vain for {what}") from None
                if fits(item):
                    return item
                aside.append(item)
        finally:
            for item in aside:
                source.put(item)

    def close(self):
        if self.stopping.is_set():
            return
        self.stopping.set()
        try:
            self.unregister()
        except Exception:  # Redis may be gone before us
            pass
        for socket in [self.sub, self.pull, *self.pushes.values(), *(link.socket for link in self.links.values())]:
            socket.close()
        for thread in self.threads:
            thread.join(WAIT_S)
