import type { Command } from 'commander';
import { BraidError } from '../errors.js';
import type { ActionResult, InvalidateReport, RevalidateReport } from '../index.js';
import type { Tags } from '../record/tags.js';
import { rowLine } from './node-text.js';
import { countText, plural, printable, styled, toJson, writeJson, writeLines } from './output.js';
import { jsonOption, NODE_HELP, tagArgument, wholeNumber } from './usage.js';

interface Which {
  tag?: Tags;
  json?: boolean;
}

interface InvalidateFlags extends Which {
  cause: string;
  cascade: boolean;
  dryRun?: boolean;
  runActions?: boolean;
  retryActions?: boolean;
  allowUrl?: string[];
  timeout?: number;
}

interface RevalidateFlags extends Which {
  reason: string;
}

const RECORDS = 'records or versions, see below';
const TAG =
  'all records and versions that have this tag, by value and type; given again, with another key, all of these tags';

export function addInvalidate(program: Command): void {
  program
    .command('invalidate')
    .summary('say that records or versions are wrong, and all that derives from them')
    .description(
      'Invalidates records, or versions of models, and all that derives from them as braid lineage --down shows it: what a model ' +
        'made before it learnt what is wrong stays valid. What is invalid already keeps its first cause. A job may be recording meanwhile.',
    )
    .argument('<db>', 'database')
    .argument('[records...]', RECORDS)
    .requiredOption('--cause <text>', 'why they are wrong')
    .option('--no-cascade', 'not what derives from them')
    .option('--dry-run', 'list what would become invalid, and write nothing')
    .option('--tag <key=value>', TAG, tagArgument)
    .option('--run-actions', 'carry out the invalidation actions that are due: of what was invalid already, too')
    .option('--retry-actions', 'the same, and again those that are not known to have succeeded')
    .option(
      '--allow-url <url>',
      'actions may send events to what begins so; may be given again (else BRAID_ACTION_URLS)',
      collected,
    )
    .option('--timeout <seconds>', 'how long each action may take; 60 if left out', wholeNumber)
    .addOption(jsonOption('print one JSON document; of a dry run one JSON object a line, for each record and version'))
    .addHelpText(
      'after',
      `${NODE_HELP}
Examples:
  $ braid invalidate run.db name:scan-17 --cause "detector was misaligned" --dry-run
  $ braid invalidate run.db name:braggnn@step=12 --cause "learning rate too high"
  $ braid invalidate run.db --tag detector=2 --cause "dead pixels" --run-actions
`,
    )
    .action(async (path: string, records: string[], flags: InvalidateFlags) => {
      const { cause, cascade, json } = flags;
      const what = chosen(records, flags);
      if (flags.dryRun) return dryRun(path, what, cascade, json);
      const { invalidate } = await import('../invalidate.js');
      const stop = new AbortController();
      const onSignal = () => stop.abort();
      const runActions = flags.retryActions ? 'retry' : (flags.runActions ?? false);
      if (runActions) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
      const report = await invalidate(path, what, {
        cause,
        cascade,
        runActions,
        actionUrls: flags.allowUrl,
        actionTimeoutMs: flags.timeout === undefined ? undefined : flags.timeout * 1000,
        signal: stop.signal,
      });
      if (report.actions.some(({ outcome }) => outcome !== 'succeeded')) process.exitCode = 1;
      await (json ? writeJson(report) : writeLines(reportLines(report)));
    });
}

export function addRevalidate(program: Command): void {
  program
    .command('revalidate')
    .summary('take an invalidation back')
    .description(
      'Takes back what was said against records or versions themselves. What is invalid for nothing else is valid again; that it ' +
        'was invalid, and why it is not any more, stays in the database.',
    )
    .argument('<db>', 'database')
    .argument('[records...]', RECORDS)
    .requiredOption('--reason <text>', 'why they are right after all')
    .option('--tag <key=value>', TAG, tagArgument)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `${NODE_HELP}\nExample:\n  $ braid revalidate run.db name:scan-17 --reason "it was the other detector"\n`,
    )
    .action(async (path: string, records: string[], flags: RevalidateFlags) => {
      const what = chosen(records, flags);
      const { revalidate } = await import('../invalidate.js');
      const report = revalidate(path, what, { reason: flags.reason });
      await (flags.json ? writeJson(report) : writeLines([revalidatedLine(report)]));
    });
}

