import type { Command } from 'commander';
import { bytesText } from '../bytes-text.js';
import type { Spread } from '../run-report.js';
import type { DatabaseStats, RecordingCost, RunDetails, RunStats } from '../stats.js';
import { countText, dateText, durationText, printable, tableLines, writeJson, writeLines } from './output.js';
import { jsonOption } from './usage.js';

/** What each rank has taken, under which title, and how it is written. */
const RANK_COSTS = [
  ['captureMs', 'CAPTURE', millisecondsText],
  ['sealMs', 'SEAL', millisecondsText],
  ['verdictMs', 'VERDICT', millisecondsText],
  ['blockedMs', 'BLOCKED', millisecondsText],
  ['peakSpoolBytes', 'PEAK SPOOL', bytesText],
] as const;

/** What the root has taken beside that. */
const ROOT_COSTS = [
  ['gatherMs', 'GATHER', millisecondsText],
  ['commitMs', 'COMMIT', millisecondsText],
  ['indexMs', 'INDEXES', millisecondsText],
  ['peakRoundBytes', 'PEAK ROUNDS', bytesText],
] as const;

export function addStats(program: Command): void {
  program
    .command('stats')
    .summary('show runs, what they recorded and what it cost')
    .description(
      'Shows the runs of a database and the sizes of its tables; with --run, one run by its ranks, and what recording cost ' +
        'them: capture is all recording calls of a rank, estimated by samples; seal is sealing frames; verdict is from coming to a flush ' +
        'until its verdict; blocked is what the program waited of that; gather, commit and indexes are on the root, beside the ' +
        'program. Of a run that was killed all is as of its last flush. SHARE is capture, seal and blocked of the rank with most of them in the wall time. ' +
        'Exit code 1: a run is RUNNING in the database and no rank of it is alive.',
    )
    .argument('<db>', 'database')
    .option('--run <run>', 'this run, rank by rank; the first digits of its id are enough')
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ braid stats run.db\n  $ braid stats run.db --run 83c3 --json\n')
    .action(async (path: string, { run, json }: { run?: string; json?: boolean }) => {
      const { databaseStats, runDetails } = await import('../stats.js');
      const stats = run === undefined ? databaseStats(path) : runDetails(path, run);
      const runs = 'runs' in stats ? stats.runs : [stats];
      if (runs.some(({ liveness }) => liveness === 'dead')) process.exitCode = 1;
      if (json) return writeJson(stats);
      return writeLines('runs' in stats ? await databaseLines(stats) : await runLines(path, stats));
    });
}

async function databaseLines({ path, madeBy, fileBytes, journalMode, tables, runs }: DatabaseStats): Promise<string[]> {
  const lines = [
    `${path}: ${bytesText(fileBytes)}, journal ${journalMode}${madeBy === 'braid-db' ? ', made by Braid-DB' : ''}`,
  ];
  lines.push(Object.entries(tables).map(([table, rows]) => `${table} ${countText(rows)}`).join('  ')); // prettier-ignore
  if (runs.length === 0) return [...lines, 'no runs'];
  const digits = distinctDigits(runs.map(({ id }) => id));
  const titles = ['RUN', 'NAME', 'STATUS', 'STARTED', 'RANKS', 'RECORDS', 'OPS', 'COMMITTED', 'BYTES', 'WALL', 'RECORDS/S', 'SHARE']; // prettier-ignore
  const rows = runs.map((run) => [
    run.id.slice(0, digits),
    run.name ?? '-',
    run.status + (run.attempts > 1 ? ` (attempt ${run.attempts})` : ''),
    dateText(run.started).slice(0, 19),
    run.size,
    run.records,
    run.recorded,
    run.committed,
    bytesText(run.bytes),
    run.seconds === undefined ? '-' : durationText(run.seconds),
    run.recordsPerSecond === undefined ? '-' : Math.round(run.recordsPerSecond),
    shareText(run.cost?.share),
  ]);
  lines.push('', ...(await tableLines(titles, rows)));
  if (runs.some(({ cost }) => cost)) {
    const titles = ['RUN', ...[...RANK_COSTS, ...ROOT_COSTS].map(([, title]) => title)];
    const rows = runs.map(({ id, cost }) => [
      id.slice(0, digits),
      ...RANK_COSTS.map(([name, , text]) => spreadText(cost?.[name], text)),
      ...ROOT_COSTS.map(([name, , text]) => orDash(cost?.[name], text)),
    ]);
    const which = runs.some(({ attempts }) => attempts > 1) ? ', of the last attempt of each run' : '';
    lines.push(
      '',
      `what recording cost${which}: least / median / most of the ranks; gather, commit, indexes and rounds of the root`,
    );
    lines.push(...(await tableLines(titles, rows)));
  }
  return [...lines, ...warnings(path, runs)];
}

