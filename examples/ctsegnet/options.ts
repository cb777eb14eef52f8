import { parseArgs } from 'node:util';

const HELP = `Usage: [mpiexec -n RANKS] node ctsegnet.js [OPTION]…

Segments slices of a tomogram by an ensemble of networks that learn from their own votes, and records who taught whom.

  --db FILE      the database to record into (ctsegnet.db)
  --slices N     slices to segment (8)
  --rounds N     rounds of voting and learning from it (3)
  --seed N       of all that is random (1)
  --no-record    record nothing (BRAID=off)
  --json         print the result as one line of JSON on standard output
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/ctsegnet/ctsegnet.js --rounds 5 --db /tmp/ctsegnet.db
`;

export interface Options {
  db: string;
  slices: number;
  rounds: number;
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
        db: { type: 'string', default: 'ctsegnet.db' },
        slices: { type: 'string', default: '8' },
        rounds: { type: 'string', default: '3' },
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
      slices: count('slices', values.slices, 1000),
      rounds: count('rounds', values.rounds, 500),
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
