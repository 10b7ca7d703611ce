// selfbot_call: two users of discord.js-selfbot-v13 ring each other, and a third client, logged in to the second user's
// account as well, sees all of it. Two scenes: the call is answered; the call is declined.
//
// usage: node selfbot_call.js path/to/demo.json
'use strict';

const { emit, ensure, inTime, run, same } = require('./witness');
const { hangUp, join, login, logout, refusal, startProxy } = require('./selfbot_client');

async function allSee(people, event, fields) {
  const seen = await Promise.all(people.map(person => person.witness.expect(event, fields)));
  return seen[0];
}

// The caller joins and rings. Returns the caller's voice and the call message's id.
async function ring(people, dm) {
  const [caller, callee] = people;
  const author = caller.client.user.id;
  const voice = join(caller, dm);
  const message = { type: 'CALL', channel: dm.id, author, participants: [author], ended: false };
  const { id } = await allSee(people, 'messageCreate', message);
  await allSee(people, 'callCreate', { channel: dm.id, ringing: [] });
  await allSee(people, 'voiceStateUpdate', { user: author, to: dm.id, session: caller.client.sessionId });
  await inTime(dm.ring(), 'caller: POST call/ring');
  await allSee(people, 'callUpdate', { channel: dm.id, ringing: [callee.client.user.id] });
  await voice.placed;
  return { voice, message: { ...message, id } };
}

async function lastOneLeaves(people, voice, dm, message) {
  await voice.settled;
  hangUp(voice);
  await allSee(people, 'voiceStateUpdate', { user: people[0].client.user.id, from: dm.id, to: null });
  await allSee(people, 'messageUpdate', { ...message, ended: true });
  await allSee(people, 'callDelete', { channel: dm.id });
}

async function answered(people, dm) {
  emit({ event: 'scene', name: 'answered' });
  const [caller, callee] = people;
  const { voice, message } = await ring(people, dm);

  const answer = join(callee, callee.client.channels.cache.get(dm.id));
  await allSee(people, 'callUpdate', { channel: dm.id, ringing: [] });
  const both = [caller.client.user.id, callee.client.user.id].sort();
  await allSee(people, 'messageUpdate', { ...message, participants: both });
  await allSee(people, 'voiceStateUpdate', { user: callee.client.user.id, to: dm.id, session: callee.client.sessionId });
  for (const person of people) {
    const there = [...person.client.channels.cache.get(dm.id).voiceUsers.keys()].sort();
    ensure(same(there, both), `${person.witness.who}: the library shows ${there} in the call`);
  }
  await answer.placed;
  await answer.settled;

  hangUp(answer);
  await allSee(people, 'voiceStateUpdate', { user: callee.client.user.id, from: dm.id, to: null });
  await lastOneLeaves(people, voice, dm, { ...message, participants: both });
}

async function declined(people, dm) {
  emit({ event: 'scene', name: 'declined' });
  const { voice, message } = await ring(people, dm);
  await inTime(people[1].client.user.stopRinging(dm.id), 'callee: POST call/stop-ringing');
  await allSee(people, 'callUpdate', { channel: dm.id, ringing: [] });
  await lastOneLeaves(people, voice, dm, message);
}

run(async demo => {
  const proxy = await startProxy(demo.api_base);
  const [ada, ben] = demo.users;
  const people = await Promise.all([
    login('caller', ada.token, demo, proxy),
    login('callee', ben.token, demo, proxy),
    login('second', ben.token, demo, proxy),
  ]);
  const sessions = new Set(people.map(person => person.client.sessionId));
  ensure(sessions.size === people.length, 'two of the three clients were given the same session');

  const dm = await inTime(people[0].client.users.createDM(ben.id, { force: true }), 'caller: POST /users/@me/channels');
  ensure(dm.id === demo.dm_channel_id, `caller: the DM is ${dm.id}, not ${demo.dm_channel_id}`);
  await answered(people, dm);
  await declined(people, dm);
  await Promise.all(people.map(logout));

  const refused = await refusal(`${ada.token}x`, demo, proxy);
  ensure(refused === 'TOKEN_INVALID', `a wrong token: ${refused}, not TOKEN_INVALID`);
  emit({ event: 'refused', code: refused });
});
