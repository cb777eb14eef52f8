import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { HttpBindings } from '@hono/node-server';
import { Hono, type Context, type Next } from 'hono';
import { BraidError } from '../errors.js';
import { planCall } from './call.js';
import type { Desk } from './desk.js';
import { jsonText } from '../json-text.js';
import { parseJson, readBytes } from './input.js';
import { openApi } from './openapi.js';
import { RateLimit } from './rate-limit.js';
import type { ServedRequest } from './types.js';

export interface AppOptions {
  readonly desk: Promise<Desk>;
  readonly token?: string;
  /** Whether it listens on the loopback interface only. */
  readonly loopback: boolean;
  readonly maxBodyBytes: number;
  readonly requestsPerSecond: number;
  readonly isStopping: () => boolean;
  readonly onRequest: (request: ServedRequest) => void;
}

/** What a handler tells of its request, for the log. */
interface Variables {
  code?: string;
  cause?: unknown;
  warnings: string[];
}

type Env = { Bindings: HttpBindings; Variables: Variables }; // eslint-disable-line @typescript-eslint/consistent-type-definitions
type Status = 400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 | 429 | 500 | 503;

const STATUS: Partial<Record<string, Status>> = {
  ERR_BRAID_NO_SUCH_FUNCTION: 404,
  ERR_BRAID_INPUT_INVALID: 400,
  ERR_BRAID_ACTION_INVALID: 400,
  ERR_BRAID_TEXT_INVALID: 400,
  ERR_BRAID_TOO_LARGE: 413,
  ERR_BRAID_NO_SUCH_RECORD: 422,
  ERR_BRAID_NO_SUCH_ACTION: 422,
  ERR_BRAID_HTTP_ABORTED: 400,
  ERR_BRAID_HTTP_HOST: 403,
  ERR_BRAID_HTTP_METHOD: 405,
  ERR_BRAID_HTTP_NOT_FOUND: 404,
  ERR_BRAID_HTTP_ORIGIN: 403,
  ERR_BRAID_HTTP_RATE: 429,
  ERR_BRAID_HTTP_TOKEN: 401,
  ERR_BRAID_HTTP_TYPE: 415,
};

/** The service, as what makes an answer of a request. */
export function makeApp(options: AppOptions): Hono<Env> {
  const { desk, token, loopback, maxBodyBytes } = options;
  const app = new Hono<Env>();
  app.use(logged(options));
  app.use(limited(new RateLimit(options.requestsPerSecond)));
  if (loopback) app.use(addressedHere);
  app.use(notOfAPage);
  if (token !== undefined) app.use(authorized(token));

  app.get('/openapi.json', (c) => c.json(openApi(token !== undefined)));
  app.post('/:name', typed, async (c) => {
    // Of Node's own request: making one of the web's standard costs as much as all the rest.
    const input = parseJson(await bodyOf(c.env.incoming, maxBodyBytes));
    const perform = planCall(c.req.param('name')!, input, (text) => c.var.warnings.push(text));
    const { result, uncommitted } = await perform(await desk);
    c.set('cause', uncommitted);
    // Told that it failed, a client would send it again, and it would be there twice.
    return c.body(jsonText(result), uncommitted ? 202 : 200, { 'content-type': 'application/json' });
  });
  app.all('/:name', () => {
    throw new BraidError('ERR_BRAID_HTTP_METHOD', 'functions are called by POST; GET /openapi.json describes them');
  });
  app.notFound((c) =>
    refused(c, new BraidError('ERR_BRAID_HTTP_NOT_FOUND', 'nothing is here: GET /openapi.json says what there is')),
  );
  app.onError((error, c) => refused(c, error));
  return app;
}

async function bodyOf(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  try {
    return await readBytes(request, limitBytes);
  } catch (error) {
    if (error instanceof BraidError) throw error;
    throw new BraidError('ERR_BRAID_HTTP_ABORTED', 'the client went away before all of its request had come', {
      cause: error,
    });
  }
}

