// eris_peer: a bot of eris, which knows no newer mode than xsalsa20_poly1305. Used as published.
'use strict';

const http = require('node:http');
const { once } = require('node:events');
const Eris = require('eris');
const { Ears, Mouth, serve, tell } = require('./peer');

const PATIENCE_MS = 30_000;
const ears = new Ears();
let client, connection, mouth;

// It asks for https, at the port of its agent's choice; an agent that calls itself so and speaks plainly serves it. What
// is the agent's own port is then left out of the Host header, by which the server tells where its gateway is.
class PlainAgent extends http.Agent {
  constructor(port) {
    super({ keepAlive: true });
    this.protocol = 'https:';
    this.defaultPort = port;
  }

  addRequest(request, options) {
    request.setHeader('Host', `${options.host}:${this.defaultPort}`);
    super.addRequest(request, options);
  }
}

// A URL leaves out the port that is usual.
const endpoint = () => `${connection.endpoint.hostname}:${connection.endpoint.port || 443}`;

serve({
  async login({ token, api }) {
    const { hostname, port, pathname } = new URL(api);
    client = new Eris.Client(`Bot ${token}`, {
      intents: ['guilds', 'guildVoiceStates'], restMode: true, opusOnly: true,
      rest: { domain: hostname, baseURL: `${pathname}/v10`, agent: new PlainAgent(Number(port)) },
    });
    client.on('error', error => tell('error', { why: error.message }));
    const there = once(client, 'ready');
    await client.connect();
    await there;
    return { user: client.user.id };
  },

  async join({ channel }) {
    connection = await client.joinVoiceChannel(channel, { opusOnly: true });
    connection.on('error', error => tell('error', { why: error.message }));
    connection.on('warn', why => tell('warn', { why }));
    connection.receive('opus').on('data', (payload, user) => ears.hear(user, payload));
    return { mode: connection.mode, endpoint: endpoint() };
  },

  ready: () => new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('it is not connected')), PATIENCE_MS);
    const look = () => {
      if (!connection.ready || connection.resuming) return;
      clearTimeout(late);
      clearInterval(again);
      resolve({ mode: connection.mode, endpoint: endpoint() });
    };
    const again = setInterval(look, 20);
    look();
  }),

  speak() {
    mouth = new Mouth({ paced: true });
    connection.play(mouth, { format: 'opusPackets', voiceDataTimeout: -1 });
  },
  say: ({ frames }) => mouth.say(frames),
  hush: () => mouth.hush(),
  leave: () => client.leaveVoiceChannel(connection.channelID),
  counts: () => ears.counts(),
  heard: () => ears.heard(),
});
