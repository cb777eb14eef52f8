import { training } from './ancestry.js';
import type { LineageRow } from './lineage.js';
import { count, plural, type Composer } from './statement-composer.js';

/** A text, and the nodes that support it. */
interface Said {
  readonly text: string;
  readonly nodes: readonly number[];
}

/** What the subject was trained on or derived from, and what that came from, back to where it begins. */
export function lineageSentences(composer: Composer, row: LineageRow, subject: number): void {
  const parts = new Parts(composer, row, subject);
  const answered = parts.own.length > 0 ? trained(composer, row, parts) : derived(composer, row, parts);
  const origins = originsOf(composer, parts);
  // Facts that are its only origins, and that it is derived from, have just been said.
  const says = origins.nodes.some((node) => !answered.nodes.includes(node));
  composer.say('answer', 'answer', says ? `${answered.text} ${origins.text}` : answered.text, [
    ...new Set([...answered.nodes, ...(says ? origins.nodes : [])]),
  ]);
  const tell = (id: string, start: string, nodes: readonly number[], end: string) => {
    if (nodes.length === 0) return;
    const versions = nodes.filter((node) => node < 0).length;
    const of = versions > 0 ? `, with ${plural(versions, 'version')} of models` : '';
    composer.say('lineage', id, `${start} ${composer.kinds(nodes)}${of}${end}.`, nodes);
  };
  tell('ancestry', 'In all it comes from', parts.certain, '');
  tell('ancestry-inferred', 'It may also come from', parts.inferred, ': which of it was used is not recorded');
  if (origins.nodes.length > 0) composer.say('lineage', 'origins', origins.text, origins.nodes);
}

/** The ancestry of a subject, without itself: what it certainly comes from is kept apart from what it may come from. */
class Parts {
  readonly certain: readonly number[];
  readonly inferred: readonly number[];
  /** Of a version, or of a model as all that it has learnt: its versions. */
  readonly own: readonly number[];

  constructor(
    readonly composer: Composer,
    private readonly row: LineageRow,
    subject: number,
  ) {
    const { nodes, start } = composer.ancestry;
    const self = new Set([...start, subject]);
    const others = composer.ancestry.all.filter(([node]) => !self.has(node));
    const those = (wanted: boolean) => others.filter(([, { inferred }]) => inferred === wanted).map(([node]) => node);
    [this.certain, this.inferred] = [those(false), those(true)];
    this.own = [...start, ...this.certain].filter((node) => node < 0 && nodes.get(node)?.id === row.id);
  }

  isOwn(node: number): boolean {
    return this.composer.ancestry.nodes.get(node)?.id === this.row.id;
  }

  /** What some versions were exposed to, without the subject's own record and versions, and without what is known already. */
  sources(versions: readonly number[], known: readonly number[] = []): number[] {
    const left = new Set(known);
    return training(this.composer.ancestry, versions).sources.filter((node) => !this.isOwn(node) && !left.has(node));
  }
}

/** What a version, or a model as all that it has learnt, was trained on. */
function trained(composer: Composer, row: LineageRow, parts: Parts): Said {
  const { ancestry } = composer;
  const name = composer.name(row);
  const { updates, exposures, sources: all } = training(ancestry, parts.own);
  composer.say(
    'lineage',
    'trained-on',
    `${name} was made by ${plural(updates, 'update')} over ${plural(parts.own.length, 'version')} of it, which were exposed ` +
      `${plural(exposures, 'time')} to ${plural(all.length, 'source')}${composer.listedSources(all)}.`,
    all,
  );
  const sources = all.filter((node) => !parts.isOwn(node));
  const others = parts.certain.filter((node) => node < 0 && !parts.isOwn(node));
  const further = parts.sources(others, sources);
  if (further.length > 0) {
    composer.say(
      'lineage',
      'trained-through-models',
      `By way of other models ${plural(further.length, 'further source')} went into it${composer.listedSources(further)}.`,
      further,
    );
  }
  const maybe = parts.sources(
    parts.inferred.filter((node) => node < 0 && parts.isOwn(node)),
    sources,
  );
  const text = `${name} was trained on ${composer.sources(sources) || 'nothing that is recorded'}.`;
  if (maybe.length === 0) return { text, nodes: sources };
  const also = `It may go on from versions that were also trained on ${composer.sources(maybe)}.`;
  return { text: `${text} ${also}`, nodes: [...sources, ...maybe] };
}

/** What a record was derived from; and what the models among that had learnt from, for that is asked of what a model has made. */
function derived(composer: Composer, row: LineageRow, parts: Parts): Said {
  const { nodes, direct } = composer.ancestry;
  const name = composer.name(row);
  const isInferred = (node: number) => nodes.get(node)?.inferred === true;
  const sources = direct.filter((node) => !isInferred(node));
  const maybe = direct.filter(isInferred);
  const from = composer.sources(sources);
  const nothing = row.kind === 'model' ? 'was trained on nothing that is recorded' : 'is derived from nothing that is recorded'; // prettier-ignore
  let text = from === '' ? `${name} ${nothing}.` : `${name} was derived from ${from}.`;
  if (maybe.length > 0) {
    text += ` Which version that was is not recorded of ${composer.kinds(maybe)}; it may be any of ${count(maybe.length)}${composer.listed(maybe)}.`;
  }
  const models = new Set(direct.filter((node) => node < 0).map((node) => nodes.get(node)?.id));
  const learnt = (of: readonly number[], known: readonly number[]) =>
    parts
      .sources(
        of.filter((node) => node < 0 && models.has(nodes.get(node)!.id)),
        known,
      )
      .filter((node) => !models.has(nodes.get(node)?.id));
  const known = learnt(parts.certain, []);
  const further = learnt(parts.inferred, known);
  const who = models.size === 1 ? 'The model that made it' : 'The models that made it';
  const say = (id: string, verb: string, what: readonly number[]) => {
    if (what.length === 0) return;
    composer.say('lineage', id, `${who} ${verb} ${composer.sources(what)}.`, what);
  };
  say('trained-on', 'had learnt from', known);
  say('trained-on-inferred', 'may have learnt from', further);
  return { text, nodes: direct };
}

/** Where its ancestry begins: at facts, at what no source is recorded of, and at ids without a record. */
function originsOf(composer: Composer, { certain, inferred }: Parts): Said {
  const { nodes, dangling } = composer.ancestry;
  const begins = (among: readonly number[], verb: string, missing: readonly number[]): Said => {
    const roots = among.filter((node) => nodes.get(node)!.isRoot || nodes.get(node)!.kind === 'fact');
    const facts = roots.filter((node) => nodes.get(node)!.kind === 'fact');
    const others = roots.filter((node) => nodes.get(node)!.kind !== 'fact');
    const places = [
      facts.length > 0 && `${plural(facts.length, 'fact')}${composer.listed(facts)}`,
      others.length > 0 && `${composer.kinds(others)} without a recorded source${composer.listed(others)}`,
      missing.length > 0 && `${plural(missing.length, 'id')} without a record`,
    ].filter((place) => place !== false);
    return {
      text: places.length > 0 ? ` It ${verb} to ${places.join(', and to ')}.` : '',
      nodes: [...facts, ...others, ...missing],
    };
  };
  const known = begins(certain, 'goes back', dangling);
  const maybe = begins(inferred, 'may also go back', []);
  return { text: `${known.text}${maybe.text}`.trim(), nodes: [...known.nodes, ...maybe.nodes] };
}
