import { training } from './ancestry.js';
import type { LineageRow } from './lineage.js';
import { count, plural, short, type Composer } from './statement-composer.js';

/** What the subject is, what it was trained on or derived from, and what that came from, back to facts. */
export function lineageSentences(composer: Composer, row: LineageRow, subject: number): void {
  const { ancestry } = composer;
  const self = new Set([...ancestry.start, subject]);
  const name = composer.name(row);
  describe(composer, row, subject);

  const ancestors = [...ancestry.nodes.keys()].filter((node) => !self.has(node));
  const own = [...ancestry.nodes].filter(([node, { id }]) => node < 0 && id === row.id).map(([node]) => node);
  const others = ancestors.filter((node) => node < 0 && ancestry.nodes.get(node)!.id !== row.id);
  const outside = ancestors.filter((node) => ancestry.nodes.get(node)!.id !== row.id);
  const facts = outside.filter((node) => ancestry.nodes.get(node)!.kind === 'fact');

  let answer: string;
  let answered: readonly number[];
  if (own.length > 0) {
    const trained = training(ancestry, own);
    const sources = trained.sources.filter((node) => ancestry.nodes.get(node)?.id !== row.id);
    answered = sources;
    answer = `${name} was trained on ${composer.kinds(sources) || 'nothing that is recorded'}${composer.listed(sources)}.`;
    composer.say(
      'lineage',
      'trained-on',
      `${name} was made by ${plural(trained.updates, 'update')} over ${plural(own.length, 'version')} of it, which were exposed ` +
        `${plural(trained.exposures, 'time')} to ${plural(trained.sources.length, 'source')}${composer.listed(trained.sources)}.`,
      trained.sources,
    );
    if (others.length > 0) {
      const direct = new Set(sources);
      const further = training(ancestry, others).sources.filter((node) => !direct.has(node));
      composer.say(
        'lineage',
        'trained-through-models',
        `By way of other models ${plural(further.length, 'further source')} went into it${composer.listed(further)}.`,
        further,
      );
    }
  } else {
    answered = ancestry.direct;
    const from = composer.kinds(ancestry.direct);
    const nothing = row.kind === 'model' ? 'was trained on nothing that is recorded' : 'is derived from nothing that is recorded'; // prettier-ignore
    answer =
      from === '' ? `${name} ${nothing}.` : `${name} was derived from ${from}${composer.listed(ancestry.direct)}.`;
  }
  if (facts.length > 0 && facts.some((node) => !answered.includes(node))) {
    answer += ` All of that comes from ${plural(facts.length, 'fact')}${composer.listed(facts)}.`;
  }
  composer.say('answer', 'answer', answer, [...new Set([...answered, ...facts])]);
  if (ancestors.length === 0) return;
  composer.say(
    'lineage',
    'ancestry',
    `In all it comes from ${composer.kinds(ancestors)}${own.length + others.length > 0 ? `, with ${plural(own.length + others.length, 'version')} of models` : ''}.`,
    ancestors,
  );
  if (facts.length > 0) {
    composer.say(
      'lineage',
      'facts',
      `It goes back to ${plural(facts.length, 'fact')}${composer.listed(facts)}.`,
      facts,
    );
  }
}

function describe(composer: Composer, row: LineageRow, subject: number): void {
  const { id, kind, key, version, step, time, run, rank, uris, tags } = row;
  const what =
    key === undefined
      ? { fact: 'a fact', data: 'data', model: 'a model, as all that it has ever learnt', record: 'a record of unknown kind' }[kind]
      : `${version === undefined ? 'a version' : `version ${version}`} of the model ${short(row.name)} [${id}]${step === undefined ? '' : `, after step ${step}`}`; // prettier-ignore
  const when = Number.isNaN(time.getTime()) ? '' : ` at ${time.toISOString()}`;
  const maker =
    run === undefined ? '' : ` by ${rank === undefined ? 'several ranks' : `rank ${rank}`} of run ${run.slice(0, 8)}`;
  const name = composer.name(row);
  composer.say('subject', 'subject', `${name} is ${what}; it was recorded${when}${maker}.`, [subject]);
  if (uris.length > 0) {
    const shown = uris.slice(0, composer.limit).map((uri) => short(uri, 200));
    const more = uris.length - shown.length;
    composer.say('subject', 'uris', `Its content is at ${shown.join(', ')}${more > 0 ? `${shown.length > 0 ? ', … ' : ''}${count(more)} more` : ''}.`, [subject]); // prettier-ignore
  }
  const entries = Object.entries(tags);
  if (entries.length > 0) {
    const shown = entries.slice(0, composer.limit).map(([tag, value]) => {
      return `${short(tag)} = ${typeof value === 'string' ? short(JSON.stringify(value)) : String(value)}`;
    });
    const more = entries.length - shown.length;
    composer.say('subject', 'tags', `Its tags are ${shown.join(', ')}${more > 0 ? `${shown.length > 0 ? ', … ' : ''}${count(more)} more` : ''}.`, [subject]); // prettier-ignore
  }
}
