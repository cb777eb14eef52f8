import { parseArgs } from 'node:util';
import { EXPERIMENTS } from './plan.js';

const HELP = `Usage: [mpiexec -n RANKS] node ssx.js [OPTION]…

Integrates images of many small crystals, refines two structures from them, and records what each rests on.

  --db FILE      the database to record into (ssx.db)
  --images N     images an experiment, at least 10 (40)
  --bad N        the experiment that had the wrong sample in the beam; 0 for none (3)
  --no-record    record nothing (BRAID=off)
  --json         print the result as one line of JSON on standard output
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/ssx/ssx.js --images 200 --db /tmp/ssx.db
`;

export interface Options {
  db: string;
  images: number;
  bad: number;
  record: boolean;
  json: boolean;
}

/** From the command line. Ends the process, before MPI is up, for --help (0) and for what can't be understood (2). */
export function readOptions(): Options {
  try {
    const { values } = parseArgs({
      allowNegative: true,
      options: {
        db: { type: 'string', default: 'ssx.db' },
        images: { type: 'string', default: '40' },
        bad: { type: 'string', default: '3' },
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
      // Of fewer, too few may be indexed to refine anything.
      images: whole('images', values.images, 10, 100_000),
      bad: whole('bad', values.bad, 0, EXPERIMENTS.length),
      record: values.record,
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`--${name} must be a whole number from ${least} to ${most}, not '${text}'`);
}
