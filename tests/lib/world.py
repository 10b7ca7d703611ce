"""world: what a test wants to have around it: fresh accounts, channels, and clients that are closed at its end.
Names are made unique, so that tests which share a System do not meet each other."""
import secrets

import aiohttp

from client import AUTO_CALL_BIT, CAPABILITIES, Account, Client, Rest


class World:
    def __init__(self, system):
        self.system = system
        trust = system.certificate.trust() if system.certificate else True
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, limit=0))
        self.clients = []

    async def close(self):
        """Every session ends at once, so that no voice state outlives its test."""
        for client in self.clients:
            if client.ws is not None and client.close_code is None:
                await client.close()
        await self.http.close()

    # -- accounts and places, by the admin API -------------------------------------------------

    def user(self, name="user", **more):
        made = self.system.admin_ok("POST", "/admin/users", {"username": unique(name), **more})
        return Account(made["id"], made["username"], made["token"], made["bot"])

    def users(self, *names):
        return [self.user(name) for name in names]

    def bot(self, name="bot"):
        return self.user(name, bot=True)

    def demo_user(self, number):
        user = self.system.demo["users"][number]
        return Account(user["id"], user["username"], user["token"])

    def demo_bot(self, number):
        bot = self.system.demo["bots"][number]
        return Account(bot["id"], bot["username"], bot["token"], True)

    def dm(self, a, b):
        return self.system.admin_ok("POST", "/admin/dms", {"users": [a.id, b.id]})["id"]

    def group(self, owner, *others, name="group"):
        body = {"users": [owner.id, *(o.id for o in others)], "owner": owner.id, "name": unique(name)}
        return self.system.admin_ok("POST", "/admin/groups", body)["id"]

    def friends(self, a, b):
        self.system.admin_ok("POST", "/admin/friends", {"users": [a.id, b.id]})

    def quiet_place(self, account):
        """A DM with somebody who is not there, for proofs of silence. Open it before the account logs in."""
        return self.dm(account, self.user("nobody"))

    def guild(self, owner, *members, hidden_from=(), **more):
        """A guild with a text, two voice and a stage channel; returns it as /admin/load does. None of them can be seen by
        those of `hidden_from`, who are members as well. more: of the guild's document."""
        people = [owner, *members, *hidden_from]
        channels = [("general", "text"), ("one", "voice"), ("two", "voice"), ("stage", "stage")]
        overwrites = [{"member": p.username, "deny": ["VIEW_CHANNEL"]} for p in hidden_from]
        guild = {"name": unique("guild"), "owner": owner.username, "members": [p.username for p in people],
                 "roles": [], "channels": [{"name": name, "type": kind, "overwrites": overwrites}
                                           for name, kind in channels]} | more
        return self.system.load({"users": [{"name": p.username} for p in people if not p.bot],
                                 "bots": [{"name": p.username} for p in people if p.bot],
                                 "guilds": [guild]})["guilds"][0]

    # -- clients -------------------------------------------------------------------------------

    def rest(self, account=None, version="/v9"):
        return Rest(self.http, self.system.api_base, account, version)

    def client(self, account=None, **options):
        """A client that has not connected yet."""
        client = Client(self.http, self.system.gateway_url, account, rest=self.rest(account), **options)
        self.clients.append(client)
        return client

    async def connect(self, account=None, **options):
        """A client that has read Hello."""
        client = await self.client(account, **options).connect()
        await client.hello()
        return client

    async def login(self, account, *, capabilities=CAPABILITIES, **options):
        """A client that is ready."""
        client = await self.connect(account, **options)
        if account.bot:
            await client.identify()
        else:
            await client.identify(capabilities=capabilities)
        return client

    async def login_without_calls(self, account, **options):
        """A client that is told of existing calls only when it asks with op 13."""
        return await self.login(account, capabilities=CAPABILITIES & ~AUTO_CALL_BIT, **options)


def unique(name):
    return f"{name}_{secrets.token_hex(4)}"
