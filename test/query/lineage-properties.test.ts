import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BraidReader, LineageRow } from 'braid-mpi';
import fc from 'fast-check';
import { graph, MODELS, RECORDS } from './arbitrary.js';
import { labelOf, readerOf, RUN, type Event } from './graph.js';
import { Oracle } from './oracle.js';
import { LONG } from '../support/trials.js';

/** Graphs, of which the oracle looks at all pairs of nodes. */
const RUNS = LONG ? 60 : 15;
const nameOf = (label: string): number | string =>
  label.includes('@') ? label.replace('@', `@${RUN}.`) : Number(label);

function found(rows: Iterable<LineageRow>): Map<string, { depth: number; inferred: boolean }> {
  const all = [...rows];
  const byLabel = new Map(all.map((row) => [labelOf(row), { depth: row.depth, inferred: row.inferred ?? false }]));
  assert.equal(byLabel.size, all.length, 'each once');
  const order = all.map(({ depth, inferred }) => (inferred ? 1e6 : 0) + depth);
  assert.deepEqual(order, order.toSorted((a, b) => a - b)); // prettier-ignore
  return byLabel;
}

const sorted = <T>(map: Map<string, T>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

/** A node, all that it is made of where it is a model, and what those come from, or certainly come from. */
function ancestryOf(oracle: Oracle, node: string, certain = false): Set<string> {
  const start = oracle.startOf(node);
  const closure = [...oracle.closure('ancestors', start)].filter(([, { inferred }]) => !certain || !inferred);
  return new Set([node, ...closure.map(([each]) => each), ...start]);
}

/** By its definition, over some of the edges. */
function nearestShared(
  oracle: Oracle,
  [a, b]: readonly string[],
  [ofA, ofB]: readonly ReadonlySet<string>[],
  takes: (edge: ReturnType<Oracle['edge']>) => boolean,
): string[] {
  const shared = new Set([...ofA].filter((node) => ofB.has(node)));
  /** What is reached over nothing that `ends`, the start included. */
  const reached = (start: readonly string[], ends: (node: string) => boolean) => {
    const found = new Set(start);
    for (const from of found) {
      if (ends(from)) continue;
      for (const to of oracle.nodes) if (takes(oracle.edge(from, to))) found.add(to);
    }
    return found;
  };
  const near = (node: string) =>
    [...reached(oracle.startOf(node), (each) => shared.has(each))].filter((each) => shared.has(each));
  const [nearA, nearB] = [near(a), near(b)];
  const comesFrom = (x: string, y: string) => reached([x], () => false).has(y);
  // Into a cycle each may come at another node.
  const sameCycle = (x: string, y: string) => x === y || (comesFrom(x, y) && comesFrom(y, x));
  return [...new Set([...nearA, ...nearB])].filter((node) =>
    [nearA, nearB].every((near) => near.some((other) => sameCycle(node, other))),
  );
}

describe('lineage that respects time, against its definition', function () {
  this.timeout(300_000);
  let directory: string;
  before(() => (directory = mkdtempSync(join(tmpdir(), 'braid-lineage-'))));
  after(() => rmSync(directory, { recursive: true }));

  const holds = (
    numRuns: number,
    property: (reader: BraidReader, oracle: Oracle, events: readonly Event[]) => void,
  ) => {
    fc.assert(
      fc.property(graph, (events) => {
        const reader = readerOf(directory, events);
        try {
          property(reader, new Oracle(events), events);
        } finally {
          reader.close();
        }
      }),
      { numRuns },
    );
  };

  it('finds the ancestors and descendants of every node, at their depths, and says which are inferred', () => {
    holds(RUNS, (reader, oracle) => {
      for (const node of oracle.nodes) {
        for (const direction of ['ancestors', 'descendants'] as const) {
          const start = oracle.startOf(node);
          for (const depth of [undefined, 2]) {
            const actual = found(reader[direction](nameOf(node), { depth }));
            assert.deepEqual(
              sorted(actual),
              sorted(oracle.closure(direction, start, depth)),
              `${direction} of ${node}`,
            );
          }
        }
      }
    });
  });

  it('is the same to a statement, which asks for no depths', () => {
    holds(RUNS, (reader, oracle) => {
      for (const node of oracle.nodes) {
        const rows = [...reader.ancestors(nameOf(node))];
        const { sentences } = reader.statement(nameOf(node), { limit: 10_000 });
        for (const [id, wanted] of [
          ['ancestry', undefined],
          ['ancestry-inferred', true],
        ] as const) {
          const said = sentences.find((sentence) => sentence.id === id);
          const expected = rows.filter(({ inferred }) => inferred === wanted).map(({ key, id }) => key ?? String(id));
          assert.deepEqual([...(said?.versions ?? []), ...(said?.records ?? []).map(String)].sort(), expected.sort());
        }
      }
    });
  });

  it('explains each dependence by a chain that is as short as any, and certain where there is such', () => {
    holds(RUNS, (reader, oracle) => {
      for (const node of oracle.nodes) {
        const ancestors = oracle.closure('ancestors', [node]);
        for (const other of oracle.nodes.slice(0, 6)) {
          if (oracle.startOf(node).length > 1 || oracle.startOf(other).length > 1) continue;
          const chain = reader.why(nameOf(node), nameOf(other));
          const expected = ancestors.get(other) ?? oracle.closure('ancestors', [other]).get(node);
          if (node === other || !expected) {
            assert.equal(chain?.steps.length, node === other ? 1 : undefined);
            continue;
          }
          const labels = chain!.steps.map((step) => labelOf(step.node));
          assert.equal(labels.length - 1, expected.depth);
          assert.deepEqual(new Set([labels[0], labels.at(-1)]), new Set([node, other]));
          for (const [i, step] of chain!.steps.entries()) {
            if (i > 0) assert.equal(oracle.edge(labels[i - 1], labels[i]), step.inferred ? 'inferred' : 'certain');
          }
          assert.equal(chain!.steps.some(({ inferred }) => inferred), expected.inferred); // prettier-ignore
        }
      }
    });
  });

  it('finds what two nodes share over nothing else that they share, and what one has seen and the other had not', () => {
    holds(RUNS, (reader, oracle) => {
      const [a, b] = oracle.nodes.slice(-2);
      const [ofA, ofB] = [a, b].map((node) => ancestryOf(oracle, node));
      // Of what certainly comes to both, the nearest may lie behind what only may.
      const [surelyA, surelyB] = [a, b].map((node) => ancestryOf(oracle, node, true));
      const nearest = nearestShared(oracle, [a, b], [ofA, ofB], (edge) => edge !== undefined);
      const isCertain = (node: string) => surelyA.has(node) && surelyB.has(node);
      const surely = nearest.every(isCertain)
        ? []
        : nearestShared(oracle, [a, b], [surelyA, surelyB], (edge) => edge === 'certain');
      const expected = [...new Set([...nearest, ...surely])];
      assert.equal(
        expected.length > 0,
        [...ofA].some((node) => ofB.has(node)),
      );
      const rowsOfBoth = reader.common(nameOf(a), nameOf(b));
      assert.deepEqual(rowsOfBoth.map(labelOf).sort(), expected.sort());
      for (const row of rowsOfBoth) assert.equal(row.inferred !== true, isCertain(labelOf(row)));

      const { earlier, rows, earlierRows } = reader.diff(nameOf(a), nameOf(b));
      const [known, later] = labelOf(earlier) === a ? [ofA, ofB] : [ofB, ofA];
      const [ofEarlier, ofLater] =
        labelOf(earlier) === a
          ? [a, b].map((node) => oracle.startOf(node))
          : [b, a].map((node) => oracle.startOf(node));
      const seen = (by: ReadonlySet<string>, start: readonly string[], not: ReadonlySet<string>) =>
        [...by].filter((node) => !not.has(node) && !start.includes(node)).sort();
      assert.deepEqual([...rows].map(labelOf).sort(), seen(later, ofLater, known));
      if (earlierRows) {
        assert.deepEqual([...earlierRows].map(labelOf).sort(), seen(known, ofEarlier, later));
        assert.ok(!ofEarlier.every((node) => later.has(node)) && !ofLater.every((node) => known.has(node)));
      } else {
        assert.ok(ofEarlier.every((node) => later.has(node)));
      }
    });
  });

  it('gives the plain closure of derivations where it is asked for', () => {
    holds(40, (reader, oracle, events) => {
      const pairs = events.flatMap((event): [number, number][] =>
        event.type === 'derivation'
          ? [[event.source, event.derived]]
          : event.type === 'update'
            ? event.exposures.map(({ source }) => [source, event.model])
            : [],
      );
      for (let id = 1; id <= RECORDS + MODELS; id++) {
        const reached = new Set([id]);
        for (const at of reached) for (const [source, derived] of pairs) if (derived === at) reached.add(source);
        reached.delete(id);
        const rows = [...reader.ancestors(id, { ever: true })];
        assert.deepEqual(new Set(rows.map((row) => row.id)), reached);
        assert.ok(rows.every(({ version, inferred }) => version === undefined && inferred === undefined));
      }
      assert.ok(oracle);
    });
  });
});
