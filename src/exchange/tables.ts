import type { ExportTable } from '../export.js';
import { KINDS, TagType } from '../frame/format.js';
import type { Layout } from '../query/layout.js';
import { joinedTable } from './joined.js';
import type { Source } from './source.js';
import { valueOf, type ColumnType, type Table } from './table.js';

type PlainTable = Exclude<ExportTable, 'joined' | 'all'>;

interface Definition {
  /** By name: a type, and the SQL of it. */
  readonly columns: Readonly<Record<string, readonly [ColumnType, string]>>;
  readonly from: string;
  readonly order: string;
  /** SQL of the run that a row is of. */
  readonly run: string;
  /** The table of Braid-DB that has the same in its own files; without, only ours have it. */
  readonly braidDb?: string;
}

const choice = (code: string, names: readonly (readonly [code: number, name: string])[]): string =>
  `CASE ${code} ${names.map(([value, name]) => `WHEN ${value} THEN '${name}'`).join(' ')} END`;

const TAG_TYPES = (['string', 'integer', 'float'] as const).map((name) => [TagType[name], name] as const);
const ofTags = (boolean: string) =>
  ({
    key: ['text', 't.key'],
    value: ['text', `iif(${boolean}, iif(t.value = '0', 'false', 'true'), t.value)`],
    type: ['text', `iif(${boolean}, 'boolean', ifnull(${choice('t.tag_type', TAG_TYPES)}, 'none'))`],
    number: ['float', 'iif(t.tag_type IN (2, 3), t.value, NULL)'],
  }) as const;

/** A row of attempts `a`, and its run `u`. */
const RUN = 'JOIN attempts a USING (attempt_id) JOIN runs u USING (run_id)';

