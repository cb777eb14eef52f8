import type { Command } from 'commander';
import { BraidError } from '../errors.js';
import type { BraidReader, RecordRow, VersionRow } from '../query/reader.js';
import { dateText, plural, printable, tableLines, toJson, writeLines } from './output.js';
import { valuesOf } from './record-text.js';
import { jsonOption } from './usage.js';
import { checkEnding, writeFile } from './write-file.js';

interface Options {
  plot?: string;
  output?: string;
  json?: boolean;
}

/** How many sources a row names. */
const SHOWN = 3;

export function addVersions(program: Command): void {
  program
    .command('versions')
    .summary('list the versions of a model')
    .description(
      'Lists the versions of a model by number: which run and ranks made it, when, what it was exposed to, what had been seen ' +
        'before, its tags and URIs. With --plot, draws a tag of theirs in the terminal and into an SVG file.',
    )
    .argument('<db>', 'database')
    .argument('<model>', 'id of a model, or name:NAME where only one model has that name')
    .option('--plot <tag>', 'draw this tag, a number, over the steps')
    .option('-o, --output <file>', 'file for the SVG; MODEL-TAG.svg if left out')
    .addOption(jsonOption('print one JSON object a line, for each version'))
    .addHelpText(
      'after',
      '\nExamples:\n  $ braid versions run.db name:braggnn\n  $ braid versions run.db name:braggnn --plot loss -o loss.svg\n',
    )
    .action(async (path: string, text: string, { plot, output, json }: Options) => {
      const [{ BraidReader }, { findRecord }] = await Promise.all([
        import('../query/reader.js'),
        import('../query/find.js'),
      ]);
      const reader = BraidReader.open(path);
      try {
        const model = findRecord(reader, text, 'model');
        if (output !== undefined && plot === undefined) {
          throw new BraidError('ERR_BRAID_OPTION_INVALID', '--output is for the SVG of --plot TAG');
        }
        if (output !== undefined) checkEnding(output, 'svg', ['.svg'], 'a plot is written as SVG alone');
        if (json) await writeLines(jsonLines(reader.versions(model)));
        else if (plot === undefined) await writeLines(await versionLines(reader, model));
        if (plot !== undefined) await drawTag(reader, model, plot, output, json);
      } finally {
        reader.close();
      }
    });
}

function* jsonLines(versions: Iterable<VersionRow>): Iterable<string> {
  for (const version of versions) yield toJson(version);
}

async function versionLines(reader: BraidReader, model: number): Promise<string[]> {
  const versions = [...reader.versions(model)];
  if (versions.length === 0) return [noVersions(reader.record(model)!)];
  const keys = [...new Set(versions.flatMap(({ tags }) => Object.keys(tags)))];
  const cells = versions.map((version) => [
    `${version.number === undefined ? '(not made yet)' : `@${version.number}`}${version.valid ? '' : ' INVALID'}`,
    version.step === undefined ? '-' : String(version.step),
    `${version.run.slice(0, 8)}${version.attempt === 1 ? '' : `.${version.attempt}`}`,
    version.time ? dateText(version.time).slice(0, 19) : '-',
    version.ranks.length > SHOWN ? plural(version.ranks.length, 'rank') : version.ranks.join(', '),
    listed(version.exposures.map(exposureText)),
    listed(version.seen.map(({ number, step }) => (number === undefined ? `step ${step}` : `@${number}`))),
    ...keys.map((key) => listed(valuesOf(version, key).map(String))),
    listed(version.uris),
  ]);
  const titles = ['VERSION', 'STEP', 'RUN', 'TIME', 'RANKS', 'EXPOSED TO', 'SEEN', ...keys, 'URIS'];
  return tableLines(titles, cells);
}

/** Of what is known to be no model, that is said. */
function noVersions({ id, name, kind }: RecordRow): string {
  return `no versions${kind === 'data' || kind === 'fact' ? `: ${printable(name)} [${id}] is ${kind === 'fact' ? 'a fact' : kind}, not a model` : ''}`;
}

function exposureText({ id, name = '(not committed)', version, unknown }: VersionRow['exposures'][number]): string {
  if (version) return `${name}@${version.number ?? `step=${version.step}`}`;
  return `${name}${unknown ? '@?' : ''} [${id}]`;
}

function listed(items: readonly string[]): string {
  const more = items.length - SHOWN;
  return items.slice(0, SHOWN).join(', ') + (more > 0 ? `, … ${more} more` : '');
}

async function drawTag(
  reader: BraidReader,
  model: number,
  tag: string,
  output: string | undefined,
  json: boolean | undefined,
): Promise<void> {
  const { versionsPlot } = await import('./plot.js');
  const { name } = reader.record(model)!;
  const plot = versionsPlot(name, tag, reader.versions(model));
  if (!plot) {
    throw new BraidError('ERR_BRAID_NO_SUCH_TAG', `no version of ${name} has a number as tag ${tag}`);
  }
  const file = output ?? `${name}-${tag}.svg`.replace(/[^\p{L}\p{N}._-]+/gu, '-');
  await writeFile(file, plot.svg);
  if (!json) await writeLines([...plot.text, '', `written to ${file}`]);
}
