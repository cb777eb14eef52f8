/**
 * What a step of lineage is. A node is a record, by its id, or a version of a model, by the negative of its version_id. A
 * model's record is the model as it was made, before any update: its versions come from it.
 *
 * Each relation is written twice, from the derived node to its sources and back. The two must say the same.
 */

/** Why one node comes from another. */
export type Relation =
  /** It was said to be derived from it. */
  | 'derivation'
  /** An update of the version was exposed to it. */
  | 'exposure'
  /** A rank that updated the version had seen that one. */
  | 'seen'
  /** The version of the next smaller step of the same attempt; inferred, if it was made later. */
  | 'step'
  /** The model that it is a version of. */
  | 'version'
  /** A rank updated a model of which it had seen no version, and other attempts had left some. */
  | 'unseen';

export type Direction = 'ancestors' | 'descendants';

export interface Step {
  readonly relation: Relation;
  /** It may be, and isn't known: which version it was of a model that had several. */
  readonly inferred: boolean;
  /** From which nodes it leads; undefined: from all. Of a batch that has none such it isn't looked for. */
  readonly of?: 'records' | 'versions';
  /** It can only be where there are versions, or several attempts: a step that can't be costs as much as one that isn't. */
  readonly needs?: 'versions' | 'attempts';
  /** Of a step that isn't inferred: whether the inferred one of the same relation, which comes after it, may find something of a row, too. */
  readonly maybe?: string;
  /** Of a batch it is looked for only if the step before it has met what is `maybe`. */
  readonly ifMaybe?: true;
  /** What the row `w` of the walk is joined with, in this order; the last of them by what its index finds and nothing else. */
  readonly from: string;
  /** It leads on and on from one to the next: a walk that isn't to tell depths goes such a chain to its end at once. */
  readonly chains?: true;
  /** It leads to all versions of a model that were made up to a time, in place of one node. */
  readonly until?: Until;
  /** The node that the step leads to. */
  readonly to: string;
  /** What else must hold of the last. */
  readonly where: string;
}

/** Expressions over what a step joins. */
export interface Until {
  readonly model: string;
  readonly time: string;
  /** An attempt whose versions are not meant. */
  readonly but?: string;
}

/** What the row `w` of a walk is joined with, where the versions that a step leads to are rows `o` of `versions`. */
export function joinsOf({ from, until }: Step): string {
  if (!until) return from;
  const { model, time, but } = until;
  const key = but === undefined ? model : `${model} || '/' || ${but}`;
  // What this walk has taken already is left out: `braid_after` gives the time up to which that is, or NULL for all of it.
  return `${from} CROSS JOIN versions o INDEXED BY ix_versions_time ON o.model_id = ${model}
    AND o.time > braid_after(@walk, ${key}, ${time}) AND o.time <= ${time}`;
}

/** Whether what came of the versions of `key` from `time` on has not been taken already. */
const BEFORE = (key: string, time: string) => `braid_before(@walk, ${key}, ${time})`;

/** A derivation that names versions of its source comes from those, and by them from the source itself. */
const OF_RECORD = `d.stated AND NOT EXISTS (
  SELECT 1 FROM derivation_versions x WHERE x.derivation = d.derivation AND x.record_id = d.record_id)`;

/** Of a derivation `d`, whose derived record is `r`, if it is there: until when its source may have been updated. */
const UNTIL = 'max(d.time, ifnull(r.time, d.time))';

/** Of the version of the next smaller, or the next larger, step of the attempt of a row of versions. */
const nextStep = (of: string, than: '<' | '>', column = 'version_id') => `(SELECT o.${column} FROM versions o
  WHERE o.model_id = ${of}.model_id AND o.attempt_id = ${of}.attempt_id AND o.step IS NOT NULL AND o.step ${than} ${of}.step
  ORDER BY o.step ${than === '<' ? 'DESC' : 'ASC'} LIMIT 1)`;
/** Two versions of steps that follow each other, `p` and then `v`; from either of the two. */
const STEP_BEFORE = `versions v ON w.node < 0 AND v.version_id = -w.node AND v.step IS NOT NULL
  CROSS JOIN versions p ON p.version_id = ${nextStep('v', '<')}`;
