import { BraidError } from './errors.js';
import type { ExportProgress } from './exchange/exporter.js';

export interface PostOptions {
  /** Only what this run has recorded, by its id. */
  run?: string;
  /** Of jobs: `slurm://CLUSTER` if left out, or `default`. */
  namespace?: string;
  /** A run for each rank, too, as a child of its run. */
  ranks?: boolean;
  /** Sent as a bearer token. */
  apiKey?: string;
  /** How often an event is sent again where that may help: after an error of the network, a timeout, or an answer 429 or 5xx. 5. */
  retries?: number;
  /** How long an answer is waited for, in milliseconds. 30,000. */
  timeoutMs?: number;
  /** Before an event is sent again, in milliseconds; twice as long each time. 500. */
  backoffMs?: number;
  onProgress?: (progress: ExportProgress) => void;
  /** Ends it, between two events or in the midst of one. */
  signal?: AbortSignal;
}

export interface PostReport {
  /** Where they were sent. */
  url: string;
  events: number;
}

/** Of the servers that there are. */
const PATH = '/api/v1/lineage';

/**
 * Sends the OpenLineage events of a database to a server, one after the other. Sending them again changes nothing there: runs
 * and datasets have the same names.
 *
 * @param url of the server, such as `http://localhost:5000`; with a path, of what takes events there.
 * @throws BraidError ERR_BRAID_OPTION_INVALID, ERR_BRAID_POST, ERR_BRAID_DB_…
 */
export async function postOpenLineage(path: string, url: string, options: PostOptions = {}): Promise<PostReport> {
  const { apiKey, retries = 5, timeoutMs = 30_000, backoffMs = 500, signal, ...selection } = options;
  for (const [name, value, least] of [
    ['retries', retries, 0],
    ['timeoutMs', timeoutMs, 1],
    ['backoffMs', backoffMs, 0],
  ] as const) {
    if (Number.isSafeInteger(value) && value >= least && value < 2 ** 31) continue;
    throw new BraidError('ERR_BRAID_OPTION_INVALID', `${name} must be a whole number from ${least} on, not ${value}`);
  }
  const [{ deliver, httpUrl, Undelivered }, { openLineage }, { Source }] = await Promise.all([
    import('./exchange/post.js'),
    import('./exchange/openlineage.js'),
    import('./exchange/source.js'),
  ]);
  const target = httpUrl(url);
  if (target.pathname === '/') target.pathname = PATH;
  const shown = `${target.origin}${target.pathname}`;
  const source = Source.open(path);
  let events = 0;
  try {
    let event = '';
    for (const piece of openLineage.text(source, selection)) {
      event += piece;
      if (!piece.endsWith('\n')) continue;
      await deliver(event, { url: target, apiKey, retries, timeoutMs, backoffMs, signal });
      events++;
      event = '';
    }
  } catch (error) {
    if (!(error instanceof Undelivered)) throw error;
    const sent = `${events} ${events === 1 ? 'event was' : 'events were'} sent to ${shown}`;
    throw new BraidError(
      'ERR_BRAID_POST',
      `${sent}, and then one was not taken: ${error.message}. Send all again when that is mended: it changes nothing of what is there.`,
      { cause: error },
    );
  } finally {
    source.close();
  }
  return { url: shown, events };
}
