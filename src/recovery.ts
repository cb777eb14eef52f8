import { join } from 'node:path';
import { BraidError } from './errors.js';
import { faultPoint } from './fault.js';
import { ranksText } from './flush/channel.js';
import { commitRounds, type CommitRounds } from './flush/commit-rounds.js';
import { wait, type Steps } from './flush/drive.js';
import type { Gathering } from './flush/gathering.js';
import { groupBy } from './group-by.js';
import { isEmpty, type Leftovers, type SpoolReport } from './leftovers.js';
import type { CommitTotals, RefusedFrame } from './store/commit.js';
import { gapOf, holesIn, type AttemptState, type Range, type RunningAttempt } from './store/ledger.js';
import type { StoreClient } from './store/store-client.js';
import type { RunStatus } from './store/store.js';

/** One attempt that can be recovered. */
export interface DeadAttempt {
  readonly run: string;
  readonly attempt: number;
  /** What it is to be called, if the database still says RUNNING. */
  readonly status: RunStatus;
  readonly spools: readonly SpoolReport[];
}

/** By host: the rank that looks for leftovers there, and where else than in its own directories. */
export type Scans = Readonly<Record<string, { readonly rank: number; readonly directories: readonly string[] }>>;

/**
 * Who looks where: the first rank on each host.
 *
 * @param hosts by rank.
 * @param everywhere whether rank 0 looks for what other hosts have left, too: in directories that many see, so that one does.
 */
export function scansOf(
  hosts: readonly string[],
  places: readonly { readonly host: string; readonly spool: string }[],
  everywhere = false,
): Scans {
  const scans: Record<string, Scans[string]> = {};
  hosts.forEach((host, rank) => {
    const here = places.filter((place) => place.host === host || (everywhere && rank === 0));
    scans[host] ??= { rank, directories: here.map(({ spool }) => spool) };
  });
  return scans;
}

/** All ranks must mean the same database. */
export function checkPaths(hellos: readonly { readonly path: string }[]): void {
  const ranks = groupBy(hellos.keys(), (rank) => hellos[rank].path);
  if (ranks.size === 1) return;
  const who = [...ranks].map(([path, list]) => `${path} on ${ranksText(list)}`).join(', ');
  throw new BraidError('ERR_BRAID_PATH_MISMATCH', `the ranks have opened different databases: ${who}`);
}

/** What is known beside the spools that were found. */
export interface Surroundings {
  /** Those whose directories were looked into. */
  readonly hosts: readonly string[];
  /** What was RUNNING in the database before that. */
  readonly running: readonly RunningAttempt[];
  readonly except?: { run: string; attempt: number };
  /** As in {@link ScanOptions}. */
  readonly assumeDead?: string;
}

/**
 * Which attempts are dead and can be recovered, by what was found on the hosts that were asked. An attempt of which any
 * spool is locked lives, and so is left alone as a whole: a dead rank of it is its own business.
 */
export function deadAttempts(
  reports: readonly SpoolReport[],
  { hosts, running, except, assumeDead }: Surroundings,
): DeadAttempt[] {
  const keyOf = ({ run, attempt }: { run?: string; attempt?: number }) => `${run}.${attempt}`;
  const alive = new Set(reports.filter(({ alone }) => alone === 'alive' || alone === 'busy').map(keyOf));
  const found = groupBy(
    reports.filter((report) => !report.alone && !alive.has(keyOf(report))),
    keyOf,
  );
  const dead: DeadAttempt[] = [...found.values()].map((spools) => ({
    run: spools[0].run!,
    attempt: spools[0].attempt!,
    status: statusOf(spools),
    spools,
  }));
  const notSeen = reports.filter(({ alone }) => alone === 'unreadable' || alone === 'missing');
  // A path is one thing on one host, and another on the next.
  const unseen = new Set(notSeen.map(({ host, file }) => `${host}:${file}`));
  // One that left no spool where its root ran has ended there without a word, and committed all it had.
  for (const attempt of running) {
    if (except && keyOf(attempt) === keyOf(except)) continue;
    if (found.has(keyOf(attempt)) || alive.has(keyOf(attempt))) continue;
    const root = attempt.spools.find(({ rank }) => rank === 0);
    if (attempt.run !== assumeDead) {
      if (!root || !hosts.includes(root.host)) continue;
      const file = join(root.spool, `${keyOf(attempt)}.0.spool`);
      if ([root.spool, file].some((path) => unseen.has(`${root.host}:${path}`))) continue;
    }
    dead.push({ run: attempt.run, attempt: attempt.attempt, status: 'INCOMPLETE', spools: [] });
  }
  return dead;
}

