"""RedisProxy: a redis-server as one process sees it, until a test lets the connection fail at a chosen request.
It forwards whole requests in order: what came before the chosen one has reached Redis, what comes after has not."""
import socket
import threading

WAIT_S = 30


def _requests(buffer):
    """Takes the whole requests off the front of a bytearray: [(raw bytes, [argument, ...])]."""
    found = []
    while buffer[:1] == b"*":
        at, args = buffer.find(b"\r\n"), []
        if at < 0:
            break
        count, at = int(buffer[1:at]), at + 2
        while len(args) < count:
            end = buffer.find(b"\r\n", at)
            if end < 0:
                return found
            size = int(buffer[at + 1:end])
            if len(buffer) < end + 2 + size + 2:
                return found
            args.append(bytes(buffer[end + 2:end + 2 + size]))
            at = end + 2 + size + 2
        found.append((bytes(buffer[:at]), args))
        del buffer[:at]
    return found


class Trap:
    """One request that is waited for. kind: "hold" (it stays here), "cut" (the connection breaks before it),
    "deaf" (it is carried out, and the connection breaks before its reply), "late" (it waits here until it is let go, and
    is answered when its reply is on the way to the process)."""

    def __init__(self, kind, fits):
        self.kind, self.fits = kind, fits
        self.caught, self.let_go, self.answered = threading.Event(), threading.Event(), threading.Event()

    def wait(self):
        assert self.caught.wait(WAIT_S), f"no such request within {WAIT_S} s"

    def go_on(self):
        """Of a late one: it reaches Redis now, and its reply the process's socket."""
        self.let_go.set()
        assert self.answered.wait(WAIT_S), f"no reply to it within {WAIT_S} s"


class RedisProxy:
    """url is what the process gets as REDIS_URL; trap(kind, fits) catches the next request whose arguments fit."""

    def __init__(self, redis_port):
        self.redis_port = redis_port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"
        self.lock = threading.Lock()
        self.traps, self.sockets = [], []
        threading.Thread(target=self._accept, daemon=True).start()

    def trap(self, kind, fits):
        trap = Trap(kind, fits)
        with self.lock:
            self.traps.append(trap)
        return trap

    def disarm(self, trap):
        """A trap that has caught nothing is gone; what one holds goes nowhere any more."""
        with self.lock:
            if trap in self.traps:
                self.traps.remove(trap)
        trap.let_go.set()

    def close(self):
        with self.lock:
            traps, self.traps = self.traps, []
            sockets, self.sockets = self.sockets, []
        for trap in traps:
            trap.let_go.set()
        for each in [self.listener, *sockets]:
            self._close(each)

    @staticmethod
    def _close(each):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.redis_port))
            except OSError:                    # Redis is away
                self._close(client)
                continue
            for each in (client, server):      # small things go on at once, as without a proxy
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets += [client, server]
            sent = []                          # late requests that Redis has been given and not answered
            for way in (self._up, self._down):
                threading.Thread(target=way, args=(client, server, sent), daemon=True).start()

    def _sprung(self, args):
        with self.lock:
            for trap in self.traps:
                if trap.fits(args):
                    self.traps.remove(trap)
                    return trap
        return None

    def _up(self, client, server, sent):
        buffer = bytearray()
        try:
            while data := client.recv(65536):
                buffer += data
                for raw, args in _requests(buffer):
                    trap = self._sprung(args)
                    if trap and trap.kind == "late":
                        trap.caught.set()
                        trap.let_go.wait()
                        sent.append(trap)      # whatever was asked before has long been answered
                        trap = None
                    if trap is None:
                        server.sendall(raw)
                    elif self._spring(trap, raw, client, server):
                        return
        except OSError:
            pass
        self._close(server)
        self._close(client)

    def _spring(self, trap, raw, client, server):
        """The connection is over after it."""
        if trap.kind == "deaf":
            self._close(client)
            server.sendall(raw)                # Redis carries it out; _down reads the reply, and nobody hears it
            server.shutdown(socket.SHUT_WR)
            trap.caught.set()
            return True
        trap.caught.set()
        if trap.kind == "hold":
            trap.let_go.wait()
        self._close(server)
        self._close(client)
        return True

    def _down(self, client, server, sent):
        heard = True
        try:
            while data := server.recv(65536):
                try:
                    if heard:
                        client.sendall(data)
                except OSError:
                    heard = False
                while sent:
                    sent.pop().answered.set()
        except OSError:
            pass
        self._close(client)
        self._close(server)
