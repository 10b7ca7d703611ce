// discordjs_peer: a bot of discord.js with @discordjs/voice, used as published.
'use strict';

const { once } = require('node:events');
const { Client, Events, GatewayIntentBits } = require('discord.js');
const { StreamType, VoiceConnectionStatus, createAudioPlayer, createAudioResource, entersState, joinVoiceChannel } =
  require('@discordjs/voice');
const { Ears, Mouth, now, serve, tell } = require('./peer');

const PATIENCE_MS = 30_000;
const ears = new Ears();
const player = createAudioPlayer();
let client, connection, mouth;

// The library gives the packets of a user to who subscribes to him, and says so before it looks for that.
function listen() {
  connection.receiver.speaking.on('start', user => {
    if (connection.receiver.subscriptions.has(user)) return;
    const stream = connection.receiver.subscribe(user);
    stream.on('data', payload => ears.hear(user, payload));
    stream.on('error', error => tell('deaf', { user, why: error.message }));
  });
}

// Of the connection that the library keeps to itself only what it is to be shown in a report.
const mode = () => connection.state.networking?.state?.connectionData?.encryptionMode;

const isReady = () => connection.state.status === VoiceConnectionStatus.Ready;

// Errors on the way are the library's to get over; its own entersState() gives up at the first.
function ready() {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`it is ${connection.state.status}`)), PATIENCE_MS);
    const look = () => {
      if (!isReady()) return;
      clearTimeout(late);
      connection.off('stateChange', look);
      resolve();
    };
    connection.on('stateChange', look);
    look();
  });
}

serve({
  async login({ token, api }) {
    client = new Client({ rest: { api }, intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildVoiceStates] });
    client.on(Events.VoiceStateUpdate, (before, after) =>
      tell('state', { at: now(), user: after.id, from: before.channelId, to: after.channelId }));
    const there = once(client, Events.ClientReady);
    await client.login(token);
    await there;
    return { user: client.user.id };
  },

  async join({ guild, channel }) {
    connection = joinVoiceChannel({
      guildId: guild, channelId: channel, selfDeaf: false,
      adapterCreator: client.guilds.cache.get(guild).voiceAdapterCreator,
    });
    connection.on('error', error => tell('error', { why: error.message }));
    connection.on('stateChange', (before, after) => {
      if (before.status !== after.status) tell('voice', { at: now(), status: after.status, code: after.closeCode });
    });
    listen();
    await entersState(connection, VoiceConnectionStatus.Ready, PATIENCE_MS);
    return { mode: mode(), endpoint: connection.packets.server.endpoint };
  },

  async ready() {
    await ready();
    return { mode: mode(), endpoint: connection.packets.server.endpoint };
  },

  // Speaks from now on: silence, until there is something to say.
  async speak() {
    mouth = new Mouth();
    player.play(createAudioResource(mouth, { inputType: StreamType.Opus }));
    connection.subscribe(player);
  },
  say: ({ frames }) => mouth.say(frames),
  hush: () => mouth.hush(),

  // The voice socket is lost without a word from either side, as when a cable is pulled; the library opens another.
  cut: () => connection.state.networking.state.ws.ws.terminate(),

  async move({ guild, user, channel }) {
    const member = await client.guilds.cache.get(guild).members.fetch(user);
    await member.voice.setChannel(channel);
    return { at: now() };
  },
  leave: () => connection.destroy(),
  counts: () => ears.counts(),
  heard: () => ears.heard(),
});
