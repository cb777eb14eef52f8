import { readCommandLine, whole } from '../common/command-line.js';
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

export const readOptions = () =>
  readCommandLine(HELP, {
    db: 'digits.db',
    out: 'digits-checkpoints',
    steps: whole(300, 1, 1_000_000),
    batch: whole(100, 1, TRAINING),
    hidden: whole(32, 1, 1_000_000),
    checkpointEvery: whole(100, 1, 1_000_000),
    record: true,
    json: false,
  });
