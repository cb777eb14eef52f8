import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  addInvalidationActionToRecord,
  addRecordForActionStep,
  addRecords,
  addTransferRequest,
  BraidData,
  BraidDB,
  BraidReader,
  callFunction,
  createInvalidationAction,
  invalidate,
  verify,
  type AddedRecord,
  type RecordDict,
} from 'braid-mpi';
import Database from 'better-sqlite3';
import { makeDirectory, query, sql } from '../cli/support.js';

describe("Braid-DB's functions", function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  const db = join(directory.path, 'functions.db');
  after(() => directory.remove());

  const read = <T>(fn: (reader: BraidReader) => T): T => {
    const reader = BraidReader.open(db);
    try {
      return fn(reader);
    } finally {
      reader.close();
    }
  };
  const record = (id: number) => read((reader) => reader.record(id)!);
  const sources = (id: number) => read((reader) => reader.sources(id).map((row) => row.id));
  /** As a Flow passes on what an earlier step gave. */
  const gave = (result: unknown) => ({ status: 'SUCCEEDED', details: { result: [result] } });
  const add = async (...names: string[]): Promise<number[]> => {
    const added = (await addRecords(
      names.map((name) => ({ name })),
      { db },
    )) as AddedRecord[];
    return added.map((each) => each.record_id);
  };

  describe('add_records', () => {
    it('adds records with what derives from them, and gives them as they were added', async () => {
      const [parent] = await add('instrument');
      const given: RecordDict[] = [
        {
          name: 'scan',
          uris: ['file:///a', 'file:///b'],
          tags: {
            text: { value: 'x', type: 'STRING' },
            count: { value: '12345678901234567', type: 'INT' },
            whole: { value: 3, type: 'FLOAT' },
            natural: { value: 0.5 },
            flag: { value: true, type: null },
          },
          derivations: [{ name: 'peaks', uris: 'file:///p', derivations: [{ name: 'fit' }] }],
          derived_from_record_id: String(parent),
        },
        { name: 'other' },
      ];
      const [scan, other] = (await addRecords(given, { db })) as AddedRecord[];
      const [peaks] = scan.derivations!;
      const [fit] = peaks.derivations!;
      assert.deepEqual([scan.name, peaks.name, fit.name, other.name], ['scan', 'peaks', 'fit', 'other']);
      assert.deepEqual(scan.uris, ['file:///a', 'file:///b']);
      assert.deepEqual(scan.tags, given[0].tags);
      assert.deepEqual([other.uris, other.tags, other.derivations, other.invalidation], [null, null, null, null]);

      const stored = record(scan.record_id);
      assert.equal(stored.time.toISOString(), scan.time);
      assert.deepEqual(stored.uris, given[0].uris);
      assert.deepEqual(stored.tags, { text: 'x', count: 12345678901234567n, whole: 3, natural: 0.5, flag: true });
      const types = query<{ key: string; tag_type: number }>(
        db,
        `SELECT key, tag_type FROM tags WHERE record_id = ${scan.record_id} ORDER BY key`,
      );
      assert.deepEqual(
        types.map(({ key, tag_type }) => `${key} ${tag_type}`),
        ['count 2', 'flag 2', 'natural 3', 'text 1', 'whole 3'],
      );
      assert.deepEqual(record(peaks.record_id).uris, ['file:///p']);
      assert.deepEqual(
        [scan, peaks, fit].map((each) => sources(each.record_id)),
        [[parent], [scan.record_id], [peaks.record_id]],
      );
    });

    it('takes one record, and a list as an argument by its name', async () => {
      const [one] = (await addRecords({ name: 'alone' }, { db })) as AddedRecord[];
      const listed = (await callFunction(
        'add_records',
        { record_dicts: [{ name: 'listed' }] },
        { db },
      )) as AddedRecord[];
      assert.deepEqual([record(one.record_id).name, record(listed[0].record_id).name], ['alone', 'listed']);
    });

    it('tells in the place of a record why it is not added, and adds the others', async () => {
      const before = read((reader) => [...reader.records()].length);
      const wrong: unknown[] = [
        { name: 'good' },
        { name: '' },
        'text',
        { name: 'x', derivations: [{ name: 'y' }, { uris: [] }] },
        { name: 'x', tags: { n: { value: 'many', type: 'INT' } } },
        { name: 'x', tags: { n: { value: 1e20, type: 'INT' } } },
        { name: 'x', tags: { n: { value: 1, type: 'COMPLEX' } } },
        { name: 'x', tags: { n: 5 } },
        { name: 'x', uris: [7] },
        { name: 'x', derived_from_record_id: 987654321 },
        { name: 'a\0b' },
        { name: 'x', tags: { big: { value: 'v'.repeat(2 ** 20) } } },
      ];
      const result = await addRecords(wrong as RecordDict[], { db });
      assert.equal(typeof result[0], 'object');
      const told = [
        /^ERR_BRAID_INPUT_INVALID: record_dicts\[1\]\.name: /,
        /^ERR_BRAID_INPUT_INVALID: record_dicts\[2\]: a record is an object/,
        /^ERR_BRAID_INPUT_INVALID: record_dicts\[3\]\.derivations\[1\]\.name: /,
        /^ERR_BRAID_INPUT_INVALID: record_dicts\[4\]\.tags: "n": "many" is not a whole number/,
        /^ERR_BRAID_INPUT_INVALID: record_dicts\[5\]\.tags: "n": .* as a string/,
        /^ERR_BRAID_INPUT_INVALID: record_dicts\[6\]\.tags: "n"\.type: must be STRING, INT or FLOAT/,
        /^ERR_BRAID_INPUT_INVALID: record_dicts\[7\]\.tags: "n": /,
        /^ERR_BRAID_INPUT_INVALID: record_dicts\[8\]\.uris\[0\]: /,
        /^ERR_BRAID_NO_SUCH_RECORD: derived_from_record_id: there is no record 987654321/,
        /^ERR_BRAID_INPUT_INVALID: record_dicts\[10\]\.name: must be Unicode text/,
        /^ERR_BRAID_TOO_LARGE: record_dicts\[11\] takes/,
      ];
      told.forEach((pattern, i) => assert.match(result[i + 1] as string, pattern));
      assert.equal(
        read((reader) => [...reader.records()].length),
        before + 1,
      );
    });

    it('says when what it has recorded is not committed, and that it will be', async () => {
      const path = join(directory.path, 'locked.db');
      const open = await BraidDB.open(path, { mpi: 'off', busyMs: 1 });
      const lock = new Database(path);
      lock.exec('BEGIN IMMEDIATE');
      await assert.rejects(addRecords({ name: 'kept' }, { db: open }), { code: 'ERR_BRAID_DB_BUSY', message: /is kept.*do not call again/ }); // prettier-ignore
      lock.close();
      await open.close();
      assert.deepEqual(query(path, 'SELECT name FROM records'), [{ name: 'kept' }]);
    });

    it('tells of properties that it leaves out', async () => {
      const warnings: string[] = [];
      const given = { name: 'scan', derivation: [], derivations: [{ name: 'x', url: '' }] } as unknown as RecordDict;
      await addRecords(given, { db, onWarning: (text) => warnings.push(text) });
      assert.deepEqual(warnings, [
        'record_dicts[0] has no property "derivation": left out',
        'record_dicts[0].derivations[0] has no property "url": left out',
      ]);
    });
  });

  describe('add_record_for_action_step', () => {
    it('links steps by what the earlier ones gave', async () => {
      const [calibration] = await add('calibration');
      const first = await addRecordForActionStep(
        {
          step_name: 'Acquire',
          step_result: { status: 'SUCCEEDED' },
          input_record_ids: calibration,
          output_record_defs: [{ name: 'raw', uris: ['file:///raw'], tags: { shape: { rows: 3 } } }],
        },
        { db },
      );
      const second = await addRecordForActionStep(
        {
          step_name: 'Reduce',
          step_result: 'SUCCEEDED',
          previous_step_output: gave(first),
          input_record_ids: [gave(first)],
          inputs_from_referenced_outputs: true,
          output_record_defs: { name: 'reduced' },
        },
        { db },
      );
      const third = await addRecordForActionStep(
        {
          step_name: 'Report',
          previous_step_output: [gave(second), first],
          other_predecessor_record_ids: [String(calibration)],
          output_record_ids: gave(second),
        },
        { db },
      );
      assert.deepEqual(first.input_record_ids, [calibration]);
      assert.deepEqual(second.input_record_ids, first.output_record_ids);
      assert.deepEqual(third.output_record_ids, second.output_record_ids);
      assert.deepEqual(
        [first, second, third].map((each) => each.exception_str),
        [null, null, null],
      );

      const step = record(first.flow_state_record_id);
      assert.deepEqual([step.name, step.tags], ['Action Step Acquire', { status: 'SUCCEEDED' }]);
      assert.deepEqual(record(first.output_record_ids[0]).tags, { 'shape.rows': 3 });
      assert.deepEqual(record(third.flow_state_record_id).tags, { status: 'Not Provided' });
      assert.deepEqual(sources(first.flow_state_record_id), [calibration]);
      assert.deepEqual(sources(first.output_record_ids[0]), [first.flow_state_record_id]);
      const ordered = (...ids: number[]) => ids.toSorted((a, b) => a - b);
      assert.deepEqual(
        sources(second.flow_state_record_id),
        ordered(first.flow_state_record_id, first.output_record_ids[0]),
      );
      assert.deepEqual(
        sources(third.flow_state_record_id),
        ordered(calibration, first.flow_state_record_id, second.flow_state_record_id),
      );
      assert.deepEqual(
        sources(second.output_record_ids[0]),
        ordered(second.flow_state_record_id, third.flow_state_record_id),
      );
    });

    it('flattens nested tags to keys with all of their parents, whatever they are called', async () => {
      const tags = JSON.parse(
        `{"a": {"b": {"c": 1, "d": [1, null]}, "e": null}, "lr": 0.1, "ok": true, "status": "mine",
          "__proto__": {"polluted": "x"}, "constructor": {"prototype": "y"}, "ключ 🔑": "z"}`,
      ) as Record<string, unknown>;
      const { flow_state_record_id: id } = await addRecordForActionStep(
        { step_name: 'Tagged', tags, step_result: { other: 1 }, uris: 'file:///one' },
        { db },
      );
      const expected = Object.create(null) as Record<string, unknown>;
      Object.assign(expected, { 'a.b.c': 1, 'a.b.d': '[1,null]', 'a.e': 'null', lr: 0.1, ok: true });
      Object.assign(expected, { status: 'Not Present in Step Results', 'constructor.prototype': 'y', 'ключ 🔑': 'z' });
      expected['__proto__.polluted'] = 'x';
      const { tags: stored, uris } = record(id);
      assert.deepEqual({ ...stored }, { ...expected });
      assert.deepEqual(uris, ['file:///one']);
      assert.equal(({} as { polluted?: string }).polluted, undefined);
      assert.equal(tags.status, 'mine');
    });

    it('records a step of which something can not be linked, and tells what', async () => {
      const [scan] = await add('scan');
      const result = await addRecordForActionStep(
        {
          step_name: 'Lost',
          previous_step_output: { details: { exception: 'it failed' } },
          input_record_ids: [scan, 987654321],
          output_record_ids: [scan],
        },
        { db },
      );
      assert.equal(
        result.exception_str,
        'previous_step_output has no record id in details.result[0].flow_state_record_id; ' +
          `there is no record 987654321; record ${scan} is an input, too: it does not derive from the step`,
      );
      assert.deepEqual(result.input_record_ids, [scan]);
      assert.deepEqual(sources(result.flow_state_record_id), [scan]);
      assert.deepEqual(sources(scan), []);
    });
  });

  it('add_transfer_request records a transfer between its sources and destinations', async () => {
    const [previous] = await add('before');
    const result = await addTransferRequest(
      {
        previous_step_record_id: gave({ flow_state_record_id: previous }),
        transfer_input: {
          source_endpoint_id: 'aps',
          destination_endpoint_id: 'alcf',
          transfer_items: [
            { source_path: 'raw/1.h5', destination_path: 'in/1.h5' },
            { source_path: '/raw/2.h5', destination_path: '/in/2.h5' },
          ],
        },
        transfer_result: { status: 'SUCCEEDED', details: { task_id: 'f00d' } },
      },
      { db },
    );
    const transfer = record(result.flow_state_record_id);
    assert.equal(transfer.name, 'Globus Transfer task f00d');
    assert.deepEqual(transfer.uris, ['https://app.globus.org/activity/f00d/overview']);
    assert.deepEqual(transfer.tags, { status: 'SUCCEEDED' });
    assert.deepEqual(
      [...result.input_record_ids, ...result.output_record_ids].map((id) => record(id).uris[0]),
      [
        'globustransfer://aps/raw/1.h5',
        'globustransfer://aps//raw/2.h5',
        'globustransfer://alcf/in/1.h5',
        'globustransfer://alcf//in/2.h5',
      ],
    );
    assert.deepEqual(sources(transfer.id), [previous, ...result.input_record_ids]);
    for (const id of result.output_record_ids) assert.deepEqual(sources(id), [transfer.id]);
  });

  describe('invalidation actions', () => {
    it('are created, added to a record, and carried out', async () => {
      const step = await addRecordForActionStep({ step_name: 'Watched' }, { db });
      const action = { name: 'tell', command: 'echo', params: ['{name}', 'is wrong'] };
      const created = await createInvalidationAction(action, { db });
      assert.match(created.invalidation_action_id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.deepEqual(await createInvalidationAction({ ...action, action_type: 'SHELL_COMMAND' }, { db }), created);
      const added = await addInvalidationActionToRecord(
        { record_id: gave(step), invalidation_action_id: gave(created) },
        { db },
      );
      assert.deepEqual(added, { ...created, flow_state_record_id: step.flow_state_record_id });
      const { actions } = await invalidate(db, step.flow_state_record_id, { cause: 'test', runActions: true });
      assert.deepEqual(
        actions.map(({ name, outcome, output }) => [name, outcome, output.trim()]),
        [['tell', 'succeeded', 'Action Step Watched is wrong']],
      );
    });

    it('can be those that Braid-DB has made', async () => {
      const id = '0123456789abcdef0123456789abcdef';
      sql(
        db,
        `INSERT INTO invalidation_actions VALUES ('AUTOMATE_EVENT', NULL, '${id}', 'theirs', 'https://example.org')`,
      );
      const [scan] = await add('scan');
      const dashed = '01234567-89AB-CDEF-0123-456789ABCDEF';
      const result = await addInvalidationActionToRecord({ record_id: scan, invalidation_action_id: dashed }, { db });
      assert.deepEqual(result, { invalidation_action_id: dashed.toLowerCase(), flow_state_record_id: scan });
      const [row] = query<{ invalidation_action_id: string }>(db, `SELECT invalidation_action_id FROM records WHERE record_id = ${scan}`); // prettier-ignore
      assert.equal(row.invalidation_action_id, id);
    });
  });

  it('record through a database that is open, together with what else is recorded', async () => {
    const open = await BraidDB.open(db, { mpi: 'off' });
    try {
      const scan = new BraidData(open, { name: 'pending' });
      const step = await addRecordForActionStep({ step_name: 'Within', input_record_ids: scan.id }, { db: open });
      assert.equal(step.exception_str, null);
      assert.deepEqual(sources(step.flow_state_record_id), [scan.id]);
      assert.equal(record(step.flow_state_record_id).run, open.runId);
    } finally {
      await open.close();
    }
  });

  it('are one run for each call, and leave a database in which all is in order', () => {
    const { runs, ok } = read((reader) => {
      const rows = reader.runs();
      return { runs: rows, ok: rows.every(({ status }) => status === 'COMPLETED') };
    });
    assert.ok(ok && runs.some(({ name }) => name === 'add_transfer_request'));
    const report = verify(db);
    assert.deepEqual(report.problems, []);
  });

  describe('refuse', () => {
    const deep = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);
    const cases: [string, string, unknown, RegExp][] = [
      ['an unknown function', 'drop_records', {}, /^ERR_BRAID_NO_SUCH_FUNCTION .*add_records/],
      ['a function of the language', 'toString', {}, /^ERR_BRAID_NO_SUCH_FUNCTION/],
      ['no records', 'add_records', null, /^ERR_BRAID_INPUT_INVALID record_dicts: /],
      ['arguments without names', 'add_transfer_request', [], /^ERR_BRAID_INPUT_INVALID the arguments are an object/],
      ['tags that are a list', 'add_record_for_action_step', { tags: [1] }, /^ERR_BRAID_INPUT_INVALID tags: must be an object/], // prettier-ignore
      ['URIs of another type', 'add_record_for_action_step', { uris: [1] }, /^ERR_BRAID_INPUT_INVALID uris/],
      ['an id that is none', 'add_record_for_action_step', { input_record_ids: [-1] }, /^ERR_BRAID_INPUT_INVALID input_record_ids/], // prettier-ignore
      ['a key that is there twice', 'add_record_for_action_step', { tags: { 'a.b': 1, a: { b: 2 } } }, /"a\.b" is there twice/], // prettier-ignore
      ['a key that is empty', 'add_record_for_action_step', { tags: { '': 1 } }, /a key is empty/],
      ['a NUL in a key', 'add_record_for_action_step', { tags: { 'a\0': 1 } }, /Unicode text/],
      ['a lone surrogate', 'add_record_for_action_step', { tags: { a: '\ud800' } }, /Unicode text/],
      ['nesting without end', 'add_record_for_action_step', { tags: deep(5000) }, /nested deeper than 100 levels/],
      ['a step before that is not there', 'add_transfer_request', { previous_step_record_id: 987654321 }, /^ERR_BRAID_NO_SUCH_RECORD/], // prettier-ignore
      ['a step before that gave nothing', 'add_transfer_request', { previous_step_record_id: {} }, /^ERR_BRAID_INPUT_INVALID previous_step_record_id/], // prettier-ignore
      ['an action without a command', 'create_invalidation_action', { name: 'x' }, /^ERR_BRAID_INPUT_INVALID command/],
      ['arguments that are no list', 'create_invalidation_action', { command: 'x', params: 'y' }, /^ERR_BRAID_INPUT_INVALID params/], // prettier-ignore
      ['an action of another type', 'create_invalidation_action', { command: 'x', action_type: 'ritual' }, /^ERR_BRAID_INPUT_INVALID action_type/], // prettier-ignore
      ['an event without a URL', 'create_invalidation_action', { command: 'x', action_type: 'automate_event' }, /^ERR_BRAID_ACTION_INVALID/], // prettier-ignore
      ['an action that is not there', 'add_invalidation_action_to_record', { record_id: 1, invalidation_action_id: '0'.repeat(32) }, /^ERR_BRAID_NO_SUCH_ACTION/], // prettier-ignore
      ['a record that is not there', 'add_invalidation_action_to_record', { record_id: 987654321, invalidation_action_id: '0'.repeat(32) }, /^ERR_BRAID_NO_SUCH_RECORD/], // prettier-ignore
      ['the output of a step that failed', 'add_invalidation_action_to_record', { record_id: 1, invalidation_action_id: { details: {} } }, /^ERR_BRAID_INPUT_INVALID invalidation_action_id/], // prettier-ignore
    ];
    const rows = () =>
      ['records', 'derivations', 'uris', 'tags', 'invalidation_actions'].map(
        (table) => query<{ n: number }>(db, `SELECT count(*) AS n FROM ${table}`)[0].n,
      );

    for (const [title, name, input, pattern] of cases) {
      it(`${title}, and write nothing`, async () => {
        const before = rows();
        await assert.rejects(callFunction(name, input, { db }), (error: Error & { code: string }) => {
          assert.match(`${error.code} ${error.message}`, pattern);
          return true;
        });
        assert.deepEqual(rows(), before);
      });
    }

    it('input that is wrong before they open anything', async () => {
      const hash = () => createHash('sha256').update(readFileSync(db)).digest('hex');
      const before = hash();
      await assert.rejects(callFunction('add_record_for_action_step', { tags: 5 }, { db }));
      assert.equal(hash(), before);
      const missing = join(directory.path, 'never.db');
      await assert.rejects(callFunction('create_invalidation_action', {}, { db: missing }));
      assert.ok(!existsSync(missing));
    });

    it('to guess a database', async () => {
      await assert.rejects(addRecords({ name: 'x' }), { code: 'ERR_BRAID_OPTION_INVALID', message: /BRAID_DB_FILE/ });
    });
  });
});
