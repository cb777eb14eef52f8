import { verifyTables, type VerifyReport } from './query/verify.js';
import { waitingAttempts } from './recover.js';

/**
 * Checks a database: its tables, as `verifyTables` does, and that nothing of its runs waits in spools on this host.
 *
 * @throws BraidError ERR_BRAID_DB_NOT_FOUND, ERR_BRAID_DB_IS_DIRECTORY, ERR_BRAID_DB_NOT_SQLITE, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_NEWER
 */
export function verify(path: string): VerifyReport {
  const report = verifyTables(path);
  if (report.madeBy === 'braid-db') return report;
  report.checked.push({ check: 'spools', what: 'nothing of a run that has ended waits in spools here' });
  for (const { run, attempt, ops } of waitingAttempts(path)) {
    report.problems.push({
      check: 'spools',
      message: `${ops} ops of attempt ${attempt} of run ${run} wait in spools on this host: braid recover ${path}`,
      count: ops,
    });
  }
  return report;
}
