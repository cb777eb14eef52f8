#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../context.js';
import { BraidError } from '../errors.js';
import { addCreate } from './create.js';
import { addDependence } from './dependence.js';
import { addDoctor } from './doctor.js';
import { addLineage } from './lineage.js';
import { ClosedPipe, printable, toJson } from './output.js';
import { addPrint } from './print.js';
import { addRecover } from './recover.js';
import { addStats } from './stats.js';
import { addVerify } from './verify.js';
import { addVersions } from './versions.js';
import { isWrongUsage } from './usage.js';

const EXIT_PROBLEM = 1;
const EXIT_USAGE = 2;

// Each command says what it needs of the library when it runs, so that `braid --help` loads none of it.
const program = new Command('braid')
  .description('Provenance of MPI jobs: look at a database, check it, and bring in what dead runs have left.')
  .version(packageVersion(), '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print help')
  .helpCommand('help [command]', 'print help on a command')
  .exitOverride()
  .configureOutput({ outputError: () => {} })
  .addHelpText(
    'after',
    `
Exit codes: 0 fine, 1 a problem found, 2 wrong usage.
Errors are one line on stderr, "braid: CODE: message"; with --json it is {"error":{"code":…,"message":…}}.

Example:
  $ braid stats run.db
`,
  );
for (const add of [
  addCreate,
  addPrint,
  addStats,
  addLineage,
  addVersions,
  addDependence,
  addVerify,
  addRecover,
  addDoctor,
])
  add(program);

// Their errors come with the write that they are of.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}

function fail(error: unknown): void {
  if (error instanceof ClosedPipe) return;
  if (error instanceof CommanderError) {
    // Help and version, which have been printed.
    if (error.exitCode === 0) return;
    process.exitCode = EXIT_USAGE;
    // `braid` alone: what has been printed says it all.
    if (error.code === 'commander.help') return;
    say('ERR_BRAID_USAGE', error.message.replace(/^error: /, ''));
    return;
  }
  process.exitCode = isWrongUsage(error) ? EXIT_USAGE : EXIT_PROBLEM;
  if (error instanceof BraidError) say(error.code, error.message);
  else say('ERR_BRAID_INTERNAL', (error as Error).stack ?? String(error));
}

function say(code: string, message: string): void {
  const line = message.trim().split(/\s*\n\s*/).join(' '); // prettier-ignore
  const json = process.argv.includes('--json');
  process.stderr.write(`${json ? toJson({ error: { code, message: line } }) : `braid: ${code}: ${printable(line)}`}\n`);
}
