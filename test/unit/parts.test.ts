import assert from 'node:assert/strict';
import { Progress } from '#src/comm/progress.js';
import { Request } from '#src/comm/request.js';
import { withoutSecrets } from '#src/context.js';
import { drive, wait, type Steps } from '#src/flush/drive.js';
import { contiguous } from '#src/flush/gathering.js';
import { ranksText } from '#src/flush/words.js';
import { parseOptions } from '#src/options.js';
import { now } from '#src/record/clock.js';
import type { SpoolReport } from '#src/leftovers.js';
import { deadAttempts, lossesOf } from '#src/recovery.js';
import { parseTime, timeText } from '#src/time.js';

describe('a request', () => {
  it('tells its end at once to those who ask synchronously, and as a promise', async () => {
    const request = new Request<number>();
    const told: number[] = [];
    request.onDone(() => told.push(request.value));
    assert.throws(() => request.value);
    request.resolve(7);
    request.onDone(() => told.push(request.value));
    assert.deepEqual(told, [7, 7]);
    assert.equal(await request, 7);
    assert.throws(() => request.resolve(8));
    const failed = new Request();
    failed.reject(new Error('no'));
    await assert.rejects(async () => failed, /no/);
    assert.throws(() => failed.value, /no/);
  });
});

describe('a state machine', () => {
  it('advances inside the call that completes what it waits for', () => {
    const [one, two] = [new Request<number>(), new Request<number>()];
    function* steps(): Steps<number> {
      const a = yield* wait(one);
      const b = yield* wait(Request.completed(10));
      return a + b + (yield* wait(two));
    }
    const result = drive(steps());
    two.resolve(100);
    assert.equal(result.done, false);
    one.resolve(1);
    assert.equal(result.value, 111);
  });

  it('can catch the error of what it waits for, and fails with what it throws', () => {
    const request = new Request<never>();
    function* steps(): Steps<string> {
      try {
        yield* wait(request);
      } catch (error) {
        return (error as Error).message;
      }
      return 'not reached';
    }
    const caught = drive(steps());
    const failing = drive(
      (function* (): Steps<void> {
        yield* wait(request);
      })(),
    );
    request.reject(new Error('of the request'));
    assert.equal(caught.value, 'of the request');
    assert.equal(failing.error?.message, 'of the request');
  });

  it('takes a hundred thousand complete requests without a deep stack', () => {
    const result = drive(
      (function* (): Steps<number> {
        let sum = 0;
        for (let i = 0; i < 100_000; i++) sum += yield* wait(Request.completed(1));
        return sum;
      })(),
    );
    assert.equal(result.value, 100_000);
  });
});

describe('progress', () => {
  it('tests what is under way until it is removed, and when it is poked', async () => {
    const progress = new Progress();
    let tests = 0;
    const done = new Promise<void>((resolve) => {
      const pollable = {
        test: () => {
          if (++tests < 500) return true;
          progress.remove(pollable);
          resolve();
          return true;
        },
      };
      progress.add(pollable);
      progress.poke();
      assert.equal(tests, 1);
    });
    await done;
    assert.equal(tests, 500);
  });
});

describe('frames on their way', () => {
  const memory = Buffer.from(new ArrayBuffer(64)).fill(1);
  const frame = (start: number, end: number) => ({ size: end - start, bytes: memory.subarray(start, end) });

  it('stay in place where they lie together, and are copied where they do not', () => {
    const together = contiguous([frame(0, 8), frame(8, 24), frame(24, 32)], 1, 2);
    assert.deepEqual([together.buffer, together.byteOffset, together.length], [memory.buffer, 8, 24]);
    const apart = contiguous([frame(0, 8), frame(16, 24)], 0, 2);
    assert.notEqual(apart.buffer, memory.buffer);
    assert.equal(apart.length, 16);
    assert.equal(contiguous([frame(0, 8)], 0, 0).length, 0);
  });
});

