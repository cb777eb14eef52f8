/** Runs the trials: npm run bench -- [--only NAME] [--repeat N] [--records N] [--json FILE]. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { table } from 'table';
import { vendors } from '../test/support/mpiexec.js';
import { TRIALS, type Trial } from './trials.js';

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

const program = fileURLToPath(new URL('./side.js', import.meta.url));
const openmpi = vendors.find(({ name }) => name === 'openmpi');
// What one machine with few cores, and root as its user, needs; the tests say why.
const env = {
  ...process.env,
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: 'true',
};

function measure({ ranks }: Trial, args: readonly string[]): number {
  const directory = mkdtempSync(join(tmpdir(), 'braid-bench-'));
  try {
    const node = [program, ...args, directory, values.records];
    const [command, ...rest] = ranks
      ? [openmpi!.mpiexec, '-n', String(ranks), process.execPath, ...node]
      : [process.execPath, ...node];
    const { stdout, stderr, status } = spawnSync(command, rest, {
      env,
      encoding: 'utf8',
      timeout: 120_000,
      killSignal: 'SIGKILL',
    });
    const figure = Number(stdout);
    if (status !== 0 || !(figure > 0)) throw new Error(`${args.join(' ')} failed: ${stdout}${stderr}`);
    return figure;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function summary(figures: readonly number[]): { median: number; low: number; high: number } {
  const sorted = [...figures].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], low: sorted[0], high: sorted.at(-1)! };
}

const results = [];
for (const trial of TRIALS) {
  if (values.only && trial.name !== values.only) continue;
  if (trial.ranks && !openmpi) {
    console.error(`${trial.name}: left out, for there is no Open MPI`);
    continue;
  }
  const figures: number[][] = trial.sides.map(() => []);
  for (let i = 0; i < Number(values.repeat); i++) {
    process.stderr.write(`${trial.name}: ${i + 1} of ${values.repeat}\n`);
    // The sides in turn, so that what else the machine does meets both.
    trial.sides.forEach(({ args }, side) => figures[side].push(measure(trial, args)));
  }
  results.push({ ...trial, figures, ratios: figures[0].map((figure, i) => figure / figures[1][i]) });
}

const number = (value: number) => (value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3));
const spread = (figures: readonly number[]) => {
  const { median, low, high } = summary(figures);
  return `${number(median)} (${number(low)} to ${number(high)})`;
};
console.log(
  table([
    ['trial', 'unit', 'this', 'against', 'that', 'ratio, paired'],
    ...results.map(({ name, unit, sides, figures, ratios }) => [
      name,
      unit,
      spread(figures[0]),
      sides[1].name,
      spread(figures[1]),
      spread(ratios),
    ]),
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
