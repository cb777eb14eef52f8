import { Option, type Command } from 'commander';
import type { MergeCounts, MergeReport, RecordOrigin } from '../index.js';
import { BraidError } from '../errors.js';
import { stopOnSignal } from './interrupt.js';
import { countText, dateText, plural, printable, writeJson, writeLines } from './output.js';
import { jsonOption } from './usage.js';

export function addMerge(program: Command): void {
  program
    .command('merge')
    .summary('bring databases into one: of a job array, of several machines')
    .description(
      'Brings databases into OUT, which is made if it is not there: all of them or, if something fails, none. What was merged before is ' +
        'not added again; what is new of it is. Records get new ids; braid lookup finds them by the old ones. A job may be recording meanwhile.',
    )
    .argument('<out>', 'database to bring them into')
    .argument('<in...>', 'databases to read')
    .addOption(
      new Option('--join-by <what>', 'models become one with the only model that has their name, or one of their URIs').choices(['name', 'uri']), // prettier-ignore
    )
    .option('--dry-run', 'say what would be added, and add nothing; it takes as long')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ braid merge all.db task-*.db\n  $ braid merge all.db site-a.db site-b.db --join-by name --dry-run\n',
    )
    .action(async (out: string, inputs: string[], { json, ...options }: MergeFlags) => {
      const { merge } = await import('../merge.js');
      const report = await stopOnSignal((signal, line) =>
        merge(out, inputs, {
          ...options,
          signal,
          onProgress: ({ input, inputs, path, table, done, total }) =>
            line.show(() => `${inputs > 1 ? `${input} of ${inputs}, ` : ''}${printable(path)}: ${progressText(table, done, total)}`), // prettier-ignore
        }),
      );
      if (report) await (json ? writeJson(report) : writeLines(mergedLines(report)));
    });
}

interface MergeFlags {
  joinBy?: 'name' | 'uri';
  dryRun?: boolean;
  json?: boolean;
}

function progressText(table: string, done: number, total: number): string {
  return total > 0 ? `${countText(done)} of ${countText(total)} ${table}` : table;
}

function* mergedLines(report: MergeReport): Iterable<string> {
  const { path, inputs, dryRun, joined, ambiguous } = report;
  const added = countsText(report);
  const from = plural(inputs.length, 'database');
  if (added === '') yield `nothing of ${from} is new to ${path}`;
  else yield dryRun ? `would add to ${path} of ${from}: ${added}` : `added to ${path} of ${from}: ${added}`;
  if (joined > 0) yield `${plural(joined, 'model')} joined to one that ${dryRun ? 'is' : 'was'} there`;
  if (ambiguous > 0)
    yield `${plural(ambiguous, 'model')} kept apart: of them, or of what they might become, there are several`;
}

/** "1 run, 1,200 records, 3 tags". */
export function countsText(counts: Partial<MergeCounts>): string {
  const names = { runs: 'run', records: 'record', versions: 'version', updates: 'update', derivations: 'derivation', uris: 'URI', tags: 'tag', invalidations: 'invalidation', revalidations: 'revalidation', actions: 'invalidation action', actionRuns: 'run of an action' }; // prettier-ignore
  return (Object.keys(names) as (keyof typeof names)[])
    .filter((name) => (counts[name] ?? 0) > 0)
    .map((name) =>
      name === 'actionRuns'
        ? plural(counts[name]!, names[name], 'runs of actions')
        : plural(counts[name]!, names[name]),
    )
    .join(', ');
}

export function addLookup(program: Command): void {
  program
    .command('lookup')
    .summary('find a merged record by the id that it had, or where it came from')
    .description(
      'Shows from which database, with which id, a record was merged; or, with --origin, which id it has here.',
    )
    .argument('<db>', 'database')
    .argument('[record]', 'a record: its id, or name:NAME')
    .option(
      '--origin <database:id>',
      'the record that is ID in DATABASE: a file, or the uuid of one, or its first digits',
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ braid lookup all.db 4711\n  $ braid lookup all.db --origin task-3.db:17\n  $ braid lookup all.db --origin 8861a738:17\n',
    )
    .action(async (path: string, record: string | undefined, { origin, json }: { origin?: string; json?: boolean }) => {
      if ((record === undefined) === (origin === undefined)) {
        throw new BraidError(
          'ERR_BRAID_OPTION_INVALID',
          'name a record of the database, or give --origin DATABASE:ID: one of both',
        );
      }
      const [{ BraidReader }, { findRecord }] = await Promise.all([
        import('../query/reader.js'),
        import('../query/find.js'),
      ]);
      const reader = BraidReader.open(path);
      try {
        const id = origin === undefined ? findRecord(reader, record!) : byOrigin(origin, path, (...args) => reader.byOrigin(...args)); // prettier-ignore
        const origins = reader.origins(id);
        const { name } = reader.record(id)!;
        await (json ? writeJson({ id, name, origins }) : writeLines(originLines(id, name, origins)));
      } finally {
        reader.close();
      }
    });
}

function byOrigin(text: string, path: string, find: (database: string, id: number) => number | undefined): number {
  const [, database, digits] = /^(.+):(\d+)$/s.exec(text) ?? [];
  if (database === undefined || !Number.isSafeInteger(Number(digits))) {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `--origin is DATABASE:ID, as task-3.db:17, and not '${text}'`);
  }
  const id = find(database, Number(digits));
  if (id !== undefined) return id;
  throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', `${path} has no record that is ${digits} in ${database}`);
}

function* originLines(id: number, name: string, origins: readonly RecordOrigin[]): Iterable<string> {
  yield `[${String(id).padStart(5)}] : ${printable(name)}`;
  if (origins.length === 0) yield '  recorded here';
  for (const { database, id, path, merged, joined, through } of origins) {
    const how = joined ? 'joined' : through ? 'merged from there' : 'merged';
    yield `  ${id} in ${printable(path)} (${database}), ${how} ${dateText(merged)}`;
  }
}
