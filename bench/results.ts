/** What a run of the harness leaves, as JSON: all that a report is made of, here or on another machine. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { measured } from './figures.js';
import { PHASES } from './trial.js';

const finite = v.pipe(v.number(), v.finite());
const figures = v.record(v.string(), finite);
/** By name, what one launch of a side told. */
export type Figures = v.InferOutput<typeof figures>;

const target = v.union([
  v.strictObject({ atLeast: finite }),
  v.strictObject({ atMost: finite, confident: v.optional(v.boolean()) }),
  v.strictObject({ atMost: v.strictObject({ times: finite, plus: finite }) }),
]);

const comparison = v.object({
  title: v.string(),
  unit: v.string(),
  of: v.object({ title: v.string(), figures: v.array(finite) }),
  to: v.optional(v.object({ title: v.string(), figures: v.array(finite) })),
  target: v.optional(target),
  at: v.optional(v.object({ ranks: v.optional(finite), bytes: v.optional(finite), records: v.optional(finite) })),
});
/** A row of the report: of every repeat both figures, in the same order. */
export type ComparisonResult = v.InferOutput<typeof comparison>;

/** What is compared of each repeat: the ratio, mostly. */
export function valuesOf({ of, to, target }: ComparisonResult): number[] {
  return of.figures.map((figure, i) => measured(figure, to?.figures[i], target));
}

const side = v.object({
  name: v.string(),
  command: v.array(v.string()),
  ranks: v.optional(finite),
  env: v.optional(v.record(v.string(), v.string())),
  records: finite,
  runs: v.array(figures),
});
export type SideResult = v.InferOutput<typeof side>;

const trial = v.object({
  name: v.string(),
  phase: v.picklist(PHASES),
  repeats: finite,
  sides: v.array(side),
  comparisons: v.array(comparison),
  /** Why there are fewer repeats than asked for. */
  failed: v.optional(v.string()),
});
export type TrialResult = v.InferOutput<typeof trial>;

const machine = v.object({
  cpu: v.string(),
  cores: finite,
  memoryBytes: finite,
  kernel: v.string(),
  mpi: v.string(),
  node: v.string(),
  betterSqlite3: v.string(),
  sqlite: v.string(),
  fileSystem: v.string(),
  loadAverage: finite,
});
export type Machine = v.InferOutput<typeof machine>;

const results = v.object({
  format: v.literal(1),
  command: v.string(),
  commit: v.string(),
  started: v.string(),
  seconds: finite,
  machine,
  records: finite,
  trials: v.array(trial),
  leftOut: v.array(v.object({ name: v.string(), because: v.string() })),
  interrupted: v.optional(v.boolean()),
});
export type Results = v.InferOutput<typeof results>;

/** @throws Error that says what is wrong with the file */
export function readResults(file: string): Results {
  const parsed = v.safeParse(results, JSON.parse(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.output;
  const [{ message, path }] = parsed.issues;
  const where = path?.map(({ key }) => String(key)).join('.') ?? '';
  throw new Error(`${where}: ${message}`);
}
