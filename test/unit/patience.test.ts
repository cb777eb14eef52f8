import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { RecorderCommunicator } from '#src/comm/communicator.js';
import { WaitWatch } from '#src/flush/patience.js';

describe('the watch over waits', () => {
  let said: string[];
  let aborted: number;
  const write = process.stderr.write.bind(process.stderr);
  beforeEach(() => {
    said = [];
    aborted = 0;
    process.stderr.write = (text: string) => said.push(text) > 0;
  });
  afterEach(() => void (process.stderr.write = write));

  const watch = () => new WaitWatch({ rank: 3, abort: () => aborted++ } as unknown as RecorderCommunicator);
  const wait = (name: string) => ({ stalled: () => `for ${name}`, ended: () => `${name} did not come` });

  it('says nothing of many that are short, though together they are long', async () => {
    const waits = watch();
    for (let i = 0; i < 8; i++) {
      waits.begin({ stallMs: 60, abortMs: 60 }, wait(`wait ${i}`));
      await pause(10);
      waits.end();
    }
    assert.deepEqual([said, aborted], [[], 0]);
  });

  it('says once of the one that is long, counted from its own beginning', async () => {
    const waits = watch();
    waits.begin({ stallMs: 30 }, wait('the short one'));
    await pause(20);
    waits.end();
    const began = performance.now();
    waits.begin({ stallMs: 30 }, wait('the long one'));
    while (said.length === 0 && performance.now() - began < 5000) await pause(1);
    assert.ok(performance.now() - began >= 29);
    await pause(60);
    assert.deepEqual(said, ['braid-mpi: rank 3 has waited 30 ms for the long one\n']);
    waits.end();
  });

  it('is as patient as the wait of now, though the one before had more patience', async () => {
    const waits = watch();
    waits.begin({ stallMs: 60_000 }, wait('a patient one'));
    waits.end();
    waits.begin({ stallMs: 10, abortMs: 20 }, wait('rank 1'));
    const began = performance.now();
    while (aborted === 0 && performance.now() - began < 5000) await pause(1);
    assert.equal(aborted, 1);
    assert.deepEqual(said, [
      'braid-mpi: rank 3 has waited 10 ms for rank 1\n',
      'braid-mpi: rank 3 ends the job: rank 1 did not come within 20 ms (abortMs)\n',
    ]);
  });
});
