/**
 * Lineage from the definition, for tests: all pairs of nodes are compared, with what was recorded and not with tables. It shares
 * nothing with the implementation but the meaning.
 */
import { labelOfMade, type Event, type Made, type Named } from './graph.js';

interface Version {
  readonly label: string;
  readonly model: number;
  readonly made: Made;
  /** Of its first update; none if it is only named. */
  readonly time?: number;
}

type Update = Extract<Event, { type: 'update' }>;
type Derivation = Extract<Event, { type: 'derivation' }>;

export interface Found {
  readonly depth: number;
  readonly inferred: boolean;
}

export class Oracle {
  readonly #events: readonly Event[];
  readonly versions: readonly Version[];
  readonly nodes: readonly string[];
  /** Whether one node comes directly from another, by both: undefined, certain or inferred. */
  readonly #edges = new Map<string, Map<string, 'certain' | 'inferred'>>();

  /** @param events in the order in which they are committed. */
  constructor(events: readonly Event[]) {
    this.#events = events;
    this.versions = this.#allVersions();
    const ids = new Set(events.flatMap((event) => idsOf(event)));
    this.nodes = [...[...ids].map(String), ...this.versions.map(({ label }) => label)];
    for (const derived of this.nodes) {
      const sources = new Map<string, 'certain' | 'inferred'>();
      for (const source of this.nodes) {
        if (this.#isCertain(derived, source)) sources.set(source, 'certain');
        else if (this.#isInferred(derived, source)) sources.set(source, 'inferred');
      }
      this.#edges.set(derived, sources);
    }
  }

  /** What is met from `start`, by label, within so many steps. */
  closure(direction: 'ancestors' | 'descendants', start: readonly string[], depth = Infinity): Map<string, Found> {
    const certain = this.#distances(direction, start, (edge) => edge === 'certain');
    const any = this.#distances(direction, start, () => true);
    const found = new Map<string, Found>();
    for (const node of this.nodes) {
      if (start.includes(node)) continue;
      const sure = certain.get(node) ?? Infinity;
      const maybe = any.get(node) ?? Infinity;
      if (sure <= depth && sure < Infinity) found.set(node, { depth: sure, inferred: false });
      else if (maybe <= depth && maybe < Infinity) found.set(node, { depth: maybe, inferred: true });
    }
    return found;
  }

  /** A model as what it has ever learnt; else the node. */
  startOf(node: string): string[] {
    return [node, ...this.versions.filter(({ model }) => String(model) === node).map(({ label }) => label)];
  }

  edge(derived: string, source: string): 'certain' | 'inferred' | undefined {
    return this.#edges.get(derived)?.get(source);
  }

  /** By going on until nothing gets nearer. */
  #distances(
    direction: 'ancestors' | 'descendants',
    start: readonly string[],
    takes: (edge: 'certain' | 'inferred') => boolean,
  ): Map<string, number> {
    const distances = new Map(start.map((node) => [node, 0]));
    for (let changed = true; changed;) {
      changed = false;
      for (const [derived, sources] of this.#edges) {
        for (const [source, edge] of sources) {
          if (!takes(edge)) continue;
          const [from, to] = direction === 'ancestors' ? [derived, source] : [source, derived];
          const through = (distances.get(from) ?? Infinity) + 1;
          if (through >= (distances.get(to) ?? Infinity)) continue;
          distances.set(to, through);
          changed = true;
        }
      }
    }
    return distances;
  }

  #isCertain(derived: string, source: string): boolean {
    const [d, s] = [this.#version(derived), this.#version(source)];
    if (!d) {
      const statements = this.#statements(derived, s ? String(s.model) : source);
      if (statements.length === 0) return false;
      if (s) return statements.some(({ version }) => names(s, version));
      // The record itself, where no version was named; else it is what those versions come from.
      return statements.every(({ version }) => typeof version === 'string');
    }
    if (!s && Number(source) === d.model) return true;
    const updates = this.#updatesOf(d);
    const exposures = updates.flatMap(({ exposures }) => exposures);
    if (!s) return exposures.some((each) => each.source === Number(source) && typeof each.version === 'string');
    if (exposures.some((each) => each.source === s.model && names(s, each.version))) return true;
    if (s.model === d.model && updates.some(({ seen }) => seen !== undefined && names(s, seen))) return true;
    return this.#isStepBefore(d, s) && !(s.time! > d.time!);
  }

  #isInferred(derived: string, source: string): boolean {
    const [d, s] = [this.#version(derived), this.#version(source)];
    // Who counts from the start again makes a smaller step later.
    if (d && s && this.#isStepBefore(d, s)) return true;
    if (s?.time === undefined) return false;
    if (!d) {
      const statements = this.#statements(derived, String(s.model));
      if (statements.length === 0 || !this.#saysUnknown(derived, String(s.model))) return false;
      return s.time <= this.#until(derived, s.model);
    }
    return this.#updatesOf(d).some(({ exposures, seen, time }) => {
      if (s.time! > time) return false;
      if (exposures.some((each) => each.source === s.model && each.version === 'unknown')) return true;
      return seen === undefined && s.model === d.model && s.made.attempt !== d.made.attempt;
    });
  }

  #isStepBefore(d: Version, s: Version): boolean {
    const [later, earlier] = [d.made.step, s.made.step];
    if (d.model !== s.model) return false;
    if (later === undefined || earlier === undefined || d.made.attempt !== s.made.attempt || earlier >= later)
      return false;
    return !this.versions.some(
      ({ model, made: { attempt, step } }) =>
        model === d.model && attempt === d.made.attempt && step !== undefined && step > earlier && step < later,
    );
  }

