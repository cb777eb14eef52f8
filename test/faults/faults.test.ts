import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FAULT_POINTS, type FaultPoint } from '#src/fault.js';
import { braid } from '../cli/support.js';
import { concurrently } from '../support/concurrently.js';
import { missingVendors, mpiexec, runAlone, vendors, type TestVendor } from '../support/mpiexec.js';
import { acknowledged, checkPromise } from './promise.js';

const JOB = fileURLToPath(new URL('./faults.rank.js', import.meta.url));

/** The root, and another rank. */
type Role = 'root' | 'other';
const RANKS: Record<Role, number> = { root: 0, other: 1 };
const BOTH: Role[] = ['root', 'other'];

/** The calls of faults.rank.ts in their order, as `flush.come` and the like count them. */
const OPEN = 1;
const FLUSH = 3;
const FAT_FLUSH = 4;
const SHARE = 5;
const CLOSE = 7;

/** Where ranks are killed, when they come there for the nth time; `end` when all is committed by then, and the run ended. */
const MATRIX: { point: FaultPoint; nths: number[]; roles: Role[]; ended?: boolean; mpich?: boolean }[] = [
  { point: 'open.making', nths: [1], roles: BOTH },
  { point: 'open.named', nths: [1], roles: BOTH },
  { point: 'open.run', nths: [1], roles: ['root'] },
  { point: 'open.begun', nths: [1], roles: BOTH },
  { point: 'capture.written', nths: [70], roles: BOTH, mpich: true },
  { point: 'capture.published', nths: [20], roles: BOTH },
  { point: 'capture.grown', nths: [2], roles: BOTH },
  { point: 'capture.sealed', nths: [2], roles: BOTH },
  { point: 'flush.come', nths: [OPEN, FLUSH, SHARE, CLOSE], roles: BOTH },
  { point: 'flush.send', nths: [1, 3], roles: ['other'], mpich: true },
  { point: 'flush.verdict', nths: [FLUSH, FAT_FLUSH], roles: ['root'] },
  { point: 'flush.verdict', nths: [CLOSE], roles: ['root'], ended: true },
  { point: 'flush.pronounced', nths: [FLUSH], roles: ['root'], mpich: true },
  { point: 'flush.told', nths: [FLUSH], roles: ['other'] },
  { point: 'flush.told', nths: [CLOSE - 1], roles: ['other'] },
  { point: 'flush.trim', nths: [1], roles: BOTH },
  { point: 'flush.trimmed', nths: [1, 2], roles: BOTH },
  { point: 'commit.begun', nths: [1, 5], roles: ['root'] },
  { point: 'commit.inserted', nths: [2, 6], roles: ['root'], mpich: true },
  { point: 'commit.committed', nths: [1, 4], roles: ['root'] },
  { point: 'close.committed', nths: [1], roles: ['root'], mpich: true },
  { point: 'close.completed', nths: [1], roles: ['root'], ended: true },
  { point: 'close.closed', nths: [1], roles: ['root'], ended: true },
  { point: 'close.told', nths: [1], roles: BOTH, ended: true },
];

/** Those of a recovery, whoever makes it. */
const RECOVERIES: { point: FaultPoint; nths: number[] }[] = [
  { point: 'recover.held', nths: [1] },
  { point: 'commit.begun', nths: [1, 3] },
  { point: 'commit.inserted', nths: [1] },
  { point: 'commit.committed', nths: [1, 2] },
  { point: 'recover.committed', nths: [1] },
  { point: 'recover.ended', nths: [1] },
  { point: 'recover.removed', nths: [1, 2] },
];

/** Who recovers, and dies at a fault. */
const RECOVERERS: Record<string, (path: string, fault: string) => Promise<{ signal: string | null; stderr: string }>> =
  {
    'braid recover': (path, fault) =>
      braid(['recover', path], { env: { BRAID_FAULTS: fault, BRAID_ROUND_BYTES: '1' } }),
    'the next open': async (path, fault) => {
      const opened = () => acknowledged(path).flat().filter((each) => 'opened' in each).length; // prettier-ignore
      const before = opened();
      const run = await runAlone(JOB, { args: [path, '0', fault] });
      assert.equal(opened(), before, `it had opened before it came to ${fault}`);
      return run;
    },
  };

/** A way to die, which leaves what `check` looks at. */
interface Case {
  readonly point: FaultPoint;
  readonly name: string;
  readonly run: (path: string) => Promise<void>;
}

/** Runs a job in which a rank dies. */
async function kill(path: string, vendor: TestVendor, rank: number, fault: string): Promise<void> {
  const run = await mpiexec(vendor, 3, JOB, { args: [path, String(rank), fault], timeoutMs: 60_000 });
  assert.ok(!run.timedOut, `the job did not end: ${run.stderr}`);
  assert.notEqual(run.code, 0, `nobody came to ${fault}: ${run.stderr}`);
  const dead = acknowledged(path).filter((lines) => !lines.some((each) => 'closed' in each));
  assert.ok(dead.length > 0, `nobody died at ${fault}: ${run.stderr}`);
}

const [first] = vendors;

const cases: Case[] = [
  ...vendors.flatMap((vendor) =>
    MATRIX.filter(({ mpich }) => vendor === first || mpich).flatMap(({ point, nths, roles, ended }) =>
      roles.flatMap((role) =>
        nths.map((nth) => ({
          point,
          name: `${point}:${nth} as ${role} on ${vendor.name}`,
          run: async (path: string) => {
            await kill(path, vendor, RANKS[role], `${point}:${nth}`);
            const statuses = [...(await checkPromise(path)).values()];
            if (ended) assert.deepEqual(statuses, ['COMPLETED']);
            else assert.ok(!statuses.includes('COMPLETED'), `it is called ${statuses.join()}`);
          },
        })),
      ),
    ),
  ),
  ...RECOVERIES.flatMap(({ point, nths }) =>
    nths.flatMap((nth) =>
      Object.entries(RECOVERERS).map(([way, recoverAndDie]) => ({
        point,
        name: `${point}:${nth} in ${way}`,
        run: async (path: string) => {
          await kill(path, first, RANKS.other, `flush.come:${FAT_FLUSH}`);
          const { signal, stderr } = await recoverAndDie(path, `${point}:${nth}`);
          assert.equal(signal, 'SIGKILL', `nobody came to ${point}: ${stderr}`);
          await checkPromise(path);
        },
      })),
    ),
  ),
];

describe('a rank that is killed', function () {
  this.timeout(300_000);
  for (const missing of missingVendors) {
    it(`is killed, skipped for ${missing}`, function () {
      this.skip();
    });
  }
  for (const room of new Set(FAULT_POINTS.map((point) => point.split('.')[0]))) {
    it(`loses nothing at any moment of ${room}`, async function () {
      if (!first) this.skip();
      const ofRoom = cases.filter(({ point }) => point.startsWith(`${room}.`));
      await concurrently(
        ofRoom.map(({ name, run }) => [
          name,
          async () => {
            const directory = mkdtempSync(join(tmpdir(), 'braid-faults-'));
            try {
              await run(join(directory, 'run.db'));
            } finally {
              rmSync(directory, { recursive: true, force: true });
            }
          },
        ]),
      );
    });
  }

  it('is killed at every point that there is', () => {
    const tried = new Set([...MATRIX, ...RECOVERIES].map(({ point }) => point));
    assert.deepEqual(
      FAULT_POINTS.filter((point) => !tried.has(point)),
      [],
    );
  });
});
