import type { RecordRow } from '../query/reader.js';
import type { Tag, Tags } from '../record/tags.js';
import { dateText, printable, styled } from './output.js';

/** A record on one line: what it is, when and where it was made, its tags. */
export function recordLine({ id, kind, kindInferred, name, time, run, rank, valid, tags }: RecordRow): string {
  const parts = [`[${id}] ${kind}${kindInferred ? '?' : ''} ${printable(name)}`, styled('faint', dateText(time))];
  if (run !== undefined) parts.push(styled('faint', `run ${run.slice(0, 8)} rank ${rank}`));
  if (!valid) parts.push(styled('bad', 'INVALID'));
  parts.push(...tagTexts(tags));
  return parts.join('  ');
}

/** "loss=0.03", of each. */
export function tagTexts(tags: Tags): string[] {
  return Object.entries(tags).map(([key, value]) => `${printable(key)}=${tagText(value)}`);
}

/** Strings in quotes, so that the text "1" is not taken for the number. */
export function tagText(value: Tag): string {
  return typeof value === 'string' ? printable(JSON.stringify(value)) : String(value);
}
