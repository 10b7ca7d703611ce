// discordjs_login: a bot of discord.js logs in and shows the guild that it finds, a wrong token is turned away.
// The library is used as published; the address of the API is its option `rest.api`.
//
// usage: node discordjs_login.js path/to/demo.json
'use strict';

const { once } = require('node:events');
const { ChannelType, Client, Events, GatewayIntentBits } = require('discord.js');
const { emit, inTime, run } = require('./witness');

function newClient(demo) {
  return new Client({
    rest: { api: demo.api_base },
    // Without presences a bot is told of no member but itself.
    intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildPresences, GatewayIntentBits.GuildVoiceStates],
  });
}

function showGuild(who, guild) {
  emit({
    who,
    event: 'guild',
    id: guild.id,
    name: guild.name,
    owner: guild.ownerId,
    available: guild.available,
    channels: guild.channels.cache.map(channel => ({
      id: channel.id,
      name: channel.name,
      type: ChannelType[channel.type],
      voice: channel.isVoiceBased(),
    })),
    members: guild.members.cache.map(member => ({ id: member.id, username: member.user.username, bot: member.user.bot })),
    roles: guild.roles.cache.map(role => ({ id: role.id, name: role.name })),
    mine: guild.members.me.permissions.toArray(),
  });
}

async function login(who, token, demo) {
  const client = newClient(demo);
  const ready = once(client, Events.ClientReady);
  await inTime(client.login(token), `${who}: login`);
  await inTime(ready, `${who}: ready after login`);
  emit({ who, event: 'ready', user: client.user.id, username: client.user.username, application: client.application.id });
  for (const guild of client.guilds.cache.values()) showGuild(who, guild);
  await client.destroy();
}

run(async demo => {
  for (const [index, bot] of demo.bots.entries()) await login(`bot ${index}`, bot.token, demo);

  const outcome = newClient(demo).login(`${demo.bots[0].token}x`).then(() => 'logged in', error => error.code ?? error.message);
  emit({ event: 'refused', code: await inTime(outcome, 'login with a wrong token') });
});
