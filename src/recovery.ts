import { join } from 'node:path';
import { BraidError } from './errors.js';
import { faultPoint } from './fault.js';
import { ROOT } from './flush/messages.js';
import { ranksText } from './flush/words.js';
import { commitRounds, type CommitRounds } from './flush/commit-rounds.js';
import { wait, type Steps } from './flush/drive.js';
import type { Gathering } from './flush/gathering.js';
import { groupBy } from './group-by.js';
import { isEmpty, type Leftovers, type SpoolReport } from './leftovers.js';
import type { CommitTotals, RefusedFrame } from './store/commit.js';
import { gapOf, holesIn, type AttemptState, type OpenAttempt, type Place, type Range } from './store/ledger.js';
import type { StoreClient } from './store/store-client.js';
import type { RunStatus } from './store/store.js';

/** One attempt that can be recovered. */
export interface DeadAttempt {
  readonly run: string;
  readonly attempt: number;
  /** What it is to be called, if the database still says RUNNING. */
  readonly status: RunStatus;
  readonly spools: readonly SpoolReport[];
  /** Ranks that have left no spool, where it would have been seen: all they had is committed. */
  readonly gone: readonly number[];
  /** Those of which it isn't known. */
  readonly unseen: readonly Place[];
  /** The user says that nobody of it lives, wherever it was. */
  readonly assumed: boolean;
}

/** By host: the rank that looks for leftovers there, and where else than in its own directories. */
export type Scans = Readonly<Record<string, Scan>>;

export interface Scan {
  readonly rank: number;
  /** Where the database says that ranks of this host keep theirs. */
  readonly places: readonly Place[];
  readonly directories: readonly string[];
}

/**
 * Who looks where: the first rank on each host.
 *
 * @param hosts by rank.
 * @param everywhere whether rank 0 looks for what other hosts have left, too: in directories that many see, so that one does.
 */
