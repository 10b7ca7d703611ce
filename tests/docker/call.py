#!/usr/bin/env python3
"""One private call between the first two users of a demo.json, through the addresses it names: `call.py demo.json`.
Ends with 0 when both sides saw what they should."""
import asyncio
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import aiohttp                                          # noqa: E402
import calls                                            # noqa: E402
from client import Account, Client, Rest                # noqa: E402


async def login(http, demo, number):
    user = demo["users"][number]
    account = Account(user["id"], user["username"], user["token"])
    client = Client(http, demo["gateway_url"], account, rest=Rest(http, demo["api_base"], account))
    await client.connect()
    await client.hello()
    await client.identify()
    return client


async def main(path):
    demo = json.loads(pathlib.Path(path).read_text())
    channel = demo["dm_channel_id"]
    async with aiohttp.ClientSession() as http:
        ada, ben = await login(http, demo, 0), await login(http, demo, 1)
        call = await calls.start(ada, ben, channel=channel)
        await ada.rest.ring(channel)
        for client in (ada, ben):
            await calls.ringing(client, channel, [ben], ada)
        await calls.join(ben, ada, call=call, rung=[])
        endpoints = {server["endpoint"] for server in call.servers.values()}
        assert len(endpoints) == 1 and None not in endpoints, endpoints
        await calls.leave(ada, ben)
        ended = await calls.leave_last(ben, ada, call=call)
        assert sorted(ended["call"]["participants"]) == sorted([ada.id, ben.id]), ended
        for client in (ada, ben):
            await client.close()
    print(f"a call between {ada.account.username} and {ben.account.username} on {endpoints.pop()}")


asyncio.run(main(sys.argv[1]))
