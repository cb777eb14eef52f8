import { extname } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { BraidError } from '../errors.js';
import type { VersionOf } from '../query/reader.js';
import type { GraphFormat } from '../render-graph.js';
import { countText, plural, toJson, writeLines } from './output.js';
import { jsonOption, NODE_HELP, wholeNumber } from './usage.js';
import { checkEnding, writeFile } from './write-file.js';

type Format = GraphFormat | 'json';

interface Options {
  format?: Format;
  up?: boolean;
  down?: boolean;
  depth?: number;
  asOf?: string;
  ever?: boolean;
  limit?: number;
  fold: boolean;
  output?: string;
  json?: boolean;
}

const FORMATS: readonly Format[] = ['svg', 'html', 'mermaid', 'dot', 'json'];
/** What the name of a file says, where nothing else does. */
const ENDINGS: Record<string, Format> = { '.svg': 'svg', '.html': 'html', '.htm': 'html', '.mmd': 'mermaid', '.mermaid': 'mermaid', '.dot': 'dot', '.gv': 'dot', '.json': 'json' }; // prettier-ignore

export function addGraph(program: Command): void {
  program
    .command('graph')
    .summary('draw what a record or a version comes from, or what came of it')
    .description(
      'Draws the lineage of a record, or of a version of a model. In a large graph, what is alike becomes one node with a count, ' +
        'until about 30 nodes are left; JSON has all of it, unless --limit is given.',
    )
    .argument('<db>', 'database')
    .argument('<record>', 'a record or a version, see below')
    .addOption(new Option('--format <format>', 'default: as the ending of --output says, or svg').choices(FORMATS))
    .option('--up', 'what it comes from: the default')
    .option('--down', 'what is derived from it; with --up, both')
    .option('--depth <steps>', 'not further than so many steps', wholeNumber)
    .option('--as-of <version>', 'of a model, as of this version: what stands after the @ of MODEL@VERSION')
    .option('--ever', 'follow all derivations that ever were, whatever had been seen when')
    .option('--limit <count>', 'about how many nodes are drawn at most', positive)
    .option('--no-fold', 'draw each node, however many there are: as SVG and HTML, of hundreds that takes a minute')
    .option('-o, --output <file>', 'file for it; standard output if left out')
    .addOption(jsonOption('the same as --format json: one JSON document'))
    .addHelpText(
      'after',
      `${NODE_HELP}
Examples:
  $ braid graph run.db name:peaks-1 -o peaks.html
  $ braid graph run.db name:braggnn --as-of step=12 --depth 4 > braggnn.svg
  $ braid graph run.db 17 --up --down --format mermaid
`,
    )
    .action(draw);
}

async function draw(path: string, text: string, options: Options): Promise<void> {
  const { up, down, depth, ever, output } = options;
  const format = formatOf(options);
  const [{ BraidReader }, { foldGraph }, { renderGraph }] = await Promise.all([
    import('../query/reader.js'),
    import('../query/fold.js'),
    import('../render-graph.js'),
  ]);
  const reader = BraidReader.open(path);
  try {
    const asOf = options.asOf === undefined ? undefined : await versionOf(options.asOf);
    const whole = reader.graph(text, {
      direction: !down ? 'ancestors' : up ? 'both' : 'descendants',
      depth,
      ever,
      asOf,
    });
    const folds = options.fold && (format !== 'json' || options.limit !== undefined);
    const graph = folds ? foldGraph(whole, options.limit) : whole;
    const drawing = format === 'json' ? `${toJson(graph, 2)}\n` : await renderGraph(graph, format);
    if (output === undefined) return await writeLines(drawing.trimEnd().split('\n'));
    await writeFile(output, drawing);
    const drawn = graph.nodes.length + (graph.folds?.length ?? 0);
    const said = `${plural(whole.nodes.length, 'node')}${drawn < whole.nodes.length ? `, drawn as ${countText(drawn)}` : ''}`;
    if (!options.json) await writeLines([`written to ${output}: ${said}`]);
  } finally {
    reader.close();
  }
}

function formatOf({ format, json, output, fold, limit }: Options): Format {
  if (!fold && limit !== undefined) {
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      '--limit is how far to fold: leave out one of --limit and --no-fold',
    );
  }
  if (json && format !== undefined && format !== 'json') {
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      `--json is --format json, and not ${format}: leave out one of them`,
    );
  }
  const named = json ? 'json' : format;
  const drawn = named ?? ENDINGS[extname(output ?? '').toLowerCase()] ?? 'svg';
  if (output !== undefined) {
    const endings = Object.keys(ENDINGS);
    const formats = `there are ${FORMATS.join(', ')} (--format, or ${endings.join(', ')})`;
    checkEnding(output, drawn, endings.filter((ending) => ENDINGS[ending] === drawn), formats); // prettier-ignore
  }
  return drawn;
}

async function versionOf(text: string): Promise<VersionOf> {
  const { parseVersionOf } = await import('../query/version-names.js');
  const which = parseVersionOf(text);
  if (which !== undefined) return which;
  throw new BraidError(
    'ERR_BRAID_VERSION_INVALID',
    `'${text}' names no version: write 3, step=12, time=2026-07-28T09:30:00Z or when=RECORD`,
  );
}

function positive(text: string): number {
  const value = wholeNumber(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('It must be at least 1.');
}
