"""WireProxy: a TCP connection's way to a port, which a test may spoil: it lets bytes through, swallows them while the
connections stay up, or refuses everybody."""
import contextlib
import socket
import threading


class WireProxy:
    """WireProxy(port) listens on (host, any port, or `listen`) and passes on to 127.0.0.1:port."""

    def __init__(self, port, host="127.0.0.1", listen=0):
        self.target, self.host = port, host
        self.swallows = False
        self.lock = threading.Lock()
        self.sockets, self.listener = set(), None
        self.listen = listen
        self.accept()

    # -- what a test does

    def pass_on(self):
        """New connections are well. Those that have lost bytes stay up, and nothing ever comes through them again."""
        self.swallows = False
        if not self.listener:
            self.accept()

    def swallow(self):
        """From now on bytes vanish, in both directions; connections stay up, and new ones are taken."""
        self.swallows = True

    def refuse(self):
        """Connections are cut, and new ones refused."""
        listener, self.listener = self.listener, None
        listener.close()
        self.cut()

    def cut(self):
        with self.lock:
            sockets, self.sockets = self.sockets, set()
        for each in sockets:
            self._end(each)

    def close(self):
        self.refuse()

    # -- how

    def accept(self):
        self.listener = socket.create_server((self.host, self.listen))
        self.listen = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    @staticmethod
    def _end(each):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if listener is not self.listener:
                client.close()
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets |= {client, server}
            for way in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=way, daemon=True).start()

    def _pump(self, source, sink):      # each way for itself
        dead = False
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                dead |= self.swallows
                if not dead:
                    sink.sendall(data)
        with self.lock:
            self.sockets -= {source, sink}
        self._end(source)
        self._end(sink)
