"""System: a whole Switchboard of its own for a test, with its own redis-server and the demo world.
Whatever it started is gone after stop(), and stop() fails loudly when a process did not end cleanly."""
import contextlib
import ctypes
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from certificates import Authority, Certificate

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("region-allocator", "message", "call-manager", "gateway", "voice-node")
NODE = "voice-node"
NONE_UNLESS_ASKED = {NODE}  # calls go to nodes that tests/lib/regions.json names and nobody runs
VOICE_PORT = 443
READY_S = 30
STOP_S = 30         # a service takes four seconds at most (common/service.c); a sanitizer, or a busy machine, as it likes
LOG_TAIL_LINES = 40
SANITIZER = re.compile(
    r"(ERROR|WARNING): (Address|Leak|Memory|Thread|UndefinedBehavior)Sanitizer|runtime error: |SUMMARY: \w+Sanitizer")
PR_SET_PDEATHSIG = 1


class Unclean(AssertionError):
    """A process could not be started, died, did not stop in time, or a sanitizer spoke."""


def poll(condition, what, deadline_s=READY_S):
    """Asks condition() again and again until it returns something true, which is returned."""
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Unclean(f"waited {deadline_s} s in vain for {what}")
        pause.wait(0.02)


def free_port():
    """Below those that the kernel lends to outgoing connections, so that it is still free a moment later."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def free_address():
    """(address, port) for a voice node: an address of loopback of its own, drawn at random so that tests beside this one do
    not meet it, with the port 443 that several libraries dial whatever they are told; where that may not be bound, a high
    port."""
    for _ in range(20):
        address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        with socket.socket() as probe:
            try:
                probe.bind((address, VOICE_PORT))
                return address, VOICE_PORT
            except PermissionError:
                break
            except OSError:
                continue
    return "127.0.0.1", free_port()


def fetch(method, url, body=None, headers=None, timeout_s=10):
    """One plain HTTP request: (status, content type, body as bytes). Connection trouble raises OSError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))
    if data is not None:
        request.add_header("Content-Type", "application/json")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return answer.status, answer.headers.get("Content-Type"), answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers.get("Content-Type"), refusal.read()


def clean_environment():
    """Only what our processes need: nothing of the caller's own SB_* or REDIS_URL leaks in."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("SB_") and key != "REDIS_URL"}
    suppressions = Path(__file__).with_name("lsan.supp")
    if suppressions.exists():
        env["LSAN_OPTIONS"] = f"suppressions={suppressions}:print_suppressions=0"
    return env | {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:abort_on_error=0:exitcode=99:handle_abort=1",
                  "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def threads_of(pid):
    """What each thread of a process is doing: name, state (R: it runs), and in what of the kernel it waits."""
    def words(task):
        name, state = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        return f"{name} {state.split()[0]} {(task / 'wchan').read_text() or '-'}"
    return ", ".join(words(task) for task in Path(f"/proc/{pid}/task").iterdir())


def sanitizer_words(log):
    """What a sanitizer said in a log, or None."""
    text = log.read_text(errors="replace") if log.exists() else ""
    found = SANITIZER.search(text)
    if not found:
        return None
    start = text.rfind("\n", 0, found.start()) + 1
    return f"a sanitizer spoke in {log.stem}:\n{text[start:start + 4000]}"


def die_with_parent():
    """A child of the main thread gets TERM when the test process is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class AdminReply:
    status: int
    json: object


@dataclass
class Service:
    """One process of ours: how it is started, and where it listens once it has."""
    name: str
    kind: str
    log: Path
    ports_file: Path
    env: dict
    proc: subprocess.Popen = None
    ports: dict = field(default_factory=dict)


