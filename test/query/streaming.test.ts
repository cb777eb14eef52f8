import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidDB, BraidFact } from 'braid-mpi';
import { sql } from '../cli/support.js';

const RECORDS = 1_000_000;
const MIB = 2 ** 20;

/** Kept, a million rows of records with two tags and a URI each were 544 MiB of heap. */
const BOUNDS = {
  'reader.records()': 40 * MIB,
  "reader.search('valid')": 40 * MIB,
};

describe('a query of a million records', function () {
  this.timeout(120_000);
  const directory = mkdtempSync(join(tmpdir(), 'braid-streaming-'));
  const path = join(directory, 'large.db');
  before(async () => {
    const db = await BraidDB.open(path, { mpi: 'off' });
    new BraidFact(db, { name: 'first' });
    await db.close();
    sql(
      path,
      `WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ${RECORDS})
       INSERT INTO records (record_id, name, time, kind) SELECT i, 'record-' || i, '2026-01-01 00:00:00.000000', 2 FROM n;
       INSERT INTO tags (record_id, key, value, tag_type) SELECT record_id, 'number', record_id, 2 FROM records`,
    );
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  for (const [call, bound] of Object.entries(BOUNDS)) {
    it(`is streamed: ${call}`, () => {
      const program = `
        import { BraidReader } from 'braid-mpi';
        const reader = BraidReader.open(${JSON.stringify(path)});
        let [rows, most] = [0, 0];
        const used = () => { gc(); return process.memoryUsage().heapUsed; };
        const before = used();
        for (const row of ${call}) {
          if (row.id !== ++rows || rows > 1 && row.tags.number !== row.id) throw new Error('row ' + rows);
          if (rows % 100_000 === 0) most = Math.max(most, used() - before);
        }
        console.log(JSON.stringify({ rows, most, rss: process.resourceUsage().maxRSS * 1024 }));`;
      const args = ['--expose-gc', '--input-type=module', '-e', program];
      const told = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Record<string, number>;
      assert.equal(told.rows, RECORDS);
      assert.ok(told.most < bound, `the heap grew by ${told.most / MIB} MiB`);
      assert.ok(told.rss < 250 * MIB, `the process had ${told.rss / MIB} MiB`);
    });
  }
});
