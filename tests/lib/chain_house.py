"""ChainHouse: voice nodes, a region allocator and a call manager as they are, with a gateway that a test plays by hand
and records put in Redis by hand (call_house)."""
import json
import signal

import call_house
from bus import BusPeer, alone, poll, redis_of
from harness import Unclean

KIND, ALLOCATOR, NODE = call_house.KIND, "region-allocator", "voice-node"
REGIONS = {"regions": [{"id": "oslo", "name": "Oslo"}]}
QUICK = {"SB_DRAIN_MS": "200"}  # a test that ends waits for nobody


class ChainHouse(call_house.House):
    def __init__(self, *nodes, node_lease_ms=20000, **env):
        """nodes: names of the voice nodes that start with it; node_lease_ms: the allocator's, by itself so long that no node
        is lost because it was slow; env: of all voice nodes."""
        self.node_env = QUICK | env
        self.system = alone(KIND, 0, SB_SERVER_DELAY_MS="20")
        self.redis = redis_of(self.system)
        self.peers, self.entries = [], []
        try:
            regions = self.system.dir / "regions.json"
            regions.write_text(json.dumps(REGIONS))
            self.system.extra_env[ALLOCATOR] = {"SB_REGIONS_FILE": str(regions), "SB_NODE_LEASE_MS": node_lease_ms}
            self.system._add(ALLOCATOR, ALLOCATOR)
            self.system._add(KIND, KIND)
            self.gateway = BusPeer(self.redis, "gateway")
            self.peers.append(self.gateway)
            self.system.start_all()
            for name in nodes:
                self.begin_node(name)
        except BaseException:
            self.close()
            raise

    # -- voice nodes

    @staticmethod
    def endpoint(node):
        return f"{node}.test:443"

    def begin_node(self, name, **env):
        """Starts it, or starts it again, and waits until the allocator knows it."""
        if name not in self.system.services:
            self.system._add(NODE, name)
        service = self.system.services[name]
        service.env |= {"SB_INSTANCE": name, "SB_REGION": "oslo", "SB_ENDPOINT": self.endpoint(name)} | self.node_env | env
        before = self.allocator_logged(name)
        self.system.start(name)
        poll(lambda: self.allocator_logged(name) > before, f"{name} to be known to the allocator")

    def allocator_logged(self, node):
        """How often the allocator has said that this node is new, or was started anew."""
        lines = self.system.services[ALLOCATOR].log.read_text().splitlines()
        return sum(1 for line in lines if f"node={node} " in line + " " and
                   ("event=node.new" in line or "event=node.restarted" in line))

    def drain(self, name):
        """TERM; does not wait for its end."""
        self.system.services[name].proc.send_signal(signal.SIGTERM)

    def wait_end(self, name):
        service = self.system.services[name]
        code = poll(lambda: None if service.proc.poll() is None else (service.proc.returncode,), f"{name} to end")[0]
        service.proc = None
        if code != 0:
            raise Unclean(f"{name} ended with {code}")

    def url(self, name):
        return f"ws://127.0.0.1:{self.system.services[name].ports['voice']}"

    # -- what was told

    def servers(self, place, user):
        """The endpoints that he was told of, in order."""
        return [body["endpoint"] for name, event, body in self.log(place)
                if name == "VOICE_SERVER_UPDATE" and event["user"] == user]

    def grant(self, place, user, node, after=0):
        """Waits until he was told of that node (after so many updates), and returns what he shows there."""
        def told():
            bodies = [body for name, event, body in self.log(place)
                      if name == "VOICE_SERVER_UPDATE" and event["user"] == user]
            return bodies[-1] if len(bodies) > after and bodies[-1]["endpoint"] == self.endpoint(node) else None
        token = poll(told, f"a server for {user}")["token"]
        return {"server_id": str(place), "user_id": str(user), "session_id": f"session{user}", "token": token}

    # A session of letters and digits, as the gateway makes them.
    def voice(self, user, channel=0, session=None, gateway=None):
        return super().voice(user, channel, session or f"session{user}", gateway)

    def close(self):
        try:
            self.system.stop()
        finally:
            for peer in self.peers:
                peer.close()
            self.redis.close()
