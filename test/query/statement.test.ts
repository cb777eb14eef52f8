import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidDB, BraidData, BraidError, BraidFact, BraidModel, BraidReader, checkStatement, statementMarkdown, statementText, type Statement } from 'braid-mpi'; // prettier-ignore
import { braid, makeBraidDbFile, query, sql } from '../cli/support.js';
import { readerOf, timeOf, type Event } from './graph.js';

const HOSTILE = 'x](javascript:alert(1)) <script>\n# y \u001b[31m www.evil.example | `z` \u202e';

/** What is said by a sentence of this name. */
const said = (statement: Statement, id: string) => statement.sentences.find((each) => each.id === id)?.text;

describe('statement', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  let reader: BraidReader;
  const ids: Record<string, number> = {};

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'braid-statement-'));
    path = join(directory, 'run.db');
    const db = await BraidDB.open(path, { mpi: 'off', name: 'tuning' });
    const fact = new BraidFact(db, { name: 'beamline' });
    const bad = new BraidFact(db, { name: 'calibration' });
    const teacher = new BraidModel(db, { name: 'teacher', derivedFrom: fact });
    const other = new BraidData(db, { name: 'other', derivedFrom: fact });
    teacher.update(other, { step: 0 });
    const model = new BraidModel(db, { name: 'braggnn' });
    for (let step = 0; step < 3; step++) {
      const scan = new BraidData(db, { name: `scan-${step}`, derivedFrom: fact, time: timeOf(step) });
      ids[scan.name] = scan.id;
      model.update(step === 1 ? [scan, teacher] : scan, {
        step,
        uris: [`file:///${step}`],
        tags: { loss: 1 / (step + 1) },
      });
    }
    const peaks = new BraidData(db, { name: 'peaks', derivedFrom: [model, bad] });
    const hostile = new BraidData(db, {
      name: HOSTILE,
      tags: { [HOSTILE]: HOSTILE },
      uris: ['https://evil.example/*x*'],
    });
    const after = new BraidData(db, { name: 'after', derivedFrom: [hostile, 999_999] });
    Object.assign(ids, { fact: fact.id, bad: bad.id, teacher: teacher.id, other: other.id, model: model.id, peaks: peaks.id, hostile: hostile.id, after: after.id }); // prettier-ignore
    await db.close();
    reader = BraidReader.open(path);
  });
  after(() => {
    reader.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('answers what a version was trained on, and nothing of what came later', () => {
    const statement = reader.statement(`${ids.model}@2`);
    assert.equal(statement.sentences[0].id, 'answer');
    assert.equal(
      said(statement, 'answer'),
      `braggnn@2 (step 1) [${ids.model}] was trained on 2 data records and 1 model: ` +
        `scan-0 [${ids['scan-0']}], scan-1 [${ids['scan-1']}], teacher@1 (step 0) [${ids.teacher}]. ` +
        `It goes back to 1 fact: beamline [${ids.fact}].`,
    );
    assert.match(said(statement, 'trained-on')!, /^braggnn@2 .* was made by 2 updates over 2 versions of it, which were exposed 3 times to 3 sources: /); // prettier-ignore
    assert.equal(said(statement, 'trained-through-models'), `By way of other models 1 further source went into it: other [${ids.other}].`); // prettier-ignore
    assert.equal(said(statement, 'ancestry'), 'In all it comes from 3 data records, 1 fact and 2 models, with 2 versions of models.'); // prettier-ignore
    assert.match(said(statement, 'uris')!, /file:\/\/\/1/);
    assert.match(said(statement, 'tags')!, /loss = 0\.5/);
    const answer = statement.sentences[0];
    assert.deepEqual(answer.records.sort(), [ids['scan-0'], ids['scan-1'], ids.fact].sort());
    assert.match(answer.versions.join(), new RegExp(`^${ids.teacher}@[0-9a-f]{32}\\.1\\.s0$`));
    assert.equal(answer.count, 4);
    assert.match(said(reader.statement(ids.model), 'answer')!, /was trained on 3 data records and 1 model: /);
  });

  it('says nothing of what went into it by way of other models where that is what it was trained on itself', async () => {
    const path = join(directory, 'same.db');
    const db = await BraidDB.open(path);
    const scan = new BraidData(db, { name: 'scan' });
    const version = new BraidModel(db, { name: 'teacher' }).update(scan, { step: 0 });
    const student = new BraidModel(db, { name: 'student' });
    student.update([scan, version], { step: 0 });
    await db.close();
    const same = BraidReader.open(path);
    try {
      const statement = same.statement(`${student.id}@1`);
      assert.match(said(statement, 'trained-on')!, /to 2 sources/);
      assert.equal(said(statement, 'trained-through-models'), undefined);
    } finally {
      same.close();
    }
  });

  it('says which run, host, user, command and software made it', () => {
    const [{ run }] = query<{ run: string }>(path, 'SELECT uuid AS run FROM runs');
    const text = said(reader.statement(`${ids.model}@3`), `run ${run}.1`)!;
    assert.match(text, new RegExp(`^Run ${run.slice(0, 8)} \\(tuning\\) made 11 records and versions of it and its ancestry, from .* UTC: user .+; 1 rank on .+; command .*mocha.*; in directory .+; git commit .+; braid-mpi .+; Node.js v`)); // prettier-ignore
  });

  it('says until when a run made records only of one that has completed', () => {
    const killed = join(directory, 'killed.db');
    copyFileSync(path, killed);
    sql(killed, `UPDATE attempts SET status = 'KILLED', ended = '2036-01-01 00:00:00.000000'`);
    const dead = BraidReader.open(killed);
    try {
      const [{ run }] = query<{ run: string }>(path, 'SELECT uuid AS run FROM runs');
      assert.match(
        said(reader.statement(ids.model), `run ${run}.1`)!,
        /, from [-0-9]{10} [:0-9]{8} to [-0-9]{10} [:0-9]{8} UTC: /,
      );
      assert.match(said(dead.statement(ids.model), `run ${run}.1`)!, /, from [-0-9]{10} [:0-9]{8} UTC: /);
    } finally {
      dead.close();
    }
  });

  it('lists up to a limit, and then still knows what it has counted', () => {
    const one = reader.statement(`${ids.model}@3`, { limit: 1 });
    const answer = one.sentences[0];
    assert.match(answer.text, /was trained on 3 data records and 1 model: scan-0 \[\d+\], … 3 more\./);
    assert.equal(answer.records.length + answer.versions.length, 1);
    assert.match(answer.digest!, /^[0-9a-f]{64}$/);
    const none = reader.statement(`${ids.model}@3`, { limit: 0 });
    assert.match(none.sentences[0].text, /was trained on 3 data records and 1 model\. It goes back to 1 fact\./);
    for (const limit of [-1, 1.5, 1e9, NaN, '3' as never]) {
      assert.throws(() => reader.statement(1, { limit }), { code: 'ERR_BRAID_OPTION_INVALID' });
    }
  });

  it('digests all that supports a sentence, as it is written in docs/statements.md', () => {
    const { sentences } = reader.statement(`${ids.model}@3`, { limit: 0 });
    const [{ run }] = query<{ run: string }>(path, 'SELECT uuid AS run FROM runs');
    const int64s = (...numbers: number[]) =>
      Buffer.concat(
        numbers.map((number) => {
          const bytes = Buffer.alloc(8);
          bytes.writeBigInt64LE(BigInt(number));
          return bytes;
        }),
      );
    const sources = [ids['scan-0'], ids['scan-1'], ids['scan-2']].sort((a, b) => a - b);
    const expected = createHash('sha256')
      .update(int64s(3, ...sources))
      .update(`${ids.teacher}@${run}.1.s`)
      .update(int64s(1, 0))
      .digest('hex');
    assert.equal(sentences.find(({ id }) => id === 'trained-on')!.digest, expected);
  });

  it('says what is missing: ids without a record, data from nowhere, versions that are not known', () => {
    const after = reader.statement(ids.after);
    assert.equal(said(after, 'dangling'), 'Of 1 id that is named as a source no record is committed: 999999.');
    assert.match(said(after, 'rootless')!, /^Of 1 data record no source is recorded: x\]\(javascript/);
    assert.equal(said(reader.statement(ids.fact), 'complete'), 'Nothing is known to be missing of its ancestry.');
    const graph: Event[] = [
      { type: 'record', id: 1, kind: 'model', time: 0, name: 'm' },
      { type: 'record', id: 3, kind: 'data', time: 1, name: 'scan' },
      { type: 'update', model: 1, made: { attempt: 1, step: 0 }, time: 2, rank: 0, exposures: [{ source: 3, version: 'none' }] }, // prettier-ignore
      { type: 'record', id: 5, kind: 'data', time: 3, name: 'made' },
      { type: 'derivation', source: 1, version: 'unknown', derived: 5, time: 3, rank: 0, attempt: 1 },
    ];
    const unknown = readerOf(directory, graph);
    const statement = unknown.statement(5);
    assert.match(
      said(statement, 'inferred')!,
      /^Of 2 records and versions it is not certain .*: m@1 \(step 0\) \[1\], scan \[3\]/,
    );
    assert.match(
      said(statement, `incomplete run ${'abcdef'.repeat(5)}ab.1`)!,
      /is still running, or was never recovered/,
    );
    assert.equal(said(statement, 'answer'), 'made [5] was derived from 1 model: m [1]. Which version that was is not recorded of 1 model; it may be any of 1: m@1 (step 0) [1]. It may also go back to 1 data record without a recorded source: scan [3].'); // prettier-ignore
    assert.equal(said(statement, 'trained-on-inferred'), 'The model that made it may have learnt from 1 data record: scan [3].'); // prettier-ignore
    assert.equal(said(statement, 'ancestry'), 'In all it comes from 1 model.');
    assert.equal(said(statement, 'ancestry-inferred'), 'It may also come from 1 data record and 1 model, with 1 version of models: which of it was used is not recorded.'); // prettier-ignore
    unknown.close();
  });

  it('says of what only may be in the ancestry, and is invalid, no more than that', () => {
    const uuid = 'ab'.repeat(16);
    const unsure = readerOf(directory, [
      { type: 'record', id: 1, kind: 'model', time: 0, name: 'm' },
      { type: 'record', id: 3, kind: 'fact', time: 1, name: 'bad scan' },
      { type: 'record', id: 5, kind: 'data', time: 3, name: 'made' },
      { type: 'record', id: 7, kind: 'data', time: 3, name: 'sure' },
      { type: 'update', model: 1, made: { attempt: 1, step: 0 }, time: 2, rank: 0, exposures: [{ source: 3, version: 'none' }] }, // prettier-ignore
      { type: 'derivation', source: 1, version: 'unknown', derived: 5, time: 3, rank: 0, attempt: 1 },
      { type: 'derivation', source: 1, version: { attempt: 1, step: 0 }, derived: 7, time: 3, rank: 0, attempt: 1 },
      { type: 'invalidation', uuid, record: 3, version: 'none', cascade: true, time: 4, rank: 0, attempt: 1 },
    ]);
    try {
      const made = unsure.statement(5);
      assert.equal(said(made, 'valid'), 'Neither made [5] nor anything that it certainly comes from is known to be invalid.'); // prettier-ignore
      assert.match(said(made, `invalid-inferred ${uuid}`)!, /^made \[5\] may be invalid\. Of what it may come from, or what may be invalid, 3 records and versions are or may be invalid: made \[5\], m@1 \(step 0\) \[1\], bad scan \[3\]\. The root cause, of bad scan \[3\], is: /); // prettier-ignore
      assert.equal(said(made, `invalid ${uuid}`), undefined);
      const sure = unsure.statement(7);
      assert.match(said(sure, `invalid ${uuid}`)!, /^sure \[7\] is invalid\. Of it and its ancestry 3 records and versions are invalid: /); // prettier-ignore
      assert.equal(said(sure, 'valid'), undefined);
    } finally {
      unsure.close();
    }
  });

  it('does not say that all comes from facts where something comes from nothing', () => {
    const mixed = readerOf(directory, [
      { type: 'record', id: 1, kind: 'fact', time: 0, name: 'scan' },
      { type: 'record', id: 2, kind: 'data', time: 0, name: 'cut' },
      { type: 'record', id: 3, kind: 'data', time: 0, name: 'from nowhere' },
      { type: 'record', id: 4, kind: 'data', time: 1, name: 'sum' },
      { type: 'derivation', source: 1, version: 'none', derived: 2, time: 0, rank: 1, attempt: 1 },
      { type: 'derivation', source: 2, version: 'none', derived: 4, time: 1, rank: 1, attempt: 1 },
      { type: 'derivation', source: 3, version: 'none', derived: 4, time: 1, rank: 1, attempt: 1 },
    ]);
    try {
      assert.equal(said(mixed.statement(4), 'answer'), 'sum [4] was derived from 2 data records: cut [2], from nowhere [3]. It goes back to 1 fact: scan [1], and to 1 data record without a recorded source: from nowhere [3].'); // prettier-ignore
    } finally {
      mixed.close();
    }
  });

  it('says apart of which sources there is no record, and not that there is nothing', () => {
    const exposures = [2, 91, 92].map((source) => ({ source, version: 'none' as const }));
    const lost = readerOf(directory, [
      { type: 'record', id: 1, kind: 'data', time: 0, name: 'x' },
      { type: 'record', id: 2, kind: 'data', time: 0, name: 'y' },
      { type: 'record', id: 3, kind: 'data', time: 0, name: 'z' },
      { type: 'record', id: 4, kind: 'model', time: 0, name: 'm' },
      ...[91, 92, 93].map((source): Event => ({ type: 'derivation', source, version: 'none', derived: 1, time: 1, rank: 0, attempt: 1 })), // prettier-ignore
      ...[2, 91].map((source): Event => ({ type: 'derivation', source, version: 'none', derived: 3, time: 1, rank: 0, attempt: 1 })), // prettier-ignore
      { type: 'update', model: 4, made: { attempt: 1, step: 0 }, time: 1, rank: 0, exposures },
    ]);
    try {
      const answer = (id: number, limit: number) => said(lost.statement(id, { limit }), 'answer')!.split(/(?<=\.) /)[0];
      assert.equal(answer(1, 2), 'x [1] was derived from 3 ids without a record [91, 92, … 1 more].');
      assert.equal(answer(3, 2), 'z [3] was derived from 1 data record: y [2], and 1 id without a record [91].');
      assert.equal(answer(4, 2), 'm [4] was trained on 1 data record: y [2], and 2 ids without a record [91, 92].');
      assert.equal(answer(4, 0), 'm [4] was trained on 1 data record, and 2 ids without a record.');
      assert.match(said(lost.statement(4), 'trained-on')!, /exposed 3 times to 3 sources: y \[2\], and 2 ids without a record \[91, 92\]\.$/); // prettier-ignore
      assert.match(said(lost.statement(4, { limit: 0 }), 'trained-on')!, /exposed 3 times to 3 sources\.$/);
      assert.equal(said(lost.statement(1, { limit: 2 }), 'dangling'), 'Of 3 ids that are named as sources no record is committed: 91, 92, … 1 more.'); // prettier-ignore
    } finally {
      lost.close();
    }
  });

  it('cites versions of a model that is not committed by their keys, and no number of a row', () => {
    const graph = readerOf(directory, [
      { type: 'record', id: 3, kind: 'data', time: 0, name: 'scan' },
      { type: 'record', id: 5, kind: 'data', time: 2, name: 'made' },
      { type: 'update', model: 99, made: { attempt: 1, step: 0 }, time: 1, rank: 0, exposures: [{ source: 3, version: 'none' }] }, // prettier-ignore
      { type: 'derivation', source: 99, version: { attempt: 1, step: 0 }, derived: 5, time: 2, rank: 0, attempt: 1 },
    ]);
    try {
      const key = `99@${'abcdef'.repeat(5)}ab.1.s0`;
      const made = graph.statement(5);
      assert.match(
        said(made, 'answer')!,
        /^made \[5\] was derived from 1 model: \(not committed\)@1 \(step 0\) \[99\]\. /,
      );
      const { records, versions } = made.sentences.find(({ id }) => id === 'ancestry')!;
      assert.deepEqual([records, versions], [[3], [key]]);
      assert.equal(said(made, 'trained-on'), 'The model that made it had learnt from 1 data record: scan [3].');
      assert.equal(said(made, 'dangling'), 'Of 1 id that is named as a source no record is committed: 99.');
      assert.equal(checkStatement(graph, JSON.stringify(made)).holds, true);
      assert.match(said(graph.statement({ key }), 'subject')!, /is version 1 of the model \(not committed\) \[99\], /);
      assert.match(
        said(graph.statement({ key }), 'answer')!,
        /^\(not committed\)@1 .* was trained on 1 data record: scan/,
      );
    } finally {
      graph.close();
    }
  });

  it('reads what Braid-DB has made', () => {
    const file = join(directory, 'braid-db.db');
    makeBraidDbFile(file);
    const foreign = BraidReader.open(file);
    const statement = foreign.statement(2);
    assert.equal(said(statement, 'answer'), 'second [2] was derived from 1 record of unknown kind: first [1].');
    assert.ok(said(statement, 'braid-db'));
    assert.equal(statement.database, null);
    assert.equal(checkStatement(foreign, JSON.stringify(statement)).holds, true);
    foreign.close();
  });

  it('is harmless as text and as Markdown, whatever names are', () => {
    const statement = reader.statement(ids.after);
    const own = reader.statement(ids.hostile);
    for (const text of [
      statementText(statement),
      statementText(own),
      statementMarkdown(statement),
      statementMarkdown(own),
    ]) {
      assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\u202e]/);
      assert.doesNotMatch(text, /^# y/m);
    }
    const markdown = statementMarkdown(statement) + statementMarkdown(own);
    assert.doesNotMatch(markdown, /(?<!\\)[<`|]|(?<!\\)\]\(|https:\/\/|www\.e/);
    assert.match(markdown, /x\\\]\(javascript:alert\(1\)\) \\<script\\>/);
    assert.match(markdown, /^\*\*after \\\[\d+\\\] was derived from/);
  });

  describe('that is saved', () => {
    let file: string;
    let edited: string;
    before(async () => {
      file = join(directory, 'saved.json');
      const { code } = await braid(['statement', path, 'name:peaks', '--json', '-o', file]);
      assert.equal(code, 0);
      edited = join(directory, 'edited.db');
    });
    const change = (text: string) => {
      rmSync(edited, { force: true });
      sql(path, `VACUUM INTO '${edited}'`);
      sql(edited, text);
      const changed = BraidReader.open(edited);
      try {
        return checkStatement(changed, reader.statement(ids.peaks));
      } finally {
        changed.close();
      }
    };
    const failing = ({ sentences }: { sentences: { id: string; holds: boolean }[] }) =>
      sentences.filter(({ holds }) => !holds).map(({ id }) => id);

    it('holds while the database says the same', async () => {
      const { code, stdout } = await braid(['check-statement', path, file]);
      assert.equal(code, 0);
      assert.match(stdout, /^holds {3}peaks \[\d+\] was derived from[^]*the statement holds\n$/);
    });

    it('no longer holds, and says which sentence and why', async () => {
      const invalid = change(`
        INSERT INTO invalidations (id, root_invalidation, cause, time) VALUES ('a1', NULL, 'detector was misaligned', '2026-01-02 03:04:05.000000'), ('a2', 'a1', 'x', '2026-01-02 03:04:05.000000');
        UPDATE records SET invalidation_id = 'a1' WHERE record_id = ${ids.bad};
        UPDATE records SET invalidation_id = 'a2' WHERE record_id = ${ids.peaks}`);
      assert.equal(invalid.holds, false);
      assert.deepEqual(failing(invalid), ['valid']);
      assert.match(invalid.leftOut[0].text, new RegExp(`^peaks \\[\\d+\\] is invalid\\. Of it and its ancestry 2 records and versions are invalid: .*The root cause, of calibration \\[${ids.bad}\\], is: "detector was misaligned"`)); // prettier-ignore
      const [valid] = invalid.sentences.filter(({ holds }) => !holds);
      assert.deepEqual([valid.why, valid.now], ['the database does not say this', invalid.leftOut[0].text]);
      const renamed = change(`UPDATE records SET name = 'blank' WHERE record_id = ${ids.bad}`);
      const [sentence] = renamed.sentences.filter(({ id }) => id === 'answer');
      assert.match(sentence.why!, /reads otherwise/);
      assert.match(sentence.now!, /blank/);
      const gone = change(`DELETE FROM derivations WHERE record_id = ${ids.bad}`);
      assert.match(
        gone.sentences.find(({ id }) => id === 'answer')!.why!,
        /supported by \d+ records and versions, not by \d+/,
      );
      const killed = change("UPDATE attempts SET status = 'KILLED'");
      assert.match(killed.leftOut.map(({ text }) => text).join(), /ended as KILLED/);
      const deleted = change(`DELETE FROM records WHERE record_id = ${ids.peaks}`);
      assert.ok(deleted.sentences.every(({ why }) => why === 'the database has no such record or version'));
      assert.equal(change("UPDATE meta SET value = '0' WHERE key = 'uuid'").holds, false);
      const { code, stdout } = await braid(['check-statement', edited, file, '--json']);
      const told = JSON.parse(stdout) as { database: object };
      assert.deepEqual([code, told.database], [1, { stated: reader.statement(1).database, checked: '0' }]);
    });

    it('does not hold where somebody has changed it', () => {
      const original = reader.statement(ids.peaks, { limit: 1 });
      const with_ = (change: (copy: Statement) => unknown) => {
        const copy = structuredClone(original);
        change(copy);
        return checkStatement(reader, JSON.stringify(copy));
      };
      assert.equal(with_(() => {}).holds, true);
      assert.deepEqual(failing(with_(({ sentences }) => (sentences[0].text += ' And on more.'))), ['answer']);
      assert.deepEqual(failing(with_(({ sentences }) => (sentences[0].records = [1]))), ['answer']);
      assert.deepEqual(failing(with_(({ sentences }) => (sentences[0].digest = 'f'.repeat(64)))), ['answer']);
      assert.deepEqual(failing(with_(({ sentences }) => sentences[0].count++)), ['answer']);
      assert.deepEqual(with_(({ sentences }) => sentences.pop()).leftOut.map(({ id }) => id), [original.sentences.at(-1)!.id]); // prettier-ignore
      assert.equal(with_(({ sentences }) => sentences.push({ ...sentences[0], id: 'made up' })).holds, false);
    });

    it('is refused where it is no statement', async () => {
      const good = JSON.stringify(reader.statement(ids.peaks));
      const not = (change: object) => JSON.stringify({ ...(JSON.parse(good) as object), ...change });
      const bad: unknown[] = [
        '', 'null', '[]', '{}', good.slice(0, -20), '['.repeat(100_000), undefined, 7, 'x'.repeat(2 ** 26 + 1),
        not({ format: 'other' }), not({ formatVersion: 1 }), not({ database: 'x' }), not({ made: 1 }), not({ limit: 1e9 }), not({ limit: -1 }),
        not({ subject: null }), not({ subject: { record: -1 } }), not({ subject: { record: 1, version: '2@x' } }),
        not({ sentences: [] }), not({ sentences: [null] }), not({ sentences: {} }), not({ sentences: [{ id: 'a' }] }),
      ]; // prettier-ignore
      for (const each of bad) {
        assert.throws(() => checkStatement(reader, each), (error: BraidError) => error.code === 'ERR_BRAID_STATEMENT_INVALID', String(each).slice(0, 100)); // prettier-ignore
      }
      const cut = join(directory, 'cut.json');
      writeFileSync(cut, good.slice(0, 100));
      for (const each of [cut, join(directory, 'nowhere.json'), directory, '/dev/zero']) {
        const { code, stderr } = await braid(['check-statement', path, each]);
        assert.deepEqual([code, stderr.split(': ')[1]], [2, 'ERR_BRAID_STATEMENT_INVALID'], each);
      }
    });
  });
});
