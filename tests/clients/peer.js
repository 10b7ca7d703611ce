// peer: a client that does what it is told, so that a test can have several of different libraries in one room. Each line
// on stdin is {"id", "do", …} and is answered by {"id", "ok"} or {"id", "failed"}; what happens by itself is told in
// lines without an id. What it says, frame by frame, it is given; what it hears it keeps until it is asked. Nothing here
// knows any library: each *_peer.js has the verbs of one.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { Readable } = require('node:stream');
const { emit } = require('./witness');

const SILENCE = Buffer.from([0xf8, 0xff, 0xfe]);

const tell = (event, fields) => emit({ event, ...fields });
// The clock that every process of the machine has in common.
const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;

const FRAME_MS = 20;
const AHEAD = 10;

// An endless stream of Opus frames: silence, except for what it is given to say. paced: for a library that takes whatever
// there is, it is in time by itself, some frames ahead.
class Mouth extends Readable {
  #queue = [];
  #over = false; // after what is in the queue the stream ends
  #ended = false;
  #paced;

  constructor({ paced = false } = {}) {
    super({ objectMode: true, highWaterMark: 1 });
    this.#paced = paced;
    if (paced) this.#keepTime();
  }

  #keepTime() {
    const began = now();
    let taken = 0;
    const timer = setInterval(() => {
      for (; taken < (now() - began) / FRAME_MS + AHEAD && !this.#ended; taken++) this.#next();
    }, FRAME_MS / 2);
    this.once('close', () => clearInterval(timer));
  }

  // Settled when the last of them has been taken.
  say(frames) {
    return new Promise(resolve => {
      const last = frames.length - 1;
      this.#queue.push(...frames.map((frame, i) => [Buffer.from(frame, 'base64'), i === last ? resolve : null]));
    });
  }

  hush() {
    this.#over = true;
  }

  _read() {
    if (!this.#paced) this.#next();
  }

  #next() {
    const [frame, taken] = this.#queue.shift() ?? [this.#over ? null : SILENCE, null];
    taken?.();
    this.#ended = frame === null;
    this.push(frame);
  }
}

class Ears {
  #heard = new Map(); // user → [when in ms, payload]
  #silent = new Map(); // user → how many frames of silence

  hear(user, payload) {
    if (SILENCE.equals(payload)) this.#silent.set(user, (this.#silent.get(user) ?? 0) + 1);
    else if (this.#heard.has(user)) this.#heard.get(user).push([now(), Buffer.from(payload)]);
    else this.#heard.set(user, [[now(), Buffer.from(payload)]]);
  }

  counts() {
    const of = user => [this.#heard.get(user)?.length ?? 0, this.#silent.get(user) ?? 0];
    return Object.fromEntries([...new Set([...this.#heard.keys(), ...this.#silent.keys()])].map(user => [user, of(user)]));
  }

  heard() {
    const text = ([at, payload]) => [at, payload.toString('base64')];
    return Object.fromEntries([...this.#heard].map(([user, all]) => [user, all.map(text)]));
  }
}

// verbs: {name: async fields => answer}. They may take as long as they like, others are done meanwhile.
function serve(verbs) {
  const fail = error => {
    fs.writeSync(2, `${path.basename(process.argv[1])}: ${error?.stack ?? error}\n`);
    process.exit(1);
  };
  process.on('unhandledRejection', fail);
  process.on('uncaughtException', fail);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', line => {
    const { id, do: name, ...fields } = JSON.parse(line);
    (async () => verbs[name](fields))().then(
      ok => emit({ id, ok: ok ?? null }),
      error => emit({ id, failed: `${name}: ${error?.message ?? error}` }),
    );
  });
  lines.on('close', () => process.exit(0));
}

module.exports = { Ears, Mouth, now, serve, tell };
