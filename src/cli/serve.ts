import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { inspect } from 'node:util';
import { InvalidArgumentError, type Command } from 'commander';
import { BraidError } from '../errors.js';
import type { ServedRequest } from '../index.js';
import { printable, toJson, writeLines } from './output.js';
import { jsonOption, wholeNumber } from './usage.js';

interface Options {
  db?: string;
  host?: string;
  port?: number;
  tokenFile?: string;
  maxBody?: number;
  rate?: number;
  json?: boolean;
}

export function addServe(program: Command): void {
  program
    .command('serve')
    .summary("serve Braid-DB's functions over HTTP")
    .description(
      "Serves Braid-DB's remote functions over HTTP: POST /add_records and so on, with JSON; GET /openapi.json describes them. An answer comes when " +
        'what it records is committed. Logs to stderr. SIGINT or SIGTERM ends it, when what has come is answered; a second one ends it at once.',
    )
    .option('--db <db>', 'database, made if need be (else BRAID_DB_FILE)')
    .option('--host <host>', 'where to listen; 127.0.0.1 if left out. Elsewhere a token is needed')
    .option('--port <port>', '8787 if left out; 0 is any that is free', portNumber)
    .option('--token-file <file>', 'has the bearer token that each request must carry (else BRAID_TOKEN)')
    .option('--max-body <bytes>', 'of a request; 1048576 if left out', wholeNumber)
    .option('--rate <requests>', 'how many a second one client may make; 1000 if left out', wholeNumber)
    .addOption(jsonOption('print and log one JSON object a line'))
    .addHelpText(
      'after',
      `
Examples:
  $ braid serve --db run.db
  $ curl -s localhost:8787/add_records -H 'content-type: application/json' -d '{"name": "scan-17"}'
  $ BRAID_TOKEN=$(cat token) braid serve --db run.db --host 0.0.0.0
`,
    )
    .action(async (options: Options) => {
      const { serveFunctions } = await import('../functions.js');
      const { db, host, port, tokenFile, maxBody, rate, json } = options;
      const stop = stopped();
      const server = await serveFunctions({
        db,
        host,
        port,
        token: tokenFile === undefined ? undefined : readToken(tokenFile),
        maxBodyBytes: maxBody,
        requestsPerSecond: rate,
        onRequest: (request) => process.stderr.write(`${json ? logJson(request) : logLine(request)}\n`),
      });
      try {
        const { url, db: path } = server;
        await writeLines([json ? toJson({ url, db: path, pid: process.pid }) : `serving ${path} at ${url}`]);
        await stop;
      } finally {
        await server.close();
      }
    });
}

/** When the first signal comes. */
function stopped(): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        // What is recorded is in the spool, and the next open brings it in.
        if (++count > 1) process.exit(128 + constants.signals[signal]);
        resolve();
      });
    }
  });
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new BraidError('ERR_BRAID_SERVE_TOKEN', `${file} can't be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function portNumber(text: string): number {
  const port = wholeNumber(text);
  if (port <= 65_535) return port;
  throw new InvalidArgumentError('It must be at most 65535.');
}

function logJson({ cause, ...request }: ServedRequest): string {
  return toJson({ time: new Date(), ...request, cause: causeText(cause) });
}

function logLine({ method, path, status, ms, address, code, cause, warnings }: ServedRequest): string {
  const line = [new Date().toISOString(), address, method, path, String(status), `${ms.toFixed(1)} ms`];
  if (code !== undefined) line.push(code);
  const more = [...warnings, causeText(cause)].filter((text) => text !== undefined);
  return [line.join(' '), ...more.map((text) => `  ${text}`)].map(printable).join('\n');
}

function causeText(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  if (cause instanceof BraidError) return `${cause.code}: ${cause.message}`;
  return cause instanceof Error ? cause.stack : inspect(cause);
}
