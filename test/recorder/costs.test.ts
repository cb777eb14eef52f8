import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { databaseStats, runDetails, type RunDetails, type Spread } from 'braid-mpi';
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
        assert.ok(Math.abs(cost.share! - most / 1000 / run.seconds!) < 1e-9);
        assert.ok(cost.share! > 0 && cost.share! <= 1.01, String(cost.share));
      });
    }

    it(`is kept of a job on ${vendor.name} that is killed, as of its last flush`, async () => {
      await mpiexec(vendor, 2, program, { args: [path, 'killed'] });
      const [run] = databaseStats(path).runs;
      assert.equal(run.status, 'KILLED');
      const details = runDetails(path, run.id);
      checkSpreads(details);
      assert.ok(run.cost!.commitMs! > 0 && run.cost!.blockedMs!.min > 0);
      assert.equal(run.cost!.share, undefined, 'when it died is not known');
    });
  }
});
