import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { BraidReader, create, foldGraph, type GraphEdge, type GraphNode, type LineageGraph } from 'braid-mpi';
import fc from 'fast-check';
import { graph as anyGraph } from './arbitrary.js';
import { labelOf, readerOf, RUN, type Event, type Named } from './graph.js';
import { Oracle } from './oracle.js';

const record = (id: number, kind: 'fact' | 'data' | 'model', time: number, name?: string): Event =>
  ({ type: 'record', id, kind, time, name }); // prettier-ignore
const from = (derived: number, source: number, version: Named, time: number): Event =>
  ({ type: 'derivation', derived, source, version, time, rank: 0, attempt: 1 }); // prettier-ignore
const step = (n: number) => ({ attempt: 1, step: n });
const update = (model: number, n: number, time: number, sources: [number, Named][], seen?: number): Event => ({
  type: 'update',
  model,
  made: step(n),
  time,
  rank: 0,
  seen: seen === undefined ? undefined : step(seen),
  exposures: sources.map(([source, version]) => ({ source, version })),
});

/** Two models that teach each other; 7 comes from the second one, 9 from the first, unknown which version; 99 isn't there. */
const CYCLE: Event[] = [
  record(1, 'fact', 0),
  record(2, 'model', 1),
  from(2, 1, 'none', 1),
  record(3, 'data', 2),
  record(4, 'model', 2),
  record(5, 'data', 5),
  record(7, 'data', 6),
  record(9, 'data', 5),
  update(2, 0, 3, [[3, 'none']]),
  update(4, 0, 4, [[2, step(0)]]),
  update(2, 1, 6, [[4, step(0)], [5, 'none']], 0), // prettier-ignore
  from(7, 4, step(0), 6),
  from(9, 2, 'unknown', 5),
  from(9, 99, 'none', 5),
];

const short = (node: string) => node.replace(`@${RUN}.`, '@');
const edgeText = ({ source, derived, relation, inferred }: GraphEdge) =>
  `${short(source)} > ${short(derived)} ${relation}${inferred ? ' inferred' : ''}`;
const edgesOf = ({ edges }: LineageGraph) => edges.map(edgeText).sort();
const nodesOf = ({ nodes }: LineageGraph) => nodes.map(({ node }) => short(node)).sort();

