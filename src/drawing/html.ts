import { createHash } from 'node:crypto';
import type { GraphFold, GraphNode } from '../query/graph.js';
import { countText, type Drawing, type DrawnNode } from './drawing.js';
import { SCRIPT, STYLE } from './page.js';
import { escapeXml } from './shapes.js';
import { svgOf } from './svg.js';

/**
 * A page that asks nothing of any network, and can't be made to: all that is somebody's is text, and its policy lets nothing
 * run but the one script that is ours. Without it links still show what belongs to a node.
 */
export function htmlOf(drawing: Drawing): string {
  const policy = `default-src 'none'; style-src '${hashOf(STYLE)}'; script-src '${hashOf(SCRIPT)}'; base-uri 'none'; form-action 'none'`;
  return [
    '<!DOCTYPE html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="referrer" content="no-referrer">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeXml(drawing.title)}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    '<main>',
    svgOf(drawing, { href: (place) => `#d${place}` }).trimEnd(),
    '</main>',
    '<nav><button type="button" id="in" title="larger (+)">+</button><button type="button" id="out" title="smaller (-)">−</button><button type="button" id="fit" title="all of it (0)">all</button></nav>',
    ...drawing.nodes.map(details),
    `<script>${SCRIPT}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function details({ title, of }: DrawnNode, place: number): string {
  const rows = 'count' in of ? foldRows(of) : nodeRows(of);
  return [
    `<section id="d${place}"><a class="close" href="#" title="close">×</a><h2>${escapeXml(title)}</h2><table>`,
    ...rows.map(([name, value]) => `<tr><th>${escapeXml(name)}</th><td>${value}</td></tr>`),
    '</table></section>',
  ].join('');
}

type Row = readonly [name: string, html: string];

function nodeRows({ node, kind, time, run, rank, valid, inferred, missing, uris, tags }: GraphNode): Row[] {
  const rows: Row[] = [['name for lineage', `<code>${escapeXml(node)}</code>`]];
  if (missing) return [...rows, ['', 'not in the database']];
  rows.push(['kind', kind]);
  if (!Number.isNaN(time.getTime())) rows.push(['time', time.toISOString()]);
  if (run !== undefined) rows.push(['run', escapeXml(run) + (rank === undefined ? '' : `, rank ${rank}`)]);
  if (!valid) rows.push(['valid', 'no']);
  if (inferred) rows.push(['belongs here', 'maybe: it is not known']);
  rows.push(...uris.map((uri): Row => ['URI', linkTo(uri)]));
  rows.push(...Object.entries(tags).map(([key, value]): Row => [`tag ${key}`, escapeXml(String(value))]));
  return rows;
}

function foldRows({ kind, name, count, valid, inferred, members }: GraphFold): Row[] {
  const rows: Row[] = [['kind', kind], ['names', escapeXml(name)], ['how many', countText(count)]]; // prettier-ignore
  if (!valid) rows.push(['valid', 'no']);
  if (inferred) rows.push(['belong here', 'maybe: it is not known']);
  const more = count - members.length;
  const named = members.map((member) => `<code>${escapeXml(member)}</code>`).join(', ');
  return [...rows, ['among them', more > 0 ? `${named}, … ${countText(more)} more` : named]];
}

/** Of the web only: others a browser would run, or not open from a page. */
function linkTo(uri: string): string {
  const text = escapeXml(uri);
  return /^https?:\/\/[^\s/]/i.test(uri) ? `<a href="${text}" rel="noopener noreferrer">${text}</a>` : text;
}
