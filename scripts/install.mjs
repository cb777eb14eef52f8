/**
 * Builds the native parts; what `npm install`, `npm rebuild braid-mpi` and `npm run build:native` run.
 *
 * Without the spool and the SQLite extension there is no recorder, so they must build. MPI is another matter: a laptop
 * has none, a cluster has it behind a module that may not be loaded yet. What was found, and what wasn't and why, is
 * kept in build/mpi-reasons.json for the error that a program gets when it asks for MPI.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { findMpis } from './mpi-config.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const buildDir = path.join(root, 'build');
const reasonsFile = path.join(buildDir, 'mpi-reasons.json');
/** Lines of a failed build's output that are worth keeping: its end, where the tools say what stopped them. */
const LOG_LINES = 25;

const require = createRequire(import.meta.url);

function say(text) {
  process.stderr.write(`braid-mpi: ${text}\n`);
}

/**
 * The headers of the running Node, where it was installed with them. node-gyp would download them otherwise, which a
 * compute node can't.
 */
function nodeDirArguments() {
  if (process.env.npm_config_nodedir) return [];
  const prefix = path.resolve(path.dirname(process.execPath), '..');
  return existsSync(path.join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

function nodeGyp(...args) {
  const bin = require.resolve('node-gyp/bin/node-gyp.js');
  const { status, signal, stdout, stderr, error } = spawnSync(process.execPath, [bin, ...args, ...nodeDirArguments()], {
    cwd: root,
    // binding.gyp asks mpi-config.mjs several times; it answers from this file.
    env: { ...process.env, BRAID_MPI_FOUND: reasonsFile },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const lines = `${stdout ?? ''}${stderr ?? ''}${error ? error.message : ''}`.trimEnd().split('\n');
  // node-gyp's own lines are about itself, unless they are all there is.
  const compilers = lines.filter((line) => !line.startsWith('gyp '));
  const log = (compilers.some((line) => line !== '') ? compilers : lines).slice(-LOG_LINES);
  if (signal) log.push(`ended by ${signal}`);
  return { ok: status === 0, log: log.join('\n') };
}

function build(target) {
  const start = Date.now();
  const result = nodeGyp('build', target, '--jobs', 'max');
  if (result.ok) say(`${target} is built (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  return result;
}

function fail(what, log) {
  say(`${what}:\n${log}`);
  process.exit(1);
}

mkdirSync(buildDir, { recursive: true });
const { found, reasons } = findMpis();
const known = found.map((mpi) => ({ ...mpi, built: false }));
const writeReasons = () => writeFileSync(reasonsFile, `${JSON.stringify({ found: known, reasons }, null, 2)}\n`);
writeReasons();

const configured = nodeGyp('configure');
if (!configured.ok) fail('node-gyp configure failed', configured.log);

for (const target of ['braid_core', 'braid_sqlite']) {
  const { ok, log } = build(target);
  if (!ok) fail(`${target} can't be built`, log);
}

for (const mpi of known) {
  const { ok, log } = build(`braid_mpi.${mpi.vendor}`);
  mpi.built = ok;
  if (ok) continue;
  mpi.log = log;
  // What an earlier build left there would be loaded by a later version's JavaScript.
  rmSync(path.join(buildDir, 'Release', `braid_mpi.${mpi.vendor}.node`), { force: true });
  say(`the binding of ${mpi.version} (${mpi.mpicc}) can't be built, and is left out:\n${log}`);
}
writeReasons();

const built = known.filter((mpi) => mpi.built).map((mpi) => mpi.version);
if (built.length > 0) say(`ready for ${built.join(' and ')}, and for single processes`);
else {
  say(
    'no MPI library was found: single-process recording works. To add MPI later make its mpicc known (load its module, ' +
      'or set BRAID_MPI_MPICC) and run: npm rebuild braid-mpi',
  );
}
