import { groupBy } from '../group-by.js';
import type { AncestryNode } from './ancestry.js';
import type { Connection } from './connection.js';
import { isKindInferred, type Layout } from './layout.js';
import type { LineageRow } from './lineage.js';
import { plural, short, type Composer } from './statement-composer.js';

/** What is invalid of the subject and its ancestry, by root cause, and what of it isn't known. */
export function validitySentences(composer: Composer, connection: Connection, layout: Layout, row: LineageRow): void {
  const { ancestry } = composer;
  const invalid = ancestry.all.filter(([, { invalidation }]) => invalidation !== undefined);
  const causes = new Causes(connection, layout, new Set(invalid.map(([, { invalidation }]) => invalidation!)));
  const name = composer.name(row);
  // Of what isn't certain to be in its ancestry, or is only inferred to be invalid, no more is said than that.
  const isCertain = ({ inferred, invalidation }: AncestryNode) => !inferred && !causes.isInferred(invalidation!);
  const certain = invalid.filter(([, node]) => isCertain(node));
  if (certain.length === 0) {
    const known = ancestry.all.filter(([, { inferred }]) => !inferred).map(([node]) => node);
    const thing = known.length < ancestry.all.length ? 'anything that it certainly comes from' : 'anything that it comes from'; // prettier-ignore
    const is = invalid.length === 0 ? 'is invalid' : 'is known to be invalid';
    composer.say('validity', 'valid', `Neither ${name} nor ${thing} ${is}.`, known);
  }
  const tell = (nodes: typeof invalid, id: string, of: string, are: [one: string, many: string], self: string) => {
    for (const [root, those] of groupBy(nodes, ([, { invalidation }]) => causes.rootOf(invalidation!))) {
      const all = those.map(([node]) => node);
      const origin = all.filter((node) => ancestry.nodes.get(node)!.invalidation === root);
      const itself = all.some((node) => ancestry.start.includes(node)) ? `${name} ${self} invalid. ` : '';
      const ofOrigin = origin.length > 0 ? `, of ${composer.list(origin) || plural(origin.length, 'record')},` : '';
      composer.say(
        'validity',
        `${id} ${root}`,
        `${itself}${of} ${plural(all.length, `record or version ${are[0]}`, `records and versions ${are[1]}`)} invalid` +
          `${composer.listed(all)}. The root cause${ofOrigin} is: ${causes.text(root)}.`,
        all,
      );
    }
  };
  tell(certain, 'invalid', 'Of it and its ancestry', ['is', 'are'], 'is');
  tell(
    invalid.filter(([, node]) => !isCertain(node)),
    'invalid-inferred',
    'Of what it may come from, or what may be invalid,',
    ['is or may be', 'are or may be'],
    'may be',
  );
  missing(composer, layout);
}

function missing(composer: Composer, layout: Layout): void {
  const { ancestry } = composer;
  const { all } = ancestry;
  const tell = (id: string, nodes: readonly number[], text: string) => {
    if (nodes.length > 0) composer.say('missing', id, `${text}${composer.listed(nodes)}.`, nodes);
  };
  const of = (condition: (node: (typeof all)[number][1], id: number) => boolean) =>
    all.filter(([id, node]) => condition(node, id)).map(([id]) => id);
  if (ancestry.dangling.length > 0) {
    const ids = composer.ids(ancestry.dangling);
    const many = plural(ancestry.dangling.length, 'id that is named as a source', 'ids that are named as sources');
    composer.say(
      'missing',
      'dangling',
      `Of ${many} no record is committed${ids === '' ? '' : `: ${ids}`}.`,
      ancestry.dangling,
    );
  }
  const unmade = of(({ version }) => version?.isUnmade === true);
  tell('unmade', unmade, `Of ${plural(unmade.length, 'version')} that something names no update is committed`);
  const inferred = of(({ inferred }) => inferred);
  tell('inferred', inferred, `Of ${plural(inferred.length, 'record or version', 'records and versions')} it is not certain that they are in its ancestry, for which version was used was not recorded`); // prettier-ignore
  const rootless = of(({ isRoot, kind }) => isRoot && kind !== 'fact');
  tell('rootless', rootless, `Of ${composer.kinds(rootless)} no source is recorded`);
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
  /** Whether it is known that what was invalidated comes from what the root is of. */
  readonly inferred: number;
}

/** Some invalidations, and those that they go back to. */
class Causes {
  readonly #byId: ReadonlyMap<string, Invalidation>;
  readonly #roots = new Map<string, Invalidation>();

  constructor(connection: Connection, layout: Layout, ids: ReadonlySet<string>) {
    const rows = connection.all<Invalidation>(
      `WITH RECURSIVE up (id) AS (
         SELECT value FROM json_each(?)
         UNION SELECT i.root_invalidation FROM up JOIN invalidations i USING (id) WHERE i.root_invalidation IS NOT NULL
       )
       SELECT i.id, i.root_invalidation AS parent, i.cause, i.time, ${layout.ours ? 'i.inferred' : '0'} AS inferred
       FROM up JOIN invalidations i USING (id)`,
      JSON.stringify([...ids]),
    );
    this.#byId = new Map(rows.map((row) => [row.id, row]));
    for (const { id } of rows) this.#findRoot(id);
  }

  isInferred(id: string): boolean {
    return this.#byId.get(id)?.inferred === 1;
  }

  /** The first of the chain; itself, if it isn't there. */
  rootOf(id: string): string {
    return this.#roots.get(id)?.id ?? id;
  }

  text(root: string): string {
    const of = this.#byId.get(root);
    return of ? `"${short(of.cause, 300)}", at ${of.time.slice(0, 19)} UTC` : 'not recorded';
  }

  #findRoot(id: string): void {
    const way: Invalidation[] = [];
    const passed = new Set<string>();
    let at = this.#byId.get(id)!;
    // A file that somebody has edited may have a circle.
    while (!this.#roots.has(at.id) && !passed.has(at.id)) {
      way.push(at);
      passed.add(at.id);
      const parent = at.parent === null ? undefined : this.#byId.get(at.parent);
      if (!parent) break;
      at = parent;
    }
    const root = this.#roots.get(at.id) ?? at;
    for (const each of way) this.#roots.set(each.id, root);
  }
}