class Reachable:
    """Where a running Switchboard is, and its admin port. services: {name: something with .ports}; certificate: what
    the public port shows; None: it speaks plainly."""

    services = admin_token = certificate = None

    @property
    def api_base(self):
        return self.api_base_of("gateway")

    @property
    def gateway_url(self):
        return self.gateway_url_of("gateway")

    @property
    def admin_url(self):
        return f"http://127.0.0.1:{self.services['gateway'].ports['admin']}"

    def api_base_of(self, gateway):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.services[gateway].ports['public']}/api"

    def gateway_url_of(self, gateway):
        return f"ws{'s' if self.certificate else ''}://127.0.0.1:{self.services[gateway].ports['public']}"

    def health_url_of(self, name):
        return f"http://127.0.0.1:{self.services[name].ports['health']}"

    def metrics(self, name):
        """{metric without its prefix: value} of one process."""
        status, _, body = fetch("GET", self.health_url_of(name) + "/metrics")
        assert status == 200, body
        return {m[1]: float(m[2]) for m in re.finditer(r"^switchboard_(\w+)\{[^}]*\} (\S+)$", body.decode(), re.M)}

    # -- the admin port ------------------------------------------------------------------------

    def admin(self, method, path, body=None, token=None):
        """One request to the admin API; `token` other than the right one is for tests of refusal."""
        headers = {} if token == "" else {"Authorization": f"Bearer {token or self.admin_token}"}
        status, kind, data = fetch(method, self.admin_url + path, body, headers, timeout_s=READY_S)
        if data and kind != "application/json":
            raise AssertionError(f"{method} {path}: Content-Type is {kind!r}, not exactly application/json")
        return AdminReply(status, json.loads(data) if data else None)

    def admin_ok(self, method, path, body=None):
        reply = self.admin(method, path, body)
        assert reply.status in (200, 204), f"{method} {path} answered {reply.status}: {reply.json}"
        return reply.json

    def load(self, world):
        return self.admin_ok("POST", "/admin/load", world)


