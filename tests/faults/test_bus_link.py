"""The bus to one gateway swallows everything while its connections stay up, and new ones are no better: clients get all of
their events all the same, through the logs, once and in order."""
import asyncio
import secrets
import time

import aiohttp
import pytest
from bus import BusPeer, live_instances, redis_of
from harness import System, poll
from wire_proxy import WireProxy

from client import Account, Client, Rest

FAR = "127.0.0.77"      # where others have to dial this gateway: the proxies stand there
COMMAND_MS = 5000       # in which whoever carries it out may stand still for some time
BOUND_S = 15.0          # silence is noticed within a second, and the logs are read again and again from then on


class Hidden:
    """A gateway that others reach through proxies alone; everything else is as ever."""

    def __init__(self):
        env = {"*": {"SB_COMMAND_MS": str(COMMAND_MS)},
               "gateway": {"SB_BUS_HOST": FAR, "SB_HEARTBEAT_MS": "600000"}}       # its client sends none
        self.system = System(env=env, instances={"gateway": 0, "call-manager": 2, "message": 2}, world=None)
        self.redis, self.proxies = redis_of(self.system), []
        self.peer = BusPeer(self.redis, "gateway")      # another one, which hears and is heard
        try:
            self.system._add("gateway", "gateway")
            gateway = self.system.services["gateway"]
            self.system._spawn(gateway)
            name, = poll(lambda: {*live_instances(self.redis, "gateway")} - {self.peer.instance}, "it in the registry")
            node = self.peer.node_of("gateway", name)
            for url in (node["events_url"], node["commands_url"]):
                port = int(url.rpartition(":")[2])
                self.proxies.append(WireProxy(port, host=FAR, listen=port))
            self.system._wait_ready(gateway)
        except BaseException:
            self.close()
            raise

    def close(self):
        try:
            self.system.stop()
        finally:
            self.peer.close()
            for proxy in self.proxies:
                proxy.close()
            self.redis.close()

    def swallow(self):
        for proxy in self.proxies:
            proxy.swallow()

    def pass_on(self):
        for proxy in self.proxies:
            proxy.pass_on()

    def say(self, channel, author, content):
        """A message from a client of the other gateway. Returns when it stands in the channel."""
        answer = self.peer.command("message", "message_send", user=int(author), channel=int(channel), content=content)
        assert answer["err"] == 0, answer


@pytest.fixture
def hidden():
    made = Hidden()
    yield made
    made.close()


async def test_what_a_link_swallows_is_read_from_the_logs(hidden):
    system, tag = hidden.system, secrets.token_hex(3)
    loaded = system.load({"users": [{"name": f"{name}_{tag}"} for name in ("ada", "ben")],
                          "dms": [[f"ada_{tag}", f"ben_{tag}"]]})
    ada, ben = (Account(u["id"], u["username"], u["token"]) for u in loaded["users"])
    channel = loaded["dms"][0]["id"]
    async with aiohttp.ClientSession() as http:
        client = await Client(http, system.gateway_url, ada, rest=Rest(http, system.api_base, ada)).connect()
        await client.hello()
        await client.identify()
        await asyncio.to_thread(hidden.say, channel, ben.id, "before")
        await client.next("MESSAGE_CREATE", content="before")

        hidden.swallow()
        latency = []
        for number in range(8):
            began = time.monotonic()
            await asyncio.to_thread(hidden.say, channel, ben.id, f"swallowed {number}")
            await client.next("MESSAGE_CREATE", content=f"swallowed {number}")
            latency.append(time.monotonic() - began)
        began = time.monotonic()
        await client.join(channel)                      # its command arrives; only the answer is lost
        await client.next("MESSAGE_CREATE", type=3)
        await client.next("CALL_CREATE")
        await client.next("VOICE_STATE_UPDATE", user_id=ada.id, channel_id=channel)
        await client.next("VOICE_SERVER_UPDATE", channel_id=channel)
        joined = time.monotonic() - began
        reply = await client.rest.post(f"/channels/{channel}/messages", {"content": "perhaps"})
        assert reply.status >= 500, f"nobody told the gateway what became of it: {reply}"
        await client.next("MESSAGE_CREATE", content="perhaps")
        assert max(*latency, joined) < BOUND_S, f"{latency} {joined}"

        hidden.pass_on()
        began = time.monotonic()
        tries = [f"after {number}" for number in range(10)]
        for last in tries:
            reply = await client.rest.post(f"/channels/{channel}/messages", {"content": last})
            if reply.status == 200:
                break
        assert reply.status == 200, f"commands are not answered again: {reply}"
        await client.expect("MESSAGE_CREATE", content=last)
        healed = time.monotonic() - began
        # What was refused may have happened all the same, once and in its turn.
        said = [event.d["content"] for event in client.events if event.t == "MESSAGE_CREATE" and event.d["type"] == 0]
        swallowed = [f"swallowed {number}" for number in range(8)]
        healing = [content for content in said if content in tries]
        assert said == ["before", *swallowed, "perhaps", *healing] and healing == [t for t in tries if t in healing], said
        await client.leave()
        await client.expect("CALL_DELETE")
        print(f"\nevents over a link that swallows: {min(latency):.2f} to {max(latency):.2f} s, a join with its voice server "
              f"{joined:.2f} s; commands are answered again {healed:.2f} s after it heals")
        assert healed < BOUND_S
        await client.quiet_until_ack(channel)
        await client.close()
