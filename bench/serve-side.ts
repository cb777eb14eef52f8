/**
 * How many requests a second `braid serve` answers, each of one record with a URI and two tags, and so after a commit:
 * serve-side.js DIRECTORY RECORDS. By 1 client, and by 64 at once, over connections that stay open.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { print } from './side-figures.js';

const [directory, records] = process.argv.slice(2);
const total = Math.min(Number(records), 2000);
const BRAID = fileURLToPath(new URL('../../dist/cli/braid.js', import.meta.url));
const args = ['serve', '--db', join(directory, 'bench.db'), '--port', '0', '--rate', '1000000', '--json'];
const server = spawn(process.execPath, [BRAID, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
const { url } = JSON.parse(line) as { url: string };
const agent = new Agent({ keepAlive: true });
const body = JSON.stringify({
  name: 'scan-17',
  uris: ['file:///data/scan-17.h5'],
  tags: { energy_kev: { value: 12.4, type: 'FLOAT' }, step: { value: 17, type: 'INT' } },
});

async function send(): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const sent = request(`${url}/add_records`, { method: 'POST', agent, headers }).end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}`);
  await once(answer.resume(), 'end');
}

async function rate(clients: number, count: number): Promise<number> {
  let left = count;
  const started = performance.now();
  const client = async () => {
    while (left-- > 0) await send();
  };
  await Promise.all(Array.from({ length: clients }, client));
  return (count / (performance.now() - started)) * 1000;
}

await rate(8, Math.ceil(total / 4));
const one = await rate(1, Math.ceil(total / 4));
const many = await rate(64, total);
server.kill('SIGTERM');
await once(server, 'exit');
agent.destroy();
print({ one, many });
