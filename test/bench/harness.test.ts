import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { readResults, type ComparisonResult, type Results } from '../../bench/results.js';
import { descendants, endWithTest } from '../support/children.js';
import { runAlone } from '../support/mpiexec.js';

const PROGRAM = fileURLToPath(new URL('../../bench/run.js', import.meta.url));
const bench = (args: readonly string[], env: Record<string, string> = {}) =>
  runAlone(PROGRAM, { args, env, timeoutMs: 60_000 });

describe('the harness', function () {
  this.timeout(60_000);
  let folder: string;
  const path = (name: string) => join(folder, name);
  before(() => (folder = mkdtempSync(join(tmpdir(), 'braid-harness-'))));
  after(() => rmSync(folder, { recursive: true }));

  it('explains itself, and lists what there is', async () => {
    const [help, list] = await Promise.all([bench(['--help']), bench(['--list'])]);
    assert.equal(help.code, 0, help.stderr);
    assert.match(help.stdout, /For example:\n {2}npm run bench -- --only capture/);
    assert.equal(list.code, 0, list.stderr);
    assert.match(list.stdout, /^capture\n/);
    assert.match(list.stdout, /^overhead, digits, 2 ranks \(--long\)$/m);
  });

  it('refuses what it does not understand, and says what was meant', async () => {
    const cases = [
      [['--only', 'gahter'], /no trial "gahter": did you mean "gather, 2 ranks"\?/],
      [['--qick'], /unknown option '--qick'\n\(Did you mean --quick\?\)/],
      [['--repeat', '0'], /--repeat.*must be a whole number from 1/],
      [['--quick', '--long'], /do not go together/],
      [['--only', 'overhead', '--json', path('unmeasured.json')], /left out overhead, digits, 2 ranks: .*--long/],
      [['--report', path('none.json')], /none\.json is not a file of results/],
    ] as const;
    const runs = await Promise.all(cases.map(([args]) => bench(args)));
    cases.forEach(([args, said], i) => {
      const { code, stdout, stderr } = runs[i];
      assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
      assert.equal(stdout, '');
      assert.match(stderr, said);
    });
    assert.ok(!existsSync(path('unmeasured.json')));
  });

  it('measures a trial, and leaves results but nothing else', async () => {
    const temporary = mkdtempSync(path('temporary-'));
    const json = path('results.json');
    const args = ['--only', 'durability', '--repeat', '2', '--records', '50', '--json', json];
    const { code, stdout, stderr } = await bench(args, { TMPDIR: temporary });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /durability, repeat 2 of 2/);
    assert.match(stdout, /║ durability .*║/);
    const { trials, machine, command, commit, records } = readResults(json);
    assert.equal(records, 50);
    assert.ok(command.includes('--only durability --repeat 2'), command);
    assert.match(commit, /^[0-9a-f]{40}|^unknown/);
    assert.equal(machine.node, process.version);
    assert.deepEqual(
      trials.map(({ name, repeats, sides }) => [name, repeats, sides.map(({ runs }) => runs.length)]),
      [['durability', 2, [2, 2]]],
    );
    for (const { of, to } of trials[0].comparisons) assert.deepEqual([of.figures.length, to!.figures.length], [2, 2]);
    assert.deepEqual(readdirSync(temporary), []);
  });

  it('keeps the rest where a trial fails, and says so', async () => {
    const trap = path('trap.cjs');
    writeFileSync(trap, "if (process.argv[1]?.endsWith('capture-side.js')) throw new Error('trapped');\n");
    const json = path('partial.json');
    const args = ['--only', 'capture', 'durability', '--repeat', '1', '--records', '50', '--json', json];
    const { code, stderr } = await bench(args, { NODE_OPTIONS: `--require ${trap}` });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /the results are partial: capture failed/);
    const [capture, durability] = readResults(json).trials;
    assert.match(capture.failed!, /Error: trapped/);
    assert.equal(durability.repeats, 1);
  });

  it('ends what it has started when it is interrupted', async () => {
    const temporary = mkdtempSync(path('temporary-'));
    const json = path('interrupted.json');
    const before = JSON.stringify(resultsOf(2));
    writeFileSync(json, before);
    const args = [PROGRAM, '--only', 'capture', '--records', '5000000', '--json', json];
    const child = endWithTest(
      spawn(process.execPath, args, {
        env: { ...process.env, TMPDIR: temporary },
        stdio: ['ignore', 'ignore', 'pipe'],
      }),
    );
    let stderr = '';
    let below: number[] = [];
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (!text.includes('repeat 1 of')) return;
      // When the side is there: it is started after that is said.
      const timer = setInterval(() => {
        below = descendants(child.pid!);
        if (below.length === 0) return;
        clearInterval(timer);
        child.kill('SIGINT');
      }, 20);
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(code, 130, stderr);
    assert.match(stderr, /interrupted: nothing was measured, nor written/);
    assert.ok(below.length > 0);
    for (const pid of below) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    assert.equal(readFileSync(json, 'utf8'), before);
    assert.deepEqual(readdirSync(temporary), []);
  });

  describe('of results of another machine', () => {
    const write = (name: string, results: Results) => {
      writeFileSync(path(name), JSON.stringify(results));
      return path(name);
    };

    it('writes a report and plots, the same each time', async () => {
      const json = write('another.json', resultsOf(2));
      const out = (name: string) => ['--report', json, '--out', path(name)];
      const [first] = await Promise.all([bench(out('first')), bench(out('second'))]);
      assert.equal(first.code, 0, first.stderr);
      const files = readdirSync(path('first')).sort();
      const plots = ['commit.svg', 'gather-bandwidth.svg', 'gather-time.svg', 'ranks.svg', 'targets.svg'];
      assert.deepEqual(files, [...plots, 'report.md'].sort());
      for (const file of files) {
        assert.equal(
          readFileSync(join(path('first'), file), 'utf8'),
          readFileSync(join(path('second'), file), 'utf8'),
          file,
        );
      }
      const report = readFileSync(path('first/report.md'), 'utf8');
      for (const plot of plots) assert.ok(report.includes(`](${plot})`), plot);
      assert.match(report, /^\| CPU \| Another CPU, 64 cores \|$/m);
      assert.match(report, /^\| gather \| 1 MiB a rank .*\| 2 × \| ≥ 0\.9 × \| held \|$/m);
    });

    it('checks that targets are held', async () => {
      const [held, missed] = [write('held.json', resultsOf(2)), write('missed.json', resultsOf(0.5))];
      const check = (json: string) => bench(['--report', json, '--check', '--out', path('checked')]);
      const fine = await check(held);
      assert.equal(fine.code, 0, fine.stderr);
      const { code, stderr } = await check(missed);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /^missed: gather: 1 MiB a rank: ≥ 0\.9 × was demanded, and it is 0\.5$/m);
    });
  });
});

