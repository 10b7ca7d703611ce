// discordjs_voice: two bots of discord.js in voice channels of the guild. One joins, is given a voice server and sees the
// other come; as a moderator it then silences, moves and throws out the other by the library's own methods.
//
// usage: node discordjs_voice.js path/to/demo.json
'use strict';

const { once } = require('node:events');
const { Client, Events, GatewayIntentBits } = require('discord.js');
const { Witness, ensure, inTime, run, same } = require('./witness');

async function login(who, token, demo) {
  const client = new Client({
    rest: { api: demo.api_base },
    intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildVoiceStates],
  });
  const witness = new Witness(who);
  const ready = once(client, Events.ClientReady);
  await inTime(client.login(token), `${who}: login`);
  await inTime(ready, `${who}: ready after login`);
  client.on(Events.VoiceStateUpdate, (before, after) =>
    witness.saw('state', {
      user: after.id, from: before.channelId, to: after.channelId, muted: after.serverMute, deafened: after.serverDeaf,
      name: after.member?.user.username, selfMute: after.selfMute,
    }),
  );
  const guild = client.guilds.cache.get(demo.guild.id);
  // What the library offers to voice libraries; it is all that they use of it.
  const adapter = guild.voiceAdapterCreator({
    onVoiceServerUpdate: data => witness.saw('server', { endpoint: data.endpoint, token: data.token, guild: data.guild_id }),
    onVoiceStateUpdate: () => {},
    destroy: () => {},
  });
  return { client, witness, guild, adapter, id: client.user.id, name: client.user.username };
}

function say(bot, channel, selfMute = false) {
  const d = { guild_id: bot.guild.id, channel_id: channel, self_mute: selfMute, self_deaf: false };
  ensure(bot.adapter.sendPayload({ op: 4, d }), `${bot.witness.who}: the library does not send op 4`);
}

async function allSee(bots, fields) {
  for (const bot of bots) await bot.witness.expect('state', fields);
}

async function placed(bot, ...before) {
  const server = await bot.witness.expect('server', { guild: bot.guild.id });
  ensure(/^[0-9a-f]{16}$/.test(server.token), `${bot.witness.who}: a token ${server.token}`);
  ensure(!before.includes(server.token), `${bot.witness.who}: an old token again`);
  return server.token;
}

const usersIn = (bot, channel) => [...bot.guild.channels.cache.get(channel).members.keys()].sort();

run(async demo => {
  const [lounge, workshop] = demo.guild.voice_channel_ids;
  const bots = [await login('dj', demo.bots[0].token, demo), await login('listener', demo.bots[1].token, demo)];
  const [dj, listener] = bots;

  say(dj, lounge);
  await allSee(bots, { user: dj.id, from: null, to: lounge, name: dj.name });
  const first = await placed(dj);
  say(listener, lounge);
  await allSee(bots, { user: listener.id, from: null, to: lounge, name: listener.name });
  const his = await placed(listener);
  for (const bot of bots)
    ensure(same(usersIn(bot, lounge), [dj.id, listener.id].sort()), `${bot.witness.who}: ${usersIn(bot, lounge)} are there`);

  say(dj, lounge, true);
  await allSee(bots, { user: dj.id, from: lounge, to: lounge, selfMute: true });
  say(dj, workshop);
  await allSee(bots, { user: dj.id, from: lounge, to: workshop, selfMute: false });
  await placed(dj, first);

  const member = await inTime(dj.guild.members.fetch(listener.id), 'dj: GET member');
  await inTime(member.voice.setMute(true), 'dj: mutes');
  await allSee(bots, { user: listener.id, to: lounge, muted: true });
  await inTime(member.voice.setMute(false), 'dj: unmutes');
  await allSee(bots, { user: listener.id, to: lounge, muted: false });
  await inTime(member.voice.setChannel(workshop), 'dj: moves');
  await allSee(bots, { user: listener.id, from: lounge, to: workshop });
  await placed(listener, his);
  await inTime(member.voice.disconnect(), 'dj: throws out');
  await allSee(bots, { user: listener.id, from: workshop, to: null });
  const refusal = await inTime(member.voice.setMute(true).then(() => 'done', error => error.code), 'dj: mutes nobody');
  ensure(refusal === 40032, `a mute of who is in no voice channel: ${refusal}, not 40032`);

  say(dj, null);
  await allSee(bots, { user: dj.id, from: workshop, to: null });
  for (const bot of bots) {
    bot.witness.note('done', {});
    bot.witness.done();
    await bot.client.destroy();
  }
});
