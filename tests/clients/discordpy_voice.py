"""discordpy_voice: two bots of discord.py in voice channels of the guild: one joins and is given a voice server, sees the
other come, silences, moves and throws it out by the library's own methods, and leaves. Used as published.

usage: python discordpy_voice.py path/to/demo.json
"""

import asyncio
import json
import sys

import discord
from discordpy_login import PATIENCE_S, emit, point_at


class Voice(discord.VoiceProtocol):
    """What the library lets a voice client of one's own be; it keeps what it is told."""

    def __init__(self, client, channel):
        super().__init__(client, channel)
        self.servers = asyncio.Queue()

    async def on_voice_state_update(self, data):
        self.session = data["session_id"]

    async def on_voice_server_update(self, data):
        await self.servers.put(data)

    async def connect(self, *, timeout, reconnect, self_deaf=False, self_mute=False):
        await self.channel.guild.change_voice_state(channel=self.channel, self_deaf=self_deaf, self_mute=self_mute)
        await self.placed()

    async def placed(self):
        server = await asyncio.wait_for(self.servers.get(), PATIENCE_S)
        emit(event="server", endpoint=server["endpoint"], token=server["token"], guild=server["guild_id"])

    async def disconnect(self, *, force=False):
        await self.channel.guild.change_voice_state(channel=None)
        self.cleanup()


class Bot(discord.Client):
    def __init__(self, who):
        super().__init__(intents=discord.Intents(guilds=True, voice_states=True))
        self.who, self.states, self.failure = who, asyncio.Queue(), None
        self.is_there = asyncio.Event()

    async def on_error(self, event, *args):
        self.failure = sys.exc_info()[1]        # the library would print it and go on
        await self.close()

    async def on_ready(self):
        self.is_there.set()

    async def on_voice_state_update(self, member, before, after):
        await self.states.put({"user": member.id, "from": before.channel and before.channel.id,
                               "to": after.channel and after.channel.id, "muted": after.mute, "name": member.name})

    async def sees(self, **fields):
        got = await asyncio.wait_for(self.states.get(), PATIENCE_S)
        emit(who=self.who, event="state", **{key: str(value) for key, value in got.items()})
        if any(got[key] != value for key, value in fields.items()):
            raise AssertionError(f"{self.who} should see {fields}, but saw {got}")


async def all_see(bots, **fields):
    for bot in bots:
        await bot.sees(**fields)


async def story(demo, dj, listener):
    bots = (dj, listener)
    guild = dj.get_guild(int(demo["guild"]["id"]))
    lounge, workshop = (int(channel) for channel in demo["guild"]["voice_channel_ids"])
    mine = await guild.get_channel(lounge).connect(cls=Voice)
    await all_see(bots, **{"user": dj.user.id, "from": None, "to": lounge, "name": dj.user.name})
    his = await listener.get_guild(guild.id).get_channel(lounge).connect(cls=Voice)
    await all_see(bots, **{"user": listener.user.id, "from": None, "to": lounge, "name": listener.user.name})
    for bot in bots:
        there = {member.id for member in bot.get_channel(lounge).members}
        assert there == {dj.user.id, listener.user.id}, f"{bot.who}: {there}"
    member = guild.get_member(listener.user.id)
    await member.edit(mute=True)
    await all_see(bots, user=listener.user.id, muted=True)
    await member.edit(mute=False)
    await all_see(bots, user=listener.user.id, muted=False)
    await member.move_to(guild.get_channel(workshop))
    await all_see(bots, **{"user": listener.user.id, "from": lounge, "to": workshop})
    await his.placed()
    await member.move_to(None)
    await all_see(bots, **{"user": listener.user.id, "from": workshop, "to": None})
    await mine.disconnect()
    await all_see(bots, **{"user": dj.user.id, "from": lounge, "to": None})


async def main(demo):
    bots = [Bot("dj"), Bot("listener")]
    running = [asyncio.create_task(bot.start(account["token"], reconnect=False))
               for bot, account in zip(bots, demo["bots"])]
    for bot in bots:
        await asyncio.wait_for(bot.is_there.wait(), PATIENCE_S)
    await story(demo, *bots)
    for bot in bots:
        await bot.close()
        if bot.failure:
            raise bot.failure
    await asyncio.gather(*running)
    emit(event="done")


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        world = json.load(file)
    point_at(world)
    try:
        asyncio.run(main(world))
    except Exception as error:  # whatever it was: a plain reason, and a failure
        sys.exit(f"discordpy_voice: {type(error).__name__}: {error}")
