import { setTimeout as sleep } from 'node:timers/promises';
import { BraidError } from '../errors.js';
import { packageVersion } from '../package.js';
import { printable } from '../printable.js';

export interface Delivery {
  readonly url: URL;
  readonly apiKey?: string;
  /** How often what may succeed later is tried again. */
  readonly retries: number;
  /** Until an answer is there, of each try. */
  readonly timeoutMs: number;
  /** Before the first time that it is tried again; twice as long before each of the others. */
  readonly backoffMs: number;
  readonly signal?: AbortSignal;
}

/** The longest that a server may ask to wait. */
const MOST_WAIT_MS = 60_000;
const MOST_ANSWER_CHARS = 200;

/** What a server didn't take. */
export class Undelivered extends Error {}

/**
 * Sends a document. What fails by the network, by a timeout, or with an answer that says that it may succeed later (429 and
 * 5xx), is tried again.
 *
 * @throws Undelivered; the reason of `signal`
 */
export async function deliver(body: string, delivery: Delivery): Promise<void> {
  const { signal, retries, backoffMs } = delivery;
  for (let tried = 0; ; tried++) {
    signal?.throwIfAborted();
    const failed = await attempt(body, delivery);
    if (failed === undefined) return;
    if (failed.lasting) throw new Undelivered(failed.why);
    if (tried === retries)
      throw new Undelivered(retries === 0 ? failed.why : `${failed.why}; tried ${tried + 1} times`);
    // Not all who were refused at once come back at once.
    const wait = backoffMs * 2 ** tried * (0.75 + Math.random() / 2);
    await sleep(Math.min(Math.max(wait, failed.retryAfterMs ?? 0), MOST_WAIT_MS), undefined, { signal });
  }
}

interface Failure {
  why: string;
  lasting: boolean;
  retryAfterMs?: number;
}

async function attempt(body: string, { url, apiKey, timeoutMs, signal }: Delivery): Promise<Failure | undefined> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const answer = await fetch(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'user-agent': `braid-mpi/${packageVersion()}`,
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      // What is redirected would come as a GET, and the key might go elsewhere.
      redirect: 'manual',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const text = await beginning(answer);
    if (answer.ok) return undefined;
    const { status } = answer;
    return {
      why: `the server answered ${status}${text === '' ? '' : `: ${text}`}`,
      lasting: status !== 429 && status < 500,
      retryAfterMs: secondsOf(answer.headers.get('retry-after')),
    };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (timeout.aborted) return { why: `no answer in ${timeoutMs / 1000} s`, lasting: false };
    const { cause, message } = error as Error;
    const { code, message: inner } = (cause ?? {}) as { code?: string; message?: string };
    return { why: [inner, code, message].find((each) => each) ?? 'it failed', lasting: false };
  }
}

/** What it says, without keeping all of it; it is read so that the connection can be used again. */
async function beginning({ body }: Response): Promise<string> {
  let text = '';
  if (body === null) return text;
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    if (text.length < MOST_ANSWER_CHARS) text += piece;
  }
  return printable(text.slice(0, MOST_ANSWER_CHARS).trim());
}

function secondsOf(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined;
}

/** @throws BraidError ERR_BRAID_OPTION_INVALID */
export function httpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol)) {
    if (url.username === '' && url.password === '') return url;
    throw new BraidError(
      'ERR_BRAID_OPTION_INVALID',
      `no user and password in a URL, please: OPENLINEAGE_API_KEY is sent as a bearer token`,
    );
  }
  throw new BraidError(
    'ERR_BRAID_OPTION_INVALID',
    `${printable(text)} is not a URL of HTTP, such as http://localhost:5000`,
  );
}