export function scansOf(hosts: readonly string[], open: readonly OpenAttempt[], everywhere = false): Scans {
  const places = open.flatMap((attempt) => attempt.places);
  const scans: Record<string, Scan> = {};
  hosts.forEach((host, rank) => {
    const own = places.filter((place) => place.host === host);
    const seen = everywhere && rank === 0 ? places : own;
    scans[host] ??= { rank, places: own, directories: [...new Set(seen.map(({ spool }) => spool))] };
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

/** In a directory that several hosts see, only the one that a spool was written on can say what it is. */
export function oncePerFile(reports: readonly SpoolReport[]): SpoolReport[] {
  const known = new Set(reports.filter(({ alone }) => alone !== 'other-host').map(({ file }) => file));
  const seen = new Set<string>();
  return reports.filter(({ file, alone }) => {
    if (alone === 'other-host' && (known.has(file) || seen.has(file))) return false;
    seen.add(file);
    return true;
  });
}

/** What is known beside the spools that were found. */
export interface Surroundings {
  /** Those whose directories were looked into. */
  readonly hosts: readonly string[];
  /** What could still come, by the database, before that. */
  readonly open: readonly OpenAttempt[];
  readonly except?: { run: string; attempt: number };
  /** As in {@link ScanOptions}. */
  readonly assumeDead?: string;
}

/**
 * Which attempts are dead and can be recovered, by what was found on the hosts that were asked. An attempt of which any
 * spool is locked lives, and so is left alone as a whole: a dead rank of it is its own business. So is one that is RUNNING
 * and whose root was not to be seen: it may be writing to the database.
 */
export function deadAttempts(
  reports: readonly SpoolReport[],
  { hosts, open, except, assumeDead }: Surroundings,
): DeadAttempt[] {
  const keyOf = ({ run, attempt }: { run?: string; attempt?: number }) => `${run}.${attempt}`;
  const alive = new Set(reports.filter(({ alone }) => alone === 'alive' || alone === 'busy').map(keyOf));
  const found = groupBy(
    reports.filter((report) => !report.alone),
    keyOf,
  );
  const listed = new Map(open.map((attempt) => [keyOf(attempt), attempt]));
  const leftNone = absenceIn(reports, hosts);
  const dead: DeadAttempt[] = [];
  for (const key of new Set([...found.keys(), ...listed.keys()])) {
    if (alive.has(key) || (except && key === keyOf(except))) continue;
    const spools = found.get(key) ?? [];
    const attempt = listed.get(key);
    const { run, attempt: number } = (attempt ?? spools[0]) as { run: string; attempt: number };
    const left = attempt?.places.filter(({ rank }) => spools.every((spool) => spool.rank !== rank)) ?? [];
    const gone = left.filter((place) => leftNone(place, key));
    const unseen = left.filter((place) => !gone.includes(place));
    const assumed = run === assumeDead;
    if (!assumed) {
      if (attempt?.status === 'RUNNING' && unseen.some(({ rank }) => rank === ROOT)) continue;
      if (spools.length === 0 && gone.length === 0) continue;
    }
    const ranks = gone.map(({ rank }) => rank);
    dead.push({ run, attempt: number, status: statusOf(spools), spools, gone: ranks, unseen, assumed });
  }
  return dead;
}

/** Whether it is known that a rank has left no spool: its host was asked, its directory was looked into, and none was there. */
function absenceIn(
  reports: readonly SpoolReport[],
  hosts: readonly string[],
): (place: Place, attempt: string) => boolean {
  // A path is one thing on one host, and another on the next; and a directory is one thing to one job, and another to the next.
  const nameOf = (host: string | undefined, file: string, anchor = '') => `${host}:${file}:${anchor}`;
  const left = reports.filter(({ alone }) => alone);
  const unseen = new Set(left.map(({ host, file, anchor }) => nameOf(host, file, anchor)));
  return ({ rank, host, spool, anchor }, attempt) => {
    if (!hosts.includes(host)) return false;
    const file = join(spool, `${attempt}.${rank}.spool`);
    return ![nameOf(host, spool), nameOf(host, spool, anchor), nameOf(host, file)].some((name) => unseen.has(name));
  };
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
 * latter also at its end, where they went into a database that was then put back from an older copy. Of what lies below the
 * watermark that is lost which the database lists: a recovery before this one, which was killed, has come across it.
 */
export function lossesOf(spool: SpoolReport, state: AttemptState): Loss[] {
  const { rank, sequences = [], trimmed = 0, losses = [] } = spool;
  const watermark = state.frames[rank!] ?? 0;
  const listed = state.gaps.filter((gap) => gap.rank === rank && gap.frame > 0 && gap.frame <= watermark);
  const isHere = (frame: number) =>
    sequences.some(([first, last]) => first <= frame && frame <= last) ||
    losses.some(({ sequence }) => sequence === frame);
  const unreadable = losses.filter(({ sequence = Infinity }) => sequence > watermark);
  const lost = unreadable.flatMap(({ sequence }): Range[] => (sequence === undefined ? [] : [[sequence, sequence]]));
  const known = [...sequences, ...lost].sort((a, b) => a[0] - b[0]);
  const last = known.reduce((max, [, end]) => Math.max(max, end), trimmed);
  return [
    ...listed.filter(({ frame }) => isHere(frame)).map(({ frame, reason }) => ({ rank: rank!, frame, reason })),
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

/** Gives a recovered attempt its status, and notes of which ranks nothing more can come. */
function* endDead(store: StoreClient, dead: DeadAttempt, state: AttemptState): Steps<void> {
  const { run, attempt, status, spools, gone } = dead;
  const final = finalStatus(state.status, status);
  if (final !== state.status) yield* wait(store.call('endAttempt', run, attempt, final));
  const unseen = dead.assumed ? dead.unseen : [];
  for (const { rank, host } of unseen) {
    const reason = `its spool on ${host} was not read: the run was said to be dead`;
    yield* wait(store.call('addGaps', run, attempt, rank, [{ frame: 0, reason }]));
  }
  const ranks = [...gone, ...[...spools, ...unseen].map(({ rank }) => rank!)];
  yield* wait(store.call('settle', run, attempt, ranks));
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
  const lost = spools.flatMap((spool) => lossesOf(spool, state));
  // Before the frames are committed, which moves the watermark over them. What is missing between two, the commit lists.
  for (const spool of spools) {
    const last = spool.sequences?.at(-1)?.[1] ?? 0;
    const gaps = lossesOf({ ...spool, sequences: [[0, last]] }, { ...state, gaps: [] });
    const listed = gaps.map(({ frame = 0, reason }) => ({ frame, reason }));
    if (listed.length > 0) yield* wait(store.call('addGaps', run, attempt, spool.rank!, listed));
  }
  faultPoint('recover.held');
  const onRefused = (refused: readonly RefusedFrame[]) => refused.forEach((each) => lost.push(each));
  const totals = yield* commitRounds(gathering, { ...rounds, salvage: true, onRefused });
  faultPoint('recover.committed');
  yield* endDead(store, dead, state);
  faultPoint('recover.ended');
  return { ...totals, lost };
}
