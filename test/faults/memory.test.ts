import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BraidReader } from 'braid-mpi';
import { mpiexec, vendors, type TestVendor } from '../support/mpiexec.js';
import { LONG } from '../support/trials.js';

const PROGRAM = fileURLToPath(new URL('memory.rank.js', import.meta.url));
const ROUND_MIB = 64;
const MOST_MIB = 300;

/**
 * Two rounds, and what SQLite holds, are in memory however many rounds there are: six, which are more than the limit, tell
 * what sixteen would. The long run takes the sizes of the promise.
 */
const MIB = LONG ? 1024 : 384;
/** More than an int counts, in the spools of three ranks. */
const LARGE_MIB = 2400;
/**
 * Of small ops, which SQLite takes longer over than over their bytes: what a round of them takes is known by one round, and
 * by a smaller one; what two take by two.
 */
const SMALL: readonly { kind: string; mib: number; round: number; most: number }[] = LONG
  ? [
      { kind: 'small', mib: 256, round: ROUND_MIB, most: MOST_MIB },
      { kind: 'updates', mib: 128, round: ROUND_MIB, most: MOST_MIB },
    ]
  : [{ kind: 'updates', mib: 24, round: 24, most: 150 }];
/** A record, its URI and its tag. */
const opsOf = (mib: number) => mib * 1024 * 3;

describe(`memory of the root, with ${MIB} MiB in the spools and rounds of ${ROUND_MIB} MiB`, function () {
  this.timeout(600_000);
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'braid-memory-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  /** Room for the spools, the database and its write-ahead log. */
  const hasRoom = (mib: number) => {
    const { bavail, bsize } = statfsSync(tmpdir());
    return bavail * bsize > 3 * mib * 2 ** 20;
  };
  const job = async (
    vendor: TestVendor,
    ranks: number,
    mib: number,
    step: string,
    kind = 'records',
    round = ROUND_MIB,
  ) => {
    const args = [join(directory, 'run.db'), String(mib), String(round), step, kind];
    const run = await mpiexec(vendor, ranks, PROGRAM, { args, timeoutMs: 550_000 });
    assert.equal(run.timedOut, false, run.stderr);
    if (step === 'leave') return { opened: 0, closed: 0 };
    assert.equal(run.code, 0, run.stderr);
    return JSON.parse(run.stdout) as { opened: number; closed: number };
  };
  const runs = () => {
    const reader = BraidReader.open(join(directory, 'run.db'));
    try {
      return reader.runs().map(({ status, committed }) => ({ status, committed }));
    } finally {
      reader.close();
    }
  };

  for (const vendor of vendors) {
    it(`grows by less than ${MOST_MIB} MiB in close, on ${vendor.name}`, async function () {
      if (!hasRoom(MIB)) return this.skip();
      const { closed } = await job(vendor, 2, MIB, 'close');
      if (LONG) process.stderr.write(`${closed} MiB\n`);
      assert.ok(closed < MOST_MIB, `${closed} MiB`);
      assert.deepEqual(runs(), [{ status: 'COMPLETED', committed: opsOf(MIB) }]);
    });
  }

  it(`grows by less than ${MOST_MIB} MiB in the open that recovers them`, async function () {
    if (!hasRoom(MIB)) return this.skip();
    await job(vendors[0], 2, MIB, 'leave');
    const { opened } = await job(vendors[0], 2, 0, 'open');
    if (LONG) process.stderr.write(`${opened} MiB\n`);
    assert.ok(opened < MOST_MIB, `${opened} MiB`);
    assert.equal(runs()[0].committed, opsOf(MIB));
  });

  for (const { kind, mib, round, most } of SMALL) {
    it(`grows by less than ${most} MiB in close, with ${mib} MiB of ${kind} in rounds of ${round} MiB`, async function () {
      if (!hasRoom(3 * mib)) return this.skip();
      const { closed } = await job(vendors[0], 2, mib, 'close', kind, round);
      if (LONG) process.stderr.write(`${closed} MiB\n`);
      assert.ok(closed < most, `${closed} MiB`);
      assert.equal(runs()[0].status, 'COMPLETED');
    });
  }

  if (LONG) {
    const [, { mib: updates }] = SMALL;
    it(`grows by less than ${MOST_MIB} MiB in the open that recovers ${updates} MiB of updates`, async function () {
      if (!hasRoom(3 * updates)) return this.skip();
      await job(vendors[0], 2, updates, 'leave', 'updates');
      const { opened } = await job(vendors[0], 2, 0, 'open', 'updates');
      process.stderr.write(`${opened} MiB\n`);
      assert.ok(opened < MOST_MIB, `${opened} MiB`);
    });

    for (const vendor of vendors) {
      it(`flushes more than 2^31 bytes at once, on ${vendor.name}`, async function () {
        if (!hasRoom(LARGE_MIB)) return this.skip();
        const { closed } = await job(vendor, 3, LARGE_MIB, 'close');
        process.stderr.write(`${closed} MiB\n`);
        assert.ok(closed < MOST_MIB, `${closed} MiB`);
        assert.deepEqual(runs(), [{ status: 'COMPLETED', committed: opsOf(LARGE_MIB) }]);
      });
    }
  }
});
