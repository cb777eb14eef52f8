import { modelName } from './dependence.js';
import type { LineageRow } from './lineage.js';
import { count, short, type Composer } from './statement-composer.js';

/** What the subject is: when, and by whom, it was recorded, where its content is, and its tags. */
export function subjectSentences(composer: Composer, row: LineageRow, subject: number): void {
  const { id, kind, key, version, step, time, run, rank, uris, tags } = row;
  const what =
    key === undefined
      ? { fact: 'a fact', data: 'data', model: 'a model, as all that it has ever learnt', record: 'a record of unknown kind' }[kind]
      : `${version === undefined ? 'a version' : `version ${version}`} of the model ${short(modelName(row.name))} [${id}]${step === undefined ? '' : `, after step ${step}`}`; // prettier-ignore
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
