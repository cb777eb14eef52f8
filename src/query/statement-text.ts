import type { Statement } from './statement.js';
import { TOPICS, type Sentence, type Topic } from './statement-composer.js';

const TITLES: Record<Topic, string> = {
  answer: '',
  subject: 'What it is',
  lineage: 'What it comes from',
  'made by': 'What made it',
  validity: 'Whether it is valid',
  missing: 'What is missing',
};

/** A statement as lines of plain text. */
export function statementText(statement: Statement): string {
  return sections(statement)
    .map(([topic, sentences]) =>
      [
        ...(TITLES[topic] === '' ? [] : [TITLES[topic]]),
        ...sentences.map(({ text }) => (TITLES[topic] === '' ? text : `  ${text}`)),
      ].join('\n'),
    ) // prettier-ignore
    .concat([`${source(statement)}`])
    .join('\n\n')
    .concat('\n');
}

/** A statement as Markdown. Nothing that was recorded is taken for markup. */
export function statementMarkdown(statement: Statement): string {
  return sections(statement)
    .map(([topic, sentences]) => {
      if (TITLES[topic] === '') return sentences.map(({ text }) => `**${escapeMarkdown(text)}**`).join('\n\n');
      return `## ${TITLES[topic]}\n\n${sentences.map(({ text }) => `- ${escapeMarkdown(text)}`).join('\n')}`;
    })
    .concat([escapeMarkdown(source(statement))])
    .join('\n\n')
    .concat('\n');
}

function sections({ sentences }: Statement): [Topic, Sentence[]][] {
  return TOPICS.map((topic): [Topic, Sentence[]] => [topic, sentences.filter((each) => each.topic === topic)]).filter(
    ([, each]) => each.length > 0,
  );
}

function source({ database, made }: Statement): string {
  return `Stated at ${made} from ${database === null ? 'a database of Braid-DB' : `database ${database}`}. Numbers in brackets are ids of records.`; // prettier-ignore
}

/** A colon or an @ would make a link of an address that was recorded; a digit first, or a dash, a list. */
function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_{}[\]<>#|~&!$^]/g, '\\$&')
    .replace(/:\/\//g, '\\://')
    .replace(/\bwww\./gi, (www) => `${www.slice(0, 3)}\\.`)
    .replace(/@(?=[\w-])/g, '\\@')
    .replace(/^(\s*\d+)([.)])/, '$1\\$2')
    .replace(/^\s*[-+=]/, '\\$&');
}
