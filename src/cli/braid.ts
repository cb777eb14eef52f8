#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { BraidError } from '../errors.js';
import { packageVersion } from '../package.js';
import { BraidSearchError } from '../query/search-expression.js';
import { addCall } from './call.js';
import { addExtract, addPrune } from './archive.js';
import { addCompletion } from './completion.js';
import { addCreate } from './create.js';
import { addDependence } from './dependence.js';
import { addDoctor } from './doctor.js';
import { addExport } from './export.js';
import { addGraph } from './graph.js';
import { addImport } from './import.js';
import { addInvalidate, addRevalidate } from './invalidate.js';
import { addInvalidations } from './invalidations.js';
import { addLineage } from './lineage.js';
import { ClosedPipe, printable, toJson } from './output.js';
import { addLookup, addMerge } from './merge.js';
import { addPrint } from './print.js';
import { addRecover } from './recover.js';
import { addSearch } from './search.js';
import { addServe } from './serve.js';
import { addStatement } from './statement.js';
import { addStats } from './stats.js';
import { addTail } from './tail.js';
import { addUpgrade } from './upgrade.js';
import { addVerify } from './verify.js';
import { addVersions } from './versions.js';
import { isWrongUsage } from './usage.js';

const EXIT_PROBLEM = 1;
const EXIT_USAGE = 2;

// What `call` prints is JSON in any case.
const json = process.argv.includes('--json') || process.argv[2] === 'call';

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
Errors are one line on stderr, "braid: CODE: message"; with --json it is {"error":{"code":…,"message":…}}. What is wrong in
an expression is shown under it. Output is coloured on a terminal, and not if NO_COLOR is set.

Example:
  $ braid stats run.db
`,
  );
const ADD = [
  addCreate,
  addPrint,
  addSearch,
  addTail,
  addStats,
  addLineage,
  addGraph,
  addVersions,
  addDependence,
  addStatement,
  addInvalidate,
  addRevalidate,
  addInvalidations,
  addExport,
  addImport,
  addUpgrade,
  addMerge,
  addLookup,
  addExtract,
  addPrune,
  addVerify,
  addRecover,
  addCall,
  addServe,
  addDoctor,
  addCompletion,
];
for (const add of ADD) add(program);

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
  if (error instanceof BraidSearchError) sayWhere(error);
  else if (error instanceof BraidError) say(error.code, error.message);
  else say('ERR_BRAID_INTERNAL', (error as Error).stack ?? String(error));
}

function say(code: string, message: string, more?: object): void {
  const line = message.trim().split(/\s*\n\s*/).join(' '); // prettier-ignore
  const text = json ? toJson({ error: { code, message: line, ...more } }) : `braid: ${code}: ${printable(line)}`;
  process.stderr.write(`${text}\n`);
}

/** With the expression below it, and a mark under the place. */
function sayWhere({ code, message, expression, position }: BraidSearchError): void {
  say(code, message, { position });
  if (json) return;
  const before = [...printable(expression.slice(0, position))].length;
  process.stderr.write(`  ${printable(expression)}\n  ${' '.repeat(before)}^\n`);
}
