import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import {
  BraidData,
  BraidDB,
  exportDatabase,
  extract,
  importDocument,
  merge,
  recover,
  verify,
  type BraidError,
} from 'braid-mpi';
import { mpiexec, runAlone, vendors, type TestVendor } from '../support/mpiexec.js';
import { fill, free, whyNoDisk, withDisk, type FileSystemName } from './disk.js';

const PROGRAM = fileURLToPath(new URL('./disks.rank.js', import.meta.url));

/** What a rank has told; of one that was killed only what it was promised. */
interface Told {
  readonly promised: string[];
  readonly errors: { code: string; message: string }[];
  readonly noted: { trimmed?: number; committed?: number; spools?: string[] };
}

const told = (directory: string): Told[] =>
  readdirSync(directory)
    .filter((name) => name.startsWith('promised-'))
    .map((name) => {
      const promised = readFileSync(join(directory, name), 'utf8').trimEnd().split('\n');
      const rest = join(directory, name.replace('promised', 'told'));
      const end = existsSync(rest) ? (JSON.parse(readFileSync(rest, 'utf8')) as Omit<Told, 'promised'>) : undefined;
      return { promised, ...(end ?? { errors: [], noted: {} }) };
    });

type How = TestVendor | 'alone';
const named = (how: How) => (how === 'alone' ? 'in one process' : `on ${how.name}`);
const [vendor = 'alone'] = vendors;

/** Those on which reserved room is there when it is written to; each with the ways to run that are tried on it. */
const RESERVING: [FileSystemName, readonly How[]][] = [
  ['tmpfs', ['alone', ...vendors]],
  ['ext4', [...new Set<How>(['alone', vendor])]],
  ['xfs', [...new Set<How>(['alone', vendor])]],
];

