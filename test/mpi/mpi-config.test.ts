import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';

interface Mpi {
  vendor: string;
  mpicc: string;
  version: string;
  standard: string;
  includeDirs: string[];
  libraries: string[];
  cflags: string[];
  ldflags: string[];
}

/** Plain JavaScript, since it runs before anything is compiled; found from dist-dev/test/mpi. */
const script = new URL('../../../scripts/mpi-config.mjs', import.meta.url).href;
const { findMpis, splitShellWords } = (await import(script)) as {
  findMpis: (env: Record<string, string | undefined>) => { found: Mpi[]; reasons: string[] };
  splitShellWords: (text: string) => string[];
};

const HEADERS = {
  openmpi: ['OPEN_MPI 1', 'OMPI_MAJOR_VERSION 9', 'OMPI_MINOR_VERSION 8', 'OMPI_RELEASE_VERSION 7'],
  mpich: ['MPICH_VERSION "9.8.7"'],
  intel: ['I_MPI_VERSION "2021.18"', 'MPICH_VERSION "3.4"'],
  mpiabi: ['MPI_ABI_VERSION 1', 'MPI_ABI_SUBVERSION 0'],
  stranger: [],
};

describe('the search for MPI', () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(path.join(tmpdir(), 'braid mpi '))));
  afterEach(() => rmSync(dir, { recursive: true }));

  /** A compiler wrapper and the header it knows, in a directory with a space in its name as vendors like it. */
  function install(name: string, header: keyof typeof HEADERS): string {
    const prefix = path.join(dir, `a vendor of ${name}`);
    mkdirSync(path.join(prefix, 'include'), { recursive: true });
    const defines = [...HEADERS[header], 'MPI_VERSION 3', 'MPI_SUBVERSION 1'].map((text) => `#define ${text}\n`);
    writeFileSync(path.join(prefix, 'include', 'mpi.h'), defines.join(''));
    const wrapper = path.join(prefix, name);
    writeFileSync(
      wrapper,
      `#!/bin/sh\necho 'gcc -O3 -pthread "-I${prefix}/include" "-L${prefix}/lib" -Wl,-z,relro -lmpi'\n`,
    );
    chmodSync(wrapper, 0o755);
    return wrapper;
  }

  /** The real compiler, but nobody's MPI. */
  function environment(extra: Record<string, string>): Record<string, string | undefined> {
    return { ...process.env, PATH: path.join(dir, 'bin'), CC: '/usr/bin/cc', MPICC: '', BRAID_MPI_MPICC: '', ...extra };
  }

  const WORDS: readonly (readonly [string, string[]])[] = [
    ['gcc  -I/a -L/b\n', ['gcc', '-I/a', '-L/b']],
    ['"-I/a b/c" -D\'X="1"\'', ['-I/a b/c', '-DX="1"']],
    ['-I/a\\ b "c\\"d" \'\'', ['-I/a b', 'c"d', '']],
    ['', []],
  ];
  for (const [text, words] of WORDS) {
    it(`splits ${JSON.stringify(text)} as a shell does`, () => assert.deepEqual(splitShellWords(text), words));
  }

  it('refuses a quote that never ends', () => {
    assert.throws(() => splitShellWords('"-I/a'), /unbalanced "/);
  });

  const VENDORS = [
    ['openmpi', 'openmpi', 'Open MPI 9.8.7'],
    ['mpich', 'mpich', 'MPICH 9.8.7'],
    ['intel', 'mpich', 'Intel MPI 2021.18'],
    ['mpiabi', 'mpiabi', 'MPI ABI 1.0'],
  ] as const;
  for (const [header, vendor, version] of VENDORS) {
    it(`knows ${version} by its header, whatever the wrapper is called`, () => {
      const wrapper = install('mpicc', header);
      const { found } = findMpis(environment({ BRAID_MPI_MPICC: `'${wrapper}'` }));
      assert.deepEqual(
        found.map((mpi) => [mpi.vendor, mpi.version, mpi.standard]),
        [[vendor, version, '3.1']],
      );
    });
  }

  it('keeps what compiling C++ needs, and adds what the wrapper leaves to the shell', () => {
    const prefix = path.dirname(install('mpicc', 'mpich'));
    const [mpi] = findMpis(environment({ MPICC: `'${prefix}/mpicc'` })).found;
    assert.deepEqual(mpi.cflags, ['-DOMPI_SKIP_MPICXX', '-DMPICH_SKIP_MPICXX', `-I${prefix}/include`, '-pthread']);
    assert.deepEqual(mpi.ldflags, [`-L${prefix}/lib`, '-pthread', '-Wl,-z,relro', `-Wl,-rpath,${prefix}/lib`]);
    assert.deepEqual(mpi.libraries, ['mpi']);
  });

  it('takes flags from the environment before any wrapper', () => {
    const prefix = path.dirname(install('mpicc', 'mpich'));
    const flags = { BRAID_MPI_CFLAGS: `-I'${prefix}/include'`, BRAID_MPI_LIBS: '/opt/mpi/libmpi.so.12' };
    const { found } = findMpis(environment({ ...flags, MPICC: `'${prefix}/mpicc'` }));
    assert.deepEqual(
      found.map((mpi) => [mpi.mpicc, mpi.libraries]),
      [['BRAID_MPI_CFLAGS and BRAID_MPI_LIBS', ['/opt/mpi/libmpi.so.12']]],
    );
  });

  it('finds two vendors side by side, the default one first', () => {
    const mine = `'${install('mpicc', 'mpich')}'`;
    const other = `'${install('other', 'openmpi')}'`;
    const { found } = findMpis(environment({ BRAID_MPI_MPICC: mine, MPICC: other }));
    assert.deepEqual(
      found.map((mpi) => mpi.vendor),
      ['mpich', 'openmpi'],
    );
  });

  it('says of every place what was wrong with it', () => {
    const { found, reasons } = findMpis(environment({ MPICC: `'${install('mpicc', 'stranger')}'` }));
    assert.deepEqual(found, []);
    const said = reasons.join('\n');
    for (const reason of [
      /^BRAID_MPI_MPICC: not set$/m,
      /^MPICC=.*: its mpi.h is neither Open MPI, MPICH nor the standard ABI$/m,
      /^mpicc: no mpicc on PATH$/m,
      /^CRAY_MPICH_DIR: not set$/m,
      /^pkg-config ompi: no pkg-config on PATH$/m,
    ]) {
      assert.match(said, reason);
    }
  });
});