/** One of each that is plotted; gathers are so many times as fast as what they are measured against. */
function resultsOf(ratio: number): Results {
  const trial = (phase: 'gather' | 'ranks' | 'commit', comparisons: ComparisonResult[]): Results['trials'][number] => ({
    name: phase,
    phase,
    repeats: 1,
    sides: [],
    comparisons,
  });
  const figures = (title: string, ...of: number[]) => ({ title, figures: of });
  return {
    format: 1,
    command: 'npm run bench --',
    commit: '0'.repeat(40),
    started: '2026-01-01T00:00:00.000Z',
    seconds: 1,
    records: 1000,
    machine: {
      cpu: 'Another CPU',
      cores: 64,
      memoryBytes: 2 ** 36,
      kernel: 'Linux',
      mpi: 'Another MPI',
      node: 'v20',
      betterSqlite3: '12',
      sqlite: '3',
      fileSystem: 'xfs',
      loadAverage: 0,
    },
    leftOut: [{ name: 'idle', because: 'of a reason' }],
    trials: [
      trial('gather', [
        {
          title: '1 MiB a rank',
          unit: 'MB/s',
          of: figures('flush', 100 * ratio),
          to: figures('C', 100),
          target: { atLeast: 0.9 },
          at: { ranks: 2, bytes: 2 ** 20 },
        },
      ]),
      trial('ranks', [{ title: '2 ranks', unit: 's', of: figures('2 ranks', 1, 2, 3), at: { ranks: 2 } }]),
      trial('commit', [{ title: 'commit', unit: 'records/s', of: figures('commit', 5e5), at: { records: 1e6 } }]),
    ],
  };
}
