import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { text as readAll } from 'node:stream/consumers';
import { BraidReader, type ActionStepResult, type AddedRecord } from 'braid-mpi';
import { BRAID, makeDirectory } from '../cli/support.js';
import { endWithTest } from '../support/children.js';

describe('braid call', function () {
  this.timeout(60_000);
  const directory = makeDirectory();
  const db = join(directory.path, 'flow.db');
  after(() => directory.remove());

  async function call(
    args: readonly string[],
    input: string | Buffer,
    env: Record<string, string> = { BRAID_DB_FILE: db },
  ) {
    const child = endWithTest(
      spawn(process.execPath, [BRAID, 'call', ...args], {
        env: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR, ...env },
      }),
    );
    child.stdin.on('error', () => {}).end(input);
    const [stdout, stderr, [code]] = await Promise.all([
      readAll(child.stdout),
      readAll(child.stderr),
      once(child, 'close') as Promise<[number]>,
    ]);
    return { code, stdout, stderr };
  }

  async function result<T>(name: string, input: unknown): Promise<T> {
    const { code, stdout, stderr } = await call([name], JSON.stringify(input));
    assert.deepEqual([code, stderr], [0, '']);
    return JSON.parse(stdout) as T;
  }

  it('records what a Flow gives to each function', async () => {
    // What a Flow has of a step before: $.Step of its state.
    const state = (each: unknown) => ({ status: 'SUCCEEDED', details: { result: [each] } });
    const [scan] = await result<AddedRecord[]>('add_records', {
      record_dicts: [{ name: 'scan', uris: ['file:///scan.h5'], tags: { energy: { value: 12.4, type: 'FLOAT' } } }],
    });
    const moved = await result<ActionStepResult>('add_transfer_request', {
      previous_step_record_id: scan.record_id,
      transfer_input: {
        source_endpoint_id: 'a',
        destination_endpoint_id: 'b',
        transfer_items: [{ source_path: 'x', destination_path: 'y' }],
      },
      transfer_result: { status: 'SUCCEEDED', details: { task_id: 't' } },
    });
    const step = await result<ActionStepResult>('add_record_for_action_step', {
      step_name: 'Train',
      tags: { hyper: { lr: 0.1 } },
      step_result: { status: 'SUCCEEDED' },
      previous_step_output: state(moved),
      input_record_ids: [state(moved)],
      inputs_from_referenced_outputs: true,
      output_record_defs: [{ name: 'model', uris: ['file:///model.pt'] }],
    });
    const action = await result<{ invalidation_action_id: string }>('create_invalidation_action', {
      name: 'retrain',
      action_type: 'shell',
      command: 'retrain.sh',
      params: ['{uri}'],
    });
    const added = await result('add_invalidation_action_to_record', {
      record_id: state(step),
      invalidation_action_id: state(action),
    });
    assert.deepEqual(added, { ...action, flow_state_record_id: step.flow_state_record_id });

    const reader = BraidReader.open(db);
    try {
      const [model] = [...reader.records({ name: 'model' })];
      assert.deepEqual(
        new Set([...reader.ancestors(model.id)].map(({ name }) => name)),
        new Set(['Action Step Train', 'Globus transfer destination b:y', 'Globus Transfer task t', 'Globus transfer source a:x', 'scan']), // prettier-ignore
      );
      assert.deepEqual(reader.record(step.flow_state_record_id)!.tags, { 'hyper.lr': 0.1, status: 'SUCCEEDED' });
    } finally {
      reader.close();
    }
  });

  it('tells of arguments that it leaves out', async () => {
    const { code, stderr } = await call(['add_record_for_action_step'], '{"step_name": "x", "step_parameters": {}}');
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stderr), { warning: 'there is no argument "step_parameters": left out' });
  });

  const wrong: [string, string[], string | Buffer, number, string, RegExp][] = [
    ['input that is empty', ['add_records'], '', 1, 'ERR_BRAID_INPUT_INVALID', /empty/],
    ['JSON that is cut off', ['add_records'], '{"name": "x', 1, 'ERR_BRAID_INPUT_INVALID', /not JSON: .*position/],
    ['another encoding', ['add_records'], Buffer.from([0x22, 0xe9, 0x22]), 1, 'ERR_BRAID_INPUT_INVALID', /not UTF-8/],
    ['an unknown function', ['drop_records'], '{}', 2, 'ERR_BRAID_USAGE', /add_records, add_record_for_action_step, add_transfer_request, create_invalidation_action, add_invalidation_action_to_record/], // prettier-ignore
    [
      'a path that is none',
      ['add_records', '--db', directory.path],
      '{"name": "x"}',
      1,
      'ERR_BRAID_DB_IS_DIRECTORY',
      /directory/,
    ],
  ];
  for (const [title, args, input, exit, expected, pattern] of wrong) {
    it(`tells as JSON of ${title}`, async () => {
      const { code, stdout, stderr } = await call(args, input);
      const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
      assert.deepEqual([code, stdout, error.code], [exit, '', expected]);
      assert.match(error.message, pattern);
    });
  }

  it('tells as JSON that it does not know which database', async () => {
    const { code, stderr } = await call(['add_records'], '{"name": "x"}', {});
    const { error } = JSON.parse(stderr) as { error: { code: string } };
    assert.deepEqual([code, error.code], [2, 'ERR_BRAID_OPTION_INVALID']);
  });
});
