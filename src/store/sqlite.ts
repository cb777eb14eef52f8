import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type Database from 'better-sqlite3';

const require = createRequire(import.meta.url);

/** Opens a database. better-sqlite3 is loaded only now: the main thread of a rank that records mostly opens none. */
export function openSqlite(path: string, options?: Database.Options): Database.Database {
  const Sqlite = require('better-sqlite3') as typeof Database;
  return new Sqlite(path, { ...options, nativeBinding: nativePart() });
}

/** Where it nearly always is. Elsewhere better-sqlite3 looks for it, by a package that takes longer than SQLite to load. */
function nativePart(): string | undefined {
  const file = join(dirname(require.resolve('better-sqlite3/package.json')), 'build/Release/better_sqlite3.node');
  return existsSync(file) ? file : undefined;
}

/** The code of SQLite's own error, such as SQLITE_BUSY; undefined of any other. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Error && error.name === 'SqliteError' ? (error as Error & { code: string }).code : undefined;
}