describe('full disks', function () {
  this.timeout(120_000);
  let directory: string;
  let disk: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-disks-'));
    disk = join(directory, 'disk');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** A suite that needs disks of a kind. */
  const on = (fileSystem: FileSystemName, suite: () => void) => {
    const why = whyNoDisk(fileSystem);
    describe(`of ${fileSystem}${why === undefined ? '' : `: none can be mounted here, ${why}`}`, () => {
      before(function () {
        if (why !== undefined) this.skip();
      });
      suite();
    });
  };

  const launch = (how: How, step: string, path: string) => {
    const options = { args: [step, path, disk], timeoutMs: 60_000 };
    return how === 'alone'
      ? runAlone(PROGRAM, { ...options, env: { BRAID_MPI: 'off' } })
      : mpiexec(how, 2, PROGRAM, options);
  };

  const job = async (how: How, step: string, path: string): Promise<Told[]> => {
    const run = await launch(how, step, path);
    assert.equal(run.timedOut, false, run.stderr);
    if (step !== 'leave') assert.equal(run.code, 0, `${run.signal}: ${run.stderr}`);
    return told(directory);
  };

  /** What was promised is there, once and whole, and nothing else is; the run has the status that it should. */
  const check = (path: string, ranks: readonly Told[], status = 'COMPLETED') => {
    assert.deepEqual(verify(path).problems, []);
    const db = new Database(path, { readonly: true });
    try {
      const rows = db
        .prepare(
          `SELECT name, (SELECT count(*) FROM tags t WHERE t.record_id = r.record_id) AS tags,
             (SELECT count(*) FROM uris u WHERE u.record_id = r.record_id) AS uris FROM records r ORDER BY name`,
        )
        .all() as { name: string; tags: number; uris: number }[];
      const expected = ranks.flatMap(({ promised }) => promised).sort();
      assert.deepEqual(
        rows.map(({ name }) => name),
        expected,
      );
      assert.ok(rows.every(({ tags, uris }) => tags === 2 && uris === 1));
      assert.ok(expected.length > 0);
      const runs = db.prepare('SELECT DISTINCT status FROM runs ORDER BY started DESC LIMIT 1').pluck().all();
      assert.deepEqual(runs, [status]);
    } finally {
      db.close();
    }
    const left = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      left.filter((name) => /\.spool|-(wal|shm|journal)$/.test(name)),
      [],
    );
  };

  for (const [fileSystem, hows] of RESERVING) {
    on(fileSystem, () => {
      for (const how of hows) {
        it(`records nothing by halves when the spool's disk is full, and goes on when there is room, ${named(how)}`, () =>
          withDisk(disk, fileSystem, 16, async () => {
            const path = join(directory, 'run.db');
            const ranks = await job(how, 'spools', path);
            const full = ranks.find(({ errors }) => errors.length > 0)!;
            assert.equal(full.errors.length, 12);
            for (const { code, message } of full.errors) {
              assert.equal(code, 'ERR_BRAID_SPOOL_FULL');
              assert.ok(message.includes(disk), message);
            }
            assert.ok(full.promised.length > 40);
            assert.ok(ranks.every((each) => each === full || each.errors.length === 0));
            check(path, ranks);
          }));

        it(`rejects a flush on every rank when the database's disk is full, and commits the rest later, ${named(how)}`, () =>
          withDisk(disk, fileSystem, 48, () => flushIsRejected(how)));
      }

      for (const step of ['open', 'close', 'checkpoint']) {
        it(`loses nothing when the database's disk is full in ${step}`, () =>
          withDisk(disk, fileSystem, 48, () => nothingIsLost(step)));
      }

      it('says of what is done all at once that nothing was changed', () =>
        withDisk(disk, fileSystem, 48, async () => {
          const [path, other, document] = ['run.db', 'other.db', 'run.json'].map((name) => join(disk, name));
          for (const each of [path, other]) {
            const db = await BraidDB.open(each, { mpi: 'off' });
            for (let i = 0; i < 2000; i++) new BraidData(db, { name: `record ${i}` });
            await db.close();
          }
          await exportDatabase(other, document, { format: 'prov-json' });
          const was = readFileSync(path);
          const there = readdirSync(disk);
          fill(disk, 0);
          for (const write of [
            () => merge(path, other),
            () => merge(join(disk, 'new.db'), [path, other]),
            () => extract(path, 1, join(disk, 'part.db')),
            () => importDocument(path, document),
          ]) {
            await assert.rejects(write, ({ code, message }: BraidError) => code === 'ERR_BRAID_DB_FULL' && message.includes('nothing was changed') && !message.includes('flush')); // prettier-ignore
          }
          free(disk);
          assert.ok(readFileSync(path).equals(was));
          assert.deepEqual(readdirSync(disk), there);
        }));

      it('keeps the spools when the disk is full in a recovery, which then brings in the rest', () =>
        withDisk(disk, fileSystem, 48, async () => {
          const path = join(disk, 'run.db');
          const ranks = await job(vendor, 'leave', path);
          fill(disk, 4 * 2 ** 20);
          const { left, attempts } = await recover(path, { roundBytes: 1 });
          assert.deepEqual(attempts, []);
          assert.equal(left.length, 1);
          assert.match(left[0].why, /ERR_BRAID_DB_FULL/);
          assert.ok(readdirSync(join(directory, 'spools')).length > 0);
          free(disk);
          assert.equal((await recover(path)).attempts.length, 1);
          check(path, ranks, 'INCOMPLETE');
        }));
    });
  }

  // Each page that is written needs room of its own there, reserved or not.
  on('btrfs', () => {
    it('the process dies by SIGBUS when the disk of its spool is full, and all that it was promised comes in', () =>
      withDisk(disk, 'btrfs', 0, async () => {
        const path = join(directory, 'run.db');
        const { signal, stderr } = await launch('alone', 'spools', path);
        assert.equal(signal, 'SIGBUS', stderr);
        free(disk);
        await recover(path);
        check(path, told(directory), 'INCOMPLETE');
      }));

    it(`rejects a flush on every rank when the database's disk is full, and commits the rest later, ${named(vendor)}`, () =>
      withDisk(disk, 'btrfs', 0, () => flushIsRejected(vendor)));

    // There is no checkpoint without a write-ahead log.
    for (const step of ['open', 'close']) {
      it(`loses nothing when the database's disk is full in ${step}`, () =>
        withDisk(disk, 'btrfs', 0, () => nothingIsLost(step)));
    }
  });

  const flushIsRejected = async (how: How) => {
    const path = join(disk, 'run.db');
    const ranks = await job(how, 'rounds', path);
    for (const { errors, noted } of ranks) {
      assert.deepEqual(errors, ranks[0].errors);
      assert.deepEqual(errors.map(({ code }) => code), ['ERR_BRAID_DB_FULL', 'ERR_BRAID_DB_FULL']); // prettier-ignore
      assert.match(errors[0].message, /free some space/);
      assert.equal(noted.trimmed, noted.committed);
    }
    assert.ok(ranks.some(({ noted }) => noted.committed! > 0), 'the rounds before are committed'); // prettier-ignore
    check(path, ranks);
  };

  const nothingIsLost = async (step: string) => {
    const path = join(disk, 'run.db');
    const ranks = await job(vendor, step, path);
    for (const { errors, noted } of ranks) {
      assert.deepEqual(errors, ranks[0].errors);
      if (step !== 'checkpoint') assert.equal(errors[0]?.code, 'ERR_BRAID_DB_FULL');
      assert.deepEqual(noted.spools ?? [], []);
    }
    if (step === 'checkpoint') free(disk);
    await recover(path);
    check(path, ranks);
  };
});
