import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { instance } from '@viz-js/viz';
import {
  BraidData,
  BraidDB,
  BraidFact,
  BraidModel,
  BraidReader,
  foldGraph,
  renderGraph,
  type LineageGraph,
} from 'braid-mpi';
import fc from 'fast-check';
import { graph as anyGraph } from './arbitrary.js';
import { readerOf } from './graph.js';

/** What would be something else than text, in one of the formats or another. */
const HOSTILE = [
  '</script><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  '</section><!-- ]]>',
  'a\u0001b\u001b[31mred\u202eevil',
  'line\nbreak\ttab & <b>&amp;',
  ']] --> n0["x"]; %%{init: {}}%% end',
  '"]; } digraph { \\N \\l \\',
  'ok\ufffe\uffff😀漢字',
  'W'.repeat(400),
  '`md` **x** #35; &#0;',
  "javascript:alert('1')",
];

describe('a drawing of a graph', function () {
  this.timeout(60_000);
  let directory: string;
  let graph: LineageGraph;
  let many: LineageGraph;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'braid-drawing-'));
    const path = join(directory, 'hostile.db');
    const db = await BraidDB.open(path, { mpi: 'off' });
    const root = new BraidFact(db, { name: HOSTILE[0], uris: HOSTILE, tags: Object.fromEntries(HOSTILE.map((text) => [text, text])) }); // prettier-ignore
    const all = HOSTILE.slice(1).map((name) => new BraidData(db, { name, derivedFrom: root, uris: ['https://example.org/"><script>'] })); // prettier-ignore
    const model = new BraidModel(db, { name: HOSTILE[5], derivedFrom: root });
    model.update(all, { step: 1 });
    const last = new BraidData(db, { name: HOSTILE[6], derivedFrom: [model, ...all] });
    all[0].invalidate({ cause: 'wrong', cascade: false });
    for (let i = 0; i < 4312; i++) new BraidData(db, { name: `scan-${i}`, derivedFrom: root });
    await db.close();
    const reader = BraidReader.open(path);
    graph = reader.graph(last.id);
    many = foldGraph(reader.graph(root.id, { direction: 'descendants', depth: 1 }));
    reader.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  /** By expat, which takes nothing that isn't well-formed. Gives the texts of all elements of a name. */
  const xmlTexts = (documents: readonly string[], element: string): string[][] => {
    const files = documents.map((text, i) => {
      const file = join(directory, `${i}.svg`);
      writeFileSync(file, text);
      return file;
    });
    const program = `import sys, json, xml.etree.ElementTree as t
print(json.dumps([["".join(e.itertext()) for e in t.parse(f).iter("{http://www.w3.org/2000/svg}" + sys.argv[1])] for f in sys.argv[2:]]))`;
    return JSON.parse(execFileSync('python3', ['-c', program, element, ...files], { encoding: 'utf8', maxBuffer: 2 ** 26 })) as string[][]; // prettier-ignore
  };

  it('is valid XML whatever the names are, with all that they say and none of what they would do', async () => {
    const svg = await renderGraph(graph, 'svg');
    const [texts] = xmlTexts([svg], 'text');
    for (const text of ['"><img src=x onerror=alert(1)>', 'line\\nbreak\\ttab & <b>&amp;', `WWWWWWWWWWWWWWWWWWW…WWWWWWWWWW`, 'ok\ufffd\ufffd😀漢字']) {
      assert.ok(texts.includes(text), text);
    } // prettier-ignore
    assert.doesNotMatch(svg, /[\x00-\x09\x0b-\x1f\u202e\ufffe\uffff]|<script|<img|javascript:alert\('1'\)" /);
    const [titles] = xmlTexts([svg], 'title');
    assert.ok(titles.some((title) => title.includes('W'.repeat(400))), 'the whole of a long name'); // prettier-ignore
    assert.ok(titles.some((title) => title.includes('was updated by exposure to')));
  });

  it('tells kinds and what is invalid apart by shape and by words', async () => {
    const svg = await renderGraph(graph, 'svg');
    const [texts] = xmlTexts([svg], 'text');
    for (const kind of ['fact', 'data', 'model', 'invalid', 'a model and its versions']) assert.ok(texts.includes(kind), kind); // prettier-ignore
    const legend = svg.slice(svg.lastIndexOf('<g transform="translate(0'));
    const shape = (label: string) =>
      legend.split('<g transform').find((part) => part.includes(`>${label}<`))!.replace(/ (fill|stroke)="[^"]*"/g, '').replace(/<text.*/, ''); // prettier-ignore
    assert.equal(new Set(['fact', 'data', 'model', 'invalid'].map((label) => shape(label).replace(/.*?>/, ''))).size, 4); // prettier-ignore
    assert.doesNotMatch(legend, /many that are alike|may be so/, 'what is not drawn is not explained');
  });

  it('folds thousands into one, with their number', async () => {
    const svg = await renderGraph(many, 'svg');
    const [texts] = xmlTexts([svg], 'text');
    assert.ok(texts.includes('… 4,312 similar data') && texts.includes('scan-*') && texts.includes('many that are alike'), texts.join('\n')); // prettier-ignore
    assert.match(await renderGraph(many, 'dot'), /4,312 similar data\\nscan-\*".*peripheries=2/);
  });

  it('is a page that loads nothing, runs its own script and no other, and shows tags and URIs', async () => {
    const html = await renderGraph(graph, 'html');
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)![1];
    const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    const scripts = [...html.matchAll(/<script>([^]*?)<\/script>/g)].map(([, text]) => text);
    const styles = [...html.matchAll(/<style>([^]*?)<\/style>/g)].map(([, text]) => text);
    assert.deepEqual([scripts.length, styles.length, html.match(/<script/g)!.length], [1, 1, 1]);
    assert.equal(
      policy,
      `default-src 'none'; style-src ${hash(styles[0])}; script-src ${hash(scripts[0])}; base-uri 'none'; form-action 'none'`,
    );
    new Script(scripts[0]);
    const tags = html.replace(scripts[0], '').replace(styles[0], '').match(/<[^>]*>/g)!.join('\n'); // prettier-ignore
    assert.doesNotMatch(tags, /\s(src|style|on\w+)=|<(img|iframe|object|embed|link|base)/i);
    const links = [...html.matchAll(/<a [^>]*?href="([^"]*)"/g)].map(([, href]) => href);
    assert.deepEqual(
      new Set(links.filter((href) => !/^#(d\d+)?$/.test(href))),
      new Set(['https://example.org/&quot;&gt;&lt;script&gt;']),
    );
    for (const [, target] of html.matchAll(/href="#(d\d+)"/g)) assert.ok(html.includes(`<section id="${target}">`));
    assert.ok(html.includes('<th>tag &lt;/section&gt;&lt;!-- ]]&gt;</th><td>&lt;/section&gt;&lt;!-- ]]&gt;</td>'));
    assert.ok(html.includes('<td>javascript:alert(&#39;1&#39;)</td>'));
  });

  it('is taken by Graphviz, with the names as they are', async () => {
    const viz = await instance();
    const svg = viz.renderString(await renderGraph(graph, 'dot'), { format: 'svg' });
    assert.equal(svg.match(/class="node"/g)!.length, graph.nodes.length);
    const [texts] = xmlTexts([svg], 'text');
    for (const text of ['"]; } digraph { \\N \\l \\', 'line\\nbreak\\ttab & <b>&amp;', '`md` **x** #35; &#0;']) {
      assert.ok(texts.includes(text), `${text} of ${texts.join('\n')}`);
    }
  });

  it('is text for Mermaid in which names are numbers of characters', async () => {
    const lines = (await renderGraph(graph, 'mermaid')).trimEnd().split('\n');
    assert.equal(lines[2], 'flowchart LR');
    const line = new RegExp(
      [
        'subgraph g\\d+\\["TEXT"\\]', 'end', 'n\\d+(\\["TEXT"\\]|\\(\\["TEXT"\\]\\)|\\{\\{"TEXT"\\}\\}|\\[/"TEXT"/\\])',
        'n\\d+ (-->|-\\.->|==>|-\\. update \\.->|--o|-\\.-o) n\\d+', 'classDef \\w+ [\\w:,#-]+', 'class [n\\d,]+ \\w+',
      ].map((each) => `^ +${each.replaceAll('TEXT', '(?:[\\p{L}\\p{M}\\p{N} .,…@_-]|#\\d+;|<br/>)*')}$`).join('|'), 'u',
    ); // prettier-ignore
    for (const each of lines.slice(3)) assert.match(each, line);
    assert.doesNotMatch(lines.slice(0, 2).join(), /[{}\n]|%.*%.*%.*%.*%/);
  });

  it('is there for any graph, folded or not, and well-formed', async () => {
    const graphs: LineageGraph[] = [];
    const events = fc.sample(anyGraph, { numRuns: 25, seed: 7 });
    for (const each of events) {
      const reader = readerOf(directory, each);
      const any = reader.graph(5, { direction: 'both' });
      graphs.push(any, foldGraph(any, 4), reader.graph(5, { direction: 'both', ever: true }));
      reader.close();
    }
    const viz = await instance();
    for (const any of graphs) assert.equal(viz.render(await renderGraph(any, 'dot')).status, 'success');
    const texts = xmlTexts(await Promise.all(graphs.map((any) => renderGraph(any, 'svg'))), 'text');
    assert.ok(texts.every((each) => each.length > 3));
  });

  it('refuses a format that there is not', async () => {
    await assert.rejects(renderGraph(graph, 'png' as never), { code: 'ERR_BRAID_OPTION_INVALID' });
  });
});
