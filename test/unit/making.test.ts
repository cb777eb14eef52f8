import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { ensureSchema } from '#src/store/schema.js';
import { Store } from '#src/store/store.js';

/** What may be there when a database is to be made. */
const BEFORE: readonly { title: string; make: (path: string) => string | undefined }[] = [
  { title: 'nothing', make: () => undefined },
  {
    title: 'an empty file',
    make: (path) => {
      writeFileSync(path, '');
      return undefined;
    },
  },
  {
    title: 'a file that was made, and not turned to a log before its maker was killed',
    make: (path) => {
      const db = new Database(path);
      const uuid = ensureSchema(db);
      db.close();
      return uuid;
    },
  },
];

describe('a database is made', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-making-'));
    path = join(directory, 'run.db');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  for (const { title, make } of BEFORE) {
    it(`of ${title}, and its tables are in the file before a run is`, () => {
      const uuid = make(path);
      const store = new Store({ path, busyMs: 1000 });
      // Of the file by itself: what is in the log alone is not in it.
      const alone = join(directory, 'alone.db');
      copyFileSync(path, alone);
      const db = new Database(alone, { readonly: true });
      const found = db.prepare(`SELECT value FROM meta WHERE key = 'uuid'`).pluck().get();
      db.close();
      assert.equal(found, store.opened.uuid);
      assert.equal(store.opened.uuid, uuid ?? store.opened.uuid);
      assert.equal(store.opened.wal, true);
      store.close();
    });
  }
});