describe('a graph of lineage', function () {
  this.timeout(60_000);
  let directory: string;
  let reader: BraidReader;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-graph-'));
    reader = readerOf(directory, CYCLE);
  });
  after(() => {
    reader.close();
    rmSync(directory, { recursive: true });
  });

  it('has the nodes of the lineage, the nearest first, and the edges between them, each with its relation', () => {
    const graph = reader.graph(7);
    assert.deepEqual(graph.start, ['7']);
    assert.deepEqual(nodesOf(graph), ['1', '2', '2@1.s0', '3', '4', '4@1.s0', '7']);
    assert.deepEqual(graph.nodes.map(({ depth }) => depth), [0, 1, 2, 2, 3, 3, 4]); // prettier-ignore
    assert.deepEqual(edgesOf(graph), [
      '1 > 2 derivation',
      '2 > 2@1.s0 version',
      '2@1.s0 > 4@1.s0 exposure',
      '3 > 2@1.s0 exposure',
      '4 > 4@1.s0 version',
      '4@1.s0 > 7 derivation',
    ]);
    const rows = [reader.node(7), ...reader.ancestors(7)];
    assert.deepEqual(
      graph.nodes.map(({ node, ...row }) => [node, row]),
      rows.map((row) => [row.key ?? String(row.id), row]),
    );
  });

  it('says what is inferred, and what is not in the database', () => {
    const graph = reader.graph(9);
    assert.deepEqual(edgesOf(graph).filter((edge) => edge.includes('> 9')), [
      '2 > 9 derivation',
      '2@1.s0 > 9 derivation inferred',
      '99 > 9 derivation',
    ]); // prettier-ignore
    const missing = graph.nodes.find(({ node }) => node === '99')!;
    assert.deepEqual([missing.missing, missing.name, missing.depth], [true, '', 1]);
  });

  it('names versions of a model that is not committed by their keys', () => {
    const graph = readerOf(directory, [
      { type: 'record', id: 5, kind: 'data', time: 2 },
      { type: 'update', model: 99, made: { attempt: 1, step: 0 }, time: 1, rank: 0, exposures: [] },
      { type: 'derivation', source: 99, version: { attempt: 1, step: 0 }, derived: 5, time: 2, rank: 0, attempt: 1 },
    ]);
    const { nodes, edges } = graph.graph(5);
    graph.close();
    const key = `99@${RUN}.1.s0`;
    assert.deepEqual(nodes.map(({ node, kind, missing }) => [node, kind, missing]), [['5', 'data', undefined], [key, 'model', undefined], ['99', 'record', true]]); // prettier-ignore
    assert.deepEqual(edges.map(({ source, derived }) => [source, derived]).sort(), [['99', key], [key, '5']].sort()); // prettier-ignore
  });

  it('is of a model as of a version, where that is said', () => {
    const whole = nodesOf(reader.graph(2));
    assert.ok(whole.includes('2@1.s1') && whole.includes('5') && whole.includes('2'));
    const early = reader.graph(2, { asOf: { step: 0 } });
    assert.deepEqual(early, reader.graph('2@step=0'));
    assert.deepEqual(nodesOf(early), ['1', '2', '2@1.s0', '3']);
  });

  it('goes down, and both ways, with all edges between what it meets', () => {
    assert.deepEqual(nodesOf(reader.graph('4@step=0', { direction: 'descendants' })), ['2@1.s1', '4@1.s0', '7']);
    const both = reader.graph('4@step=0', { direction: 'both' });
    assert.deepEqual(nodesOf(both), ['1', '2', '2@1.s0', '2@1.s1', '3', '4', '4@1.s0', '7']);
    // Between an ancestor and a descendant, on no way to what was asked about.
    assert.ok(edgesOf(both).includes('2@1.s0 > 2@1.s1 seen'));
  });

  it('has the edges between its outermost nodes, too', () => {
    const graph = reader.graph('2@step=1', { depth: 1 });
    assert.deepEqual(nodesOf(graph), ['2', '2@1.s0', '2@1.s1', '4@1.s0', '5']);
    assert.ok(edgesOf(graph).includes('2@1.s0 > 4@1.s0 exposure'));
    assert.equal(graph.depth, 1);
  });

  it('is the plain closure where that is asked for', () => {
    const graph = reader.graph(7, { ever: true });
    assert.deepEqual(nodesOf(graph), ['1', '2', '3', '4', '5', '7']);
    assert.ok(edgesOf(graph).includes('2 > 4 derivation') && edgesOf(graph).includes('4 > 2 derivation'));
  });

  it('refuses options that it does not know, and graphs that are too large', () => {
    const throws = (node: number | string, options: object, code: string) =>
      assert.throws(() => reader.graph(node, options), { code });
    throws(7, { direction: 'up' }, 'ERR_BRAID_OPTION_INVALID');
    throws(7, { deep: 1 }, 'ERR_BRAID_OPTION_INVALID');
    throws(7, { depth: -1 }, 'ERR_BRAID_FILTER_INVALID');
    throws(7, { maxEdges: 5 }, 'ERR_BRAID_GRAPH_TOO_LARGE');
    throws(2, { ever: true, asOf: 1 }, 'ERR_BRAID_OPTION_INVALID');
    throws(2, { asOf: 17 }, 'ERR_BRAID_NO_SUCH_VERSION');
    throws('2@1', { asOf: 1 }, 'ERR_BRAID_VERSION_INVALID');
    throws(7, { asOf: 1 }, 'ERR_BRAID_NO_SUCH_VERSION');
    throws(98, {}, 'ERR_BRAID_NO_SUCH_RECORD');
    assert.equal(reader.graph(7, { maxEdges: 6 }).edges.length, 6);
    assert.throws(() => foldGraph(reader.graph(7), 0), { code: 'ERR_BRAID_OPTION_INVALID' });
  });

  it('has for any graph the edges of the definition, and folds to what is still all of it', () => {
    fc.assert(
      fc.property(anyGraph, fc.integer({ min: 1, max: 8 }), (events, limit) => {
        const any = readerOf(directory, events);
        try {
          const oracle = new Oracle(events);
          const graph = any.graph(5, { direction: 'both' });
          const labels = new Map(graph.nodes.map((row) => [row.node, labelOf(row)]));
          const found = new Map<string, string>();
          for (const { source, derived, inferred } of graph.edges) {
            const key = `${labels.get(derived)} ${labels.get(source)}`;
            if (found.get(key) !== 'certain') found.set(key, inferred ? 'inferred' : 'certain');
          }
          const expected = [...labels.values()].flatMap((derived) =>
            [...labels.values()].flatMap((source) => {
              const edge = oracle.edge(derived, source);
              return edge === undefined || source === derived ? [] : [[`${derived} ${source}`, edge]];
            }),
          );
          for (const key of found.keys()) if (new Set(key.split(' ')).size === 1) found.delete(key);
          assert.deepEqual([...found].sort(), expected.sort());
          checkFold(graph, limit);
        } finally {
          any.close();
        }
      }),
      { numRuns: 20 },
    );
  });
});

