import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BraidData, BraidDB, databaseStats, recover, runDetails, type RunDetails, type Spread } from 'braid-mpi';
import { braid } from '../cli/support.js';
import { unlocked } from '../support/locks.js';
import { mpiexec, vendors } from '../support/mpiexec.js';

const program = fileURLToPath(new URL('costs.rank.js', import.meta.url));
/** Of each rank; see the program. */
const RECORDS = 30_000;
const BUSY_MS = 100;

/** What a run's ranks say is what its spreads say. */
function checkSpreads({ ranks, cost }: RunDetails): void {
  for (const name of ['captureMs', 'sealMs', 'verdictMs', 'blockedMs', 'peakSpoolBytes'] as const) {
    const values = ranks.map((rank) => rank[name]!).sort((a, b) => a - b);
    const { min, median, max } = cost![name] as Spread;
    assert.deepEqual([min, max], [values[0], values.at(-1)], name);
    assert.ok(min <= median && median <= max, name);
  }
}

describe('what recording cost', function () {
  this.timeout(120_000);
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-costs-'));
    path = join(directory, 'run.db');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  for (const vendor of vendors) {
    for (const size of vendor.name === 'openmpi' ? [1, 2, 4] : [2]) {
      it(`is kept of ${size} ranks of ${vendor.name}, and adds up`, async () => {
        const { code, stderr } = await mpiexec(vendor, size, program, { args: [path] });
        assert.equal(code, 0, stderr);
        const [run] = databaseStats(path).runs;
        const details = runDetails(path, run.id);
        const cost = details.cost!;
        assert.deepEqual(cost, run.cost);
        assert.equal(details.ranks.length, size);
        checkSpreads(details);
        assert.deepEqual(cost.ops, { min: RECORDS, median: RECORDS, max: RECORDS });
        assert.equal(run.records, size * RECORDS);
        assert.ok(Math.abs(run.recordsPerSecond! * run.seconds! - run.records) < 1);

        const wallMs = run.seconds! * 1000 + 1;
        for (const { captureMs, sealMs, verdictMs, blockedMs, peakSpoolBytes, bytes } of details.ranks) {
          for (const ms of [captureMs!, sealMs!, verdictMs!, blockedMs!]) assert.ok(ms > 0 && ms < wallMs, String(ms));
          // In flight while the program was busy; what it waited is less by that.
          assert.ok(verdictMs! > BUSY_MS, String(verdictMs));
          assert.ok(blockedMs! < wallMs - BUSY_MS, String(blockedMs));
          // A third of all was in it at once.
          assert.ok(peakSpoolBytes! >= bytes / 3, `${peakSpoolBytes} of ${bytes}`);
        }
        assert.ok(cost.gatherMs! >= 0 && cost.commitMs! > 0 && cost.commitMs! < wallMs, JSON.stringify(cost));
        assert.ok(cost.peakRoundBytes! >= run.bytes / 3, JSON.stringify(cost));
        const most = Math.max(...details.ranks.map((rank) => rank.captureMs! + rank.sealMs! + rank.blockedMs!));
        assert.ok(
          Math.abs(cost.share! - most / 1000 / cost.seconds!) < 1e-9 && Math.abs(cost.seconds! - run.seconds!) < 0.1,
        );
        assert.ok(cost.share! > 0 && cost.share! <= 1.01, String(cost.share));
      });
    }

    for (const signal of ['SIGTERM', 'SIGKILL'])
      it(`is kept of a job on ${vendor.name} that is ended by ${signal}, as of its last flush`, async () => {
        await mpiexec(vendor, 2, program, { args: [path, signal] });
        await unlocked(directory);
        await recover(path);
        const [run] = databaseStats(path).runs;
        // Some launchers end the other rank so that it can still say how.
        assert.match(run.status, /^(KILLED|INCOMPLETE)$/);
        const details = runDetails(path, run.id);
        checkSpreads(details);
        const { commitMs, blockedMs, seconds, share } = run.cost!;
        assert.ok(commitMs! > 0 && blockedMs!.min > 0);
        // It may have been found dead a week later: what is told is until then that it is known to have lived.
        assert.ok(seconds! > BUSY_MS / 1000 && seconds === run.seconds, `${seconds} ${run.seconds}`);
        assert.ok(share! > 0 && share! <= 1.01, String(share));
      });
  }

  it('has the indexes that are built at its end, for which all have waited', async () => {
    const { code, stderr } = await mpiexec(vendors[0], 1, program, { args: [path, 'indexes'] });
    assert.equal(code, 0, stderr);
    const [{ cost, seconds }] = databaseStats(path).runs;
    const { indexMs, verdictMs, commitMs } = cost!;
    assert.ok(indexMs! > 0);
    assert.ok(verdictMs!.min > indexMs! && seconds! * 1000 + 1 > indexMs! + commitMs!, JSON.stringify(cost));
  });

  it('is told of the last attempt alone where there are several, and says so', async () => {
    const record = async (count: number, resume?: string) => {
      const db = await BraidDB.open(path, { mpi: 'off', resume });
      for (let i = 0; i < count; i++) new BraidData(db, { name: `record-${i}` });
      await db.close();
      return db.runId;
    };
    const id = await record(5000);
    await record(10, id);
    const { cost, seconds } = runDetails(path, id);
    assert.equal(cost!.attempt, 2);
    assert.ok(cost!.seconds! < seconds!);
    const { stdout } = await braid(['stats', path, '--run', id]);
    assert.match(stdout, /% of attempt 2's wall time, .+, went into recording/);
    assert.match(stdout, /^what attempt 2 cost$/m);
  });
});
