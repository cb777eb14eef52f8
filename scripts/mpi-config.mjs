/**
 * Finds the MPI libraries of this machine: their headers, what to link and who made them.
 *
 * As a module: `findMpis()`. As a program, for binding.gyp and for people:
 *   node scripts/mpi-config.mjs                       everything, as JSON
 *   node scripts/mpi-config.mjs --vendors             "openmpi mpich"
 *   node scripts/mpi-config.mjs --cflags VENDOR       also --ldflags, --libraries: words quoted for a shell
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The C++ bindings that MPI removed in 2012 still come with both headers, and with libraries nobody wants to link. */
const DEFINES = ['OMPI_SKIP_MPICXX', 'MPICH_SKIP_MPICXX'];

/** Macros that only the vendor's mpi.h defines. Intel MPI, Cray MPICH and MVAPICH are MPICH to a compiler. */
const VENDORS = [
  { vendor: 'openmpi', macro: 'OPEN_MPI' },
  { vendor: 'mpich', macro: 'MPICH_VERSION' },
  { vendor: 'mpich', macro: 'I_MPI_VERSION' },
  { vendor: 'mpiabi', macro: 'MPI_ABI_VERSION' },
];

/**
 * @typedef {object} Mpi
 * @property {string} vendor 'openmpi', 'mpich' or 'mpiabi' (the standard ABI of MPI 5)
 * @property {string} mpicc who told us: a compiler wrapper, a pkg-config package or environment variables
 * @property {string} version of the library, with its name
 * @property {string} standard the MPI standard's version
 * @property {string[]} includeDirs
 * @property {string[]} libraryDirs
 * @property {string[]} libraries names as after -l, or paths
 * @property {string[]} defines
 * @property {string[]} cflags everything a compiler needs, defines and include directories included
 * @property {string[]} ldflags everything a linker needs before the libraries
 */

/**
 * The first MPI of each vendor, in order of precedence: the first of all is this machine's default.
 *
 * @returns {{ found: Mpi[], reasons: string[] }} `reasons` says of every place looked at in vain what was wrong there
 */
export function findMpis(env = process.env) {
  const found = [];
  const reasons = [];
  for (const candidate of candidates(env, reasons)) {
    try {
      const mpi = inspect(candidate, env);
      if (!found.some((known) => known.vendor === mpi.vendor)) found.push(mpi);
    } catch (error) {
      reasons.push(`${candidate.name}: ${error.message}`);
    }
  }
  return { found, reasons };
}

/** Splits as a shell would: paths with spaces are usual where vendors install MPI. */
export function splitShellWords(text) {
  const words = [];
  let word;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quote) {
      if (char === quote) quote = '';
      else if (char === '\\' && quote === '"' && '"\\$`'.includes(text[i + 1] ?? '')) word += text[++i];
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (char === '\\' && i + 1 < text.length) {
      word = (word ?? '') + text[++i];
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote) throw new Error(`unbalanced ${quote} in: ${text}`);
  if (word !== undefined) words.push(word);
  return words;
}

/** Places to look at, best first; those that don't exist go to `reasons`. */
function* candidates(env, reasons) {
  if (env.BRAID_MPI_CFLAGS !== undefined || env.BRAID_MPI_LIBS !== undefined) {
    const name = 'BRAID_MPI_CFLAGS and BRAID_MPI_LIBS';
    yield { name, words: () => splitShellWords(`${env.BRAID_MPI_CFLAGS ?? ''} ${env.BRAID_MPI_LIBS ?? ''}`) };
  }
  for (const variable of ['BRAID_MPI_MPICC', 'MPICC']) {
    if (env[variable]) yield wrapper(env[variable], `${variable}=${env[variable]}`, env);
    else reasons.push(`${variable}: not set`);
  }
  // Where a system keeps several vendors side by side, `mpicc` is one of them and the suffixed names are all.
  for (const name of ['mpicc', 'mpicc.openmpi', 'mpicc.mpich']) yield wrapper(name, name, env);
  if (env.CRAY_MPICH_DIR) {
    yield pkgConfig(
      'mpich',
      { ...env, PKG_CONFIG_PATH: path.join(env.CRAY_MPICH_DIR, 'lib', 'pkgconfig') },
      'CRAY_MPICH_DIR',
    );
  } else {
    reasons.push('CRAY_MPICH_DIR: not set');
  }
  for (const name of ['mpich', 'ompi']) yield pkgConfig(name, env, `pkg-config ${name}`);
}

/** `mpicc` and not `mpicxx`, which links the removed C++ bindings. */
function wrapper(command, name, env) {
  return { name, words: () => splitShellWords(run(splitShellWords(command), ['-show'], env)).slice(1) };
}

function pkgConfig(name, env, label) {
  return { name: label, words: () => splitShellWords(run(['pkg-config'], ['--cflags', '--libs', name], env)) };
}

