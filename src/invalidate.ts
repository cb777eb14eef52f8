import { BraidError } from './errors.js';
import { actionLimits, runActions, type ActionOptions, type ActionResult } from './invalidation-actions.js';
import { BraidReader } from './query/reader.js';
import { nodeOf, resolveNode, type NodeName } from './query/resolve.js';
import { checkCause } from './record/invalidation.js';
import type { Tags } from './record/tags.js';
import type { Target } from './store/invalidation.js';
import { writeOnce } from './store/write-once.js';

/** What to invalidate: records and versions, by id, name or key; or all records and versions that have these tags, by value and type. */
export type Invalidable = NodeName | readonly NodeName[] | { readonly tag: Tags };

export interface InvalidateOptions extends ActionOptions {
  /** Why they are wrong. Not empty. */
  cause: string;
  /** Whether all that derives from them is, too. Default true. */
  cascade?: boolean;
  /** Only counts what would be affected; `reader.affected` lists it. Writes nothing. */
  dryRun?: boolean;
  /**
   * Whether to carry out the invalidation actions of what was named, and of what the cascade reaches: those that nobody has
   * carried out, of what was invalid already, too. `'retry'`: and again those that are not known to have succeeded. Default false.
   */
  runActions?: boolean | 'retry';
  /** How long to wait for another writer of the database, in milliseconds. Default 60,000. */
  busyMs?: number;
}

export interface InvalidateReport {
  /** What became invalid: records and versions that were valid. */
  records: number;
  versions: number;
  /** How many of both may derive from what is wrong, and aren't known to. */
  inferred: number;
  /** Ids of the invalidations, one for each that was named; none of a dry run. */
  invalidations: string[];
  dryRun: boolean;
  /** What was done, in the order in which it ended; none without `runActions`. */
  actions: ActionResult[];
}

export interface RevalidateOptions {
  /** Why they are right after all. Not empty. */
  reason: string;
  busyMs?: number;
}

export interface RevalidateReport {
  /** What is valid again. What others have invalidated, or what derives from such, stays invalid. */
  records: number;
  versions: number;
  /** Ids of the invalidations that were taken back. */
  invalidations: string[];
}

const BUSY_MS = 60_000;

/**
 * Says that records or versions are wrong, and with them all that derives from them, in one transaction. What is invalid
 * already keeps its first cause. No run is needed, and one may be under way.
 *
 * @throws BraidError ERR_BRAID_CAUSE_INVALID, ERR_BRAID_NO_SUCH_RECORD, ERR_BRAID_NO_SUCH_VERSION, ERR_BRAID_DB_FOREIGN, ERR_BRAID_DB_…, and as `reader.ancestors`
 */
export async function invalidate(
  path: string,
  what: Invalidable,
  options: InvalidateOptions,
): Promise<InvalidateReport> {
  const {
    cause,
    cascade = true,
    dryRun = false,
    runActions: run = false,
    busyMs = BUSY_MS,
    ...actions
  } = options ?? {};
  checkText(cause, 'cause', 'detector was misaligned');
  if (typeof run !== 'boolean' && run !== 'retry') {
    throw new BraidError('ERR_BRAID_OPTION_INVALID', "runActions must be true, false or 'retry'");
  }
  const limits = actionLimits(actions);
  const { targets, affected } = resolved(path, what, dryRun ? cascade : undefined);
  if (affected) return { ...affected, invalidations: [], dryRun, actions: [] };
  const { ids: invalidations, ...counts } = writeOnce(path, busyMs, (store) =>
    store.invalidate(targets, cause, cascade),
  );
  // The invalidation stands, whatever comes of them.
  const whose = { nodes: targets.map(nodeOf), cascade, retry: run === 'retry' };
  const results = run ? await runActions(path, whose, busyMs, limits, actions.onAction) : [];
  return { ...counts, invalidations, dryRun, actions: results };
}

/**
 * Takes back what was said against records or versions themselves, by whomever; of those with a tag, against those against which something was said. What is invalid for nothing else is valid
 * again; that it was invalid, and why it isn't any more, is kept.
 *
 * @throws BraidError ERR_BRAID_CAUSE_INVALID, ERR_BRAID_NOT_INVALIDATED, and as `invalidate`
 */
export function revalidate(path: string, what: Invalidable, options: RevalidateOptions): RevalidateReport {
  const { reason, busyMs = BUSY_MS } = options ?? {};
  checkText(reason, 'reason', 'calibrated again, it was right');
  const { targets } = resolved(path, what);
  const { ids: invalidations, ...counts } = writeOnce(path, busyMs, (store) =>
    store.revalidate(targets, reason, isByTag(what)),
  );
  return { ...counts, invalidations };
}

function checkText(text: unknown, what: string, example: string): asserts text is string {
  checkCause(text, what, example);
  if (text.includes('\0') || !text.isWellFormed()) {
    throw new BraidError('ERR_BRAID_TEXT_INVALID', `a ${what} must be Unicode text without a NUL character`);
  }
}

/** What is meant; and, given whether it cascades, what would be affected. */
function resolved(
  path: string,
  what: Invalidable,
  cascade?: boolean,
): { targets: Target[]; affected?: Pick<InvalidateReport, 'records' | 'versions' | 'inferred'> } {
  const reader = BraidReader.open(path);
  try {
    const names = nodesOf(reader, what);
    const targets = names.map((name) => resolveNode(reader, name));
    const distinct = [...new Map(targets.map((target) => [`${target.record}@${target.version}`, target])).values()];
    if (cascade === undefined) return { targets: distinct };
    const affected = { records: 0, versions: 0, inferred: 0 };
    for (const row of reader.affected(names, { cascade })) {
      if (row.key === undefined) affected.records++;
      else affected.versions++;
      if (row.inferred) affected.inferred++;
    }
    return { targets: distinct, affected };
  } finally {
    reader.close();
  }
}

/**
 * @internal What is meant, all of which is there.
 *
 * @throws BraidError ERR_BRAID_DB_FOREIGN, ERR_BRAID_NO_SUCH_RECORD, and as `reader.ancestors`
 */
export function nodesOf(reader: BraidReader, what: Invalidable): readonly NodeName[] {
  const { path } = reader;
  if (!reader.layout.ours) {
    throw new BraidError(
      'ERR_BRAID_DB_FOREIGN',
      `${path} was made by Braid-DB: its own invalidate-record invalidates what is in it, or braid upgrade makes it ours`,
    );
  }
  const names = namesOf(reader, what);
  for (const name of names) {
    const { record } = resolveNode(reader, name);
    if (!reader.record(record)) throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', `${path} has no record ${record}`);
  }
  return names;
}

function namesOf(reader: BraidReader, what: Invalidable): readonly NodeName[] {
  if (Array.isArray(what)) return checked(what as readonly NodeName[], 'nothing is named: give records or versions');
  if (!isByTag(what)) return [what as NodeName];
  const tags = what.tag ?? {};
  checked(Object.keys(tags), 'nothing is named: give a tag with its value');
  const found = Array.from(reader.tagged(tags), ({ id, key }): NodeName => (key === undefined ? id : { key }));
  return checked(found, `${reader.path} has no record and no version with these tags, by value and type`);
}

/** Then it is what was found, and not each of them, that is meant. */
function isByTag(what: Invalidable): what is { readonly tag: Tags } {
  return typeof what === 'object' && what !== null && 'tag' in what;
}

function checked<T>(names: readonly T[], message: string): readonly T[] {
  if (names.length > 0) return names;
  throw new BraidError('ERR_BRAID_NO_SUCH_RECORD', message);
}