/** Whatever is folded, everything is in it once, and what was asked about is itself. */
function checkFold(graph: LineageGraph, limit: number): LineageGraph {
  const { nodes, folds = [], edges } = foldGraph(graph, limit);
  assert.equal(nodes[0].node, graph.nodes[0].node);
  assert.equal(nodes.length + folds.reduce((sum, { count }) => sum + count, 0), graph.nodes.length);
  const names = new Set([...nodes, ...folds].map(({ node }) => node));
  assert.equal(names.size, nodes.length + folds.length);
  const alone = new Set(nodes.map(({ node }) => node));
  assert.deepEqual(
    edges.filter(({ source, derived }) => alone.has(source) && alone.has(derived)).map(edgeText).sort(),
    graph.edges.filter(({ source, derived }) => alone.has(source) && alone.has(derived)).map(edgeText).sort(),
  ); // prettier-ignore
  for (const { source, derived } of edges) assert.ok(names.has(source) && names.has(derived));
  for (const { members } of folds) {
    const all = members.map((member) => graph.nodes.find(({ node }) => node === member)!);
    assert.equal(new Set(all.map(({ kind, valid, key }) => `${kind} ${valid} ${key === undefined}`)).size, 1);
  }
  return { ...graph, nodes, folds, edges };
}

describe('a folded graph', function () {
  this.timeout(60_000);
  const row = (id: number, name: string, more: Partial<GraphNode> = {}): GraphNode => ({
    node: String(id),
    id,
    kind: 'data',
    name,
    time: new Date(0),
    uris: [],
    tags: {},
    valid: true,
    depth: 1,
    ...more,
  });
  const edge = (source: number, derived: number): GraphEdge => ({
    source: String(source),
    derived: String(derived),
    relation: 'derivation',
  });

  it('tells many that are alike as one, and the odd one by itself', () => {
    const nodes = [row(1, 'result', { depth: 0 }), row(2, 'beamline', { kind: 'fact', depth: 3 })];
    const edges: GraphEdge[] = [];
    for (let i = 0; i < 500; i++) {
      const [scan, peaks] = [10 + 2 * i, 11 + 2 * i];
      nodes.push(row(scan, `scan-${i}`, { valid: i !== 77 }), row(peaks, `peaks-${i}`));
      edges.push(edge(2, scan), edge(scan, peaks), edge(peaks, 1));
    }
    const graph = { start: ['1'], direction: 'ancestors' as const, nodes, edges };
    const folded = checkFold(graph, 30);
    assert.deepEqual(
      folded.nodes.map(({ name }) => name).sort(),
      ['beamline', 'peaks-77', 'result', 'scan-77'],
    ); // prettier-ignore
    assert.deepEqual(folded.folds!.map(({ name, count }) => `${name} ${count}`).sort(), ['peaks-* 499', 'scan-* 499']);
    assert.equal(folded.edges.length, 6);
    assert.equal(foldGraph(graph, 1002), graph);
  });

  it('folds names that have nothing in common when there is no other way', () => {
    const word = (i: number) => [...String(i)].map((digit) => 'abcdefghij'[Number(digit)]).join('');
    const nodes = [row(1, 'result', { depth: 0 }), ...Array.from({ length: 300 }, (_, i) => row(i + 2, word(i)))];
    const edges = nodes.slice(1).map(({ id }) => edge(id, 1));
    const folded = checkFold({ start: ['1'], direction: 'ancestors', nodes, edges }, 30);
    assert.deepEqual(folded.folds!.map(({ name, count }) => [name, count]), [['*', 300]]); // prettier-ignore
  });

  it('takes hashes and numbers in names for what tells them apart', () => {
    const names = ['run-0f2c8e1a90bc', 'run-77aa8e1a90bd', 'run-3', 'run-2026-07-28'];
    const nodes = [
      row(1, 'result', { depth: 0 }),
      ...Array.from({ length: 40 }, (_, i) => row(i + 2, names[i % names.length])),
    ];
    const folded = checkFold({ start: ['1'], direction: 'ancestors', nodes, edges: nodes.slice(1).map(({ id }) => edge(id, 1)) }, 5); // prettier-ignore
    assert.deepEqual(folded.folds!.map(({ name }) => name), ['run-*']); // prettier-ignore
  });

  it('is made within seconds of tens of thousands of ancestors', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'braid-graph-'));
    try {
      const path = join(directory, 'large.db');
      await create(path);
      const db = new Database(path);
      db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO records (record_id, name, time, kind) SELECT i, 'scan-' || i, '2026-01-01 00:00:00.000000', 2 FROM n;
        INSERT INTO derivations (record_id, derivation, time, stated, unversioned)
          SELECT record_id, record_id / 2, time, 1, 0 FROM records WHERE record_id > 1`);
      db.close();
      const reader = BraidReader.open(path);
      const began = performance.now();
      const { folds = [], nodes } = foldGraph(reader.graph(1));
      const tookMs = performance.now() - began;
      reader.close();
      assert.ok(nodes.length + folds.length <= 30);
      assert.equal(nodes.length + folds.reduce((sum, { count }) => sum + count, 0), 20_000);
      assert.ok(tookMs < 10_000, `${tookMs} ms`);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