function statusOf(spools: readonly SpoolReport[]): RunStatus {
  const ends = spools.map(({ end }) => end);
  // In this order: the ranks of a job of which one has failed are ended by a signal.
  if (ends.includes('failed')) return 'FAILED';
  if (ends.includes('signal')) return 'KILLED';
  return 'INCOMPLETE';
}

/** The leftover files of this machine that belong to an attempt. */
export function recoverable({ spools }: DeadAttempt, leftovers: Leftovers): string[] {
  return spools.map(({ file }) => file).filter((file) => leftovers.holds(file));
}

/**
 * Leaves out attempts that the database doesn't know, as when it was put back from an older copy; but not one that ended
 * before it was written down, and left nothing but a file.
 */
export function* knownAttempts(store: StoreClient, dead: readonly DeadAttempt[]): Steps<DeadAttempt[]> {
  const known: DeadAttempt[] = [];
  for (const each of dead) {
    if (each.spools.every(isEmpty) || (yield* wait(store.call('attemptState', each.run, each.attempt))))
      known.push(each);
  }
  return known;
}

/** A piece of what a rank has recorded that can't be brought in. `frame` where it is known. */
export interface Loss {
  readonly rank: number;
  readonly frame?: number;
  readonly reason: string;
}

/**
 * What is lost of the rank of a spool: what of it can't be read, and frames above the watermark that are missing. The
 * latter also at its end, where they went into a database that was then put back from an older copy.
 */
export function lossesOf({ rank, sequences = [], trimmed = 0, losses = [] }: SpoolReport, watermark: number): Loss[] {
  const unreadable = losses.filter(({ sequence = Infinity }) => sequence > watermark);
  const lost = unreadable.flatMap(({ sequence }): Range[] => (sequence === undefined ? [] : [[sequence, sequence]]));
  const known = [...sequences, ...lost].sort((a, b) => a[0] - b[0]);
  const last = known.reduce((most, [, end]) => Math.max(most, end), trimmed);
  return [
    ...unreadable.map(({ sequence, reason }) => ({ rank: rank!, frame: sequence, reason })),
    ...holesIn(known, watermark + 1, last).map((hole) => ({ rank: rank!, ...gapOf(hole) })),
  ];
}

/**
 * The status of a recovered attempt, of what the database says and what its spools say. What the root could still write
 * stands, unless its ranks know better: a launcher ends the others by a signal when one has failed.
 */
export function finalStatus(written: RunStatus, found: RunStatus): RunStatus {
  return written === 'RUNNING' || (written === 'KILLED' && found === 'FAILED') ? found : written;
}

/** Gives a recovered attempt its status, and gives back its ids if nothing more can come of it. */
function* endDead(store: StoreClient, attempt: DeadAttempt, state: AttemptState, lost: readonly Loss[]): Steps<void> {
  const final = finalStatus(state.status, attempt.status);
  if (final !== state.status) yield* wait(store.call('endAttempt', attempt.run, attempt.attempt, final));
  if (final === 'COMPLETED') return;
  // With every rank's spool read, nobody can come with an id that isn't in the database.
  const complete = attempt.spools.length === state.frames.length && lost.length === 0;
  if (complete) yield* wait(store.call('returnIds', attempt.run, attempt.attempt));
}

/** What a recovery brought in of an attempt, and what it could not. */
export interface Recovered extends CommitTotals {
  readonly lost: readonly Loss[];
}

/** The root's side of the recovery of one dead attempt, in which the ranks give its frames. */
export function* leadRecovery(
  gathering: Gathering,
  rounds: Omit<CommitRounds, 'onRefused'>,
  dead: DeadAttempt,
): Steps<Recovered> {
  const { store } = rounds;
  const { run, attempt, spools } = dead;
  const state = yield* wait(store.call('attemptState', run, attempt));
  // It ended before it was written down, and left nothing but a file.
  if (!state) return { records: 0, ops: 0, bytes: 0, lost: [] };
  const lost = spools.flatMap((spool) => lossesOf(spool, state.frames[spool.rank!] ?? 0));
  // Before the frames are committed, which moves the watermark over them. What is missing between two, the commit lists.
  for (const spool of spools) {
    const last = spool.sequences?.at(-1)?.[1] ?? 0;
    const gaps = lossesOf({ ...spool, sequences: [[0, last]] }, state.frames[spool.rank!] ?? 0);
    const listed = gaps.map(({ frame = 0, reason }) => ({ frame, reason }));
    if (listed.length > 0) yield* wait(store.call('addGaps', run, attempt, spool.rank!, listed));
  }
  faultPoint('recover.held');
  const onRefused = (refused: readonly RefusedFrame[]) => refused.forEach((each) => lost.push(each));
  const totals = yield* commitRounds(gathering, { ...rounds, salvage: true, onRefused });
  faultPoint('recover.committed');
  yield* endDead(store, dead, state, lost);
  faultPoint('recover.ended');
  return { ...totals, lost };
}
