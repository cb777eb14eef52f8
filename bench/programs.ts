/** How each program is started here. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TestVendor } from '../test/support/mpiexec.js';
import { compile, compileWithSqlite, mpiCompiler, source } from './compile.js';
import type { Program } from './trial.js';

/** A command and its first arguments, or why there is none. */
export type Start = readonly string[] | { readonly missing: string };

const compiled = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const node = (file: string, ...flags: string[]): Start => [process.execPath, ...flags, compiled(file)];

export class Programs {
  readonly #starts = new Map<Program, Start>();

  constructor(private readonly vendor: TestVendor | undefined) {}

  /** Found out, and compiled, when it is first asked for. */
  start(program: Program): Start {
    let start = this.#starts.get(program);
    if (!start) {
      start = this.#find(program);
      this.#starts.set(program, start);
    }
    return start;
  }

  #find(program: Program): Start {
    switch (program) {
      case 'capture-side':
        return node('capture-side.js', '--expose-gc');
      case 'digits':
      case 'powergrid':
        return node(`../examples/${program}/${program}.js`);
      case 'commit.c':
        return [compileWithSqlite(program), source('braid-db.sql'), source('search-indexes.sql')];
      case 'query-side':
        if (spawnSync('sqlite3', ['--version'], { stdio: 'ignore' }).status !== 0) {
          return { missing: "there is no sqlite3, SQLite's shell" };
        }
        return node(`${program}.js`);
      case 'mpi.c':
      case 'gather.c': {
        const compiler = this.vendor && mpiCompiler(this.vendor.name);
        if (!compiler) return { missing: `there is no mpicc of ${this.vendor?.name ?? 'any MPI'}` };
        return [compile({ sources: [source(program)], compiler })];
      }
      case 'mpi.py': {
        // Debian's own, which knows Debian's packages; then whichever comes first.
        const python = ['/usr/bin/python3', 'python3'].find(
          (name) => spawnSync(name, ['-c', 'import mpi4py, numpy'], { stdio: 'ignore' }).status === 0,
        );
        return python ? [python, source(program)] : { missing: 'mpi4py is not installed' };
      }
      default:
        return node(`${program}.js`);
    }
  }
}
