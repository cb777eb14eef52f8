import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import Database from 'better-sqlite3';
import { BraidDB, BraidFact, BraidReader, create, databaseStats, recover, verify } from 'braid-mpi';
import { braid } from '../cli/support.js';
import { vendors } from '../support/mpiexec.js';
import { program, startJob } from './jobs.js';

const PROGRAM = program('databases');
const FRAME_MAGIC = 0x52465242;
const FRAME_HEADER_BYTES = 64;

/** What a rank has told. */
interface Told {
  readonly rank: number;
  readonly promised: string[];
  readonly ends: { step: string; code?: string; message?: string; ms: number }[];
}

/** The frames that stand in a spool, the oldest first. */
function framesIn(file: string): { at: number; sequence: number }[] {
  const bytes = readFileSync(file);
  const frames: { at: number; sequence: number }[] = [];
  for (let at = 0; at + FRAME_HEADER_BYTES <= bytes.length; at += 4) {
    if (bytes.readUInt32LE(at) === FRAME_MAGIC) frames.push({ at, sequence: bytes.readUInt32LE(at + 32) });
  }
  return frames.sort((a, b) => a.sequence - b.sequence);
}

/** Changes a byte of a file under those who have it mapped: it is the same memory. */
function flip(file: string, at: number, bits = 1): void {
  const fd = openSync(file, 'r+');
  try {
    writeSync(fd, Buffer.of(readFileSync(file)[at] ^ bits), 0, 1, at);
  } finally {
    closeSync(fd);
  }
}

const [vendor] = vendors;

