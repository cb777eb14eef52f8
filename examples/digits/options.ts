import { parseArgs } from 'node:util';
import { TRAINING } from './data.js';

const HELP = `Usage: [mpiexec -n RANKS] node digits.js [OPTION]…

Trains a network on handwritten digits, data-parallel over the ranks, and records every step.

  --db FILE             the database to record into (digits.db)
  --out DIR             where checkpoints go (digits-checkpoints)
  --steps N             steps of training (300)
  --batch N             images a step, of all ranks together (100)
  --hidden N            units of the hidden layer (32)
  --checkpoint-every N  steps between checkpoints; the last step makes one, too (100)
  --no-record           record nothing (BRAID=off), to see what recording costs
  --json                print the result as one line of JSON on standard output
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/digits/digits.js --steps 200 --db /tmp/digits.db
`;

export interface Options {
  db: string;
  out: string;
  steps: number;
  batch: number;
  hidden: number;
  checkpointEvery: number;
  record: boolean;
  json: boolean;
}

/** From the command line. Ends the process, before MPI is up, for --help (0) and for what can't be understood (2). */
export function readOptions(): Options {
  try {
    const { values } = parseArgs({
      allowNegative: true,
      options: {
        db: { type: 'string', default: 'digits.db' },
        out: { type: 'string', default: 'digits-checkpoints' },
        steps: { type: 'string', default: '300' },
        batch: { type: 'string', default: '100' },
        hidden: { type: 'string', default: '32' },
        'checkpoint-every': { type: 'string', default: '100' },
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
      out: values.out,
      steps: count('steps', values.steps),
      batch: count('batch', values.batch, TRAINING),
      hidden: count('hidden', values.hidden),
      checkpointEvery: count('checkpoint-every', values['checkpoint-every']),
      record: values.record,
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

function count(name: string, text: string, most = 1_000_000): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name} must be a whole number from 1 to ${most}, not '${text}'`);
}