const STEP_AFTER = `versions p ON w.node < 0 AND p.version_id = -w.node AND p.step IS NOT NULL
  CROSS JOIN versions v ON v.version_id = ${nextStep('p', '>')}`;

/** Who counts steps again from the start makes a smaller one later, which then isn't what the larger one went on from. */
const MADE_LATER = '(p.time > v.time)';

/**
 * What rows `w` of versions that are new, or were updated, have made inferred that may have been certain: the versions that come
 * from them, or from those before them, by a step. Empty where steps are made in order.
 */
export function outOfOrder(w: string): string {
  return `SELECT -v.version_id AS node FROM ${w} CROSS JOIN ${STEP_BEFORE} WHERE ${MADE_LATER}
    UNION ALL SELECT -v.version_id FROM ${w} CROSS JOIN ${STEP_AFTER}
      WHERE ${MADE_LATER} OR p.time < ${nextStep('p', '<', 'time')}`;
}

export const STEPS: Record<Direction, readonly Step[]> = {
  ancestors: [
    {
      relation: 'derivation',
      of: 'records',
      inferred: false,
      from: `derivations d ON d.derivation = w.node AND d.stated = 1
        LEFT JOIN derivation_versions x ON x.derivation = d.derivation AND x.record_id = d.record_id`,
      to: 'ifnull(-x.version_id, d.record_id)',
      where: 'true',
      maybe: 'd.unversioned',
    },
    {
      relation: 'derivation',
      of: 'records',
      inferred: true,
      needs: 'versions',
      ifMaybe: true,
      from: `derivations d ON d.derivation = w.node AND d.stated = 1 AND d.unversioned = 1
        AND EXISTS (SELECT 1 FROM versions s WHERE s.model_id = d.record_id)
        LEFT JOIN records r ON r.record_id = w.node`,
      until: { model: 'd.record_id', time: UNTIL },
      to: '-o.version_id',
      where: 'true',
    },
    {
      relation: 'exposure',
      of: 'versions',
      inferred: false,
      needs: 'versions',
      from: `updates u ON w.node < 0 AND u.version_id = -w.node
        CROSS JOIN exposures e ON e.update_id = u.update_id`,
      to: 'ifnull(-e.version_id, e.source_id)',
      where: 'true',
      maybe: 'e.unversioned',
    },
    {
      relation: 'exposure',
      of: 'versions',
      inferred: true,
      needs: 'versions',
      ifMaybe: true,
      from: `updates u ON w.node < 0 AND u.version_id = -w.node
        CROSS JOIN exposures e ON e.update_id = u.update_id AND e.unversioned = 1`,
      until: { model: 'e.source_id', time: 'u.time' },
      to: '-o.version_id',
      where: 'true',
    },
    {
      relation: 'seen',
      of: 'versions',
      inferred: false,
      chains: true,
      needs: 'versions',
      from: 'updates u ON w.node < 0 AND u.version_id = -w.node',
      to: '-u.seen',
      where: 'u.seen IS NOT NULL',
    },
    {
      relation: 'step',
      of: 'versions',
      inferred: false,
      needs: 'versions',
      from: STEP_BEFORE,
      to: '-p.version_id',
      where: `${MADE_LATER} IS NOT 1`,
      maybe: MADE_LATER,
    },
    {
      relation: 'step',
      of: 'versions',
      inferred: true,
      needs: 'versions',
      ifMaybe: true,
      from: STEP_BEFORE,
      to: '-p.version_id',
      where: MADE_LATER,
    },
    {
      relation: 'version',
      of: 'versions',
      inferred: false,
      needs: 'versions',
      from: 'versions v ON w.node < 0 AND v.version_id = -w.node',
      to: 'v.model_id',
      where: 'true',
    },
    {
      relation: 'unseen',
      of: 'versions',
      inferred: true,
      needs: 'attempts',
      from: `updates u ON w.node < 0 AND u.version_id = -w.node AND u.seen IS NULL
        CROSS JOIN versions v ON v.version_id = -w.node`,
      until: { model: 'v.model_id', time: 'u.time', but: 'v.attempt_id' },
      to: '-o.version_id',
      where: 'o.attempt_id <> v.attempt_id',
    },
  ],
  descendants: [
    {
      relation: 'derivation',
      of: 'records',
      inferred: false,
      from: 'derivations d ON w.node > 0 AND d.record_id = w.node',
      to: 'd.derivation',
      where: OF_RECORD,
    },
    {
      relation: 'derivation',
      of: 'versions',
      inferred: false,
      needs: 'versions',
      from: 'derivation_versions x ON w.node < 0 AND x.version_id = -w.node',
      to: 'x.derivation',
      where: 'true',
    },
    {
      relation: 'derivation',
      of: 'versions',
      inferred: true,
      needs: 'versions',
      from: `versions v ON w.node < 0 AND v.version_id = -w.node AND ${BEFORE('v.model_id', 'v.time')}
        CROSS JOIN derivations d ON d.record_id = v.model_id AND d.stated = 1 AND d.unversioned = 1
        LEFT JOIN records r ON r.record_id = d.derivation`,
      to: 'd.derivation',
      where: `${UNTIL} >= v.time`,
    },
    {
      relation: 'exposure',
      of: 'records',
      inferred: false,
      needs: 'versions',
      from: `exposures e ON w.node > 0 AND e.source_id = w.node AND e.version_id IS NULL
        CROSS JOIN updates u ON u.update_id = e.update_id`,
      to: '-u.version_id',
      where: 'true',
    },
    {
      relation: 'exposure',
      of: 'versions',
      inferred: false,
      needs: 'versions',
      from: `versions v ON w.node < 0 AND v.version_id = -w.node
        CROSS JOIN exposures e ON e.source_id = v.model_id AND e.version_id = v.version_id
        CROSS JOIN updates u ON u.update_id = e.update_id`,
      to: '-u.version_id',
      where: 'true',
    },
    {
      relation: 'exposure',
      of: 'versions',
      inferred: true,
      needs: 'versions',
      from: `versions v ON w.node < 0 AND v.version_id = -w.node AND ${BEFORE("'e' || v.model_id", 'v.time')}
        CROSS JOIN exposures e ON e.source_id = v.model_id AND e.version_id IS NULL AND e.unversioned = 1
        CROSS JOIN updates u ON u.update_id = e.update_id`,
      to: '-u.version_id',
      where: 'u.time >= v.time',
    },
    {
      relation: 'seen',
      of: 'versions',
      inferred: false,
      chains: true,
      needs: 'versions',
      from: 'updates u ON w.node < 0 AND u.seen = -w.node',
      to: '-u.version_id',
      where: 'true',
    },
    {
      relation: 'step',
      of: 'versions',
      inferred: false,
      needs: 'versions',
      from: STEP_AFTER,
      to: '-v.version_id',
      where: `${MADE_LATER} IS NOT 1`,
      maybe: MADE_LATER,
    },
    {
      relation: 'step',
      of: 'versions',
      inferred: true,
      needs: 'versions',
      ifMaybe: true,
      from: STEP_AFTER,
      to: '-v.version_id',
      where: MADE_LATER,
    },
    {
      relation: 'version',
      of: 'records',
      inferred: false,
      needs: 'versions',
      from: 'versions v INDEXED BY ix_versions_time ON w.node > 0 AND v.model_id = w.node',
      to: '-v.version_id',
      where: 'true',
    },
    {
      relation: 'unseen',
      of: 'versions',
      inferred: true,
      needs: 'attempts',
      from: `versions v ON w.node < 0 AND v.version_id = -w.node AND ${BEFORE("v.model_id || '/' || v.attempt_id", 'v.time')}
        CROSS JOIN versions o INDEXED BY ix_versions_time ON o.model_id = v.model_id AND o.attempt_id <> v.attempt_id
        CROSS JOIN updates u ON u.version_id = o.version_id`,
      to: '-o.version_id',
      where: 'u.seen IS NULL AND u.time >= v.time',
    },
  ],
};

/** The plain closure: every derivation that ever was, between records. All that a database of Braid-DB can tell. */
export const PLAIN_STEPS: Record<Direction, readonly Step[]> = {
  ancestors: [
    {
      relation: 'derivation',
      inferred: false,
      from: 'derivations d ON d.derivation = w.node',
      to: 'd.record_id',
      where: 'true',
    },
  ],
  descendants: [
    {
      relation: 'derivation',
      inferred: false,
      from: 'derivations d ON d.record_id = w.node',
      to: 'd.derivation',
      where: 'true',
    },
  ],
};
