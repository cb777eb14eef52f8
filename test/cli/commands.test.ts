import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import Database from 'better-sqlite3';
import {
  BRAID,
  braid,
  braidInThread,
  makeBraidDbFile,
  makeDirectory,
  query,
  runJob,
  sql,
  type Ended,
} from './support.js';

interface Row {
  id: number;
  name: string;
  kind: string;
  depth: number;
  version?: number;
  run?: string;
  tags: Record<string, unknown>;
  uris: string[];
  derived: number[];
  valid: boolean;
}

const jsonLines = (text: string) => text.trim().split('\n').map((line) => JSON.parse(line) as Row); // prettier-ignore
const names = (rows: readonly Row[]) => rows.map(({ name }) => name);

/** Every command that needs a database that is there. */
const READING: readonly (readonly [command: string, ...args: string[]])[] = [
  ['print'],
  ['search', 'valid'],
  ['tail'],
  ['stats'],
  ['lineage', '1'],
  ['versions', '1'],
  ['why', '1', '2'],
  ['common', '1', '2'],
  ['diff', '1', '2'],
  ['verify'],
  ['recover'],
];

describe('the command braid', function () {
  this.timeout(120_000);
  const directory = makeDirectory();
  const path = join(directory.path, 'graph.db');
  let run: string;

  before(async () => {
    const { stdout } = await runJob(path, 'graph');
    run = /run (\w+)/.exec(stdout)![1];
  });
  after(() => directory.remove());

  const fails = ({ code, stdout, stderr }: Ended, exit: number, errorCode: string) => {
    assert.equal(code, exit, stderr);
    assert.match(stderr, new RegExp(`^braid: ${errorCode}: .+\\n$`));
    assert.equal(stderr.trimEnd().split('\n').length, 1);
    assert.equal(stdout, '');
  };

  describe('used wrongly', () => {
    const WRONG: readonly (readonly [title: string, ...args: string[]])[] = [
      ['an unknown command', 'frobnicate'],
      ['a missing argument', 'print'],
      ['an argument too many', 'verify', 'a.db', 'b.db'],
      ['an unknown option', 'stats', 'a.db', '--rnu', '1'],
      ['a kind that is none', 'print', 'a.db', '--kind', 'thing'],
      ['a depth that is no number', 'lineage', 'a.db', '1', '--depth', 'deep'],
      ['a negative depth', 'lineage', 'a.db', '1', '--depth', '-1'],
      ['a tag with two values', 'invalidate', 'a.db', '--cause', 'x', '--tag', 'a=1', '--tag', 'b=1', '--tag', 'a=2'],
    ];
    for (const [title, ...args] of WRONG) {
      it(`exits with 2 and one line on stderr: ${title}`, async () => {
        fails(await braidInThread(args), 2, 'ERR_BRAID_USAGE');
      });
    }

    it('prints its help, and exits with 2, when it is told nothing', async () => {
      const { code, stdout, stderr } = await braidInThread([]);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.match(stderr, /^Usage: braid/);
    });

    it('gives the error as JSON on stderr where JSON is asked for', async () => {
      const { code, stdout, stderr } = await braidInThread(['print', '--json']);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.equal((JSON.parse(stderr) as { error: { code: string } }).error.code, 'ERR_BRAID_USAGE');
    });

    it('exits with 2 for a record that can not be one', async () => {
      for (const record of ['zero', '0', '-1', '1.5', '99999999999999999999']) {
        fails(await braidInThread(['lineage', path, '--', record]), 2, 'ERR_BRAID_ID_INVALID');
      }
    });
  });

  describe('asked for help', () => {
    for (const command of [
      'create',
      'print',
      'search',
      'tail',
      'stats',
      'lineage',
      'versions',
      'why',
      'common',
      'diff',
      'invalidations',
      'verify',
      'recover',
      'doctor',
      'completion',
    ]) {
      it(`shows an example of ${command}`, async () => {
        const { code, stdout, stderr } = await braidInThread([command, '--help']);
        assert.deepEqual([code, stderr], [0, '']);
        assert.match(stdout, new RegExp(`\\$ .*braid ${command} `));
        assert.match(stdout, /--json/);
      });
    }

    it('names its version', async () => {
      const { code, stdout } = await braidInThread(['--version']);
      assert.equal(code, 0);
      assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
    });
  });

  describe('given a file that is none of its databases', () => {
    const FILES: readonly (readonly [title: string, errorCode: string, make: (file: string) => void])[] = [
      ['a missing one', 'ERR_BRAID_DB_NOT_FOUND', () => {}],
      ['a directory', 'ERR_BRAID_DB_IS_DIRECTORY', (file) => mkdirSync(file)],
      ['one that is not of SQLite', 'ERR_BRAID_DB_NOT_SQLITE', (file) => writeFileSync(file, 'provenance '.repeat(99))],
      ['an empty one', 'ERR_BRAID_DB_EMPTY', (file) => writeFileSync(file, '')],
      ['one with other tables', 'ERR_BRAID_DB_FOREIGN', (file) => sql(file, 'CREATE TABLE cats (name)')],
    ];
    for (const [title, errorCode, make] of FILES) {
      it(`says so, and leaves it as it is: ${title}`, async () => {
        const own = makeDirectory();
        try {
          const file = join(own.path, 'x.db');
          make(file);
          const bytes = () => (errorCode.endsWith('DIRECTORY') || !existsSync(file) ? undefined : readFileSync(file));
          const before = bytes();
          for (const [command, ...args] of READING) fails(await braidInThread([command, file, ...args]), 1, errorCode);
          assert.deepEqual(bytes(), before);
          assert.deepEqual(readdirSync(own.path), existsSync(file) ? ['x.db'] : []);
        } finally {
          own.remove();
        }
      });
    }

    it('says that a newer schema needs a newer version', async () => {
      const file = join(directory.path, 'newer.db');
      writeFileSync(file, readFileSync(path));
      sql(file, `UPDATE meta SET value = '99' WHERE key = 'schema_version'`);
      for (const [command, ...args] of READING)
        fails(await braidInThread([command, file, ...args]), 1, 'ERR_BRAID_DB_NEWER');
    });
  });

  describe('create', () => {
    it('makes a database, once', async () => {
      const file = join(directory.path, 'new.db');
      const { code, stdout } = await braidInThread(['create', file]);
      assert.deepEqual([code, stdout], [0, `made ${file}\n`]);
      assert.equal((await braidInThread(['verify', file])).code, 0);
      fails(await braidInThread(['create', file]), 1, 'ERR_BRAID_DB_EXISTS');
    });

    it('moves an existing file away where it is told to, to the first free name', async () => {
      const file = join(directory.path, 'again.db');
      await runJob(file, 'graph');
      const content = readFileSync(file);
      for (const number of ['001', '002']) {
        const { code, stdout } = await braidInThread(['create', '-B', file, '--json']);
        assert.equal(code, 0);
        assert.equal((JSON.parse(stdout) as { backup: string }).backup, `${file}.${number}.bak`);
      }
      assert.deepEqual(readFileSync(`${file}.001.bak`), content);
      assert.deepEqual(query(file, 'SELECT * FROM records'), []);
    });

    it('brings in what a dead run has left before it moves its database away', async () => {
      const file = join(directory.path, 'left.db');
      await runJob(file, 'unclosed', 5);
      assert.equal((await braidInThread(['create', '-B', file])).code, 0);
      assert.equal(query(`${file}.001.bak`, 'SELECT * FROM records').length, 5);
      assert.deepEqual(readdirSync(directory.path).filter((name) => name.startsWith('left.db')), ['left.db', 'left.db.001.bak']); // prettier-ignore
    });

    it('refuses a directory, and a place that is not there', async () => {
      for (const backup of [[], ['-B']]) {
        fails(await braidInThread(['create', directory.path, ...backup]), 1, 'ERR_BRAID_DB_IS_DIRECTORY');
        fails(
          await braidInThread(['create', join(directory.path, 'no', 'where.db'), ...backup]),
          1,
          'ERR_BRAID_DB_UNWRITABLE',
        );
      }
    });
  });

  describe('print', () => {
    it('prints a line for each record, with URIs and tags under it', async () => {
      const { code, stdout, stderr } = await braidInThread(['print', path]);
      assert.deepEqual([code, stderr], [0, '']);
      const lines = stdout.trimEnd().split('\n');
      assert.equal(lines.filter((line) => line.startsWith('[')).length, 10);
      assert.match(lines[0], /^\[ {4}1\] : config {11}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} <- \[4, 5, 7, 9\]$/);
      assert.deepEqual(lines.slice(1, 4), [
        '          URI: file:///config.json',
        '          TAG: energy = 12.4',
        '          TAG: on = true',
      ]);
      assert.match(lines[4], /^\[ {4}2\] : twin .* {2}INVALID$/);
      assert.equal(lines[5], '          TAG: text = "1"');

      assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    });

    it('prints a JSON object a line', async () => {
      const rows = jsonLines((await braidInThread(['print', path, '--json'])).stdout);
      assert.equal(rows.length, 10);
      const { name, kind, tags, derived, valid, run: of } = rows[1];
      assert.deepEqual(
        { name, kind, derived, valid, of },
        { name: 'twin', kind: 'fact', derived: [4], valid: false, of: run },
      );
      assert.deepEqual(tags, { text: '1', line: 'two\nlines \u001b[31m', big: String(2n ** 60n) });
    });

    it('filters by kind, name and run', async () => {
      const filtered = async (...args: string[]) =>
        names(jsonLines((await braidInThread(['print', path, '--json', ...args])).stdout));
      assert.deepEqual(await filtered('--kind', 'model'), ['model']);
      assert.deepEqual(await filtered('--name', 'twin'), ['twin', 'twin']);
      assert.equal((await filtered('--run', run.slice(0, 6))).length, 10);
      fails(await braidInThread(['print', path, '--run', 'zzz']), 1, 'ERR_BRAID_NO_SUCH_RUN');
      assert.equal((await braidInThread(['print', path, '--name', 'nobody'])).stdout, '');
    });

    it('ends without a word when its reader has gone', async () => {
      const many = join(directory.path, 'many.db');
      await runJob(many, 'many', 20_000);
      for (const json of [[], ['--json']]) {
        const child = spawn(process.execPath, [BRAID, 'print', many, ...json], { stdio: ['ignore', 'pipe', 'pipe'] });
        let stderr = '';
        child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
        child.stdout.once('data', () => child.stdout.destroy());
        const code = await new Promise((resolve) => child.on('close', resolve));
        assert.deepEqual([code, stderr], [0, '']);
      }
    });
  });

  describe('stats', () => {
    it('shows runs and tables', async () => {
      const { code, stdout } = await braidInThread(['stats', path]);
      assert.equal(code, 0);
      assert.match(stdout, /records 10 .*derivations \d+ .*versions 3/);
      assert.match(stdout, new RegExp(`^${run.slice(0, 8)} +graph +COMPLETED .* 1 +10 +\\d+ +\\d+ `, 'm'));
    });

    it('gives them as JSON', async () => {
      const stats = JSON.parse((await braidInThread(['stats', path, '--json'])).stdout) as {
        tables: Record<string, number>;
        fileBytes: number;
        runs: Record<string, unknown>[];
      };
      assert.equal(stats.tables.records, 10);
      assert.ok(stats.fileBytes > 0);
      const [{ id, status, size, recorded, committed, records, seconds, cost, liveness }] = stats.runs;
      assert.deepEqual(
        { id, status, size, records, liveness },
        { id: run, status: 'COMPLETED', size: 1, records: 10, liveness: undefined },
      );
      assert.equal(recorded, committed);
      assert.ok((seconds as number) > 0);
      const { captureMs, commitMs, share, ops } = cost as Record<string, number & Record<string, number>>;
      const { min, median, max } = captureMs;
      assert.ok(0 < min && min === median && median === max);
      assert.ok(0 < commitMs && 0 < share && share < 1);
      assert.deepEqual(ops, { min: recorded, median: recorded, max: recorded });
    });

    it('shows what recording cost, by phase', async () => {
      const { stdout } = await braidInThread(['stats', path]);
      assert.match(stdout, /^RUN +CAPTURE +SEAL +VERDICT +BLOCKED +PEAK SPOOL +GATHER +COMMIT +INDEXES +PEAK ROUNDS$/m);
      assert.match(stdout, / {2}\d+\.\d\d %$/m);
      const { stdout: one } = await braidInThread(['stats', path, '--run', run]);
      assert.match(one, /^share +\d+\.\d\d % of the wall time/m);
      assert.match(one, /^COST +MIN +MEDIAN +MAX +ROOT$/m);
      assert.match(one, /^capture +(\d\S* ms) +\1 +\1$/m);
      assert.match(one, /^commit +\d\S* ms$/m);
      assert.match(one, /^peak spool +(1\.0 MiB) +\1 +\1$/m);
    });

    it('shows what there is of a run of an older version, and a dash for the rest', async () => {
      const old = join(directory.path, 'old.db');
      copyFileSync(path, old);
      const db = new Database(old);
      db.prepare('UPDATE attempts SET report = ?').run('{"captureMs":[2.5],"peakRoundBytes":65536}');
      db.close();
      const { code, stdout } = await braidInThread(['stats', old]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^${run.slice(0, 8)} +2\\.50 ms +- +- +- +- +- +- +- +64\\.0 KiB$`, 'm'));
      assert.match(stdout, / {2}-$/m);
      const { stdout: one } = await braidInThread(['stats', old, '--run', run]);
      assert.doesNotMatch(one, /^share/m);
      assert.match(one, /^blocked +- +- +-$/m);
      const { runs } = JSON.parse((await braidInThread(['stats', old, '--json'])).stdout) as {
        runs: { cost: object }[];
      };
      assert.deepEqual(Object.keys(runs[0].cost).sort(), [
        'attempt',
        'bytes',
        'captureMs',
        'ops',
        'peakRoundBytes',
        'seconds',
      ]);
    });

    it('shows one run by its ranks', async () => {
      const { code, stdout } = await braidInThread(['stats', path, '--run', run.slice(0, 5)]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^run +${run}$`, 'm'));
      assert.match(stdout, /^RANK +HOST +RECORDS/m);
      const details = JSON.parse((await braidInThread(['stats', path, '--run', run, '--json'])).stdout) as {
        ranks: { rank: number; records: number }[];
      };
      assert.deepEqual(details.ranks.map(({ rank, records }) => [rank, records]), [[0, 10]]); // prettier-ignore
      fails(await braidInThread(['stats', path, '--run', 'ffff']), 1, 'ERR_BRAID_NO_SUCH_RUN');
    });
  });

  describe('lineage', () => {
    const lineage = async (...args: string[]) =>
      jsonLines((await braidInThread(['lineage', path, '--json', ...args])).stdout);

    it('shows what a record comes from, the nearest first', async () => {
      const rows = await lineage('name:peaks-1');
      assert.deepEqual(
        rows.map(({ depth, name, version }) => `${depth} ${name}${version ? `@${version}` : ''}`).sort(),
        ['0 peaks-1', '1 model@2', '2 model', '2 model@1', '2 scan-1', '3 config', '3 scan-0', '3 twin'],
      );
      const { stdout } = await braidInThread(['lineage', path, 'name:peaks-1']);
      assert.match(stdout, / {2}0 {2}\[8\] data peaks-1 .*\n {2}1 {4}\[4\] model model@2 step 1 /);
      const ever = await lineage('name:peaks-1', '--ever');
      assert.deepEqual(names(ever).sort(), ['config', 'model', 'peaks-1', 'scan-0', 'scan-1', 'scan-2', 'twin']);
    });

    it('shows what has come of it, and no further than it is told', async () => {
      assert.equal((await lineage('1', '--down')).length, 1 + 3 + 3 + 4);
      assert.deepEqual(names(await lineage('1', '--down', '--depth', '1')).sort(), [
        'config',
        'model',
        'scan-0',
        'scan-1',
        'scan-2',
      ]);
      assert.deepEqual(names(await lineage('1', '--down', '--kind', 'model', '--ever')), ['config', 'model']);
      assert.deepEqual(names(await lineage('name:model@step=2', '--down')), ['model', 'peaks-2']);
    });

    it('shows only what is asked for', async () => {
      const given = async (...args: string[]) => names(await lineage('name:peaks-2', ...args)).slice(1).sort(); // prettier-ignore
      assert.deepEqual(await given('--kind', 'data'), ['scan-0', 'scan-1', 'scan-2']);
      assert.deepEqual(await given('--tag', 'loss=0.5'), ['model']);
      assert.deepEqual(await given('--tag', 'energy=12.4', '--tag', 'on=true'), ['config']);
      assert.deepEqual(await given('--tag', 'text="1"'), ['twin']);
      assert.deepEqual(await given('--tag', 'text=1'), []);
      assert.deepEqual(await given('--name', 'scan-1', '--run', run.slice(0, 8), '--rank', '0'), ['scan-1']);
      assert.deepEqual(await given('--since', '2100-01-01'), []);
      assert.equal((await given('--until', '2100-01-01T00:00')).length, 9);
      fails(await braidInThread(['lineage', path, '1', '--tag', 'loss']), 2, 'ERR_BRAID_USAGE');
      fails(await braidInThread(['lineage', path, '1', '--since', 'noon']), 2, 'ERR_BRAID_USAGE');
      fails(await braidInThread(['lineage', path, '1', '--run', 'zz']), 1, 'ERR_BRAID_NO_SUCH_RUN');
    });

    it('says which version there is none of', async () => {
      fails(await braidInThread(['lineage', path, 'name:model@9']), 1, 'ERR_BRAID_NO_SUCH_VERSION');
      fails(await braidInThread(['lineage', path, '4@last']), 2, 'ERR_BRAID_VERSION_INVALID');
    });

    it('says which record there is none of, or more than one', async () => {
      fails(await braidInThread(['lineage', path, '77']), 1, 'ERR_BRAID_NO_SUCH_RECORD');
      fails(await braidInThread(['lineage', path, 'name:nobody']), 1, 'ERR_BRAID_NO_SUCH_RECORD');
      fails(await braidInThread(['lineage', path, 'name:twin']), 1, 'ERR_BRAID_RECORD_AMBIGUOUS');
    });
  });

  describe('versions', () => {
    it('lists the versions of a model, with their tags', async () => {
      const { stdout } = await braidInThread(['versions', path, 'name:model']);
      const lines = stdout.trimEnd().split('\n');
      assert.match(lines[0], /^VERSION +STEP +RUN +TIME +RANKS +EXPOSED TO +SEEN +loss +URIS/);
      assert.match(lines[2], /^@2 +1 +\w{8} .* scan-1 \[7\] +@1 +0\.5/);
      const rows = jsonLines((await braidInThread(['versions', path, '4', '--json'])).stdout) as unknown as { exposures: { name: string }[] }[]; // prettier-ignore
      assert.deepEqual(rows.map(({ exposures }) => exposures.map(({ name }) => name)), [['scan-0'], ['scan-1'], ['scan-2']]); // prettier-ignore
      assert.equal((await braidInThread(['versions', path, '1'])).stdout, 'no versions: config [1] is a fact, not a model\n'); // prettier-ignore
    });

    it('draws a tag of theirs, in the terminal and as SVG', async () => {
      const file = join(directory.path, 'loss.svg');
      const { stdout, stderr } = await braidInThread(['versions', path, 'name:model', '--plot', 'loss', '-o', file]);
      assert.equal(stderr, '');
      assert.match(stdout, /^loss of model, run \w{8}\n +1\.0000? ┤•/);
      assert.match(stdout, /\n +step 0 +2\n/);
      assert.match(readFileSync(file, 'utf8'), /^<svg [^]*loss of model[^]*<\/svg>\n$/);
      await braid(['versions', path, 'name:model', '--plot', 'loss'], { cwd: directory.path });
      assert.ok(existsSync(join(directory.path, 'model-loss.svg')));
      fails(await braidInThread(['versions', path, 'name:model', '--plot', 'speed']), 1, 'ERR_BRAID_NO_SUCH_TAG');
      fails(
        await braidInThread(['versions', path, '4', '--plot', 'loss', '-o', directory.path]),
        1,
        'ERR_BRAID_OUTPUT',
      );
      fails(await braidInThread(['versions', path, '4', '-o', file]), 2, 'ERR_BRAID_OPTION_INVALID');
      const png = join(directory.path, 'loss.png');
      fails(await braidInThread(['versions', path, '4', '--plot', 'loss', '-o', png]), 2, 'ERR_BRAID_OPTION_INVALID');
      assert.equal(existsSync(png), false);
    });
  });

  describe('why, common and diff', () => {
    it('explain what depends on what', async () => {
      assert.deepEqual(
        (await braidInThread(['why', path, 'name:peaks-1', 'name:scan-0'])).stdout.trimEnd().split('\n'),
        [
          'peaks-1 [8] was derived from model@2 (step 1) [4]',
          'model@2 (step 1) [4] was an update of model@1 (step 0) [4]',
          'model@1 (step 0) [4] was updated by exposure to scan-0 [5]',
        ],
      );
      const { direction, steps } = JSON.parse((await braidInThread(['why', path, '1', '8', '--json'])).stdout) as { direction: string; steps: object[] }; // prettier-ignore
      assert.deepEqual([direction, steps.length], ['to', 4]);
      assert.match((await braidInThread(['why', path, 'name:peaks-0', 'name:scan-2'])).stdout, /^neither of /);
      assert.equal((await braidInThread(['why', path, '1', '2', '--json'])).stdout, 'null\n');
    });

    it('find what two share', async () => {
      assert.match((await braidInThread(['common', path, 'name:peaks-0', 'name:peaks-2'])).stdout, /^ {2}1 {2}3 {2}\[4\] model model@1 step 0 [^\n]*\n$/); // prettier-ignore
      const [row] = jsonLines((await braidInThread(['common', path, '5', '7', '--json'])).stdout) as (Row & { depths: number[] })[]; // prettier-ignore
      assert.deepEqual([row.name, row.depths], ['config', [1, 1]]);
      assert.match((await braidInThread(['common', path, '1', '2'])).stdout, /nothing in common/);
    });

    it('find what a version has seen that another had not', async () => {
      const { stdout } = await braidInThread(['diff', path, 'name:model@1', 'name:model@3']);
      assert.match(stdout, /^earlier {2}\[4\] model model@1 [^]*later {4}\[4\] model model@3 [^]*scan-2[^]*scan-1/);
      assert.doesNotMatch(stdout, /scan-0|config/);
      const rows = jsonLines((await braidInThread(['diff', path, '4@3', '4@2', '--json'])).stdout) as (Row & { role: string })[]; // prettier-ignore
      assert.deepEqual(rows.map(({ role, name }) => `${role} ${name}`), ['earlier model', 'later model', 'seen scan-2', ]); // prettier-ignore
      const apart = (await braidInThread(['diff', path, 'name:peaks-2', 'name:peaks-0'])).stdout;
      assert.match(apart, /^earlier .* peaks-0 [^]*\nlater .* peaks-2 [^]*\nthey have diverged; only the later one has seen:\n[^]* scan-2 [^]*\nonly the earlier one has seen:\n {2}nothing\n$/); // prettier-ignore
      fails(await braidInThread(['diff', path, '4@3', '4@99']), 1, 'ERR_BRAID_NO_SUCH_VERSION');
    });
  });

  describe('on a file that Braid-DB has made', () => {
    const theirs = join(directory.path, 'braid-db.db');
    before(() => makeBraidDbFile(theirs));

    it('reads it', async () => {
      assert.equal(
        (await braidInThread(['print', theirs])).stdout,
        [
          '[    1] : first            2026-01-02 03:04:05.678 <- [2]',
          '          URI: file:///first',
          '[    2] : second           2026-01-02 03:04:06.000 <- []',
          '          TAG: n = 5',
          '',
        ].join('\n'),
      );
      const [row] = jsonLines((await braidInThread(['print', theirs, '--json'])).stdout);
      assert.equal(row.kind, 'record');
      assert.match((await braidInThread(['stats', theirs])).stdout, /made by Braid-DB\n.*records 2[^]*no runs/);
      assert.match(
        (await braidInThread(['lineage', theirs, '2'])).stdout,
        /\[2\] record second.*\n.*\[1\] record first/,
      );
      const { code, stdout } = await braidInThread(['verify', theirs]);
      assert.equal(code, 0);
      assert.match(stdout, /\(made by Braid-DB\) is sound/);
    });

    it('finds what is wrong in it', async () => {
      const broken = join(directory.path, 'broken-braid-db.db');
      makeBraidDbFile(broken);
      sql(
        broken,
        `INSERT INTO uris (record_id, uri) VALUES (9, 'x'); UPDATE records SET time = 'noon' WHERE record_id = 2`,
      );
      const { code, stdout } = await braidInThread(['verify', broken, '--json']);
      assert.equal(code, 1);
      const { problems } = JSON.parse(stdout) as { problems: { check: string; ids: number[] }[] };
      assert.deepEqual(problems.map(({ check, ids }) => [check, ids]), [['references', [9]], ['values', [2]]]); // prettier-ignore
    });

    it('has nothing to recover for it', async () => {
      const { code, stdout } = await braidInThread(['recover', theirs]);
      assert.deepEqual([code, stdout], [0, 'nothing to recover: no spools are there\n']);
    });
  });
});
