import { ranksText } from './flush/words.js';
import { groupBy } from './group-by.js';
import type { SpoolReport } from './leftovers.js';
import { finalStatus, lossesOf, type DeadAttempt } from './recovery.js';
import type { AttemptState, OpenAttempt, Place } from './store/ledger.js';
import type { RunStatus } from './store/store.js';

/** What recovery found of one attempt of a run that nobody works on any more. */
export interface RecoveredAttempt {
  run: string;
  attempt: number;
  /** What it is called from now on. */
  status: RunStatus;
  /** Its spools on this host, which are removed when their content is in the database. */
  files: string[];
  /** Those of which something is lost, by the names under which they are kept instead. */
  kept: string[];
  /** What was brought in (with `dryRun`: would be). What had been committed before is not counted. */
  ops: number;
  records: number;
  /** What can't be read, is missing, or is refused by the database, which lists it as gaps. */
  lost: { rank: number; frame?: number; reason: string }[];
}

/** A spool, or a directory that can't be read, or an attempt of a run, that was left as it is. */
export interface LeftAlone {
  file?: string;
  reason: 'alive' | 'busy' | 'other-database' | 'other-host' | 'unreadable' | 'damaged' | 'unknown-run' | 'failed';
  why: string;
  run?: string;
  attempt?: number;
  rank?: number;
  host?: string;
}

export interface RecoverReport {
  path: string;
  /** UUID of the database. */
  database: string;
  dryRun: boolean;
  /** The directories that were looked into. */
  directories: string[];
  attempts: RecoveredAttempt[];
  /** Of all attempts. */
  ops: number;
  records: number;
  left: LeftAlone[];
  /** If Braid-DB has written to the database, and it was no dry run: how many records were valid, and are invalid by that. */
  invalidated?: number;
}

/** What there is to recover for a database on the hosts that were asked. */
export interface Findings {
  readonly dead: readonly DeadAttempt[];
  /** Not known to the database, and without content: they were killed while they began. */
  readonly empty: readonly DeadAttempt[];
  /** Of each attempt that a spool names, by `RUN.ATTEMPT`. */
  readonly states: Readonly<Record<string, AttemptState | undefined>>;
}

/** What a host has of a spool above its rank's watermark. */
export interface Waiting {
  readonly file: string;
  readonly ops: number;
  readonly records: number;
}

/** What is known of a recovery before anything is brought in. */
export function reportOf(
  base: Pick<RecoverReport, 'path' | 'database' | 'dryRun' | 'directories'>,
  { dead, empty, states }: Findings,
  waiting: readonly Waiting[],
  reports: readonly SpoolReport[],
  open: readonly OpenAttempt[],
  hosts: readonly string[],
): RecoverReport {
  const isNews = ({ run, attempt, spools }: DeadAttempt) =>
    spools.length > 0 || states[`${run}.${attempt}`]?.status === 'RUNNING';
  const attempts = dead.filter(isNews).map(({ run, attempt, status, spools }) => {
    const state = states[`${run}.${attempt}`];
    const files = new Set(spools.map(({ file }) => file));
    const found = waiting.filter(({ file }) => files.has(file));
    return {
      run,
      attempt,
      status: state ? finalStatus(state.status, status) : status,
      files: [...files],
      kept: [],
      ops: found.reduce((sum, { ops }) => sum + ops, 0),
      records: found.reduce((sum, { records }) => sum + records, 0),
      lost: spools.flatMap((spool) => lossesOf(spool, state!)),
    } satisfies RecoveredAttempt;
  });
  const taken = new Set([...dead, ...empty].flatMap(({ spools }) => spools.map(({ file }) => file)));
  const left = reports
    // Of those that aren't there, the ones in which a run may live are told with that run.
    .filter(({ file, alone }) => alone !== 'missing' && !taken.has(file))
    .map((report) => leftAlone(report, states, reports));
  return { ...base, attempts, ops: 0, records: 0, left: [...left, ...elsewhere(open, dead, reports, hosts)] };
}

function leftAlone(report: SpoolReport, states: Findings['states'], all: readonly SpoolReport[]): LeftAlone {
  const { file, alone, why, run, attempt, rank, host } = report;
  const base = { file, run, attempt, rank, host };
  if (alone && alone !== 'missing') return { ...base, reason: alone, why: why! };
  if (!states[`${run}.${attempt}`]) {
    return { ...base, reason: 'unknown-run', why: `the database knows no attempt ${attempt} of run ${run}` };
  }
  const lives = all.some((one) => one.run === run && one.attempt === attempt && one.alone === 'alive');
  if (lives) return { ...base, reason: 'alive', why: 'another rank of its run lives' };
  return { ...base, reason: 'other-host', why: 'rank 0 of its run was not to be asked, and may live' };
}

/** What attempts may have left where nobody has looked, by host: of one that may live, all; of one that is dead, what wasn't seen. */
export function elsewhere(
  open: readonly OpenAttempt[],
  dead: readonly DeadAttempt[],
  reports: readonly SpoolReport[],
  hosts: readonly string[],
): LeftAlone[] {
  const keyOf = ({ run, attempt }: { run?: string; attempt?: number }) => `${run}.${attempt}`;
  const unseen = new Map(dead.map((each) => [keyOf(each), each.assumed ? [] : each.unseen]));
  // Those of which a spool was found are told with it, unless they are dead.
  const told = new Set(reports.filter(({ alone, run }) => alone && run !== undefined).map(keyOf));
  return open.flatMap((attempt) => {
    const places = unseen.get(keyOf(attempt)) ?? (told.has(keyOf(attempt)) ? [] : attempt.places);
    const ended = unseen.has(keyOf(attempt)) || attempt.status !== 'RUNNING';
    return [...groupBy(places, ({ host }) => host).values()].map((there) => unread(attempt, there, ended, hosts));
  });
}

/** Of ranks on one host. */
function unread(
  { run, attempt }: OpenAttempt,
  places: readonly Place[],
  ended: boolean,
  hosts: readonly string[],
): LeftAlone {
  const [{ host, spool, rank }] = places;
  const ranks = ranksText(places.map((place) => place.rank));
  const here = hosts.includes(host);
  const where = here
    ? `the spool directory ${spool} of ${ranks} is not to be seen from here`
    : `${ranks} ran on ${host}`;
  const may = ended ? 'what was left there is not in the database' : 'the run may still live';
  const look = here ? 'run braid recover from where it is' : 'run braid recover there';
  return {
    run,
    attempt,
    rank,
    host,
    reason: here ? 'unreadable' : 'other-host',
    why: `${where}, ${may}: ${look}, or, if nothing can come of it, name the run with --assume-dead`,
  };
}