  #statements(derived: string, source: string): Derivation[] {
    return this.#events.filter(
      (event): event is Derivation =>
        event.type === 'derivation' && String(event.derived) === derived && String(event.source) === source,
    );
  }

  /** Whether anything that was said of the pair, by a statement or an update, didn't know the version. */
  #saysUnknown(derived: string, source: string): boolean {
    return (
      this.#statements(derived, source).some(({ version }) => version === 'unknown') ||
      this.#exposing(derived, source).some(({ version }) => version === 'unknown')
    );
  }

  #exposing(model: string, source: string) {
    return this.#updates()
      .filter((update) => String(update.model) === model)
      .flatMap(({ exposures, time }) => exposures.map((each) => ({ ...each, time })))
      .filter((each) => String(each.source) === source);
  }

  #until(derived: string, source: number): number {
    const record = this.#events.find((event) => event.type === 'record' && String(event.id) === derived);
    const said = this.#events.flatMap((event) => {
      if (event.type === 'derivation' && String(event.derived) === derived && event.source === source) {
        return [{ time: event.time, counts: event.version === 'unknown' }];
      }
      const exposes =
        event.type === 'update' &&
        String(event.model) === derived &&
        event.exposures.some((each) => each.source === source);
      return exposes ? [{ time: event.time, counts: false }] : [];
    });
    // The first of what is said of a pair, and the last that didn't know.
    return Math.max(
      record?.time ?? -Infinity,
      said[0].time,
      ...said.filter(({ counts }) => counts).map(({ time }) => time),
    );
  }

  #updates(): Update[] {
    return this.#events.filter((event): event is Update => event.type === 'update');
  }

  #updatesOf({ model, made }: Version): Update[] {
    return this.#updates().filter((update) => update.model === model && sameMade(update.made, made));
  }

  #version(label: string): Version | undefined {
    return this.versions.find((version) => version.label === label);
  }

  #allVersions(): Version[] {
    const named = this.#events.flatMap((event): [number, Named | undefined][] =>
      event.type === 'update'
        ? [
            [event.model, event.made],
            [event.model, event.seen],
            ...event.exposures.map(({ source, version }): [number, Named] => [source, version]),
          ]
        : event.type === 'derivation'
          ? [[event.source, event.version]]
          : event.type === 'invalidation'
            ? [[event.record, event.version]]
            : [],
    );
    const versions = new Map<string, Version>();
    for (const [model, made] of named) {
      if (typeof made !== 'object') continue;
      const times = this.#updates()
        .filter((update) => update.model === model && sameMade(update.made, made))
        .map(({ time }) => time);
      const label = labelOfMade(model, made);
      versions.set(label, { label, model, made, time: times.length > 0 ? Math.min(...times) : undefined });
    }
    return [...versions.values()];
  }
}

function idsOf(event: Event): number[] {
  if (event.type === 'record') return [event.id];
  if (event.type === 'invalidation') return [event.record];
  if (event.type === 'derivation') return [event.source, event.derived];
  return [event.model, ...event.exposures.map(({ source }) => source)];
}

function names({ made }: Version, version: Named): boolean {
  return typeof version === 'object' && sameMade(made, version);
}

function sameMade(a: Made, b: Made): boolean {
  return a.attempt === b.attempt && a.step === b.step && a.rank === b.rank && a.ordinal === b.ordinal;
}
