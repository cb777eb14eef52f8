/** The id, here, of the record that `id` is there; NULL if it is nobody's, which is left out. By `braid_map`, which a merge fills. */
export const mapped = (id: string): string =>
  `(SELECT ${id} + m.offset FROM temp.braid_map m WHERE m.last >= ${id} AND ${id} > 0 ORDER BY m.last LIMIT 1)`;

/** What is read: how statements know the database, and its tables, which may be views of them. */
export interface Input {
  readonly schema: string;
  readonly from: (table: string) => string;
}

export function inputOf(schema: string): Input {
  return { schema, from: (table) => `${schema}.${table}` };
}

/** A statement in which the tables that are read are called `$TABLE`. */
export function withInput(sql: string, { from }: Input): string {
  return sql.replace(/\$(\w+)/g, (_, table: string) => from(table));
}
