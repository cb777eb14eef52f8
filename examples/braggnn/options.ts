import { parseArgs } from 'node:util';

const HELP = `Usage: [mpiexec -n RANKS] node braggnn.js [OPTION]…

Finds Bragg peaks in simulated detector frames by a network that learns from fits, and that is trained again when
experiments have drifted away from it. Records what was found by which version, and what that had learnt from.

  --db FILE         the database to record into (braggnn.db)
  --out DIR         where checkpoints go (braggnn-checkpoints)
  --experiments N   experiments, one after the other (4)
  --frames N        frames of each, at least 3 (24)
  --hidden N        units of the network's hidden layer (32)
  --epochs N        of the first training; each later one has half as many (30)
  --threshold PX    median distance from the fit, in pixels, above which the network is trained again (0.05)
  --no-record       record nothing (BRAID=off), to see what recording costs
  --json            print the result as one line of JSON on standard output
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/braggnn/braggnn.js --experiments 6 --db /tmp/braggnn.db
`;

export interface Options {
  db: string;
  out: string;
  experiments: number;
  frames: number;
  hidden: number;
  epochs: number;
  threshold: number;
  record: boolean;
  json: boolean;
}

/** From the command line. Ends the process, before MPI is up, for --help (0) and for what can't be understood (2). */
export function readOptions(): Options {
  try {
    const { values } = parseArgs({
      allowNegative: true,
      options: {
        db: { type: 'string', default: 'braggnn.db' },
        out: { type: 'string', default: 'braggnn-checkpoints' },
        experiments: { type: 'string', default: '4' },
        frames: { type: 'string', default: '24' },
        hidden: { type: 'string', default: '32' },
        epochs: { type: 'string', default: '30' },
        threshold: { type: 'string', default: '0.05' },
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
      experiments: count('experiments', values.experiments),
      frames: count('frames', values.frames, 3),
      hidden: count('hidden', values.hidden),
      epochs: count('epochs', values.epochs),
      threshold: distance('threshold', values.threshold),
      record: values.record,
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

function count(name: string, text: string, least = 1, most = 1_000_000): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`--${name} must be a whole number from ${least} to ${most}, not '${text}'`);
}

function distance(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && value < Infinity) return value;
  throw new Error(`--${name} must be a number above 0, not '${text}'`);
}
