import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidModel, BraidReader, verify } from 'braid-mpi';
import { braid } from '../cli/support.js';

/** What would be an order to SQLite, a shell, a browser or a terminal. */
const HOSTILE = [
  `'); DROP TABLE records; --`,
  `" OR 1=1; ATTACH 'owned' AS x; --`,
  '$(touch owned) `touch owned` ; touch owned | touch owned',
  '<script>alert(1)</script>&lt;',
  '\u001b[2J\u001b]0;title\u0007\u009b31m\r\b\u007f',
  'first line\nbraid: all is well\t',
  '\u202egnp.exe\u200f\u2066\u2028',
  '__proto__',
  '-rf',
  '%s%n${HOME}\\',
];

/** All that a terminal acts upon, but the ends of our lines. */
const ORDERS = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

describe('hostile values', function () {
  this.timeout(60_000);
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'braid-hostile-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  it('are stored as they are, and are orders to nobody, whatever braid prints of them', async () => {
    const place = join(directory, HOSTILE[4].replaceAll('/', '') + HOSTILE[2]);
    mkdirSync(place);
    const path = join(place, 'run.db');
    const db = await BraidDB.open(path, { mpi: 'off', name: HOSTILE.join('') });
    for (const text of HOSTILE) {
      const model = new BraidModel(db, { name: text, uris: [text], tags: Object.fromEntries([[text, text]]) });
      const data = new BraidData(db, { name: text, uris: [text], derivedFrom: model });
      model.update(data, { step: 1, tags: Object.fromEntries([[text, text]]) });
      data.invalidate({ cause: text });
    }
    await db.close();
    assert.deepEqual(verify(path).problems, []);
    const reader = BraidReader.open(path);
    const read = [...reader.records({ kind: 'model' })];
    assert.deepEqual(read.map(({ name, uris, tags }) => [name, uris, Object.entries(tags)]), HOSTILE.map((text) => [text, [text], [[text, text]]])); // prettier-ignore
    for (const text of HOSTILE) assert.equal([...reader.records({ name: text })].length, 2);
    reader.close();

    const commands = [
      ['print', path],
      ['print', path, '--name', HOSTILE[0]],
      ['stats', path],
      ['lineage', path, '2'],
      ['lineage', path, `name:${HOSTILE[4]}`],
      ['verify', path],
      ['recover', path],
      ['doctor', path],
      ['create', `${path}.new`],
    ];
    for (const command of commands) {
      for (const args of [command, [...command, '--json']]) {
        const { stdout, stderr } = await braid(args, { cwd: directory });
        assert.doesNotMatch(stdout + stderr, ORDERS, args[0]);
        if (args !== command && stdout !== '') {
          const documents = ['print', 'lineage'].includes(args[0]) ? stdout.trimEnd().split('\n') : [stdout];
          for (const document of documents) JSON.parse(document);
        }
      }
    }
    for (const where of [directory, place]) assert.ok(!readdirSync(where).includes('owned'));
  });
});
