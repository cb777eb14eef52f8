import type { Command } from 'commander';
import type { BraidReader, Difference, LineageRow } from '../query/reader.js';
import { nodeLine, rowLine } from './node-text.js';
import { toJson, writeJson, writeLines } from './output.js';
import { jsonOption, NODE_HELP } from './usage.js';

interface Options {
  json?: boolean;
}

/** Where two have diverged, and one has seen all that the other has. */
const NOTHING = '  nothing';

/** Commands on how two things depend on each other. */
export function addDependence(program: Command): void {
  program
    .command('why')
    .summary('show why one thing depends on another')
    .description(
      'Shows one shortest chain of evidence between two records or versions, whichever of them comes from the other; over ' +
        'nothing that is only inferred, if there is such a chain.',
    )
    .argument('<db>', 'database')
    .argument('<a>', 'a record or a version, see below')
    .argument('<b>', 'another')
    .addOption(jsonOption('print one JSON document; null where neither comes from the other'))
    .addHelpText('after', `${NODE_HELP}\nExample:\n  $ braid why run.db name:peaks-1 name:beamline\n`)
    .action((path: string, a: string, b: string, { json }: Options) =>
      reading(path, async (reader) => {
        const why = reader.why(a, b);
        if (json) return writeJson(why ?? null);
        if (!why) return writeLines([`neither of ${a} and ${b} comes from the other`]);
        const { steps } = why;
        await writeLines(steps.length === 1 ? [`${steps[0].text} is one and the same`] : steps.slice(1).map(({ text }) => text)); // prettier-ignore
      }),
    );

  program
    .command('common')
    .summary('show what two things both depend on')
    .description(
      'Lists the nearest of what two records or versions both come from: what is reached from each by a way over nothing else ' +
        'that they share; and, where that is only inferred, the nearest that they certainly share, too. Numbers are steps from the first and from the second.',
    )
    .argument('<db>', 'database')
    .argument('<a>', 'a record or a version, see below')
    .argument('<b>', 'another')
    .addOption(jsonOption('print one JSON object a line'))
    .addHelpText('after', `${NODE_HELP}\nExample:\n  $ braid common run.db name:peaks-0 name:peaks-1\n`)
    .action((path: string, a: string, b: string, { json }: Options) =>
      reading(path, async (reader) => {
        const rows = reader.common(a, b);
        if (json) return writeLines(rows.map((row) => toJson(row)));
        if (rows.length === 0) return writeLines([`${a} and ${b} have nothing in common`]);
        await writeLines(rows.map((row) => `${row.depths.map((depth) => String(depth).padStart(3)).join('')}  ${nodeLine(row)}`)); // prettier-ignore
      }),
    );

  program
    .command('diff')
    .summary('show what a version has seen that another had not')
    .description(
      'Lists what the later of two versions of a model comes from, and the earlier one does not, the nearest first. Which is ' +
        'the later one is told by lineage: it comes from the other. Where neither does, they have diverged: what each has seen ' +
        'that the other had not is listed, and the later one is that of the higher number, or the younger one.',
    )
    .argument('<db>', 'database')
    .argument('<a>', 'a version, see below')
    .argument('<b>', 'another')
    .addOption(
      jsonOption(
        'print one JSON object a line: the earlier, the later, what only the later one has seen; and what only the earlier ' +
          'one has, where they have diverged',
      ),
    )
    .addHelpText('after', `${NODE_HELP}\nExample:\n  $ braid diff run.db name:braggnn@3 name:braggnn@7\n`)
    .action((path: string, a: string, b: string, { json }: Options) =>
      reading(path, async (reader) => {
        const difference = reader.diff(a, b);
        if (json) return writeLines(jsonLines(difference));
        const { earlier, later, rows, earlierRows } = difference;
        const head = [`earlier  ${nodeLine(earlier)}`, `later    ${nodeLine(later)}`];
        if (!earlierRows) {
          const none = sameNode(earlier, later) ? 'they are the same' : 'the later one has seen nothing that the earlier one had not'; // prettier-ignore
          return writeLines(lines(head, rows, none));
        }
        await writeLines(lines([...head, 'they have diverged; only the later one has seen:'], rows, NOTHING));
        await writeLines(lines(['only the earlier one has seen:'], earlierRows, NOTHING));
      }),
    );
}

async function reading(path: string, use: (reader: BraidReader) => Promise<void>): Promise<void> {
  const { BraidReader } = await import('../query/reader.js');
  const reader = BraidReader.open(path);
  try {
    await use(reader);
  } finally {
    reader.close();
  }
}

function sameNode(a: LineageRow, b: LineageRow): boolean {
  return a.id === b.id && a.key === b.key;
}

function* jsonLines({ earlier, later, rows, earlierRows }: Difference): Iterable<string> {
  yield toJson({ role: 'earlier', ...earlier });
  yield toJson({ role: 'later', ...later });
  for (const row of rows) yield toJson({ role: 'seen', ...row });
  for (const row of earlierRows ?? []) yield toJson({ role: 'seen-by-earlier', ...row });
}

/** @param none what is said where there is no row. */
function* lines(head: readonly string[], rows: Iterable<LineageRow>, none: string): Iterable<string> {
  yield* head;
  let some = false;
  for (const row of rows) {
    some = true;
    yield rowLine(row);
  }
  if (!some) yield none;
}
