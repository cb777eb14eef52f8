import type { NodeRow } from '../query/reader.js';
import type { Tag } from '../record/tags.js';
import { dateText, printable, styled } from './output.js';

/** A record, or a version of a model, on one line: what it is, when and where it was made, its tags. */
export function recordLine(row: NodeRow): string {
  const { time, run, rank, valid } = row;
  const parts = [titleText(row), styled('faint', dateText(time))];
  if (run !== undefined)
    parts.push(styled('faint', `run ${run.slice(0, 8)}${rank === undefined ? '' : ` rank ${rank}`}`));
  if (!valid) parts.push(styled('bad', 'INVALID'));
  parts.push(...tagTexts(row));
  return parts.join('  ');
}

/** "[4] model braggnn@3 step 12", of a record or a version. */
export function titleText({ id, kind, kindInferred, name, version, step, key }: NodeRow): string {
  const of = key === undefined ? '' : version === undefined ? '@(not made yet)' : `@${version}`;
  return `[${id}] ${kind}${kindInferred ? '?' : ''} ${printable(name)}${of}${step === undefined ? '' : ` step ${step}`}`;
}

/** "loss=0.03", of each; of one that has several values, each of them. */
export function tagTexts(row: Pick<NodeRow, 'tags' | 'tagValues'>): string[] {
  return Object.keys(row.tags).flatMap((key) =>
    valuesOf(row, key).map((value) => `${printable(key)}=${tagText(value)}`),
  );
}

/** All different values of a tag. */
export function valuesOf({ tags, tagValues = {} }: Pick<NodeRow, 'tags' | 'tagValues'>, key: string): Tag[] {
  if (Object.hasOwn(tagValues, key)) return tagValues[key];
  return Object.hasOwn(tags, key) ? [tags[key]] : [];
}

/** Strings in quotes, so that the text "1" is not taken for the number. */
export function tagText(value: Tag): string {
  return typeof value === 'string' ? printable(JSON.stringify(value)) : String(value);
}
