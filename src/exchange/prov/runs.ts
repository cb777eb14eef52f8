import type { Connection } from '../../query/connection.js';
import type { Source } from '../source.js';
import { label, text, typed, whole } from './attributes.js';
import { isoTime, names } from './names.js';
import type { Attempt } from './recorded.js';
import type { Statement } from './terms.js';

interface RunRow {
  uuid: string;
  name: string | null;
  status: string;
  started: string;
  ended: string | null;
}

interface RankRow {
  rank: number;
  host: string;
}

/** Runs as activities, and who carried them out: ranks, for a user. */
export class Runs {
  readonly #connection: Connection;
  readonly #runs: readonly string[];
  readonly #attempts: readonly Attempt[];

  constructor(connection: Connection, runs: readonly string[], attempts: readonly Attempt[]) {
    this.#connection = connection;
    this.#runs = runs;
    this.#attempts = attempts;
  }

  *bundles(): Iterable<Statement> {
    for (const { uuid, name } of this.#rows()) {
      const attributes = [typed('prov:Bundle'), typed('braid:Recorded'), ...label(name)];
      yield { kind: 'entity', id: names.bundle(uuid), args: [], attributes };
    }
  }

  *activities(): Iterable<Statement> {
    for (const { uuid, name, status, started, ended } of this.#rows()) {
      const attributes = [
        typed('braid:Run'),
        ...label(name),
        ...text('braid:status', status),
        // What was noted of each attempt: the command, the scheduler's variables, the MPI library, the commit.
        ...this.#of(uuid).flatMap(({ id }) => text('braid:context', JSON.stringify(this.#context(id)))),
      ];
      yield { kind: 'activity', id: names.run(uuid), args: [isoTime(started), isoTime(ended)], attributes };
    }
    // PROV has no parts of activities.
    for (const [{ run, attempt, started, ended }, { rank }] of this.#ranks()) {
      const attributes = [
        typed('braid:RankRun'),
        ['dcterms:isPartOf', { name: names.run(run) }] as const,
        ...whole('braid:rank', rank),
        ...whole('braid:attempt', attempt),
      ];
      yield {
        kind: 'activity',
        id: names.rankRun(run, attempt, rank),
        args: [isoTime(started), isoTime(ended)],
        attributes,
      };
    }
  }

  *agents(): Iterable<Statement> {
    const users = new Set<string>();
    for (const { id } of this.#attempts) users.add(this.#user(id));
    for (const user of users) {
      if (user === '') continue;
      const attributes = [typed('prov:Person'), typed('braid:User'), ...label(user)];
      yield { kind: 'agent', id: names.user(user), args: [], attributes };
    }
    for (const [{ run, attempt, size }, { rank, host }] of this.#ranks()) {
      const attributes = [
        typed('prov:SoftwareAgent'),
        typed('braid:Rank'),
        ...whole('braid:rank', rank),
        ...whole('braid:size', size),
        ...whole('braid:attempt', attempt),
        ...text('braid:host', host),
      ];
      yield { kind: 'agent', id: names.rank(run, attempt, rank), args: [], attributes };
    }
  }

  *generations(): Iterable<Statement> {
    for (const { uuid, ended } of this.#rows()) {
      yield { kind: 'wasGeneratedBy', args: [names.bundle(uuid), names.run(uuid), isoTime(ended)], attributes: [] };
    }
  }

  *associations(): Iterable<Statement> {
    const said = new Set<string>();
    for (const { id, run } of this.#attempts) {
      const user = this.#user(id);
      if (user === '' || said.has(`${run} ${user}`)) continue;
      said.add(`${run} ${user}`);
      yield { kind: 'wasAssociatedWith', args: [names.run(run), names.user(user)], attributes: [] };
    }
    for (const [{ run, attempt }, { rank }] of this.#ranks()) {
      for (const activity of [names.run(run), names.rankRun(run, attempt, rank)]) {
        yield { kind: 'wasAssociatedWith', args: [activity, names.rank(run, attempt, rank)], attributes: [] };
      }
    }
  }

  *delegations(): Iterable<Statement> {
    for (const [{ id, run, attempt }, { rank }] of this.#ranks()) {
      const user = this.#user(id);
      if (user === '') continue;
      const args = [names.rank(run, attempt, rank), names.user(user), names.run(run)];
      yield { kind: 'actedOnBehalfOf', args, attributes: [] };
    }
  }

  *#rows(): Iterable<RunRow> {
    for (const uuid of this.#runs) {
      yield* this.#connection.all<RunRow>('SELECT uuid, name, status, started, ended FROM runs WHERE uuid = ?', uuid);
    }
  }

