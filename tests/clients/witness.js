// witness: what one client saw, in order. Each thing goes to stdout as a JSON line;
// a wait that is not met in time fails with a plain reason. Nothing here knows any library.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { EventEmitter, once } = require('node:events');

const PATIENCE_MS = 45_000;

// Written when this returns, and whole: a pipe that nobody waits on takes no more than fits in.
function emit(line) {
  let rest = Buffer.from(`${JSON.stringify(line)}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function ensure(condition, reason) {
  if (!condition) throw new Error(reason);
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// The promise, or a failure naming `what` when it has not settled in time.
function inTime(promise, what) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const expired = once(signal, 'abort').then(() => {
    throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
  });
  return Promise.race([promise, expired]);
}

class Witness extends EventEmitter {
  #seen = [];
  #next = 0; // #seen[0..#next) has been asked for already

  constructor(who) {
    super();
    this.who = who;
  }

  // Written out only: no wait looks at it.
  note(event, fields) {
    emit({ who: this.who, event, ...fields });
  }

  saw(event, fields) {
    this.note(event, fields);
    this.#seen.push({ event, ...fields });
    this.emit('more');
  }

  // The next thing seen must be `event` with all of `fields`; anything else in between is a failure.
  async expect(event, fields = {}) {
    const what = `${this.who} should see ${event} ${JSON.stringify(fields)}`;
    if (this.#next === this.#seen.length) await inTime(once(this, 'more'), what);
    const got = this.#seen[this.#next++];
    const matches = got.event === event && Object.entries(fields).every(([key, value]) => same(got[key], value));
    ensure(matches, `${what}, but saw ${JSON.stringify(got)}`);
    return got;
  }

  // Nothing was seen beyond what has been expected.
  done() {
    ensure(this.#next === this.#seen.length, `${this.who} also saw ${JSON.stringify(this.#seen[this.#next])}`);
  }
}

// Runs a program on the world described by the file it was given; the exit status says how it went.
async function run(program) {
  const fail = error => {
    fs.writeSync(2, `${path.basename(process.argv[1])}: ${error?.message ?? error}\n`);
    process.exit(1);
  };
  process.on('unhandledRejection', fail);
  process.on('uncaughtException', fail);
  ensure(process.argv.length === 3, 'usage: node PROGRAM path/to/demo.json');
  await program(JSON.parse(fs.readFileSync(process.argv[2], 'utf8')));
  process.exit(0);
}

module.exports = { Witness, emit, ensure, inTime, run, same };
