"""discordpy_login: the bots log in with discord.py and show the guild that they find, a wrong token is turned away.
The library is used as published, with its own choice of transport: zstd-stream where it finds a module for that (the pins
have one), else zlib-stream.

usage: python discordpy_login.py path/to/demo.json
"""

import asyncio
import json
import sys

import discord
import yarl

PATIENCE_S = 30


def emit(**line):
    print(json.dumps(line), flush=True)


def point_at(demo):
    """The library has no option for its two addresses; these class attributes are the knobs that it offers."""
    discord.http.Route.BASE = demo["api_base"] + "/v10"
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(demo["gateway_url"])


class Bot(discord.Client):
    def __init__(self, who):
        # Without the members intent the library keeps no member but itself, without presences it is told of no other.
        super().__init__(intents=discord.Intents(guilds=True, members=True, presences=True, voice_states=True))
        self.who = who
        self.failure = None

    async def on_error(self, event, *args):
        # The library would print what a handler raises and go on.
        self.failure = sys.exc_info()[1]
        await self.close()

    async def on_ready(self):
        emit(who=self.who, event="ready", user=str(self.user.id), username=self.user.name,
             application=str(self.application_id), transport=self.ws._decompressor.COMPRESSION_TYPE)
        for guild in self.guilds:
            self.show(guild)
        await self.close()

    def show(self, guild):
        emit(
            who=self.who,
            event="guild",
            id=str(guild.id),
            name=guild.name,
            owner=str(guild.owner_id),
            available=not guild.unavailable,
            channels=[{"id": str(c.id), "name": c.name, "type": c.type.name,
                       "voice": isinstance(c, (discord.VoiceChannel, discord.StageChannel))} for c in guild.channels],
            members=[{"id": str(m.id), "username": m.name, "bot": m.bot} for m in guild.members],
            roles=[{"id": str(r.id), "name": r.name} for r in guild.roles],
            mine=[name for name, granted in guild.me.guild_permissions if granted],
        )


async def log_in(who, token):
    async with Bot(who) as bot:
        await asyncio.wait_for(bot.start(token, reconnect=False), PATIENCE_S)
        if bot.failure:
            raise bot.failure


async def refusal(token):
    try:
        await log_in("nobody", token)
    except discord.LoginFailure as failure:
        return str(failure)
    return "logged in"


async def main(demo):
    for index, bot in enumerate(demo["bots"]):
        await log_in(f"bot {index}", bot["token"])
    emit(event="refused", code=await refusal(demo["bots"][0]["token"] + "x"))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        world = json.load(file)
    point_at(world)
    try:
        asyncio.run(main(world))
    except Exception as error:  # whatever it was: a plain reason, and a failure
        sys.exit(f"discordpy_login: {type(error).__name__}: {error}")
