import { groupBy } from '../group-by.js';
import type { Connection } from './connection.js';
import { isKindInferred, type Layout } from './layout.js';
import type { LineageRow } from './lineage.js';
import { plural, short, type Composer } from './statement-composer.js';

/** What is invalid of the subject and its ancestry, by root cause, and what of it isn't known. */
export function validitySentences(composer: Composer, connection: Connection, layout: Layout, row: LineageRow): void {
  const { ancestry } = composer;
  const invalid = [...ancestry.nodes].filter(([, { invalidation }]) => invalidation !== undefined);
  const roots = rootsOf(connection, [...new Set(invalid.map(([, { invalidation }]) => invalidation!))]);
  const name = composer.name(row);
  if (invalid.length === 0) {
    composer.say('validity', 'valid', `Neither ${name} nor anything that it comes from is invalid.`, [...ancestry.nodes.keys()]); // prettier-ignore
  }
  for (const [root, of] of groupBy(invalid, ([, { invalidation }]) => roots.get(invalidation!)?.id ?? invalidation!)) {
    const nodes = of.map(([node]) => node);
    const cause = roots.get(of[0][1].invalidation!);
    const origin = nodes.filter((node) => ancestry.nodes.get(node)!.invalidation === root);
    const self = nodes.some((node) => ancestry.start.includes(node)) ? `${name} is invalid. ` : '';
    const ofOrigin = origin.length > 0 ? `, of ${composer.list(origin) || plural(origin.length, 'record')},` : '';
    const why = cause ? `"${short(cause.cause, 300)}", at ${cause.time.slice(0, 19)} UTC` : 'not recorded';
    composer.say(
      'validity',
      `invalid ${root}`,
      `${self}Of it and its ancestry ${plural(nodes.length, 'record or version is', 'records and versions are')} invalid` +
        `${composer.listed(nodes)}. The root cause${ofOrigin} is: ${why}.`,
      nodes,
    );
  }
  missing(composer, layout);
}

function missing(composer: Composer, layout: Layout): void {
  const { ancestry } = composer;
  const all = [...ancestry.nodes];
  const tell = (id: string, nodes: readonly number[], text: string) => {
    if (nodes.length > 0) composer.say('missing', id, `${text}${composer.listed(nodes)}.`, nodes);
  };
  const of = (condition: (node: (typeof all)[number][1], id: number) => boolean) =>
    all.filter(([id, node]) => condition(node, id)).map(([id]) => id);
  if (ancestry.dangling.length > 0) {
    const ids = ancestry.dangling.slice(0, composer.limit).join(', ');
    const many = plural(ancestry.dangling.length, 'id that is named as a source', 'ids that are named as sources');
    composer.say(
      'missing',
      'dangling',
      `Of ${many} no record is committed${ids === '' ? '' : `: ${ids}`}.`,
      ancestry.dangling,
    );
  }
  const unmade = of(({ key, number }) => key !== undefined && number === undefined);
  tell('unmade', unmade, `Of ${plural(unmade.length, 'version')} that something names no update is committed`);
  const inferred = of(({ inferred }) => inferred);
  tell('inferred', inferred, `Of ${plural(inferred.length, 'record or version', 'records and versions')} it is not certain that they are in its ancestry, for which version was used was not recorded`); // prettier-ignore
  const rootless = of(({ isRoot, kind }) => isRoot && kind === 'data');
  tell('rootless', rootless, `Of ${plural(rootless.length, 'data record')} no source is recorded`);
  const guessed = of(({ id, kind }) => kind !== 'record' && isKindInferred(layout, id));
  tell('kinds', guessed, `Of ${plural(guessed.length, 'record')} the kind is inferred, and was not stated: they were in a database of Braid-DB that was upgraded`); // prettier-ignore
  if (!layout.ours) {
    composer.say(
      'missing',
      'braid-db',
      'The database was made by Braid-DB, which stores no kinds, runs or versions.',
      [],
    );
  }
  if (!composer.sentences.some(({ topic }) => topic === 'missing')) {
    composer.say('missing', 'complete', 'Nothing is known to be missing of its ancestry.', []);
  }
}

interface Invalidation {
  readonly id: string;
  readonly parent: string | null;
  readonly cause: string;
  readonly time: string;
}

/** The first of each chain of invalidations. */
function rootsOf(connection: Connection, ids: readonly string[]): Map<string, Invalidation> {
  const rows = connection.all<Invalidation>(
    `WITH RECURSIVE up (id) AS (
       SELECT value FROM json_each(?)
       UNION SELECT i.root_invalidation FROM up JOIN invalidations i USING (id) WHERE i.root_invalidation IS NOT NULL
     )
     SELECT i.id, i.root_invalidation AS parent, i.cause, i.time FROM up JOIN invalidations i USING (id)`,
    JSON.stringify(ids),
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  const roots = new Map<string, Invalidation>();
  for (const { id } of rows) {
    const way: Invalidation[] = [];
    const passed = new Set<string>();
    let at = byId.get(id)!;
    // A file that somebody has edited may have a circle.
    while (!roots.has(at.id) && !passed.has(at.id)) {
      way.push(at);
      passed.add(at.id);
      const parent = at.parent === null ? undefined : byId.get(at.parent);
      if (!parent) break;
      at = parent;
    }
    const root = roots.get(at.id) ?? at;
    for (const each of way) roots.set(each.id, root);
  }
  return roots;
}