function definitions({ kind, run, rank, boolean }: Layout): Record<PlainTable, Definition> {
  return {
    records: {
      columns: {
        id: ['integer', 'r.record_id'],
        kind: [
          'text',
          choice(
            kind,
            KINDS.map((name, code) => [code, name] as const),
          ),
        ],
        name: ['text', 'r.name'],
        time: ['time', 'r.time'],
        valid: ['boolean', 'r.invalidation_id IS NULL'],
        invalidation: ['text', 'r.invalidation_id'],
        action: ['text', 'r.invalidation_action_id'],
        run: ['text', run],
        rank: ['integer', rank],
      },
      from: 'records r',
      order: 'r.record_id',
      run,
      braidDb: 'records',
    },
    derivations: {
      columns: {
        source: ['integer', 'd.record_id'],
        derived: ['integer', 'd.derivation'],
        time: ['time', 'd.time'],
      },
      from: 'derivations d LEFT JOIN records r ON r.record_id = d.derivation',
      order: 'd.record_id, d.derivation',
      run,
      braidDb: 'derivations',
    },
    uris: {
      columns: { record: ['integer', 'x.record_id'], uri: ['text', 'x.uri'] },
      from: 'uris x LEFT JOIN records r USING (record_id)',
      order: 'x.id',
      run,
      braidDb: 'uris',
    },
    tags: {
      columns: { record: ['integer', 't.record_id'], ...ofTags(boolean) },
      from: 'tags t LEFT JOIN records r USING (record_id)',
      order: 't.id',
      run,
      braidDb: 'tags',
    },
    versions: {
      columns: {
        id: ['integer', 'v.version_id'],
        model: ['integer', 'v.model_id'],
        number: ['integer', 'v.number'],
        step: ['integer', 'v.step'],
        time: ['time', 'v.time'],
        valid: ['boolean', 'v.invalidation_id IS NULL'],
        invalidation: ['text', 'v.invalidation_id'],
        run: ['text', 'u.uuid'],
        attempt: ['integer', 'a.attempt'],
      },
      from: `versions v ${RUN}`,
      order: 'v.version_id',
      run: 'u.uuid',
    },
    version_uris: {
      columns: { version: ['integer', 'x.version_id'], uri: ['text', 'x.uri'] },
      from: `version_uris x JOIN versions v USING (version_id) ${RUN}`,
      order: 'x.version_id, x.uri',
      run: 'u.uuid',
    },
    version_tags: {
      columns: { version: ['integer', 't.version_id'], rank: ['integer', 't.rank'], ...ofTags('t.boolean') },
      from: `version_tags t JOIN versions v USING (version_id) ${RUN}`,
      order: 't.id',
      run: 'u.uuid',
    },
    updates: {
      columns: {
        id: ['integer', 'x.update_id'],
        version: ['integer', 'x.version_id'],
        rank: ['integer', 'x.rank'],
        time: ['time', 'x.time'],
        seen: ['integer', 'x.seen'],
      },
      from: `updates x JOIN versions v USING (version_id) ${RUN}`,
      order: 'x.update_id',
      run: 'u.uuid',
    },
    exposures: {
      columns: {
        update: ['integer', 'e.update_id'],
        source: ['integer', 'e.source_id'],
        version: ['integer', 'e.version_id'],
        unversioned: ['boolean', 'e.unversioned'],
      },
      from: `exposures e JOIN updates x USING (update_id) JOIN versions v ON v.version_id = x.version_id ${RUN}`,
      order: 'e.update_id, e.ordinal',
      run: 'u.uuid',
    },
    derivation_versions: {
      columns: {
        source: ['integer', 'x.record_id'],
        version: ['integer', 'x.version_id'],
        derived: ['integer', 'x.derivation'],
      },
      from: 'derivation_versions x LEFT JOIN records r ON r.record_id = x.derivation',
      order: 'x.derivation, x.record_id, x.version_id',
      run,
    },
    invalidations: {
      columns: {
        id: ['text', 'i.id'],
        root: ['text', 'i.root_invalidation'],
        record: ['integer', 'r.record_id'],
        cause: ['text', 'i.cause'],
        time: ['time', 'i.time'],
      },
      from: 'invalidations i LEFT JOIN records r ON r.invalidation_id = i.id',
      order: 'i.time, i.id, r.record_id',
      run,
      braidDb: 'invalidations',
    },
    requests: {
      columns: {
        id: ['text', 'q.id'],
        record: ['integer', 'q.record_id'],
        version: ['integer', 'q.version_id'],
        cascade: ['boolean', 'q.cascade'],
        cause: ['text', 'q.cause'],
        time: ['time', 'q.time'],
        revalidated: ['time', 'b.time'],
        reason: ['text', 'b.reason'],
      },
      from: `invalidation_requests q LEFT JOIN revalidations b ON b.request_id = q.id
        LEFT JOIN records r ON r.record_id = q.record_id`,
      order: 'q.time, q.id',
      run,
    },
    actions: {
      columns: {
        id: ['text', 'x.id'],
        name: ['text', 'x.name'],
        type: ['text', 'x.action_type'],
        command: ['text', 'x.cmd'],
        params: ['text', 'x.params'],
      },
      from: 'invalidation_actions x',
      order: 'x.id',
      run: 'NULL',
      braidDb: 'invalidation_actions',
    },
    action_runs: {
      columns: {
        action: ['text', 'x.action_id'],
        record: ['integer', 'x.record_id'],
        invalidation: ['text', 'x.invalidation_id'],
        started: ['time', 'x.started'],
        ended: ['time', 'x.ended'],
        outcome: ['text', 'x.outcome'],
        status: ['integer', 'x.status'],
        output: ['text', 'x.output'],
      },
      from: 'action_runs x LEFT JOIN records r USING (record_id)',
      order: 'x.action_run_id',
      run,
    },
    runs: {
      columns: {
        id: ['text', 'u.uuid'],
        name: ['text', 'u.name'],
        attempt: ['integer', 'a.attempt'],
        size: ['integer', 'a.size'],
        status: ['text', 'a.status'],
        started: ['time', 'a.started'],
        ended: ['time', 'a.ended'],
        context: ['text', 'a.context'],
      },
      from: 'attempts a JOIN runs u USING (run_id)',
      order: 'a.attempt_id',
      run: 'u.uuid',
    },
    ranks: {
      columns: {
        run: ['text', 'u.uuid'],
        attempt: ['integer', 'a.attempt'],
        rank: ['integer', 'l.rank'],
        host: ['text', 'l.host'],
        recorded: ['integer', 'l.recorded'],
        committed: ['integer', 'l.committed'],
        records: ['integer', 'l.records'],
        bytes: ['integer', 'l.bytes'],
      },
      from: `ledger l ${RUN}`,
      order: 'l.attempt_id, l.rank',
      run: 'u.uuid',
    },
  };
}

/** A table of what a database, or a run, has; undefined where it has none such, as Braid-DB's own files have no runs. */
export function tableOf(source: Source, name: Exclude<ExportTable, 'all'>, run?: string): Table | undefined {
  if (name === 'joined') return joinedTable(source, run);
  const definition = definitions(source.layout)[name];
  if (!source.layout.ours && !(definition.braidDb && source.has(definition.braidDb))) return undefined;
  const { connection } = source;
  const [where, values] = run === undefined ? ['true', []] : [`${definition.run} = ?`, [run]];
  const columns = Object.entries(definition.columns).map(([name, [type]]) => ({ name, type }));
  const selected = Object.values(definition.columns).map(([, sql]) => sql);
  return {
    name,
    columns,
    rowCount: connection.column<number>(`SELECT count(*) FROM ${definition.from} WHERE ${where}`, ...values)[0],
    rows: () =>
      connection.stream(
        `SELECT ${selected.join()} FROM ${definition.from} WHERE ${where} ORDER BY ${definition.order}`,
        values,
        (raw: readonly unknown[]) => raw.map((value, i) => valueOf(columns[i].type, value)),
      ),
  };
}

/** All that a database has, but what is joined of them. */
export function allTables(source: Source, run?: string): Table[] {
  const names = Object.keys(definitions(source.layout)) as PlainTable[];
  return names.map((name) => tableOf(source, name, run)).filter((table) => table !== undefined);
}
