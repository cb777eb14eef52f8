import type { Command } from 'commander';
import { bytesText } from '../bytes-text.js';
import type { CaptureStats, DatabaseStats, RunDetails, RunStats } from '../stats.js';
import { countText, dateText, durationText, printable, tableLines, writeJson, writeLines } from './output.js';
import { jsonOption } from './usage.js';

export function addStats(program: Command): void {
  program
    .command('stats')
    .summary('show runs, what they recorded and what it cost')
    .description(
      'Shows the runs of a database and the sizes of its tables; with --run, one run by its ranks. CAPTURE is what all ' +
        'recording calls of a rank took (the least, the median and the most of all ranks), SHARE the most of it in the wall time. ' +
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
  const titles = ['RUN', 'NAME', 'STATUS', 'STARTED', 'RANKS', 'RECORDS', 'OPS', 'COMMITTED', 'BYTES', 'WALL', 'RECORDS/S', 'CAPTURE', 'SHARE']; // prettier-ignore
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
    run.capture ? captureText(run.capture) : '-',
    run.capture ? shareText(run.capture.share) : '-',
  ]);
  return [...lines, '', ...(await tableLines(titles, rows)), ...warnings(path, runs)];
}

async function runLines(path: string, run: RunDetails): Promise<string[]> {
  const { context, ranks } = run;
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
      'capture',
      run.capture &&
        `${captureText(run.capture)} (least / median / most), ${shareText(run.capture.share)} of the wall time`,
    ],
    ['command', Array.isArray(context.argv) ? context.argv.join(' ') : undefined],
    ['directory', text(context.cwd)],
    ['commit', text((context.git as { commit?: string } | undefined)?.commit)],
    ['MPI', text((context.mpi as { library?: string } | undefined)?.library)],
    ['node', text(context.node)],
  ];
  const lines = facts.flatMap(([name, value]) => (value ? [`${name.padEnd(10)} ${printable(value)}`] : []));
  const several = run.attempts > 1;
  const titles = [...(several ? ['ATTEMPT'] : []), 'RANK', 'HOST', 'RECORDS', 'OPS', 'COMMITTED', 'CAPTURE', 'SPOOL'];
  const rows = ranks.map((rank) => [
    ...(several ? [rank.attempt] : []),
    rank.rank,
    rank.host,
    rank.records,
    rank.recorded,
    rank.committed,
    rank.captureMs === undefined ? '-' : millisecondsText(rank.captureMs),
    rank.spool,
  ]);
  return [...lines, '', ...(await tableLines(titles, rows)), ...warnings(path, [run])];
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

function captureText({ minMs, medianMs, maxMs }: CaptureStats): string {
  if (minMs === maxMs) return millisecondsText(maxMs);
  return [minMs, medianMs, maxMs].map(millisecondsText).join(' / ');
}

function millisecondsText(ms: number): string {
  return ms < 10 ? `${ms.toFixed(2)} ms` : durationText(ms / 1000);
}

function shareText(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
