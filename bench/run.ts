/** Runs the trials: npm run bench -- [--only NAME] [--repeat N] [--records N] [--json FILE]. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { table } from 'table';
import { vendors } from '../test/support/mpiexec.js';
import { TRIALS, type Program, type Side, type Trial } from './trials.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    repeat: { type: 'string', default: '5' },
    records: { type: 'string', default: '100000' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log('npm run bench -- [--only capture] [--repeat 5] [--records 100000] [--json out.json]');
  process.exit(0);
}

const openmpi = vendors.find(({ name }) => name === 'openmpi');
// What one machine with few cores, and root as its user, needs; the tests say why.
const env = {
  ...process.env,
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: 'true',
};

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Sources that aren't compiled lie where the repository has them. */
const source = (name: string) => fileURLToPath(new URL(`../../bench/${name}`, import.meta.url));

const builds = mkdtempSync(join(tmpdir(), 'braid-bench-'));
process.on('exit', () => rmSync(builds, { recursive: true }));

/** How to start each program; undefined where it can't be run here. Found out once. */
const STARTS: Record<Program, () => string[] | undefined> = {
  side: () => [process.execPath, here('./side.js')],
  'mpi-side': () => [process.execPath, here('./mpi-side.js')],
  'mpi.c': () => {
    const program = join(builds, 'mpi');
    const compiler = ['mpicc.openmpi', 'mpicc'].find((name) => isOpenMpi(name));
    if (!compiler) return undefined;
    execFileSync(compiler, ['-O2', '-o', program, source('mpi.c')]);
    return [program];
  },
  'mpi.py': () => {
    // Debian's own, which knows Debian's packages; then whichever comes first.
    const python = ['/usr/bin/python3', 'python3'].find(
      (name) => spawnSync(name, ['-c', 'import mpi4py, numpy'], { stdio: 'ignore' }).status === 0,
    );
    return python ? [python, source('mpi.py')] : undefined;
  },
};
const starts = new Map<Program, string[] | undefined>();

function isOpenMpi(compiler: string): boolean {
  return /open.?mpi/i.test(spawnSync(compiler, ['-show'], { encoding: 'utf8' }).stdout ?? '');
}

function startOf({ program = 'side' }: Side): string[] | undefined {
  if (!starts.has(program)) starts.set(program, STARTS[program]());
  return starts.get(program);
}

function measure({ ranks }: Trial, side: Side): number {
  const directory = mkdtempSync(join(tmpdir(), 'braid-bench-'));
  try {
    const own = [...startOf(side)!, ...side.args, directory, values.records];
    const [command, ...rest] = ranks ? [openmpi!.mpiexec, '-n', String(ranks), ...own] : own;
    const { stdout, stderr, status } = spawnSync(command, rest, {
      env,
      encoding: 'utf8',
      timeout: 120_000,
      killSignal: 'SIGKILL',
    });
    const figure = Number(stdout);
    if (status !== 0 || !(figure > 0)) throw new Error(`${side.args.join(' ')} failed: ${stdout}${stderr}`);
    return figure;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function summary(figures: readonly number[]): { median: number; low: number; high: number } {
  const sorted = [...figures].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], low: sorted[0], high: sorted.at(-1)! };
}

if (values.only && !TRIALS.some(({ name }) => name === values.only)) {
  console.error(`There is no trial "${values.only}". There are:\n  ${TRIALS.map(({ name }) => name).join('\n  ')}`);
  process.exit(2);
}

const results = [];
for (const trial of TRIALS) {
  if (values.only && trial.name !== values.only) continue;
  if (trial.ranks && !openmpi) {
    console.error(`${trial.name}: left out, for there is no Open MPI`);
    continue;
  }
  const sides = trial.sides.filter((side) => {
    if (startOf(side)) return true;
    console.error(`${trial.name}: left out ${side.name}, which isn't installed here`);
    return false;
  });
  const figures: number[][] = sides.map(() => []);
  for (let i = 0; i < Number(values.repeat); i++) {
    process.stderr.write(`${trial.name}: ${i + 1} of ${values.repeat}\n`);
    // The sides in turn, so that what else the machine does meets them all.
    sides.forEach((side, index) => figures[index].push(measure(trial, side)));
  }
  results.push({
    ...trial,
    sides: sides.map((side, index) => ({
      ...side,
      figures: figures[index],
      ratios: figures[index].map((figure, i) => figures[0][i] / figure),
    })),
  });
}

const number = (value: number) => (value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3));
const spread = (figures: readonly number[]) => {
  const { median, low, high } = summary(figures);
  return `${number(median)} (${number(low)} to ${number(high)})`;
};
const judged = (ratios: readonly number[], target: Side['target']) => {
  if (!target) return '';
  const { median } = summary(ratios);
  const [bound, held] =
    'atLeast' in target
      ? [`≥ ${target.atLeast}`, median >= target.atLeast]
      : [`≤ ${target.atMost}`, median <= target.atMost];
  return `${bound}: ${held ? 'held' : 'missed'}`;
};
console.log(
  table([
    ['trial', 'unit', 'this', 'against', 'that', 'ratio, paired', 'target'],
    ...results.flatMap(({ name, unit, sides: [first, ...others] }) =>
      others.map((other) => [
        name,
        unit,
        spread(first.figures),
        other.name,
        spread(other.figures),
        spread(other.ratios),
        judged(other.ratios, other.target),
      ]),
    ),
  ]),
);
if (values.json) {
  const machine = {
    cpu: cpus()[0].model,
    cores: cpus().length,
    system: `${platform()} ${arch()}`,
    node: process.version,
    mpi: openmpi && execFileSync(openmpi.mpiexec, ['--version'], { encoding: 'utf8', env }).split('\n', 1)[0],
  };
  writeFileSync(values.json, JSON.stringify({ machine, records: Number(values.records), results }, undefined, 2));
}
