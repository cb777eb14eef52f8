import { closeSync, openSync, readSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { BraidError } from '../errors.js';
import type { Statement, StatementCheck } from '../query/reader.js';
import { printable, styled, toJson, writeJson, writeLines } from './output.js';
import { jsonOption, NODE_HELP, wholeNumber } from './usage.js';
import { writeFile } from './write-file.js';

interface Options {
  format?: 'text' | 'markdown' | 'json';
  json?: boolean;
  limit?: number;
  output?: string;
}

/** Larger than any statement: it is not read to its end. */
const MOST_BYTES = 64 * 2 ** 20;

export function addStatement(program: Command): void {
  program
    .command('statement')
    .summary('say in plain words what a record or a version is, and what supports that')
    .description(
      'States what a record or a version of a model is, what it was trained on or derived from, back to facts, what software ' +
        'made it, whether anything of that is invalid and why, and what is known to be missing. The short answer comes first. ' +
        'As JSON each sentence has the ids that support it, and braid check-statement holds it against a database.',
    )
    .argument('<db>', 'database')
    .argument('<record>', 'a record or a version, see below')
    .addOption(new Option('--format <format>', 'how to write it').choices(['text', 'markdown', 'json']).default('text'))
    .addOption(jsonOption('the same as --format json'))
    .option('--limit <n>', 'how many records a sentence lists', wholeNumber, 10)
    .option('-o, --output <file>', 'write it to this file')
    .addHelpText(
      'after',
      `${NODE_HELP}\nExamples:\n  $ braid statement run.db name:braggnn@3\n  $ braid statement run.db name:braggnn --json -o braggnn.json\n`,
    )
    .action(async (path: string, text: string, { format, json, limit, output }: Options) => {
      const { BraidReader, statementMarkdown, statementText } = await import('../query/reader.js');
      const reader = BraidReader.open(path);
      let statement: Statement;
      try {
        statement = reader.statement(text, { limit });
      } finally {
        reader.close();
      }
      const written =
        json || format === 'json'
          ? `${toJson(statement, 2)}\n`
          : format === 'markdown'
            ? statementMarkdown(statement)
            : statementText(statement);
      if (output === undefined) await writeLines(written.trimEnd().split('\n'));
      else await writeFile(output, written);
    });

  program
    .command('check-statement')
    .summary('hold a saved statement against a database')
    .description(
      'Checks each sentence of a statement that braid statement has written as JSON. Exit code 0: it holds; 1: it no longer ' +
        'holds, or leaves something out.',
    )
    .argument('<db>', 'database')
    .argument('<file>', 'a statement as JSON')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ braid check-statement run.db braggnn.json\n')
    .action(async (path: string, file: string, { json }: { json?: boolean }) => {
      const { BraidReader, checkStatement } = await import('../query/reader.js');
      const saved = read(file);
      const reader = BraidReader.open(path);
      let check: StatementCheck;
      try {
        check = checkStatement(reader, saved);
      } finally {
        reader.close();
      }
      if (!check.holds) process.exitCode = 1;
      await (json ? writeJson(check) : writeLines(checkLines(check)));
    });
}

function* checkLines({ holds, database, sentences, leftOut }: StatementCheck): Iterable<string> {
  for (const { text, holds, why, now } of sentences) {
    yield `${holds ? styled('good', 'holds ') : styled('bad', 'FAILS ')}  ${printable(text)}`;
    if (why !== undefined) yield `        - ${printable(why)}${now === undefined ? '' : `; now: ${printable(now)}`}`;
  }
  for (const { text } of leftOut) yield `${styled('bad', 'LACKS ')}  ${printable(text)}`;
  if (database.stated !== database.checked) {
    yield `it was made from database ${database.stated ?? 'of Braid-DB'}, and this is ${database.checked ?? 'one of Braid-DB'}`;
  }
  yield holds ? 'the statement holds' : 'the statement does not hold';
}

function read(file: string): string {
  try {
    const fd = openSync(file, 'r');
    try {
      const bytes = Buffer.allocUnsafe(MOST_BYTES + 1);
      let size = 0;
      for (let read = 1; read > 0 && size < bytes.length; size += read)
        read = readSync(fd, bytes, size, bytes.length - size, null);
      if (size <= MOST_BYTES) return bytes.toString('utf8', 0, size);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new BraidError('ERR_BRAID_STATEMENT_INVALID', `${file} can't be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  throw new BraidError('ERR_BRAID_STATEMENT_INVALID', `${file} is larger than any statement`);
}