/** An error as an answer. What is a mistake of ours is told to the log only. */
function refused(c: Context<Env>, error: Error): Response {
  const { code, message } =
    error instanceof BraidError
      ? error
      : { code: 'ERR_BRAID_INTERNAL', message: 'an error inside the server: its log has it' };
  const status = STATUS[code] ?? (error instanceof BraidError ? 503 : 500);
  c.set('code', code);
  if (status >= 500) c.set('cause', error);
  if (status === 401) c.header('www-authenticate', 'Bearer');
  if (status === 405) c.header('allow', 'POST');
  return c.json({ error: { code, message } }, status);
}

function logged({ isStopping, onRequest }: AppOptions) {
  return async (c: Context<Env>, next: Next) => {
    const started = performance.now();
    c.set('warnings', []);
    await next();
    // So that nobody keeps a connection open for a next request.
    if (isStopping()) c.res.headers.set('connection', 'close');
    c.res.headers.set('x-content-type-options', 'nosniff');
    const { method, path } = c.req;
    const { code, cause, warnings } = c.var;
    onRequest({ method, path, status: c.res.status, ms: performance.now() - started, address: addressOf(c), code, cause, warnings }); // prettier-ignore
  };
}

function addressOf(c: Context<Env>): string {
  return c.env.incoming.socket.remoteAddress ?? '';
}

function limited(limit: RateLimit) {
  return async (c: Context<Env>, next: Next) => {
    const seconds = limit.wait(addressOf(c));
    if (seconds === 0) return next();
    c.header('retry-after', String(Math.ceil(seconds)));
    throw new BraidError('ERR_BRAID_HTTP_RATE', `too many requests from ${addressOf(c)}: send the next after a moment`);
  };
}

/** A page of another site can have its name resolved to this machine: then that name is what it asks for. */
async function addressedHere(c: Context<Env>, next: Next): Promise<void> {
  const host = c.req.header('host') ?? '';
  if (!URL.canParse(`http://${host}`) || !isLoopback(new URL(`http://${host}`).hostname)) {
    throw new BraidError('ERR_BRAID_HTTP_HOST', 'this server answers to localhost, 127.0.0.1 and [::1] only');
  }
  await next();
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host === '::1' || /^127(\.\d+){3}$/.test(host);
}

/** Browsers say which page sends a request; nobody else does. */
async function notOfAPage(c: Context<Env>, next: Next): Promise<void> {
  if (c.req.header('origin') !== undefined) {
    throw new BraidError('ERR_BRAID_HTTP_ORIGIN', 'a web page can not call the functions');
  }
  await next();
}

function authorized(token: string) {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(token);
  return async (c: Context<Env>, next: Next): Promise<void> => {
    const [, given] = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '') ?? [];
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      throw new BraidError('ERR_BRAID_HTTP_TOKEN', 'the bearer token is missing or wrong');
    }
    await next();
  };
}

/** A form of a page could send any other type without being asked for it. */
async function typed(c: Context<Env>, next: Next): Promise<void> {
  const { essence, charset = 'utf-8' } = contentType(c.req.header('content-type') ?? '');
  if (essence !== 'application/json' || charset !== 'utf-8') {
    throw new BraidError('ERR_BRAID_HTTP_TYPE', 'the content type must be application/json, in UTF-8');
  }
  if ((c.req.header('content-encoding') ?? 'identity').toLowerCase() !== 'identity') {
    throw new BraidError('ERR_BRAID_HTTP_TYPE', 'the body must not be compressed: send it without Content-Encoding');
  }
  await next();
}

function contentType(header: string): { essence: string; charset?: string } {
  const [essence, ...parameters] = header.split(';').map((part) => part.trim().toLowerCase());
  const charset = parameters.find((each) => each.startsWith('charset='));
  return { essence, charset: charset?.slice('charset='.length).replaceAll('"', '') };
}

/** Answers what is no HTTP, or too much of it, before it is a request. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'the head of the request is too large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'the request has not come as a whole in the time that it has']
        : ['400 Bad Request', 'this is not a request of HTTP/1.1'];
  const body = JSON.stringify({ error: { code: 'ERR_BRAID_HTTP_REQUEST', message } });
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}