describe('busy and damaged databases', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  /** Of the last job. */
  let stderr: string;
  beforeEach(function () {
    directory = mkdtempSync(join(tmpdir(), 'braid-databases-'));
    path = join(directory, 'run.db');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const spoolOf = (rank: number) => {
    const [spools] = readdirSync(directory).filter((name) => name.includes('-spool-'));
    const file = readdirSync(join(directory, spools)).find((name) => name.endsWith(`.${rank}.spool`))!;
    return join(directory, spools, file);
  };

  /** A job of two ranks; what is done before each of its flushes, by name. */
  const job = async (steps: Record<string, () => unknown>, env: Record<string, string> = {}): Promise<Told[]> => {
    const args = [path, ...Object.keys(steps)];
    const running = startJob(vendor ? [vendor.mpiexec, '-n', '2'] : [], PROGRAM, { args, env });
    try {
      for (const [step, harm] of Object.entries(steps)) {
        await running.lines(new RegExp(`^${step}$`), 1);
        await harm();
        writeFileSync(`${path}.${step}`, '');
      }
      await running.ended;
    } finally {
      await running.kill();
    }
    stderr = running.stderr;
    const told = Array.from({ length: vendor ? 2 : 1 }, (_, rank) => {
      const file = `${path}.told.${rank}`;
      assert.ok(existsSync(file), running.stderr);
      const said = JSON.parse(readFileSync(file, 'utf8')) as Told;
      rmSync(file);
      return said;
    });
    for (const { ends } of told) {
      const said = (each: Told['ends']) => each.map(({ step, code, message }) => ({ step, code, message }));
      assert.deepEqual(said(ends), said(told[0].ends), 'every rank is told the same');
    }
    return told;
  };
  const codes = ([{ ends }]: Told[]) => ends.map(({ code }) => code);
  const names = () => {
    const db = new Database(path, { readonly: true });
    try {
      return db.prepare('SELECT name FROM records ORDER BY name').pluck().all() as string[];
    } finally {
      db.close();
    }
  };
  const promisedBy = (told: Told[]) => told.flatMap(({ promised }) => promised).sort();
  const runStatus = () => {
    const reader = BraidReader.open(path);
    try {
      return reader.runs().map(({ status }) => status);
    } finally {
      reader.close();
    }
  };

  /** Everything is there, once, after a recovery where the job could not close. */
  const check = async (told: Told[], status: string) => {
    const { left, attempts } = await recover(path);
    assert.deepEqual([left, attempts.flatMap(({ lost }) => lost)], [[], []]);
    assert.deepEqual(names(), promisedBy(told));
    assert.deepEqual(verify(path).problems, []);
    assert.deepEqual(runStatus(), [status]);
  };

  describe('of which another writer has the lock', () => {
    let other: Database.Database;
    const lock = () => {
      other = new Database(path);
      other.exec('BEGIN IMMEDIATE');
    };
    const unlock = () => {
      other.exec('ROLLBACK');
      other.close();
    };

    it('are waited for, and then are an error on every rank; the next flush commits all', async () => {
      const told = await job({ locked: lock, unlocked: unlock });
      assert.deepEqual(codes(told), ['ERR_BRAID_DB_BUSY', undefined, undefined]);
      const [locked] = told[0].ends;
      assert.match(
        locked.message!,
        /another program keeps it locked \(an open sqlite3 shell, a backup, another run\?\)/,
      );
      assert.ok(locked.ms >= 1000 && locked.ms < 5000, `${locked.ms} ms`);
      await check(told, 'COMPLETED');
    });

    it('are no error where the other ends in time', async () => {
      const told = await job({
        briefly() {
          lock();
          setTimeout(unlock, 500);
        },
      });
      assert.deepEqual(codes(told), [undefined, undefined]);
      assert.ok(told[0].ends[0].ms >= 300, 'it was waited for');
      await check(told, 'COMPLETED');
    });
  });

  describe('whose spools have a flipped bit under a live run', () => {
    /** What of a run is missing, and that nothing else is. */
    const missing = (told: Told[]) => {
      const there = names();
      assert.equal(new Set(there).size, there.length, 'nothing is there twice');
      const promised = promisedBy(told);
      assert.ok(there.every((name) => promised.includes(name)));
      return promised.filter((name) => !there.includes(name));
    };
    const victim = vendor ? 1 : 0;

    for (const [where, offset] of [
      ['in a sealed frame', FRAME_HEADER_BYTES + 5000],
      ['in the open frame', FRAME_HEADER_BYTES + 3],
    ] as const) {
      it(`${where}: the others are committed, and the loss is told once, listed, and not hidden`, async () => {
        let sequence = 0;
        const told = await job({
          flipped() {
            const frames = framesIn(spoolOf(victim));
            const frame = where === 'in the open frame' ? frames.at(-1)! : frames.at(-2)!;
            sequence = frame.sequence;
            flip(spoolOf(victim), frame.at + offset, 0x40);
          },
          after() {},
        });
        assert.deepEqual(codes(told), ['ERR_BRAID_FRAME_LOST', undefined, undefined]);
        assert.match(told[0].ends[0].message!, new RegExp(`frame ${sequence} of rank ${victim} `));
        const lost = missing(told);
        assert.ok(lost.length > 0 && lost.length < 12, `${lost.length} are lost`);
        assert.ok(lost.every((name) => name.startsWith(`scan-${victim}-`)));
        assert.deepEqual(runStatus(), ['INCOMPLETE']);
        const { problems } = verify(path);
        const gap = new RegExp(`^rank ${victim} of attempt 1 of run .* has lost frame ${sequence}: `);
        assert.ok(problems.some(({ check, message }) => check === 'gaps' && gap.test(message)));
        // A record and its URI each.
        const counted = problems.find(({ check }) => check === 'ledger')!;
        assert.equal(counted.count, 2 * lost.length);
        assert.equal((await braid(['verify', path])).code, 1);
        const again = await recover(path);
        assert.deepEqual([again.attempts, again.left], [[], []]);
      });
    }

    it('in the header of the open frame, in each of its fields: nothing is lost', async () => {
      // Magic, version, flags, run, attempt, rank, sequence number (more, less), counts, CRC, check, zeros.
      const places = [0, 4, 6, 8, 23, 24, 28, 32, 35, 36, 40, 44, 48, 52, 60];
      const steps = places.map((at) => [
        `at-${at}`,
        () => {
          const frame = framesIn(spoolOf(victim)).at(-1)!;
          flip(spoolOf(victim), frame.at + at, at === 32 ? frame.sequence & -frame.sequence : 4);
        },
      ]);
      const told = await job(Object.fromEntries(steps) as Record<string, () => void>);
      assert.ok(codes(told).every((code) => code === undefined));
      await check(told, 'COMPLETED');
    });

    it('in the header of a frame: nothing is lost', async () => {
      const told = await job({
        flipped() {
          const frame = framesIn(spoolOf(victim)).at(-2)!;
          for (const at of [2, 10, 32, 36, 48]) flip(spoolOf(victim), frame.at + at);
        },
      });
      assert.deepEqual(codes(told), [undefined, undefined]);
      await check(told, 'COMPLETED');
    });
  });

  describe('whose files go away under a live run', () => {
    const copies = () => join(directory, 'copy.db');
    const files = (of: string) => [of, `${of}-wal`];
    const copy = (from: string, to: string) =>
      files(from).forEach((file, i) => existsSync(file) && copyFileSync(file, files(to)[i]));
    const remove = () => [path, `${path}-wal`, `${path}-shm`].forEach((file) => rmSync(file, { force: true }));

    it('renamed: an error on every rank; when it is back, the next flush commits all', async () => {
      const told = await job({
        renamed: () => renameSync(path, copies()),
        back: () => renameSync(copies(), path),
      });
      assert.deepEqual(codes(told), ['ERR_BRAID_DB_REPLACED', undefined, undefined]);
      assert.match(told[0].ends[0].message!, /was deleted while it was open: put it back/);
      await check(told, 'COMPLETED');
    });

    it('deleted: an error on every rank; when a copy is put back, recovery brings in the rest', async () => {
      const told = await job({
        deleted() {
          copy(path, copies());
          remove();
        },
      });
      assert.deepEqual(codes(told), ['ERR_BRAID_DB_REPLACED', 'ERR_BRAID_DB_REPLACED']);
      await assert.rejects(recover(path), { code: 'ERR_BRAID_DB_NOT_FOUND' });
      copy(copies(), path);
      await check(told, 'INCOMPLETE');
    });

    it('replaced by another: an error on every rank; the other gets nothing', async () => {
      const other = join(directory, 'other.db');
      const db = await BraidDB.open(other, { mpi: 'off' });
      new BraidFact(db, { name: 'other' });
      await db.close();
      const told = await job({
        replaced() {
          copy(path, copies());
          remove();
          copyFileSync(other, path);
        },
      });
      assert.deepEqual(codes(told), ['ERR_BRAID_DB_REPLACED', 'ERR_BRAID_DB_REPLACED']);
      assert.match(told[0].ends[0].message!, /was replaced while it was open/);
      assert.deepEqual(readFileSync(path), readFileSync(other));
      const { left } = await recover(path);
      assert.ok(left.every(({ reason }) => reason === 'other-database') && left.length > 0);
      remove();
      copy(copies(), path);
      await check(told, 'INCOMPLETE');
    });

    const checkpoint = () => {
      const db = new Database(path);
      db.pragma('wal_checkpoint(PASSIVE)');
      db.close();
    };
    const otherDatabase = async () => {
      const other = await BraidDB.open(join(directory, 'other.db'), { mpi: 'off' });
      new BraidFact(other, { name: 'other' });
      await other.close();
      return readFileSync(other.path);
    };
    const garbage = () => Buffer.alloc(1_000_000, 'no database ');
    let early: Buffer;
    const olderCopy = () => early;
    for (const [journal, env] of [
      ['a write-ahead log', () => ({})],
      ['a rollback journal', () => ({ BRAID_TEST_STATFS: `0x2fc12fc1:${directory}` })],
    ] as const) {
      for (const [what, bytes] of [
        ['another database', otherDatabase],
        ['something that is no database', garbage],
        ['a copy of itself of another time', olderCopy],
      ] as const) {
        it(`overwritten in place with ${what}, with ${journal}: an error on every rank; nothing is written to that`, async () => {
          let put: Buffer;
          const told = await job(
            {
              early() {
                checkpoint();
                early = readFileSync(path);
              },
              checkpointed: checkpoint,
              async overwritten() {
                copy(path, copies());
                put = await bytes();
                const { ino } = statSync(path);
                writeFileSync(path, put);
                assert.equal(statSync(path).ino, ino);
              },
            },
            env(),
          );
          const replaced = 'ERR_BRAID_DB_REPLACED';
          assert.deepEqual(codes(told), [undefined, undefined, replaced, replaced]);
          assert.ok(told[0].ends[2].message!.includes(`was overwritten with ${what} while it was open`));
          assert.deepEqual(readFileSync(path), put!);
          remove();
          copy(copies(), path);
          await check(told, 'INCOMPLETE');
        });
      }
    }

    it('overwritten in place with a copy of itself that was closed: it is told, and that it can come into no other', async () => {
      await (await BraidDB.open(path, { mpi: 'off' })).close();
      const closed = readFileSync(path);
      const told = await job({ closed: () => writeFileSync(path, closed) });
      assert.deepEqual(codes(told), ['ERR_BRAID_DB_REPLACED', 'ERR_BRAID_DB_REPLACED']);
      assert.match(stderr, /was replaced under it\. .* can come into a copy of that file only\n/);
      assert.doesNotMatch(stderr, /Nothing is lost/);
    });

    it('deleted, and a flush that has nothing to commit, a call of onRoot and a close: each is an error', async () => {
      const db = await BraidDB.open(path, { mpi: 'off' });
      new BraidFact(db, { name: 'a fact' });
      await db.flush();
      copy(path, copies());
      remove();
      const gone = { code: 'ERR_BRAID_DB_REPLACED' };
      await assert.rejects(db.flush(), gone);
      await assert.rejects(db.onRoot(() => 1), gone); // prettier-ignore
      await assert.rejects(db.close(), gone);
      assert.equal(existsSync(path), false);
      copy(copies(), path);
      await assert.rejects(db.close(), gone);
    });

    it('cut short: an error on every rank; when a copy is put back, recovery brings in the rest', async () => {
      const told = await job({
        // Others may have brought the log into the file.
        cut: checkpoint,
        later() {
          copy(path, copies());
          truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096);
        },
      });
      assert.deepEqual(codes(told), [undefined, 'ERR_BRAID_DB_CORRUPT', 'ERR_BRAID_DB_CORRUPT']);
      assert.match(told[0].ends[1].message!, /was cut to \d+ bytes/);
      remove();
      copy(copies(), path);
      await check(told, 'INCOMPLETE');
    });

    for (const suffix of ['-wal', '-shm']) {
      it(`without its ${suffix}: an error on every rank, and what was committed to the log is saved`, async () => {
        const told = await job({ unlogged: () => rmSync(path + suffix), left() {} });
        assert.deepEqual(codes(told), ['ERR_BRAID_DB_REPLACED', 'ERR_BRAID_DB_REPLACED']);
        assert.match(told[0].ends[0].message!, new RegExp(`${suffix} was deleted while it was open`));
        await check(told, 'INCOMPLETE');
      });
    }
  });

  describe('to which a link leads', () => {
    const target = () => join(directory, 'elsewhere', 'target.db');
    const LINKS = {
      'an absolute one': () => symlinkSync(target(), path),
      'a relative one': () => symlinkSync(join('elsewhere', 'target.db'), path),
      'one by another': () => {
        symlinkSync('other.db', path);
        symlinkSync(join('elsewhere', 'target.db'), join(directory, 'other.db'));
      },
    };
    beforeEach(() => mkdirSync(dirname(target())));
    const record = async (name: string) => {
      const db = await BraidDB.open(path, { mpi: 'off' });
      new BraidFact(db, { name });
      await db.flush();
      assert.ok(existsSync(`${target()}-wal`));
      const names = [...db.reader.records()].map((each) => each.name);
      await db.close();
      return names;
    };

    for (const [which, link] of Object.entries(LINKS)) {
      for (const there of [true, false]) {
        it(`${which}, ${there ? 'that is there' : 'that is not there yet'}: they are recorded into, recovered, read and verified`, async () => {
          if (there) await (await BraidDB.open(target(), { mpi: 'off' })).close();
          link();
          assert.deepEqual(await record('one'), ['one']);
          assert.deepEqual(await record('two'), ['one', 'two']);
          const told = await job({ left() {} });
          const recovered = await recover(path);
          assert.ok(recovered.attempts.length === 1 && recovered.left.length === 0);
          assert.deepEqual(names(), [...promisedBy(told), 'one', 'two'].sort());
          assert.deepEqual(verify(path).problems, []);
          assert.equal(databaseStats(path).fileBytes, statSync(target()).size);
          assert.deepEqual(readdirSync(dirname(target())), ['target.db']);
          assert.ok(lstatSync(path).isSymbolicLink());
        });
      }
    }

    it('that leads somewhere else under a live run: an error, before anything is written', async () => {
      LINKS['a relative one']();
      const db = await BraidDB.open(path, { mpi: 'off' });
      const other = await BraidDB.open(join(directory, 'other.db'), { mpi: 'off' });
      await other.close();
      rmSync(path);
      symlinkSync('other.db', path);
      new BraidFact(db, { name: 'a fact' });
      await assert.rejects(db.flush(), { code: 'ERR_BRAID_DB_REPLACED' });
      rmSync(path);
      LINKS['a relative one']();
      await db.close();
      assert.deepEqual(names(), ['a fact']);
    });

    it('that leads nowhere, or in a circle: an error that says so; braid create -B moves the link away', async () => {
      symlinkSync(join(directory, 'nowhere', 'run.db'), path);
      await assert.rejects(BraidDB.open(path, { mpi: 'off' }), {
        code: 'ERR_BRAID_DB_UNWRITABLE',
        message: /nowhere\/run\.db, to which it leads: the directory of that does not exist$/,
      });
      await assert.rejects(create(path), { code: 'ERR_BRAID_DB_EXISTS' });
      const { backup } = await create(path, { backup: true });
      assert.ok(lstatSync(backup!).isSymbolicLink() && lstatSync(path).isFile());
      rmSync(path);
      symlinkSync('run.db', path);
      await assert.rejects(BraidDB.open(path, { mpi: 'off' }), { code: 'ERR_BRAID_DB_UNWRITABLE' });
    });
  });

  it('with a damaged page: an error, and the spools stay until it is sound again', async () => {
    const told = await job({ left() {} });
    // Of the job, some is committed; of what its last flush did, nothing is lost when an older copy comes back.
    const settled = new Database(path);
    settled.pragma('journal_mode = DELETE');
    const page = settled.prepare(`SELECT rootpage FROM sqlite_schema WHERE name = 'ledger'`).pluck().get() as number;
    const size = settled.pragma('page_size', { simple: true }) as number;
    settled.close();
    const sound = readFileSync(path);
    const damaged = Buffer.from(sound).fill(0xff, (page - 1) * size, page * size);
    writeFileSync(path, damaged);
    const spools = readdirSync(directory).filter((name) => name.includes('-spool-'));
    await assert.rejects(recover(path), { code: 'ERR_BRAID_DB_CORRUPT' });
    // Several times: what an open asks beside what fails may fail while its thread ends.
    for (let i = 0; i < 20; i++) {
      await assert.rejects(BraidDB.open(path, { mpi: 'off' }), { code: 'ERR_BRAID_DB_CORRUPT' });
    }
    assert.deepEqual(readdirSync(directory).filter((name) => name.includes('-spool-')), spools); // prettier-ignore
    writeFileSync(path, sound);
    await check(told, 'INCOMPLETE');
  });

  for (const by of ['recover', 'open']) {
    it(`with the journal of a writer that was killed in its commit: readers say so, and ${by} settles it`, async () => {
      const db = await BraidDB.open(path, { mpi: 'off' });
      new BraidFact(db, { name: 'before' });
      await db.close();
      // Where there is no write-ahead log, a transaction writes to the file itself.
      const writer = `
        const Database = require('better-sqlite3');
        const db = new Database(process.argv[1]);
        db.pragma('journal_mode = DELETE');
        db.pragma('cache_size = 1');
        db.exec('BEGIN IMMEDIATE');
        const insert = db.prepare("INSERT INTO records (name, time, kind) VALUES (?, '2026-01-01 00:00:00.000000', 1)");
        for (let i = 0; i < 20000; i++) insert.run('half ' + i);
        process.kill(process.pid, 'SIGKILL');`;
      const child = spawn(process.execPath, ['-e', writer, path], { stdio: 'ignore' });
      assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
      assert.ok(existsSync(`${path}-journal`));
      for (const read of [() => BraidReader.open(path).close(), () => verify(path)]) {
        assert.throws(read, { code: 'ERR_BRAID_DB_UNSETTLED', message: /braid recover, or the next run/ });
      }
      const printed = await braid(['print', path]);
      assert.equal(printed.code, 1);
      assert.match(printed.stderr, /ERR_BRAID_DB_UNSETTLED.*braid recover/s);
      if (by === 'recover') await recover(path);
      else await (await BraidDB.open(path, { mpi: 'off' })).close();
      assert.ok(!existsSync(`${path}-journal`));
      assert.deepEqual(names(), ['before']);
      assert.deepEqual(verify(path).problems, []);
    });
  }
});
