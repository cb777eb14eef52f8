import { resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { BraidError } from './errors.js';
import { host } from './host.js';
import { Leftovers, isEmpty, type SpoolReport } from './leftovers.js';
import { parseOptions } from './options.js';
import { braidDbUuid } from './query/braid-db-uuid.js';
import { readDatabase } from './query/open.js';
import { deadAttempts, scansOf, type DeadAttempt } from './recovery.js';
import { elsewhere, type Findings, type LeftAlone } from './recovery-report.js';
import { leftoverDirectories } from './spool/directories.js';
import { checkSchema, databaseKind } from './store/schema.js';
import { attemptState, openAttempts, type AttemptState, type OpenAttempt } from './store/ledger.js';

/** What a database says before the spools are looked at. */
export interface Survey {
  readonly database: string;
  /** A run that begins afterwards isn't among them: it would be missed among the spools, too. */
  readonly open: readonly OpenAttempt[];
}

export function survey(path: string, assumeDead: string | undefined): Survey {
  return readDatabase(path, (db) => {
    const kind = databaseKind(db);
    // Who was killed while it wrote to it has left a transaction, and no spools.
    if (kind === 'braid-db') return { database: braidDbUuid(db) ?? '', open: [] };
    const database = checkSchema(db, kind);
    if (assumeDead !== undefined) checkRun(db, assumeDead);
    return { database, open: openAttempts(db) };
  });
}

export function findingsOf(
  path: string,
  { database, open }: Survey,
  reports: readonly SpoolReport[],
  hosts: readonly string[],
  assumeDead: string | undefined,
): Findings {
  return readDatabase(path, (db) => {
    const states: Record<string, AttemptState | undefined> = {};
    for (const { run, attempt, database: of } of reports) {
      if (run && attempt && of === database) states[`${run}.${attempt}`] ??= attemptState(db, run, attempt);
    }
    for (const { run, attempt } of open) states[`${run}.${attempt}`] ??= attemptState(db, run, attempt);
    const found = deadAttempts(reports, { hosts, open, assumeDead });
    const known = ({ run, attempt }: DeadAttempt) => states[`${run}.${attempt}`];
    const dead = found.filter(known);
    const empty = found.filter((each) => !known(each) && each.spools.every(isEmpty));
    return { dead, empty, states };
  });
}

/** What there is to recover for a database on this host. Until `leftovers.release()` nobody else can recover it. */
export interface Inspection extends Findings {
  readonly path: string;
  readonly database: string;
  readonly open: readonly OpenAttempt[];
  readonly leftovers: Leftovers;
}

/** Looks at a database and the spools on this host, and changes nothing; the dead ones are held against recoveries. */
export function inspect(path: string): Inspection {
  const found = survey(path, undefined);
  const { places, directories } = scansOf([host], found.open)[host];
  const leftovers = new Leftovers({
    directories: leftoverDirectories(resolve(path), [...toldDirectories(), ...directories]),
    places,
    path: resolve(path),
    database: found.database,
    readOnly: true,
  });
  const findings = findingsOf(path, found, leftovers.reports, [host], undefined);
  return { ...findings, path: resolve(path), database: found.database, open: found.open, leftovers };
}

export function toldDirectories(spoolDirs: readonly string[] = []): string[] {
  const { spoolDir } = parseOptions();
  return [...spoolDirs, ...(spoolDir === undefined ? [] : [spoolDir])].map((directory) => resolve(directory));
}

/** What attempts that have ended have left in spools, by the database and by what is to be seen from here. */
export interface Remains {
  /** Ops that wait in spools on this host. */
  readonly waiting: { run: string; attempt: number; ops: number }[];
  /** Spools that nobody has read, and that aren't to be seen from here. */
  readonly unread: LeftAlone[];
}

export function remainsOf(path: string): Remains {
  const { leftovers, dead, states, open } = inspect(path);
  try {
    const waiting = dead
      .map(({ run, attempt, spools }) => {
        const frames = states[`${run}.${attempt}`]?.frames ?? [];
        const ops = spools.reduce((sum, { file, rank }) => sum + leftovers.after(file, frames[rank!] ?? 0).ops, 0);
        return { run, attempt, ops };
      })
      .filter(({ ops }) => ops > 0);
    const ended = open.filter(({ status }) => status !== 'RUNNING');
    return { waiting, unread: elsewhere(ended, dead, leftovers.reports, [host]) };
  } finally {
    leftovers.release();
  }
}

function checkRun(db: Database, run: string): void {
  if (db.prepare('SELECT 1 FROM runs WHERE uuid = ?').get(run)) return;
  throw new BraidError('ERR_BRAID_NO_SUCH_RUN', `${db.name} has no run ${run}: braid stats lists its runs`);
}
