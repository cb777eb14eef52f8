import { parseArgs } from 'node:util';

const HELP = `Usage: [mpiexec -n RANKS] node mascot.js [OPTION]…

Braid-DB's synthetic load: records as fast as it can, and tells how fast that was.

  --configurations C  facts, each with URIs (5)
  --experiments E     data a cycle, each with URIs, of all ranks together (3)
  --cycles N          (5)
  --uris U            of each configuration and experiment (3)
  --deps D            configurations that an experiment is derived from (3)
  --models M          models, each derived from a configuration, and updated by every experiment (3)
  --db FILE           the database to record into (mascot.db)
  --seed N            of the choice of configurations (1)
  --time              print also what the parts took
  --verbose           print each record
  --help

For example:
  mpiexec -n 4 node dist-dev/examples/mascot/mascot.js --cycles 10000 --db /tmp/mascot.db
`;

export interface Options {
  configurations: number;
  experiments: number;
  cycles: number;
  uris: number;
  deps: number;
  models: number;
  db: string;
  seed: number;
  time: boolean;
  verbose: boolean;
}

/** From the command line. Ends the process, before MPI is up, for --help (0) and for what can't be understood (2). */
export function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        configurations: { type: 'string', default: '5' },
        experiments: { type: 'string', default: '3' },
        cycles: { type: 'string', default: '5' },
        uris: { type: 'string', default: '3' },
        deps: { type: 'string', default: '3' },
        models: { type: 'string', default: '3' },
        db: { type: 'string', default: 'mascot.db' },
        seed: { type: 'string', default: '1' },
        time: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    const configurations = count('configurations', values.configurations);
    return {
      configurations,
      experiments: count('experiments', values.experiments),
      cycles: count('cycles', values.cycles),
      uris: count('uris', values.uris),
      // Each from another configuration: two derivations of the same two records are one.
      deps: count('deps', values.deps, configurations),
      models: count('models', values.models, configurations),
      db: values.db,
      seed: count('seed', values.seed),
      time: values.time,
      verbose: values.verbose,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

function count(name: string, text: string, most = 1_000_000_000): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= most) return value;
  throw new Error(`--${name} must be a whole number from 0 to ${most}, not '${text}'`);
}
