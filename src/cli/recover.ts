import { constants } from 'node:os';
import type { Command } from 'commander';
import { bytesText } from '../bytes-text.js';
import type { RecoverProgress } from '../recover.js';
import type { LeftAlone, RecoverReport, RecoveredAttempt } from '../recovery-report.js';
import { plural, printable, writeJson, writeLines } from './output.js';
import { ProgressLine } from './progress.js';
import { fullRunId } from './run-id.js';
import { jsonOption } from './usage.js';

interface Options {
  spool: string[];
  dryRun?: boolean;
  assumeDead?: string;
  mpi?: boolean;
  json?: boolean;
}

/** What lives, or is somebody else's, is in order; what of this database can't be brought in is not. */
const IN_ORDER = new Set<LeftAlone['reason']>(['alive', 'busy', 'other-database']);

export function addRecover(program: Command): void {
  program
    .command('recover')
    .summary('bring in what dead runs have left in spools')
    .description(
      'Brings into the database what dead runs have left in spools on this host (with --mpi: on all hosts of the job), each op once, ' +
        'and ends those runs. The next open of the database does the same by itself. Runs that live are left alone, and so are those of other hosts. ' +
        'Exit code 1: something was lost, or is of this database and could not be brought in from here.',
    )
    .argument('<db>', 'database; it must exist')
    .option('--spool <dir>', 'look here, too; can be given more than once', (dir, all: string[]) => [...all, dir], [])
    .option('--dry-run', 'only say what would be done; nothing is written')
    .option('--assume-dead <run>', 'this run is dead, though its host can not be asked')
    .option('--mpi', 'look on every host of the MPI job that runs this')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ braid recover run.db --spool /scratch/braid-spool --dry-run\n  $ srun --ntasks-per-node=1 braid recover run.db --mpi\n',
    )
    .action(async (path: string, { spool, dryRun, assumeDead, mpi, json }: Options) => {
      const { recover } = await import('../recover.js');
      // The root speaks for all, and gives the job its exit code: another's could end the job before the root has spoken.
      if (mpi && !(await isRoot())) {
        await recover(path, { mpi, spoolDirs: spool, dryRun }).catch(() => {});
        return;
      }
      const progress = new ProgressLine();
      const interrupted = () => {
        progress.clear();
        process.stderr.write(
          'braid: interrupted. Nothing is lost: what is not yet in the database is still in the spools; run the same again\n',
        );
        process.exit(128 + constants.signals.SIGINT);
      };
      process.once('SIGINT', interrupted);
      let report: RecoverReport;
      try {
        report = await recover(path, {
          mpi,
          spoolDirs: spool,
          dryRun,
          assumeDead: assumeDead === undefined ? undefined : await fullRunId(path, assumeDead),
          onProgress: (event) => progress.show(() => progressText(event)),
        });
      } finally {
        process.off('SIGINT', interrupted);
        progress.clear();
      }
      if (report.attempts.some(({ lost }) => lost.length > 0)) process.exitCode = 1;
      if (report.left.some(({ reason }) => !IN_ORDER.has(reason))) process.exitCode = 1;
      await (json ? writeJson(report) : writeLines(textLines(report)));
    });
}

async function isRoot(): Promise<boolean> {
  const { MPI } = await import('../comm/mpi.js');
  return MPI.COMM_WORLD.rank === 0;
}

function progressText({ phase, file, bytes = 0, totalBytes = 0 }: RecoverProgress): string {
  if (phase === 'scan') return `reading ${printable(file!)}`;
  return `committing: ${bytesText(bytes)} of ${bytesText(totalBytes)} (${Math.floor((100 * bytes) / totalBytes)} %)`;
}

function* textLines(report: RecoverReport): Iterable<string> {
  const { path, dryRun, attempts, ops, records, left, directories, invalidated = 0 } = report;
  for (const attempt of attempts) {
    yield attemptText(attempt);
    for (const file of attempt.kept) yield `  kept: ${printable(file)}`;
    for (const { rank, frame, reason } of attempt.lost) {
      yield `  lost of rank ${rank}: ${frame === undefined ? '' : `frame ${frame}, `}${printable(reason)}`;
    }
  }
  for (const { file, why, run } of left) yield `left alone: ${printable(file ?? `run ${run}`)}: ${printable(why)}`;
  if (invalidated > 0) {
    yield `Braid-DB has written to ${path}: ${plural(invalidated, 'record')} that derive from what is invalid are now, too`;
  }
  if (attempts.length > 0) {
    const what = `${plural(ops, 'op')} (${plural(records, 'record')}) of ${plural(attempts.length, 'dead run')}`;
    yield dryRun ? `would bring ${what} into ${path}` : `brought ${what} into ${path}`;
    return;
  }
  const where = directories.length === 0 ? 'no spools are there' : `looked in ${directories.map(printable).join(', ')}`;
  yield `nothing to recover: ${where}`;
}

function attemptText({ run, attempt, status, files, ops, records }: RecoveredAttempt): string {
  const which = `run ${run}${attempt === 1 ? '' : ` attempt ${attempt}`}`;
  if (files.length === 0) return `${which}: ${status}; it left no spool here, all it flushed is committed`;
  return `${which}: ${status}; ${plural(ops, 'op')} (${plural(records, 'record')}) in ${plural(files.length, 'spool')}`;
}