function collected(text: string, before: string[] = []): string[] {
  return [...before, text];
}

function chosen(records: string[], { tag }: Which): string[] | { tag: Tags } {
  if (tag === undefined && records.length > 0) return records;
  if (tag !== undefined && records.length === 0) return { tag };
  throw new BraidError('ERR_BRAID_OPTION_INVALID', 'name records, or choose them by --tag KEY=VALUE: one of both');
}

async function dryRun(
  path: string,
  what: string[] | { tag: Tags },
  cascade: boolean,
  json: boolean | undefined,
): Promise<void> {
  const [{ BraidReader }, { nodesOf }] = await Promise.all([import('../query/reader.js'), import('../invalidate.js')]);
  const reader = BraidReader.open(path);
  try {
    const nodes = nodesOf(reader, what);
    let count = 0;
    const lines = function* () {
      for (const row of reader.affected(nodes, { cascade })) {
        count++;
        yield json ? toJson(row) : rowLine(row);
      }
      if (!json)
        yield count === 0
          ? 'nothing would become invalid'
          : `${plural(count, 'record or version', 'records and versions')} would become invalid`;
    };
    await writeLines(lines());
  } finally {
    reader.close();
  }
}

function* reportLines({ records, versions, inferred, actions }: InvalidateReport): Iterable<string> {
  yield records + versions === 0
    ? 'nothing has become invalid: it was already'
    : `${counted(records, versions)} ${records + versions === 1 ? 'has' : 'have'} become invalid` +
      (inferred > 0 ? `, ${countText(inferred)} of them inferred` : '');
  for (const action of actions) yield* actionLines(action);
}

function revalidatedLine({ records, versions }: RevalidateReport): string {
  return records + versions === 0
    ? 'taken back; what it had reached is invalid for other causes, too'
    : `${counted(records, versions)} ${records + versions === 1 ? 'is' : 'are'} valid again`;
}

/** "2 records and 1 version", without what there is none of. */
function counted(records: number, versions: number): string {
  const counts = [records > 0 ? [plural(records, 'record')] : [], versions > 0 ? [plural(versions, 'version')] : []];
  return counts.flat().join(' and ');
}

/** How much of what an action has put out is shown; --json has all that is kept. */
const SHOWN_LINES = 10;
const SHOWN_CHARS = 200;

/** What came of an action, and the beginning of what it has put out. */
export function* actionLines({
  record,
  name,
  outcome,
  status,
  output,
}: Pick<ActionResult, 'record' | 'name' | 'status' | 'output'> & { outcome: string }): Iterable<string> {
  const good = outcome === 'succeeded';
  const came = styled(good ? 'good' : 'bad', outcome) + (status === undefined ? '' : ` (${status})`);
  const lines = output.trimEnd().split(/\r?\n/).filter((line) => line !== ''); // prettier-ignore
  const [only] = lines;
  const head = `  action ${printable(name)} of [${record}]: ${came}`;
  if (lines.length === 0) yield head;
  else if (lines.length === 1) yield `${head}  ${shortened(only)}`;
  else {
    yield head;
    for (const line of lines.slice(0, SHOWN_LINES)) yield `    ${shortened(line)}`;
    const more = lines.length - SHOWN_LINES;
    if (more > 0) yield `    … ${plural(more, 'more line')}: --json shows all that is kept`;
  }
}

function shortened(line: string): string {
  const text = printable(line);
  const chars = [...text.slice(0, 2 * SHOWN_CHARS + 1)];
  return chars.length <= SHOWN_CHARS ? text : `${chars.slice(0, SHOWN_CHARS).join('')}…`;
}
