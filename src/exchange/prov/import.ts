import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { captureContext } from '../../context.js';
import { calledAs } from '../../errors.js';
import { host } from '../../host.js';
import type { ImportProgress, ImportReport } from '../../import.js';
import { Recorder } from '../../record/recorder.js';
import { checkPath } from '../../store/open-for-writing.js';
import { explainWriteError } from '../../store/sqlite-error.js';
import { realPath } from '../../store/real-path.js';
import { Store } from '../../store/store.js';
import { discard, putNew } from '../bulk.js';
import { Frames } from '../frames.js';
import { planOf } from './plan.js';
import { readProvJson } from './read.js';
import { recordPlan } from './record.js';

/** How much is brought into the database at once, of its one transaction. */
const ROUND_BYTES = 16 * 2 ** 20;

/**
 * Records a PROV-JSON document as a run of its own, in one transaction; not one that was recorded before. A database that is
 * not there is made beside its place: if anything fails there is none.
 */
export function importProvJson(
  path: string,
  bytes: Uint8Array,
  name: string,
  busyMs: number,
  onProgress: ((progress: ImportProgress) => void) | undefined,
): ImportReport {
  const document = readProvJson(bytes, name);
  const plan = planOf(document, name);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const file = realPath(path);
  const into = (database: string) => recorded(database, { document, plan, name, sha256 }, busyMs, onProgress);
  if (existsSync(file)) return into(path);
  checkPath(path, file);
  const beside = `${file}.${process.pid}.tmp`;
  try {
    const report = into(beside);
    // Somebody may have made one meanwhile.
    return putNew(beside, file) ? report : into(path);
  } catch (error) {
    const { code } = error as { code?: unknown };
    throw calledAs(code === undefined ? error : explainWriteError(error, path), beside, path);
  } finally {
    discard(beside);
  }
}

interface Imported {
  readonly document: ReturnType<typeof readProvJson>;
  readonly plan: ReturnType<typeof planOf>;
  readonly name: string;
  readonly sha256: string;
}

function recorded(
  path: string,
  { document, plan, name, sha256 }: Imported,
  busyMs: number,
  onProgress: ((progress: ImportProgress) => void) | undefined,
): ImportReport {
  const store = new Store({ path, busyMs, writer: 'atOnce' });
  try {
    const report = store.atOnce((): ImportReport => {
      const before = store.runNoted('$.import.sha256', sha256);
      if (before !== undefined) {
        return { run: before, imported: false, records: 0, versions: 0, derivations: 0, invalidations: 0 };
      }
      const context = { ...captureContext(undefined), import: { file: name, sha256, prefixes: document.prefixes } };
      const ranks = [{ host, spool: '', anchor: '' }];
      const { run, attempt } = store.nextAttempt();
      const { base, count } = store.beginRun({ run, attempt, name: `import of ${name}`, context, ranks });
      const frames = new Frames({ run, attempt, rank: 0 });
      const recorder = new Recorder({ run, attempt, rank: 0, size: 1 }, { base, count }, frames, () => {
        throw new Error('what is imported has its name');
      });
      const recorded = recordPlan(plan, document.nodes, recorder, (done) => {
        if (frames.sealedBytes >= ROUND_BYTES) store.commit(frames.take());
        onProgress?.({ done, total: plan.records.length });
      });
      store.commit(frames.take());
      store.endAttempt(run, attempt, 'COMPLETED');
      return { run, imported: true, ...recorded };
    });
    if (report.imported) store.finishIndexes();
    return report;
  } finally {
    store.close();
  }
}
