import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import * as v from 'valibot';
import { BraidError } from '../errors.js';
import { Desk } from './desk.js';
import { answerClientError, isLoopback, makeApp } from './http.js';
import type { FunctionServer, ServedRequest, ServeOptions } from './types.js';

/** How long a client may take to send the head of a request. */
const HEAD_MS = 10_000;
/** How long one may be idle between two. */
const IDLE_MS = 5000;
const MAX_CONNECTIONS = 256;
/** How long those that are being served are waited for at the end. */
const GRACE_MS = 10_000;

const text = v.pipe(v.string(), v.nonEmpty());
const wholeNumber = (low: number, high: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(low), v.maxValue(high));

const schema = v.strictObject({
  db: v.optional(v.string()),
  host: v.optional(text, '127.0.0.1'),
  port: v.optional(wholeNumber(0, 65_535), 8787),
  token: v.optional(v.string()),
  maxBodyBytes: v.optional(wholeNumber(1, 64 * 2 ** 20), 2 ** 20),
  requestsPerSecond: v.optional(wholeNumber(1, 1_000_000), 1000),
  requestTimeoutMs: v.optional(wholeNumber(1, 2 ** 31 - 1), 30_000),
  onRequest: v.optional(v.custom<(request: ServedRequest) => void>((value) => typeof value === 'function')),
});

/** See `serveFunctions`. */
export async function serveAt(path: string, options: ServeOptions): Promise<FunctionServer> {
  const {
    host,
    port,
    token,
    maxBodyBytes,
    requestsPerSecond,
    requestTimeoutMs,
    onRequest = () => {},
  } = parsed(options);
  const loopback = isLoopback(host);
  checkToken(token, loopback, host);
  let stopping = false;
  let opened!: (desk: Desk) => void;
  const app = makeApp({
    // What comes before the database is open waits for it.
    desk: new Promise<Desk>((resolve) => (opened = resolve)),
    token,
    loopback,
    maxBodyBytes,
    requestsPerSecond,
    isStopping: () => stopping,
    onRequest,
  });
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    serverOptions: {
      headersTimeout: Math.min(HEAD_MS, requestTimeoutMs),
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: Math.min(1000, requestTimeoutMs),
    },
  }) as Server;
  server.on('clientError', answerClientError);
  server.maxConnections = MAX_CONNECTIONS;
  // First, so that an address that is taken leaves no run in the database.
  await listen(server, host, port);
  let desk: Desk;
  try {
    desk = await Desk.open(path, { name: 'braid serve', signals: [] });
  } catch (error) {
    server.close().closeAllConnections();
    throw error;
  }
  opened(desk);
  let closing: Promise<void> | undefined;
  const { address, family, port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
    db: desk.db.path,
    close() {
      stopping = true;
      closing ??= drained(server).then(() => desk.close());
      return closing;
    },
  };
}

function parsed(options: ServeOptions) {
  const { BRAID_TOKEN } = process.env;
  const given = { ...options, token: options.token ?? (BRAID_TOKEN === '' ? undefined : BRAID_TOKEN) };
  const { issues, output } = v.safeParse(schema, given, { abortEarly: true });
  if (!issues) return output;
  throw new BraidError('ERR_BRAID_OPTION_INVALID', `option ${v.getDotPath(issues[0])}: ${issues[0].message}`);
}

function checkToken(token: string | undefined, loopback: boolean, host: string): void {
  if (token === undefined && !loopback) {
    throw new BraidError(
      'ERR_BRAID_SERVE_TOKEN',
      `whoever reaches ${host} could record: set BRAID_TOKEN to a secret, or name a file that has it (--token-file FILE)`,
    );
  }
  if (token !== undefined && !/^[\x21-\x7e]{16,}$/.test(token)) {
    throw new BraidError(
      'ERR_BRAID_SERVE_TOKEN',
      'a token has 16 characters or more, of printable ASCII without blanks: openssl rand -hex 32 makes one',
    );
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    const { message } = error as Error;
    throw new BraidError('ERR_BRAID_SERVE_ADDRESS', `${host}:${port} can't be listened on: ${message}`, {
      cause: error,
    });
  }
}

/** Ends when all that was being served is answered, or has had its time. */
async function drained(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  // A connection that becomes idle meanwhile.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  await closed;
  clearTimeout(timer);
  clearInterval(idle);
}