class System(Reachable):
    """System(build_dir) starts everything and returns when all is ready. Options:
    env        extra environment, by service kind or name, "*" for all: {"call-manager": {"SB_RING_MS": "1500"}}
    instances  how many of a kind, one of each but voice nodes by default: {"gateway": 2} gives "gateway" and
               "gateway-2"
    world      the document for /admin/load, by default deploy/demo.json; None loads nothing
    tls        True: the gateways' public ports speak TLS, with .certificate
    nodes      voice nodes, {name: region}; the first region is the default. Without any there are those of
               regions.json here, which nobody has started
    From the environment of the tests: SB_BUILD (the build directory, when none is given), SB_TEST_LOG_LEVEL,
    SB_KEEP_LOGS (anything: logs stay also after success).
    """

    def __init__(self, build_dir=None, *, env=None, instances=None, world=ROOT / "deploy" / "demo.json", tls=False,
                 nodes=None):
        self.build_dir = Path(build_dir or os.environ.get("SB_BUILD") or ROOT / "build").resolve()
        self.dir = Path(tempfile.mkdtemp(prefix="switchboard-test-"))
        self.extra_env = env or {}
        self.admin_token = secrets.token_hex(16)
        self.token_secret = secrets.token_hex(32)
        self.certificate = Certificate(self.dir) if tls else None
        self.authority = Authority(self.dir) if nodes else None
        self.nodes = dict(nodes or {})
        self.keep = bool(os.environ.get("SB_KEEP_LOGS"))
        self.redis = None
        self.redis_port = None
        self.services = {}
        self.demo = None
        self.stopped = False
        try:
            self._start_redis()
            for kind in KINDS:
                for number in range(1, (instances or {}).get(kind, kind not in NONE_UNLESS_ASKED) + 1):
                    self._add(kind, kind if number == 1 else f"{kind}-{number}")
            for name in self.nodes:
                self._add(NODE, name)
            self.start_all()
            if world is not None:
                self.demo = self._demo_of(self.load(json.loads(Path(world).read_text())))
        except BaseException:
            self.keep = True
            self._kill_everything()
            print(self.report())
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # -- where it is ---------------------------------------------------------------------------

    @property
    def procs(self):
        """{name: Popen} of our services, without redis-server (that one is .redis)."""
        return {name: service.proc for name, service in self.services.items()}

    @property
    def redis_url(self):
        return f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def on_443(self):
        """Whether every voice node can be reached by who dials 443 whatever he is told."""
        return bool(self.nodes) and all(self.services[name].env["SB_PORT"] == str(VOICE_PORT) for name in self.nodes)

    def _demo_of(self, loaded):
        """The same shape as build/run/demo.json, from the answer of /admin/load."""
        guild = loaded["guilds"][0]
        of_type = {kind: [c["id"] for c in guild["channels"] if c["type"] == kind and c["name"] != "Staff"]
                   for kind in (0, 2, 13)}
        return {
            "api_base": self.api_base, "gateway_url": self.gateway_url,
            "ca_file": self._ca_file(),
            "admin_url": self.admin_url, "admin_token": self.admin_token,
            "users": [{key: user[key] for key in ("id", "username", "token")} for user in loaded["users"]],
            "bots": [{key: bot[key] for key in ("id", "username", "token")} for bot in loaded["bots"]],
            "dm_channel_id": loaded["dms"][0]["id"],
            "group_channel_id": loaded["groups"][0]["id"],
            "guild": {"id": guild["id"], "text_channel_id": of_type[0][0],
                      "voice_channel_ids": of_type[2], "stage_channel_id": of_type[13][0],
                      # which only Moderators and the owner may view; other worlds need none
                      "staff_channel_id": next((c["id"] for c in guild["channels"] if c["name"] == "Staff"), None)},
        }

    def _ca_file(self):
        """What clients have to trust, in one file; "" when it is nothing."""
        trusted = [each.chain.read_text() for each in (self.certificate, self.authority) if each]
        if not trusted:
            return ""
        (self.dir / "trusted.pem").write_text("".join(trusted))
        return str(self.dir / "trusted.pem")

    # -- starting ------------------------------------------------------------------------------

    def start_all(self):
        """Starts what is not running, redis-server first, and waits until everything is ready."""
        if self.redis is None:
            self._start_redis()
        waiting = [s for s in self.services.values() if s.proc is None]
        for service in waiting:
            self._spawn(service)
        for service in waiting:
            self._wait_ready(service)
        self._wait_nodes()
        self._renew_demo_urls()

    def start(self, name):
        self._spawn(self.services[name])
        self._wait_ready(self.services[name])
        self._wait_nodes()
        self._renew_demo_urls()

    def _wait_nodes(self):
        """Until each allocator knows of every voice node that runs."""
        running = sum(self.services[name].proc is not None for name in self.nodes)
        for service in self.services.values():
            if running and service.kind == "region-allocator" and service.proc:
                poll(lambda name=service.name: self.metrics(name)["nodes"] >= running, f"{service.name} to know the nodes")

    def _renew_demo_urls(self):
        """Ports are picked anew at each start."""
        if self.demo:
            self.demo.update(api_base=self.api_base, gateway_url=self.gateway_url, admin_url=self.admin_url)

    def _add(self, kind, name):
        binary = self.build_dir / "bin" / f"switchboard-{kind}"
        if not binary.exists():
            raise Unclean(f"{binary} is not there: build first, and name the build directory in SB_BUILD")
        env = {"SB_HEALTH_PORT": "0", "SB_PORTS_FILE": str(self.dir / f"{name}.ports.json"),
               "SB_LOG_LEVEL": os.environ.get("SB_TEST_LOG_LEVEL", "info")}
        if kind == "gateway":
            env |= {"SB_PORT": "0", "SB_ADMIN_PORT": "0", "SB_ADMIN_TOKEN": self.admin_token,
                    "SB_TOKEN_SECRET": self.token_secret,
                    # tests do things faster than people, on machines that may stand still; those of these limits set them
                    "SB_REST_RATE": "0", "SB_IDENTIFY_RATE": "0", "SB_COMMAND_MS": "15000"} | (self.certificate.env if self.certificate else {})
        if kind == "region-allocator":
            env |= {"SB_REGIONS_FILE": str(self._regions_file())}
            if self.nodes:                      # likewise: a node that is silent for a while has not died
                env["SB_NODE_LEASE_MS"] = "5000"
        if name in self.nodes:
            env |= self._node_env(name)
        for key in ("*", kind, name):
            env |= self.extra_env.get(key, {})
        self.services[name] = Service(name, kind, self.dir / f"{name}.log", Path(env["SB_PORTS_FILE"]), env)

    def _regions_file(self):
        if not self.nodes:
            return Path(__file__).with_name("regions.json")
        regions = list(dict.fromkeys(self.nodes.values()))
        file = self.dir / "regions.json"
        file.write_text(json.dumps({"default": regions[0], "regions": [
            {"id": region, "name": region.title(), "nodes": []} for region in regions]}))
        return file

    def _node_env(self, name):
        address, port = free_address()
        return {"SB_INSTANCE": name, "SB_REGION": self.nodes[name], "SB_ENDPOINT": f"{address}:{port}",
                "SB_BIND": address, "SB_PORT": str(port),
                # when everything is stopped at once, nobody is there to move its calls
                "SB_DRAIN_MS": "1000"} | self.authority.issue(name, address)

    def _environment(self, service):
        return clean_environment() | {"REDIS_URL": self.redis_url} | {key: str(value) for key, value in service.env.items()}

    def _popen(self, argv, log, env=None):
        guard = die_with_parent if threading.current_thread() is threading.main_thread() else None
        with open(log, "ab") as sink:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=self.dir,
                                    env=env, start_new_session=True, preexec_fn=guard)

    def _spawn(self, service):
        assert service.proc is None, f"{service.name} runs already"
        service.ports_file.unlink(missing_ok=True)
        service.ports = {}
        binary = str(self.build_dir / "bin" / f"switchboard-{service.kind}")
        service.proc = self._popen([binary], service.log, self._environment(service))

    def _wait_ready(self, service):
        said = {"why": "it has not written its ports file"}

        def ready():
            if service.proc.poll() is not None:
                raise Unclean(f"{service.name} ended with {service.proc.returncode} while starting\n{self.report()}")
            try:
                service.ports = json.loads(service.ports_file.read_text())
                status, _, body = fetch("GET", self.health_url_of(service.name) + "/readyz", timeout_s=2)
                said["why"] = f"/readyz said {status} {body.decode(errors='replace')}"
                return status == 200
            except (OSError, ValueError):
                return False

        try:
            poll(ready, f"{service.name} to be ready")
        except Unclean as late:
            raise Unclean(f"{late}; last: {said['why']}\n{self.report()}") from None

    def _start_redis(self):
        (self.dir / "redis").mkdir(exist_ok=True)
        log = self.dir / "redis.log"
        wanted = self.redis_port
        for _ in range(5):
            self.redis_port = wanted or free_port()
            self.redis = self._popen(
                ["redis-server", "--bind", "127.0.0.1", "--port", str(self.redis_port), "--daemonize", "no",
                 "--dir", str(self.dir / "redis"), "--appendonly", "yes", "--save", ""], log)
            poll(lambda: self._redis_is_ours() or self.redis.poll() is not None, "redis-server")
            if self.redis.poll() is None:
                return
            wanted = None                       # somebody else took the port meanwhile
        raise Unclean(f"redis-server does not start\n{self.report()}")

    def _redis_is_ours(self):
        """It answers, has loaded its data, and is not somebody else's on the port that ours has not got."""
        try:
            with socket.create_connection(("127.0.0.1", self.redis_port), timeout=2) as link:
                link.sendall(b"INFO server\r\nPING\r\n")
                said = b""
                while not said.endswith(b"+PONG\r\n"):
                    chunk = link.recv(4096)
                    if not chunk or b"-LOADING" in said + chunk:
                        return False
                    said += chunk
                return f"process_id:{self.redis.pid}\r".encode() in said
        except OSError:
            return False

    @contextlib.contextmanager
    def held(self, name):
        """A service, or "redis", does nothing meanwhile."""
        process = self.redis if name == "redis" else self.services[name].proc
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    # -- stopping ------------------------------------------------------------------------------

    def kill(self, name):
        """kill -9, and no complaint about it later."""
        proc = self.services[name].proc
        proc.kill()
        proc.wait()
        self.services[name].proc = None

    def terminate(self, name):
        """TERM, with the promise of a clean end checked."""
        self._end_cleanly([self.services[name]])

    def restart(self, name):
        self.terminate(name)
        self.start(name)

    def stop_all(self):
        """TERM to all services at once, then to redis-server; the data stays for start_all()."""
        try:
            self._end_cleanly([s for s in self.services.values() if s.proc is not None])
        finally:
            self._stop_redis()

    def stop(self):
        """The end: everything down, any uncleanness raised, logs removed if there was none."""
        if self.stopped:
            return
        self.stopped = True
        try:
            self.check_alive()
            self.stop_all()
        except BaseException:
            self.keep = True
            raise
        finally:
            self._kill_everything()
            if not self.keep:
                shutil.rmtree(self.dir, ignore_errors=True)

    def check_alive(self):
        """Raises when a process that should be running has ended, or a sanitizer has spoken."""
        dead = [f"{s.name} ended by itself with {s.proc.returncode}" for s in self.services.values()
                if s.proc is not None and s.proc.poll() is not None]
        if self.redis is not None and self.redis.poll() is not None:
            dead.append(f"redis-server ended by itself with {self.redis.returncode}")
        self._raise(dead + self._sanitizer_words())

    def _end_cleanly(self, services):
        troubles = []
        for service in services:
            service.proc.send_signal(signal.SIGTERM)
        end = time.monotonic() + STOP_S
        for service in services:
            try:
                code = service.proc.wait(max(0.01, end - time.monotonic()))
                if code != 0:
                    troubles.append(f"{service.name} ended with {code} on TERM, not 0")
            except subprocess.TimeoutExpired:
                troubles.append(f"{service.name} was still there {STOP_S} s after TERM; where it was is in its log; its threads: "
                                + threads_of(service.proc.pid))
                self._abort(service)
            service.proc = None
        self._raise(troubles + self._sanitizer_words())

    @staticmethod
    def _abort(service):
        """Ends one that does not end; a sanitizer says where it was."""
        service.proc.send_signal(signal.SIGABRT)
        try:
            service.proc.wait(5)
        except subprocess.TimeoutExpired:
            service.proc.kill()
            service.proc.wait()

    def _stop_redis(self):
        if self.redis is None:
            return
        self.redis.send_signal(signal.SIGTERM)
        self.redis.wait(STOP_S)
        self.redis = None

    def _kill_everything(self):
        for proc in [s.proc for s in self.services.values()] + [self.redis]:
            if proc is not None and proc.poll() is None:
                proc.kill()
                proc.wait()

    # -- what happened -------------------------------------------------------------------------

    def _sanitizer_words(self):
        return [words for service in self.services.values() if (words := sanitizer_words(service.log))]

    def _raise(self, troubles):
        if troubles:
            self.keep = True
            raise Unclean("\n".join(troubles) + "\n" + self.report())

    def log_tails(self):
        """[(process name, the last lines of its log)]"""
        tails = []
        for path in sorted(self.dir.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
            tails.append((path.stem, "\n".join(lines)))
        return tails

    def report(self):
        parts = [f"(logs are kept in {self.dir})"]
        parts += [f"--- {name} ---\n{text}" for name, text in self.log_tails()]
        return "\n".join(parts)