async function runLines(path: string, run: RunDetails): Promise<string[]> {
  const { context, ranks, cost } = run;
  const several = run.attempts > 1;
  const facts: [string, string | undefined][] = [
    ['run', run.id],
    ['name', run.name],
    ['status', run.status + (run.attempts > 1 ? `, attempt ${run.attempts}` : '')],
    ['started', dateText(run.started)],
    ['ended', run.ended && dateText(run.ended)],
    ['wall time', run.seconds === undefined ? undefined : durationText(run.seconds)],
    [
      'records',
      countText(run.records) + (run.recordsPerSecond === undefined ? '' : `, ${countText(run.recordsPerSecond)}/s`),
    ],
    [
      'ops',
      `${countText(run.recorded)} recorded, ${countText(run.committed)} committed, ${bytesText(run.bytes)} of ops`,
    ],
    [
      'share',
      cost?.share === undefined
        ? undefined
        : `${shareText(cost.share)} of ${several ? `attempt ${cost.attempt}'s wall time, ${durationText(cost.seconds!)},` : 'the wall time'} went into recording, on the rank that it took most of`,
    ],
    ['command', Array.isArray(context.argv) ? context.argv.join(' ') : undefined],
    ['directory', text(context.cwd)],
    ['commit', text((context.git as { commit?: string } | undefined)?.commit)],
    ['MPI', text((context.mpi as { library?: string } | undefined)?.library)],
    ['node', text(context.node)],
  ];
  const lines = facts.flatMap(([name, value]) => (value ? [`${name.padEnd(10)} ${printable(value)}`] : []));
  const costTitles = RANK_COSTS.map(([, title]) => title);
  const titles = [...(several ? ['ATTEMPT'] : []), 'RANK', 'HOST', 'RECORDS', 'OPS', 'COMMITTED', 'BYTES', ...costTitles, 'SPOOL']; // prettier-ignore
  const rows = ranks.map((rank) => [
    ...(several ? [rank.attempt] : []),
    rank.rank,
    rank.host,
    rank.records,
    rank.recorded,
    rank.committed,
    bytesText(rank.bytes),
    ...RANK_COSTS.map(([name, , text]) => orDash(rank[name], text)),
    rank.spool,
  ]);
  if (cost) lines.push('', ...(several ? [`what attempt ${cost.attempt} cost`] : []), ...(await costLines(cost)));
  return [...lines, '', ...(await tableLines(titles, rows)), ...warnings(path, [run])];
}

/** A line for each thing that recording takes. */
function costLines(cost: RecordingCost): Promise<string[]> {
  const ofRanks = (title: string, spread: Spread | undefined, text: (value: number) => string) => [
    title.toLowerCase(),
    ...(['min', 'median', 'max'] as const).map((each) => orDash(spread?.[each], text)),
    '',
  ];
  return tableLines(
    ['COST', 'MIN', 'MEDIAN', 'MAX', 'ROOT'],
    [
      ofRanks('OPS', cost.ops, countText),
      ofRanks('BYTES', cost.bytes, bytesText),
      ...RANK_COSTS.map(([name, title, text]) => ofRanks(title, cost[name], text)),
      ...ROOT_COSTS.map(([name, title, text]) => [title.toLowerCase(), '', '', '', orDash(cost[name], text)]),
    ],
  );
}

function warnings(path: string, runs: readonly RunStats[]): string[] {
  const lines = runs.flatMap(({ id, liveness, waitingOps }) => {
    if (liveness === 'elsewhere') return [`run ${id} runs on another host, or died there: ask braid stats there`];
    if (liveness !== 'dead') return [];
    const waiting = waitingOps ? ` (${countText(waitingOps)} ops wait in spools)` : '';
    return [`run ${id}: no rank of it is alive${waiting}: braid recover ${path}`];
  });
  return lines.length > 0 ? ['', ...lines] : [];
}

/** So many first digits as tell all runs apart, and not fewer than a person would type. */
function distinctDigits(ids: readonly string[]): number {
  for (let digits = 8; digits < 32; digits++) {
    if (new Set(ids.map((id) => id.slice(0, digits))).size === ids.length) return digits;
  }
  return 32;
}

function spreadText(spread: Spread | undefined, text: (value: number) => string): string {
  if (!spread) return '-';
  const { min, median, max } = spread;
  return min === max ? text(max) : [min, median, max].map(text).join(' / ');
}

function orDash(value: number | undefined, text: (value: number) => string): string {
  return value === undefined ? '-' : text(value);
}

function millisecondsText(ms: number): string {
  return ms < 10 ? `${ms.toFixed(2)} ms` : durationText(ms / 1000);
}

function shareText(share: number | undefined): string {
  return share === undefined ? '-' : `${(share * 100).toFixed(2)} %`;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
