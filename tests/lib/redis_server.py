"""RedisServer: a redis-server of a test's own, whose data stays while it is killed and whose disk may be full."""
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from harness import die_with_parent, free_port, poll

UNLIMITED = resource.RLIM_INFINITY


def _guard():
    """Who writes past the limit of a file's size is told so, as with a full disk; by default he would be killed."""
    die_with_parent()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


class RedisServer:
    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="switchboard-redis-"))
        self.port, self.proc = free_port(), None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.proc = subprocess.Popen(
                ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.dir), "--save", "",
                 "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=_guard)
        poll(self.answers, "redis-server")

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as link:
                link.sendall(b"PING\r\n")
                return link.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def kill(self):
        """kill -9: what it has written stays with the kernel, which lives on."""
        self.proc.kill()
        self.proc.wait()

    def fill_disk(self):
        """From now on its append-only file does not grow."""
        size = max(path.stat().st_size for path in self.dir.glob("appendonlydir/*.incr.aof"))
        resource.prlimit(self.proc.pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))

    def make_room(self):
        resource.prlimit(self.proc.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
