import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidReader } from 'braid-mpi';
import { mpiexec, vendors } from '../support/mpiexec.js';
import { program, statuses } from './jobs.js';

const CALLS = ['open', 'share', 'onRoot', 'flush', 'close'];
const PAIRS = CALLS.flatMap((root) => CALLS.filter((other) => other !== root).map((other) => [root, other]));

describe('collective calls that do not fit', function () {
  this.timeout(60_000);
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-collectives-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  for (const vendor of vendors) {
    const ranks = vendor.name === 'mpich' ? 2 : 3;
    const last = ranks - 1;
    const others = ranks === 2 ? 'rank 0' : `ranks 0-${last - 1}`;

    it(`tell every rank the same, and let all go on, on ${ranks} ranks of ${vendor.name}`, async () => {
      const run = await mpiexec(vendor, ranks, program('collectives'), { args: [directory], timeoutMs: 50_000 });
      assert.deepEqual([run.code, run.timedOut, run.stderr], [0, false, '']);
      const toldTo = Array.from({ length: ranks }, (_, rank) => {
        const text = readFileSync(join(directory, `told.${rank}`), 'utf8');
        return new Map(text.split('\n').map((line) => line.split('\t') as [string, string]));
      });
      const messages = (title: string) => {
        const told = toldTo.map((messages) => messages.get(title));
        assert.ok(told[0] !== undefined, title);
        assert.equal(new Set(told).size, 1, `the ranks were told different things: ${told.join('\n')}`);
        return told[0];
      };
      for (const [root, other] of PAIRS) {
        const message = messages(`${root}/${other}`);
        assert.ok(message.startsWith('ERR_BRAID_COLLECTIVE_MISMATCH'), message);
        const [ofRoot, ofOther] = message.match(/[a-zA-Z]+\(\)/g)!;
        assert.deepEqual([ofRoot, ofOther], [`${root}()`, `${other}()`], message);
        assert.ok(message.includes(` on ${others}, `) && message.includes(` on rank ${last}.`), message);
      }
      assert.match(messages('flush of two'), /^ERR_BRAID_COLLECTIVE_MISMATCH .*of its database number 2/);
      assert.match(messages('first of two paths'), /^ERR_BRAID_PATH_MISMATCH .*a\.db on ranks? 0.*b\.db on rank/);
      assert.match(messages('second of two paths'), /^ERR_BRAID_PATH_MISMATCH .*b\.db on ranks? 0.*a\.db on rank/);

      const both = messages('of two at once');
      assert.ok(both.includes(`the rest of open() on ${others}, open() on rank ${last}.`), both);

      const namesIn = (file: string) => {
        const reader = BraidReader.open(join(directory, file));
        try {
          assert.deepEqual(
            reader.runs().map(({ status }) => status),
            ['COMPLETED'],
          );
          return [...reader.records()].map(({ name }) => name).filter((name) => name !== 'shared');
        } finally {
          reader.close();
        }
      };
      const each = (name: string) => Array.from({ length: ranks }, (_, rank) => `${name} ${rank}`);
      assert.deepEqual(namesIn('table.db').sort(), PAIRS.flatMap((pair) => each(pair.join('/'))).sort());
      assert.deepEqual(namesIn('second.db').sort(), each('second'));
      assert.deepEqual(statuses(join(directory, 'c.db')), ['FAILED']);
      const told = toldTo.map((_, rank) => `told.${rank}`);
      assert.deepEqual(readdirSync(directory).sort(), ['c.db', 'second.db', 'table.db', ...told].sort());
    });
  }
});
