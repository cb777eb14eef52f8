import { parseArgs } from 'node:util';

const HELP = `Usage: [mpiexec -n RANKS] node slac.js [OPTION]…

Finds the settings of a small beam with a model that learns from simulations and experiments, and records how.

  --db FILE          the database to record into (slac.db)
  --simulations N    simulations in each of the two batches (60)
  --experiments N    experiments (5)
  --shots N          shots in each (8)
  --seed N           of all that is random (1)
  --no-record        record nothing (BRAID=off)
  --json             print the result as one line of JSON on standard output
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/slac/slac.js --experiments 10 --db /tmp/slac.db
`;

export interface Options {
  db: string;
  simulations: number;
  experiments: number;
  shots: number;
  seed: number;
  record: boolean;
  json: boolean;
}

/** From the command line. Ends the process, before MPI is up, for --help (0) and for what can't be understood (2). */
export function readOptions(): Options {
  try {
    const { values } = parseArgs({
      allowNegative: true,
      options: {
        db: { type: 'string', default: 'slac.db' },
        simulations: { type: 'string', default: '60' },
        experiments: { type: 'string', default: '5' },
        shots: { type: 'string', default: '8' },
        seed: { type: 'string', default: '1' },
        record: { type: 'boolean', default: true },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return {
      db: values.db,
      simulations: count('simulations', values.simulations, 10_000),
      experiments: count('experiments', values.experiments, 999),
      shots: count('shots', values.shots, 10_000),
      seed: count('seed', values.seed, 1000),
      record: values.record,
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

function count(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name} must be a whole number from 1 to ${most}, not '${text}'`);
}
