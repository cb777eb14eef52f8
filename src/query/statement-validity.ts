import { groupBy } from '../group-by.js';
import type { Connection } from './connection.js';
import type { Layout } from './layout.js';
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
    const self = nodes.some((node) => ancestry.start.includes(node)) ? `${name} is invalid, with ` : '';
    composer.say(
      'validity',
      `invalid ${root}`,
      `${self}${plural(nodes.length, 'record or version', 'records and versions')} of its ancestry and itself ${nodes.length === 1 ? 'is' : 'are'} invalid` +
        `${composer.listed(nodes)}. The root cause${origin.length > 0 ? `, of ${composer.list(origin) || plural(origin.length, 'record')},` : ''} is: ` +
        `${cause ? `"${short(cause.cause, 300)}", at ${cause.time.slice(0, 19)} UTC` : 'not recorded'}.`,
      nodes,
    );
  }
  missing(composer, layout);
}

function missing(composer: Composer, layout: Layout): void {
  const { ancestry } = composer;
  const all = [...ancestry.nodes];
  const tell = (id: string, nodes: readonly number[], text: (many: string) => string, one = 'record') => {
    if (nodes.length === 0) return;
    composer.say('missing', id, `${text(plural(nodes.length, one))}${composer.listed(nodes)}.`, nodes);
  };
  const of = (condition: (node: (typeof all)[number][1], id: number) => boolean) =>
    all.filter(([id, node]) => condition(node, id)).map(([id]) => id);
  if (ancestry.dangling.length > 0) {
    const ids = ancestry.dangling.slice(0, composer.limit).join(', ');
    composer.say('missing', 'dangling', `${plural(ancestry.dangling.length, 'id')} named as sources are of no record that is committed${ids === '' ? '' : `: ${ids}`}.`, ancestry.dangling); // prettier-ignore
  }
  tell('unmade', of(({ key, number }) => key !== undefined && number === undefined), (many) => `${many} of models are named, and no update that made them is committed`, 'version'); // prettier-ignore
  tell('inferred', of(({ inferred }) => inferred), (many) => `${many} may be in its ancestry and not in fact: which version was used was not recorded`, 'record or version'); // prettier-ignore
  tell('rootless', of(({ isRoot, kind }) => isRoot && kind === 'data'), (many) => `${many} of data are derived from nothing that is recorded, so what they come from is not known`); // prettier-ignore
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