/** Sorts the words of a candidate, and asks a compiler whose mpi.h that is. */
function inspect(candidate, env) {
  const { includeDirs, libraryDirs, libraries, defines, cflags, ldflags } = sortWords(candidate.words());
  defines.push(...DEFINES);
  cflags.unshift(...defines.map((define) => `-D${define}`), ...includeDirs.map((dir) => `-I${dir}`));
  ldflags.unshift(...libraryDirs.map((dir) => `-L${dir}`));
  // Compiler wrappers count on the loader's path, which is the shell's at run time and not ours.
  for (const dir of libraryDirs) if (!isSystemDir(dir)) ldflags.push(`-Wl,-rpath,${dir}`);
  if (libraries.length === 0) throw new Error('names no library to link');

  const macros = macrosOfMpiHeader(cflags, env);
  const known = VENDORS.find(({ macro }) => macros.has(macro));
  if (!known) throw new Error('its mpi.h is neither Open MPI, MPICH nor the standard ABI');
  const standard = `${macros.get('MPI_VERSION')}.${macros.get('MPI_SUBVERSION')}`;
  const version = libraryVersion(known.vendor, macros);
  return {
    vendor: known.vendor,
    mpicc: candidate.name,
    version,
    standard,
    includeDirs,
    libraryDirs,
    libraries,
    defines,
    cflags,
    ldflags,
  };
}

function sortWords(words) {
  const sorted = { includeDirs: [], libraryDirs: [], libraries: [], defines: [], cflags: [], ldflags: [] };
  const { includeDirs, libraryDirs, libraries, defines, cflags, ldflags } = sorted;
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const after = (flag) => (word === flag ? words[++i] : word.slice(flag.length));
    if (word.startsWith('-I')) includeDirs.push(after('-I'));
    else if (word.startsWith('-isystem')) includeDirs.push(after('-isystem'));
    else if (word.startsWith('-D')) defines.push(after('-D'));
    else if (word.startsWith('-L')) libraryDirs.push(after('-L'));
    else if (word.startsWith('-l')) libraries.push(after('-l'));
    else if (/\.(so|a)(\.\d+)*$/.test(word)) libraries.push(word);
    else if (word.startsWith('-Wl,')) ldflags.push(word);
    else if (word === '-pthread') (cflags.push(word), ldflags.push(word));
    // Optimisation, warnings and the like are the wrapper's taste in C; this is C++ with our own.
  }
  return sorted;
}

function macrosOfMpiHeader(cflags, env) {
  const dir = mkdtempSync(path.join(tmpdir(), 'braid-mpi-config-'));
  try {
    const source = path.join(dir, 'probe.c');
    writeFileSync(source, '#include <mpi.h>\n');
    const text = run(splitShellWords(env.CC || 'cc'), ['-E', '-dM', ...cflags, source], env);
    const macros = text.matchAll(/^#define (\w+)(?: (.*))?$/gm);
    return new Map([...macros].map(([, name, value]) => [name, value ?? '']));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function libraryVersion(vendor, macros) {
  const unquoted = (name) => macros.get(name)?.replace(/^"|"$/g, '');
  if (vendor === 'openmpi') {
    return `Open MPI ${['MAJOR', 'MINOR', 'RELEASE'].map((part) => macros.get(`OMPI_${part}_VERSION`)).join('.')}`;
  }
  if (macros.has('I_MPI_VERSION')) return `Intel MPI ${unquoted('I_MPI_VERSION')}`;
  if (vendor === 'mpich') return `MPICH ${unquoted('MPICH_VERSION')}`;
  return `MPI ABI ${macros.get('MPI_ABI_VERSION')}.${macros.get('MPI_ABI_SUBVERSION')}`;
}

/** Only where the loader looks by itself: not every directory below /usr/lib is one. */
function isSystemDir(dir) {
  const triplet = { x64: 'x86_64', arm64: 'aarch64', ppc64: 'powerpc64le' }[process.arch] ?? process.arch;
  const names = ['lib', 'lib64', `lib/${triplet}-linux-gnu`];
  return names.some((name) => [`/${name}`, `/usr/${name}`].includes(path.resolve(dir)));
}

function run([command, ...words], args, env) {
  try {
    return execFileSync(command, [...words, ...args], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    if (error.code === 'ENOENT') throw new Error(`no ${command} on PATH`, { cause: error });
    const said = String(error.stderr ?? '')
      .trim()
      .split('\n')
      .slice(0, 3)
      .join(' ');
    throw new Error(`${command} failed: ${said || error.message}`, { cause: error });
  }
}

function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function main([what, vendor]) {
  // install.mjs hands on what it found, so that one build asks the compilers once.
  const passed = process.env.BRAID_MPI_FOUND;
  const { found, reasons } = passed ? JSON.parse(readFileSync(passed, 'utf8')) : findMpis();
  if (what === undefined) return JSON.stringify({ found, reasons }, null, 2);
  if (what === '--vendors') return found.map((mpi) => mpi.vendor).join(' ');

  const mpi = found.find((known) => known.vendor === vendor);
  if (!mpi) throw new Error([`no MPI of vendor ${vendor} found:`, ...reasons].join('\n  '));
  if (what === '--cflags') return mpi.cflags.map(quote).join(' ');
  if (what === '--ldflags') return mpi.ldflags.map(quote).join(' ');
  if (what === '--libraries')
    return mpi.libraries.map((name) => quote(name.includes('/') ? name : `-l${name}`)).join(' ');
  throw new Error(`unknown option ${what}`);
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`${main(process.argv.slice(2))}\n`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
