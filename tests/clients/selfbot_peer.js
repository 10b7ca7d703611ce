// selfbot_peer: a user of discord.js-selfbot-v13, in a private call or a voice channel. Used as published.
'use strict';

const { once } = require('node:events');
const { Ears, Mouth, now, serve, tell } = require('./peer');
const { hangUp, join, login, startProxy } = require('./selfbot_client');

const OPUS = 120;
const CONNECTED = 0;
const ears = new Ears();
let person, voice, mouth, finished;

// The port is none of the library's concern.
function where() {
  const { mode, endpoint } = voice.connection.authentication;
  return { mode, endpoint: `${endpoint}:443` };
}

const channelOf = id => person.client.channels.cache.get(id);

serve({
  async login({ token, api, gateway }) {
    const proxy = await startProxy(api);
    person = await login('peer', token, { api_base: api, gateway_url: gateway }, proxy);
    return { user: person.client.user.id };
  },

  async join({ channel }) {
    voice = join(person, channelOf(channel));
    voice.connection.on('disconnect', () => tell('voice', { at: now(), status: 'disconnected' }));
    voice.connection.receiver.on('receiverData', ({ userId }, { header, payload }) => {
      if (header.payloadType === OPUS) ears.hear(userId, payload);
    });
    await voice.placed;
    await voice.settled;
    return where();
  },
  ready: () => (voice.connection.status === CONNECTED ? where() : { endpoint: null }),

  ring: ({ channel }) => channelOf(channel).ring().then(() => null),
  seen: () => ({ users: [...channelOf(voice.connection.channel.id).voiceUsers.keys()] }),

  speak() {
    mouth = new Mouth();
    const dispatcher = voice.connection.playAudio(mouth, { type: 'opus', volume: false });
    dispatcher.on('error', error => tell('error', { why: error.message }));
    finished = once(dispatcher, 'finish');
    finished.catch(() => {});
  },
  say: ({ frames }) => mouth.say(frames),
  async hush() {
    mouth.hush();
    await finished;
  },
  leave: () => hangUp(voice),
  counts: () => ears.counts(),
  heard: () => ears.heard(),
});