describe('options', () => {
  const invalid = (options: object, message: RegExp, env = {}) =>
    assert.throws(() => parseOptions(options, env), { code: 'ERR_BRAID_OPTION_INVALID', message });

  it('are the defaults, under the environment, under what the program says', () => {
    const { roundBytes, busyMs, signals, abortMs } = parseOptions(
      { busyMs: 7 },
      { BRAID_BUSY_MS: '5', BRAID_ROUND_BYTES: '1000' },
    );
    assert.deepEqual([roundBytes, busyMs, signals, abortMs], [1000, 7, ['SIGTERM', 'SIGINT'], undefined]);
  });

  it('have a name that can be stored, as records have', () => {
    for (const name of ['a\0b', 'half \ud800'])
      for (const [options, env] of [
        [{ name }, {}],
        [{}, { BRAID_NAME: name }],
      ] as const)
        // prettier-ignore
        assert.throws(() => parseOptions(options, env), { code: 'ERR_BRAID_TEXT_INVALID', message: /the name of a run/ });
  });

  it('are named in what is wrong with them', () => {
    invalid({ roundbytes: 5 }, /roundbytes/);
    invalid({ roundBytes: 2 ** 40 }, /roundBytes/);
    invalid({ mpi: 'maybe' }, /mpi/);
    invalid({ comm: {} }, /comm.*Communicator/);
    invalid({ resume: 'yes' }, /resume.*32 hex/);
    invalid({ signals: ['TERM'] }, /signals/);
    invalid({ durability: 'forever' }, /durability/);
    invalid({}, /stallMs \(from BRAID_STALL_MS\)/, { BRAID_STALL_MS: 'soon' });
    invalid(null as never, /object/);
  });
});

describe('the context', () => {
  it('keeps no secrets of the command line', () => {
    assert.deepEqual(
      withoutSecrets([
        'node',
        'job.mjs',
        '--token',
        'abc',
        '--api-key=xyz',
        'PASSWORD=x',
        '-n',
        '4',
        'https://me:pw@host/x',
        '--password',
      ]),
      [
        'node',
        'job.mjs',
        '--token',
        '***',
        '--api-key=***',
        'PASSWORD=***',
        '-n',
        '4',
        'https://me:***@host/x',
        '--password',
      ],
    );
  });
});

describe('times', () => {
  it('have the text form of Braid-DB, before 1970 too', () => {
    assert.equal(timeText(0), '1970-01-01 00:00:00.000000');
    assert.equal(timeText(1_234_567_890_123_456), '2009-02-13 23:31:30.123456');
    assert.equal(timeText(-1), '1969-12-31 23:59:59.999999');
    assert.deepEqual(parseTime('2009-02-13 23:31:30.123456'), new Date('2009-02-13T23:31:30.123Z'));
    assert.deepEqual(parseTime('2009-02-13 23:31:30'), new Date('2009-02-13T23:31:30Z'));
  });

  it('never come twice in a process', () => {
    const times = Array.from({ length: 5000 }, now);
    assert.equal(new Set(times).size, times.length);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
  });
});

describe('ranks in a message', () => {
  it('are short, however many they are', () => {
    assert.equal(ranksText([3]), 'rank 3');
    assert.equal(ranksText([0, 1, 2, 5, 7, 8]), 'ranks 0-2, 5, 7-8');
    const even = Array.from({ length: 10_000 }, (_, i) => i * 2);
    assert.ok(ranksText(even).length < 80);
  });
});

describe('what is lost of a spool', () => {
  it('is found where half a million frames are, and every other is missing', () => {
    const sequences = Array.from({ length: 500_000 }, (_, i) => [2 * i + 2, 2 * i + 2] as const);
    const state = { status: 'RUNNING', frames: [0], gaps: [] } as const;
    assert.equal(lossesOf({ file: 'f', rank: 0, sequences }, state).length, sequences.length);
  });
});

describe('the verdict on what was found', () => {
  const spool = (rank: number, more: Partial<SpoolReport> = {}): SpoolReport => ({
    file: `${rank}.spool`,
    run: 'r',
    attempt: 1,
    rank,
    host: 'a',
    end: 'alive',
    ...more,
  });

  const surroundings = { hosts: ['a'], open: [] };

  it('is that an attempt of which any rank lives is alive', () => {
    assert.deepEqual(deadAttempts([spool(0), spool(1, { alone: 'alive' })], surroundings), []);
    const [dead] = deadAttempts([spool(0), spool(1)], surroundings);
    assert.deepEqual([dead.status, dead.spools.length], ['INCOMPLETE', 2]);
  });

  it('is the worst end of its ranks', () => {
    assert.equal(deadAttempts([spool(0, { end: 'signal' }), spool(1)], surroundings)[0].status, 'KILLED');
    assert.equal(
      deadAttempts([spool(0, { end: 'signal' }), spool(1, { end: 'failed' })], surroundings)[0].status,
      'FAILED',
    );
  });
});
