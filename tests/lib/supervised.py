"""Supervised: a whole Switchboard kept running by deploy/supervisor, for tests that kill and stop its processes.
What dies comes back by itself; a clean end of all of it, and of the supervisor, is checked in stop()."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness import NODE, ROOT, STOP_S, Reachable, Unclean, clean_environment, fetch, free_address, poll, sanitizer_words

KINDS = ("gateway", "call-manager", "region-allocator", "message")
DEATHS = 10000          # the tests are what kills


@dataclass
class Child:
    """One process as it is now: it may have been started anew since the last look."""
    name: str
    kind: str
    state: Path

    @property
    def pid(self):
        """None while it is dead."""
        try:
            return int((self.state / f"{self.name}.pid").read_text())
        except (OSError, ValueError):
            return None

    @property
    def ports(self):
        return poll(lambda: self.ports_now, f"the ports of {self.name}")

    @property
    def ports_now(self):
        """None while it is starting."""
        try:
            return json.loads((self.state / f"{self.name}.ports.json").read_text())
        except (OSError, ValueError):
            return None

    def signal(self, number):
        """False when it was not there."""
        try:
            os.kill(self.pid or 0x7fffffff, number)
            return True
        except ProcessLookupError:
            return False

    def readiness(self):
        """(ready?, what /readyz says)"""
        try:
            ports = self.ports_now or {}
            status, _, body = fetch("GET", f"http://127.0.0.1:{ports['health']}/readyz", timeout_s=2)
            return status == 200, body.decode(errors="replace")
        except (OSError, KeyError) as trouble:
            return False, repr(trouble)


class Supervised(Reachable):
    """instances: {kind: how many}; env: settings of all services. redis_url: another Redis than the supervisor's own.
    nodes: voice nodes, {name: region}, with an authority in .ca_file; without any there are those of regions.json here,
    which nobody has started."""

    def __init__(self, instances=None, env=None, redis_url=None, nodes=None):
        build = Path(os.environ.get("SB_BUILD") or ROOT / "build").resolve()
        self.dir = Path(tempfile.mkdtemp(prefix="switchboard-faults-"))
        self.state, self.out = self.dir / "run", self.dir / "supervisor.out"
        self.services = {}
        for kind in KINDS:
            for number in range(1, (instances or {}).get(kind, 1) + 1):
                name = kind if number == 1 else f"{kind}-{number}"
                self.services[name] = Child(name, kind, self.state)
        self.redis = Child("redis", "redis", self.state)
        for name in nodes or {}:
            self.services[name] = Child(name, NODE, self.state)
        self.ca_file = self.state / "ca" / "ca.pem" if nodes else None
        argv = [sys.executable, ROOT / "deploy" / "supervisor", "--bin", build / "bin", "--state", self.state, "--no-demo",
                "--deaths", str(DEATHS), "--stop-within", str(STOP_S), "--nodes", self._nodes_file(nodes), "--instances", *(f"{kind}={n}" for kind, n in (instances or {}).items())]
        settings = {"SWITCHBOARD_PORT": "0", "SB_LOG_LEVEL": os.environ.get("SB_TEST_LOG_LEVEL", "info")}
        if not nodes:
            settings["SB_REGIONS_FILE"] = str(Path(__file__).with_name("regions.json"))
        settings |= {key: str(value) for key, value in (env or {}).items()}
        if redis_url:
            settings["REDIS_URL"] = redis_url
        with open(self.out, "ab") as out:
            self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                         env=clean_environment() | settings, start_new_session=True)
        try:
            poll(lambda: "switchboard is ready" in self.said() or self.proc.poll() is not None, "the supervisor", 90)
            if self.proc.poll() is not None:
                raise Unclean("the supervisor does not start")
        except Unclean as failure:
            self._kill()
            raise Unclean(f"{failure}\n{self.said()}") from None
        self.admin_token = dict(line.split("=", 1) for line in (self.state / "secrets").read_text().split())[
            "SB_ADMIN_TOKEN"]
        self.redis_url = redis_url or (self.state / "redis.url").read_text().strip()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop(keep=kind is not None)

    def _nodes_file(self, nodes):
        if not nodes:
            return "none"
        places = {name: free_address() for name in nodes}
        file = self.dir / "nodes.json"
        file.write_text(json.dumps([{"name": name, "region": nodes[name], "address": address, "port": port}
                                    for name, (address, port) in places.items()]))
        return file

    def said(self):
        return self.out.read_text(errors="replace")

    @property
    def redis_port(self):
        return int(self.redis_url.rpartition(":")[2].partition("/")[0])

    def of_kind(self, kind):
        return [child for child in self.services.values() if child.kind == kind]

    def stop(self, keep=False):
        """TERM to the supervisor. Raises when it or anything of it did not end cleanly."""
        troubles = [] if self.proc.poll() is None else [f"the supervisor ended by itself with {self.proc.returncode}"]
        for child in [*self.services.values(), self.redis]:
            child.signal(signal.SIGCONT)
        if not troubles:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(STOP_S * 4)
            except subprocess.TimeoutExpired:
                troubles.append("the supervisor does not end")
            if self.proc.returncode:
                troubles.append(f"the supervisor ended with {self.proc.returncode}")
        self._kill()
        for log in sorted((self.state / "log").glob("*.log*")):
            words = sanitizer_words(log)
            troubles += [words] if words else []
        if troubles:
            raise Unclean("\n".join([*troubles, f"(logs are kept in {self.dir})", self.said()[-4000:]]))
        if not keep and not os.environ.get("SB_KEEP_LOGS"):
            shutil.rmtree(self.dir, ignore_errors=True)
        elif keep:
            print(f"(logs are kept in {self.dir})")

    def _kill(self):
        """Its children get TERM when it dies; whatever does not heed that is killed."""
        pids = [child.pid for child in [*self.services.values(), self.redis] if child.pid]
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
            end = time.monotonic() + STOP_S
            poll(lambda: not any(map(_alive, pids)) or time.monotonic() > end, "the children to end", STOP_S * 2)
            for pid in filter(_alive, pids):
                os.kill(pid, signal.SIGKILL)


def _alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False
