import { verifyTables, type VerifyReport } from './query/verify.js';
import { remainsOf } from './inspection.js';

/**
 * Checks a database: its tables, as `verifyTables` does, and that nothing of its runs waits in spools, as far as can be told from this host.
 *
 * @throws BraidError ERR_BRAID_DB_NOT_FOUND, ERR_BRAID_DB_IS_DIRECTORY, ERR_BRAID_DB_NOT_SQLITE, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_NEWER
 */
export function verify(path: string): VerifyReport {
  const report = verifyTables(path);
  if (report.madeBy === 'braid-db') return report;
  report.checked.push({ check: 'spools', what: 'nothing of a run that has ended waits in spools' });
  const { waiting, unread } = remainsOf(path);
  for (const { run, attempt, ops } of waiting) {
    report.problems.push({
      check: 'spools',
      message: `${ops} ops of attempt ${attempt} of run ${run} wait in spools on this host: braid recover ${path}`,
      count: ops,
    });
  }
  for (const { run, attempt, why } of unread) {
    report.problems.push({ check: 'spools', message: `of attempt ${attempt} of run ${run} ${why}`, count: 1 });
  }
  return report;
}
