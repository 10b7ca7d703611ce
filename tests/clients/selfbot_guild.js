// selfbot_guild: two users of discord.js-selfbot-v13 meet in a voice channel of the guild: one joins and is given a voice
// server, the other sees it and joins too, one changes the channel, both leave.
//
// usage: node selfbot_guild.js path/to/demo.json
'use strict';

const { ensure, inTime, run, same } = require('./witness');
const { hangUp, join, login, logout, startProxy } = require('./selfbot_client');

async function allSee(people, fields) {
  await Promise.all(people.map(person => person.witness.expect('voiceStateUpdate', fields)));
}

const usersIn = (person, channel) => [...person.client.channels.cache.get(channel).members.keys()].sort();

run(async demo => {
  const proxy = await startProxy(demo.api_base);
  const [ada, ben] = demo.users;
  const [lounge, workshop] = demo.guild.voice_channel_ids;
  const people = await Promise.all([login('ada', ada.token, demo, proxy), login('ben', ben.token, demo, proxy)]);
  const channel = (person, id) => person.client.channels.cache.get(id);

  const first = join(people[0], channel(people[0], lounge));
  await allSee(people, { user: ada.id, from: null, to: lounge, session: people[0].client.sessionId });
  await first.placed;
  await first.settled;

  const second = join(people[1], channel(people[1], lounge));
  await allSee(people, { user: ben.id, from: null, to: lounge, session: people[1].client.sessionId });
  await second.placed;
  await second.settled;
  for (const person of people) {
    const there = usersIn(person, lounge);
    ensure(same(there, [ada.id, ben.id].sort()), `${person.witness.who}: the library shows ${there} in the channel`);
  }

  hangUp(first);
  await allSee(people, { user: ada.id, from: lounge, to: null });
  const elsewhere = join(people[0], channel(people[0], workshop));
  await allSee(people, { user: ada.id, from: null, to: workshop });
  await elsewhere.placed;
  await elsewhere.settled;
  for (const person of people) {
    ensure(same(usersIn(person, lounge), [ben.id]), `${person.witness.who}: ${usersIn(person, lounge)} are in the old channel`);
    ensure(same(usersIn(person, workshop), [ada.id]), `${person.witness.who}: ${usersIn(person, workshop)} are in the new one`);
  }
  hangUp(elsewhere);
  await allSee(people, { user: ada.id, from: workshop, to: null });
  hangUp(second);
  await allSee(people, { user: ben.id, from: lounge, to: null });
  await inTime(Promise.all(people.map(logout)), 'log out');
});