  *#ranks(): Iterable<[Attempt, RankRow]> {
    const sql = 'SELECT rank, host FROM ledger WHERE attempt_id = ? ORDER BY rank';
    for (const attempt of this.#attempts) {
      for (const row of this.#connection.all<RankRow>(sql, attempt.id)) yield [attempt, row];
    }
  }

  #of(run: string): Attempt[] {
    return this.#attempts.filter((attempt) => attempt.run === run);
  }

  #context(attempt: number): object {
    const [{ context }] = this.#connection.all<{ context: string }>(
      'SELECT context FROM attempts WHERE attempt_id = ?',
      attempt,
    );
    return JSON.parse(context) as object;
  }

  #user(attempt: number): string {
    const { user } = this.#context(attempt) as { user?: unknown };
    return typeof user === 'string' ? user : '';
  }
}

interface ActionRow {
  id: string;
  name: string;
  type: string | null;
  cmd: string;
  params: string | null;
}

interface ActionRunRow {
  id: number;
  action: string;
  record: number;
  invalidation: string;
  started: string;
  ended: string;
  outcome: string;
  status: number | null;
  output: string;
}

/** What is to be done about invalid records, as plans, and what was done. */
export class Actions {
  constructor(private readonly source: Source) {}

  *plans(): Iterable<Statement> {
    const sql = 'SELECT id, name, action_type AS type, cmd, params FROM invalidation_actions ORDER BY id';
    // Early databases of Braid-DB lack some.
    if (!this.source.has('invalidation_actions')) return;
    for (const { id, name, type, cmd, params } of this.source.connection.all<ActionRow>(sql)) {
      const attributes = [
        typed('prov:Plan'),
        typed('braid:InvalidationAction'),
        ...label(name),
        ...text('braid:actionType', type),
        ...text('braid:command', cmd),
        ...text('braid:params', params),
      ];
      yield { kind: 'entity', id: names.action(id), args: [], attributes };
    }
  }

  *activities(): Iterable<Statement> {
    for (const { id, record, started, ended, outcome, status, output } of this.#runs()) {
      const attributes = [
        typed('braid:ActionRun'),
        ['braid:of', { name: names.record(record) }] as const,
        ...text('braid:outcome', outcome),
        ...whole('braid:exitStatus', status),
        ...text('braid:output', output),
      ];
      yield {
        kind: 'activity',
        id: names.actionRun(id),
        args: [isoTime(started), outcome === 'begun' ? undefined : isoTime(ended)],
        attributes,
      };
    }
  }

  *causes(): Iterable<Statement> {
    for (const { id, invalidation } of this.#runs()) {
      yield { kind: 'wasInformedBy', args: [names.actionRun(id), names.invalidation(invalidation)], attributes: [] };
    }
  }

  *associations(): Iterable<Statement> {
    for (const { id, action } of this.#runs()) {
      yield { kind: 'wasAssociatedWith', args: [names.actionRun(id), undefined, names.action(action)], attributes: [] };
    }
  }

  *#runs(): Iterable<ActionRunRow> {
    if (!this.source.layout.ours) return;
    const sql = `SELECT action_run_id AS id, action_id AS action, record_id AS record, invalidation_id AS invalidation,
      started, ended, outcome, status, output FROM action_runs ORDER BY action_run_id`;
    yield* this.source.connection.all<ActionRunRow>(sql);
  }
}
