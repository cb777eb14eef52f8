import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BraidData, BraidDB, BraidFact, BraidModel, BraidReader } from 'braid-mpi';
import { sql } from '../cli/support.js';

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'braid-exchange-'));
}

export interface Made {
  path: string;
  /** Of its runs, in their order. */
  runs: string[];
  ids: Record<'config' | 'scan' | 'peaks' | 'model' | 'report', number>;
}

/**
 * Two runs, of which the second uses what the first has made and updates its model, and goes on in the database's eyes.
 *
 * @param files where its files are.
 */
export async function makeDatabase(path: string, files: string): Promise<Made> {
  const first = await BraidDB.open(path, { name: 'train', mpi: 'off' });
  const config = new BraidFact(first, { name: 'config', tags: { lr: 0.5, host: 'a "b"' } });
  const scan = new BraidData(first, {
    name: 'scan',
    uris: [`file://${files}/scan.h5`, 's3://bucket/scans/1.h5'],
    tags: { frames: 2n ** 60n, dark: true },
  });
  const peaks = new BraidData(first, {
    name: 'péaks',
    uris: [`file://${files}/pe%C3%A1ks.csv`],
    derivedFrom: [scan, config],
  });
  const model = new BraidModel(first, { name: 'net', uris: [`file://${files}/net.onnx`], derivedFrom: config });
  model.update([peaks], { step: 1, tags: { loss: 0.5 } });
  await first.close();

  const second = await BraidDB.open(path, { name: 'infer', mpi: 'off' });
  const report = new BraidData(second, {
    name: 'report',
    uris: ['https://user:secret@example.org/r?id=1'],
    derivedFrom: [peaks.id, model.id],
  });
  BraidModel.ref(second, model.id).update([report], { uris: [`file://${files}/net-2.onnx`] });
  second.ref(scan.id).invalidate({ cause: 'the beam was off' });
  await second.close();
  const ids = { config: config.id, scan: scan.id, peaks: peaks.id, model: model.id, report: report.id };
  return { path, runs: [first.runId, second.runId], ids };
}

/** As if the last run had ended otherwise, or not yet. */
export function endAs(
  { path, runs }: Made,
  run: number,
  status: 'RUNNING' | 'COMPLETED' | 'FAILED' | 'KILLED' | 'INCOMPLETE',
): void {
  const set = `SET status = '${status}', ended = ${status === 'RUNNING' ? 'NULL' : 'started'}`;
  sql(
    path,
    `UPDATE attempts ${set} WHERE run_id = (SELECT run_id FROM runs WHERE uuid = '${runs[run]}');
     UPDATE runs ${set} WHERE uuid = '${runs[run]}'`,
  );
}

/** Asks a database that is opened for it. */
export function reading<Result>(path: string, read: (reader: BraidReader) => Result): Result {
  const reader = BraidReader.open(path);
  try {
    return read(reader);
  } finally {
    reader.close();
  }
}
