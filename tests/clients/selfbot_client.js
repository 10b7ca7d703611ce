// selfbot_client: discord.js-selfbot-v13 pointed at a server of one's own by its documented options,
// with what it sees reported to a witness. The library is used as published.
'use strict';

const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const { Client } = require('discord.js-selfbot-v13');
const { Witness, ensure, inTime } = require('./witness');

const DISPATCHES = [
  'MESSAGE_CREATE', 'MESSAGE_UPDATE', 'CALL_CREATE', 'CALL_UPDATE', 'CALL_DELETE', 'VOICE_STATE_UPDATE', 'VOICE_SERVER_UPDATE',
];

// The library sends every HTTP request through a connection pool pinned to Discord's own host, whatever `http.api` says.
// Its `http.agent` option (the address of an HTTP proxy) takes the place of that pool, so this process runs a
// CONNECT proxy for itself, which leads to the server under test and nowhere else.
async function startProxy(apiBase) {
  const api = new URL(apiBase);
  const port = Number(api.port || (api.protocol === 'https:' ? 443 : 80));
  const proxy = http.createServer();
  proxy.on('connect', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    if (request.url !== `${api.hostname}:${port}`) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    const upstream = net.connect(port, api.hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return `http://127.0.0.1:${proxy.address().port}`;
}

const messageFields = message => ({
  id: message.id,
  type: message.type,
  channel: message.channelId,
  author: message.author?.id,
  participants: message.call && [...message.call.participants].sort(),
  ended: message.call && message.call.endedTimestamp !== null,
});

function report(client, witness) {
  // The raw dispatches, as the library forwards them, go into the record; the waits look at its own events.
  for (const t of DISPATCHES) client.ws.on(t, d => witness.note('dispatch', { t, d }));
  client.on('messageCreate', message => witness.saw('messageCreate', messageFields(message)));
  client.on('messageUpdate', (_, message) => witness.saw('messageUpdate', messageFields(message)));
  client.on('callCreate', call =>
    witness.saw('callCreate', { channel: call.channel?.id, region: call.region, ringing: [...call.ringing.keys()] }),
  );
  client.on('callUpdate', call =>
    witness.saw('callUpdate', { channel: call.channel?.id, region: call.region, ringing: [...call.ringing.keys()] }),
  );
  client.on('callDelete', call => witness.saw('callDelete', { channel: call.channel?.id }));
  client.on('voiceStateUpdate', (before, after) =>
    witness.saw('voiceStateUpdate', { user: after.id, from: before.channelId, to: after.channelId, session: after.sessionId }),
  );
  client.on('shardError', error => witness.note('shardError', { why: error.message }));
}

function newClient(demo, proxy) {
  return new Client({ http: { api: demo.api_base, agent: proxy } });
}

// A client logged in and ready, as {client, witness}.
async function login(who, token, demo, proxy) {
  const client = newClient(demo, proxy);
  const witness = new Witness(who);
  // Asked here first: when it fails, login() would go to Discord's own gateway without a word.
  const { url } = await inTime(client.api.gateway.get({ auth: false }), `${who}: GET /gateway`);
  ensure(url === demo.gateway_url, `${who}: GET /gateway gives ${url}, not ${demo.gateway_url}`);
  const ready = once(client, 'ready');
  await inTime(client.login(token), `${who}: login`);
  await inTime(ready, `${who}: ready after login`);
  witness.note('ready', {
    user: client.user.id,
    session: client.sessionId,
    guilds: client.guilds.cache.map(guild => ({
      id: guild.id,
      name: guild.name,
      channels: guild.channels.cache.map(channel => ({ id: channel.id, type: channel.type })),
      members: [...guild.members.cache.keys()],
    })),
    privateChannels: client.channels.cache
      .filter(channel => ['DM', 'GROUP_DM'].includes(channel.type))
      .map(channel => ({ id: channel.id, type: channel.type })),
    friends: [...client.relationships.friendCache.keys()],
  });
  report(client, witness);
  return { client, witness };
}

async function logout({ client, witness }) {
  const gone = once(client, 'shardDisconnect');
  client.destroy();
  const [close] = await inTime(gone, `${witness.who}: close of the gateway socket`);
  witness.note('closed', { code: close.code });
  witness.done();
}

// Joins as the library does it. `placed`: its own voice state and a voice server have come together, which is all that the
// gateway has to do; `settled`: the voice socket behind it is up, or could not be reached. The library
// dials 443 whatever the endpoint says; where nobody answers there it rejects, and that is an outcome, not a failure.
function join({ client, witness }, channel) {
  const joining = client.voice.joinChannel(channel);
  const connection = client.voice.connection;
  connection.on('error', error => witness.note('voiceError', { why: error.message }));
  const placed = once(connection, 'authenticated').then(() => {
    const { token, endpoint, sessionId } = connection.authentication;
    witness.note('placed', { token, endpoint, session: sessionId });
    ensure(sessionId === client.sessionId, `${witness.who}: placed with session ${sessionId}, not its own`);
  });
  const settled = joining.then(
    () => witness.note('voice', { outcome: 'connected' }),
    error => witness.note('voice', { outcome: 'unreachable', why: error.message }),
  );
  return {
    connection,
    placed: inTime(placed, `${witness.who}: own voice state and voice server after joining`),
    settled: inTime(settled, `${witness.who}: outcome of the voice connection`),
  };
}

function hangUp({ connection }) {
  const socket = connection.sockets.ws;
  connection.disconnect();
  // disconnect() takes its listeners off a voice socket first and closes it then: one that was just being tried again
  // says that it was closed too early, and with nobody to hear it that would end the process.
  socket?.on('error', () => {});
}

// What login() says to a token that nobody has.
async function refusal(token, demo, proxy) {
  const client = newClient(demo, proxy);
  const outcome = client.login(token).then(() => 'logged in', error => error.code ?? error.message);
  return inTime(outcome, 'login with a wrong token');
}

module.exports = { hangUp, join, login, logout, refusal, startProxy };
