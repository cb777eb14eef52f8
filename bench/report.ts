/** What a person reads: a table, and a Markdown document with plots, of results alone. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { holds, interval, isConfident, spread, targetText } from './figures.js';
import { valuesOf, type ComparisonResult, type Results, type TrialResult } from './results.js';

export const TITLES = ['trial', 'what', 'this', 'against', 'that', 'compared', 'target', ''];

export function rowsOf({ trials }: Results): string[][] {
  return trials.flatMap((trial) =>
    trial.comparisons.filter(({ of }) => of.figures.length > 0).map((comparison) => rowOf(trial, comparison)),
  );
}

function rowOf({ name, repeats, failed }: TrialResult, comparison: ComparisonResult): string[] {
  const { title, unit, of, to, target } = comparison;
  return [
    failed === undefined ? name : `${name} (failed after ${repeats})`,
    title,
    `${spread(of.figures)} ${unit}`,
    to?.title ?? '',
    to ? `${spread(to.figures)} ${unit}` : '',
    to ? comparedText(comparison) : '',
    target ? targetText(target, unit, to !== undefined) : '',
    target ? (holds(valuesOf(comparison), target) ? 'held' : 'missed') : '',
  ];
}

function comparedText(comparison: ComparisonResult): string {
  const { target, unit } = comparison;
  const values = valuesOf(comparison);
  if (!target || !('atMost' in target)) return `${spread(values)} ×`;
  if (typeof target.atMost === 'object') return `that × ${target.atMost.times} + ${spread(values)} ${unit}`;
  if (!isConfident(target)) return `${spread(values)} ×`;
  const ends = interval(values).map((end) => (Number.isFinite(end) ? end.toFixed(4) : '?'));
  return `${spread(values)} ×, mean within ${ends.join(' to ')}`;
}

/** A line for each target that isn't held. */
export function missed({ trials }: Results): string[] {
  return trials.flatMap(({ name, comparisons }) =>
    comparisons
      .filter((each) => each.target && each.of.figures.length > 0 && !holds(valuesOf(each), each.target))
      .map((each) => {
        const demanded = targetText(each.target!, each.unit, each.to !== undefined);
        return `${name}: ${each.title}: ${demanded} was demanded, and it is ${spread(valuesOf(each))}`;
      }),
  );
}

/** Writes report.md and its plots. Returns the files. */
export async function writeReport(results: Results, directory: string): Promise<string[]> {
  // Only now: the library that draws is a large one.
  const { plots } = await import('./plots.js');
  mkdirSync(directory, { recursive: true });
  const drawn = plots(results);
  const write = (name: string, text: string) => {
    const file = join(directory, name);
    writeFileSync(file, text);
    return file;
  };
  return [...drawn.map(({ name, svg }) => write(`${name}.svg`, svg)), write('report.md', markdown(results, drawn))];
}

function markdown(results: Results, drawn: readonly { name: string; title: string }[]): string {
  const { machine, trials, leftOut } = results;
  const failures = trials.filter(({ failed }) => failed !== undefined);
  const parts = [
    '# Measured',
    `By \`${results.command}\` at commit ${results.commit}, ${results.started.slice(0, 10)}, in ${Math.round(results.seconds)} s.`,
    'Medians, and from the lowest to the highest. Each side was run in fresh processes, the sides in turn; what is compared is ' +
      'compared within a repeat.',
    tableOf(
      ['machine', ''],
      [
        ['CPU', `${machine.cpu}, ${machine.cores} cores`],
        ['memory', `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`],
        ['kernel', machine.kernel],
        ['MPI', machine.mpi],
        ['Node.js', machine.node],
        ['SQLite', `${machine.sqlite} (better-sqlite3 ${machine.betterSqlite3})`],
        ['file system', machine.fileSystem],
        ['load before', machine.loadAverage.toFixed(2)],
      ],
    ),
    ...(results.interrupted ? ['**Interrupted:** these results are partial.'] : []),
    ...(failures.length > 0 ? [`**Partial:** ${failures.map(({ name }) => name).join('; ')} failed.`] : []),
    tableOf(TITLES, rowsOf(results)),
    ...drawn.map(({ name, title }) => `![${title}](${name}.svg)`),
    ...(leftOut.length > 0 ? [['Left out:', ...leftOut.map(({ name, because }) => `- ${name}: ${because}`)]] : []).map(
      ([first, ...items]) => `${first}\n\n${items.join('\n')}`,
    ),
  ];
  return `${parts.join('\n\n')}\n`;
}

function tableOf(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}
