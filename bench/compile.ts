/**
 * Compiles the programs in C once: what comes out is kept in build/bench under a name that follows from all that went in.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const cache = join(repository, 'build', 'bench');

/** Where the repository has a file of this folder: what isn't TypeScript isn't copied to where that is compiled to. */
export const source = (name: string) => join(repository, 'bench', name);

export interface Compilation {
  /** Files of C, and objects. */
  readonly sources: readonly string[];
  readonly compiler?: string;
  readonly flags?: readonly string[];
  /** An object, and not a program. */
  readonly object?: boolean;
}

/** Compiles with -O3, as better-sqlite3 is, what isn't compiled yet. Returns the program, or object. */
export function compile({ sources, compiler = 'cc', flags = [], object = false }: Compilation): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([versionOf(compiler), compiler, flags, object]));
  for (const file of sources) hash.update(readFileSync(file));
  const name = basename(sources[0]).replace(/\.c$/, '');
  const target = join(cache, `${name}-${hash.digest('hex').slice(0, 16)}${object ? '.o' : ''}`);
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  // Under its name only when it is whole: another harness may look for it.
  const unfinished = `${target}.${process.pid}`;
  // Libraries come last: a linker takes of them what those before have asked for.
  const [libraries, options] = [
    flags.filter((flag) => /^-[lL]/.test(flag)),
    flags.filter((flag) => !/^-[lL]/.test(flag)),
  ];
  const args = ['-O3', ...options, ...(object ? ['-c'] : []), '-o', unfinished, ...sources, ...libraries];
  execFileSync(compiler, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(unfinished, target);
  return target;
}

/** The same SQLite that better-sqlite3 has, from the same source with the same defines, as an object and what it is used by. */
export function sqlite(): { object: string; flags: readonly string[] } {
  const deps = join(dirname(createRequire(import.meta.url).resolve('better-sqlite3/package.json')), 'deps');
  const defines = [...readFileSync(join(deps, 'defines.gypi'), 'utf8').matchAll(/^\s+'(\w+(?:=[^']*)?)',$/gm)];
  if (defines.length === 0) throw new Error(`there are no defines in ${join(deps, 'defines.gypi')}`);
  const include = join(deps, 'sqlite3');
  const object = compile({
    sources: [join(include, 'sqlite3.c')],
    // Its warnings are not ours to heed.
    flags: ['-w', ...defines.map(([, define]) => `-D${define}`)],
    object: true,
  });
  return { object, flags: [`-I${include}`, '-lpthread', '-ldl', '-lm'] };
}

/** A program in C that uses that SQLite. */
export function compileWithSqlite(name: string): string {
  const { object, flags } = sqlite();
  return compile({ sources: [source(name), object], flags });
}

/** Of the given vendor: compiled by another's, a program is as many jobs of one rank. */
export function mpiCompiler(vendor: string): string | undefined {
  return [`mpicc.${vendor}`, 'mpicc'].find((name) => {
    const shown = spawnSync(name, ['-show'], { encoding: 'utf8' }).stdout ?? '';
    return new RegExp(vendor === 'openmpi' ? 'open.?mpi' : vendor, 'i').test(shown);
  });
}

/** Also what a compiler for MPI stands for: a plain `mpicc` may be another vendor's tomorrow. */
function versionOf(compiler: string): string {
  return ['--version', '-show']
    .map((flag) => spawnSync(compiler, [flag], { encoding: 'utf8' }).stdout ?? '')
    .join('\n');
}
