import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync, statfsSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { Launch } from './comm/launcher.js';
import {
  builtVendors,
  chooseVendor,
  isMpiInitialized,
  launchOfThisProcess,
  mpiRuntime,
  readBuild,
} from './comm/mpi-runtime.js';
import { requestedMpi } from './comm/launcher.js';
import { bytesText } from './bytes-text.js';
import { BraidError } from './errors.js';
import { host } from './host.js';
import { addonPath, loadAddon } from './load-addon.js';
import { WORLD } from './native.js';
import { parseOptions } from './options.js';
import { packageVersion } from './package.js';
import { openReadOnly } from './query/open.js';
import { inspect } from './inspection.js';
import { spoolDirectory } from './spool/directories.js';
import { fileSystemOf } from './spool/file-system.js';
import { checkSchema, databaseKind } from './store/schema.js';
import { openSqlite } from './store/sqlite.js';
import { EXTENSION } from './store/open-for-writing.js';
import { ExtensionTables } from './store/round-tables.js';

/** `ok`: as it should be. `note`: worth knowing. `warn`: slower, or less is guaranteed. `fail`: a job would stop there. */
export type FindingLevel = 'ok' | 'note' | 'warn' | 'fail';

export interface Finding {
  area: 'software' | 'mpi' | 'database' | 'spool' | 'system';
  /** What was looked at, as `node` or `spool.space`: stable. */
  name: string;
  level: FindingLevel;
  /** What was found. */
  value: string;
  /** What it means, and what to do. */
  advice?: string;
}

export interface DoctorReport {
  host: string;
  /** Of this process in its job; 0 without one. */
  rank: number;
  findings: Finding[];
}

const THREAD_LEVELS = ['single', 'funneled', 'serialized', 'multiple'];
const VENDOR_NAMES = { openmpi: 'Open MPI', mpich: 'MPICH', mpiabi: 'MPI ABI' } as const;
const ASK_MS = 5_000;
/** An MPI may lie on a file system that many nodes read at once. */
const LOAD_MS = 60_000;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** A spool grows by segments of 1 MiB, each a mapping of its own. */
const SEGMENT_BYTES = MIB;

/**
 * Looks at everything that a recording job stands on, here and now, as a support person would: the software, MPI, where a
 * database and its spools would lie, and what the machine allows. Under a launcher it initialises MPI, and starts no
 * program; else the other way round. Writes to no file.
 *
 * @param path of a database, which need not exist. Default: any in the working directory.
 */
export function doctor(path?: string): DoctorReport {
  const report = new Examination();
  report.software();
  const launched = report.mpi();
  report.database(path);
  report.spool(path ?? 'run.db', launched);
  report.system(launched);
  return { host, rank: isMpiInitialized() ? mpiRuntime().addon.rank(WORLD) : 0, findings: report.findings };
}

class Examination {
  readonly findings: Finding[] = [];

  software(): void {
    const [major, minor] = process.versions.node.split('.').map(Number);
    const fits = major > 20 || (major === 20 && minor >= 19);
    this.#say('software', 'braid-mpi', 'ok', packageVersion());
    this.#say(
      'software',
      'node',
      fits ? 'ok' : 'fail',
      process.version,
      fits ? undefined : 'needs Node 20.19 or newer',
    );
    this.#try('software', 'core', 'npm rebuild braid-mpi builds it', () => {
      loadAddon('braid_core');
      return 'braid_core.node loads';
    });
    this.#try('software', 'sqlite', 'npm rebuild better-sqlite3', () => {
      const db = openSqlite(':memory:');
      const version = db.prepare('SELECT sqlite_version()').pluck().get() as string;
      db.close();
      return `SQLite ${version}, of better-sqlite3`;
    });
    this.#extension();
  }

  /** Returns the launcher that started this process, null if none did. */
  mpi(): Launch | null {
    let launched: Launch | null = null;
    const build = readBuild();
    const built = builtVendors();
    try {
      launched = launchOfThisProcess();
      this.#say(
        'mpi',
        'launcher',
        'ok',
        launched
          ? `${launched.launcher}, ${launched.size ?? 'an unknown number of'} ranks`
          : 'none: this process runs alone',
      );
    } catch (error) {
      this.#say('mpi', 'launcher', 'fail', 'an unusable one', (error as Error).message);
    }
    const chosen = chosenVendor(launched, built);
    for (const vendor of built) {
      const found = build?.found.find((each) => each.vendor === vendor);
      const what = `${found ? `${found.version}${found.standard ? ` (MPI ${found.standard})` : ''}` : VENDOR_NAMES[vendor]}, built${vendor === chosen ? ', used here' : ''}`;
      // Two libraries in one process would get in each other's way, and a rank must not start programs.
      const problem = launched ? undefined : loadProblem(addonPath(`braid_mpi.${vendor}`));
      this.#say('mpi', vendor, problem ? 'fail' : 'ok', what, problem && `can't be loaded: ${problem}`);
    }
    for (const { vendor, version, log } of build?.found ?? []) {
      if (!built.includes(vendor)) this.#say('mpi', vendor, 'warn', `${version}, found and not built`, log);
    }
    if (built.length === 0) {
      this.#say(
        'mpi',
        'library',
        'warn',
        'none: jobs run on one rank',
        'install an MPI, or load its module, and npm rebuild braid-mpi',
      );
    }
    const reasons = build?.reasons ?? [];
    if (reasons.length > 0) this.#say('mpi', 'searched', 'note', reasons.join('; '));
    if (launched || isMpiInitialized()) this.#runtime();
    else this.#launchers();
    return launched;
  }

  database(path: string | undefined): void {
    const place = resolve(path ?? '.');
    const directory = path === undefined ? place : dirname(place);
    if (!existsSync(directory)) {
      this.#say('database', 'directory', 'fail', directory, 'does not exist');
      return;
    }
    if (path !== undefined) this.#file(place);
    const writable = canWrite(directory);
    this.#say(
      'database',
      'directory',
      writable ? 'ok' : 'fail',
      directory,
      writable ? undefined : 'cannot be written to by this user',
    );
    const { name, local, wal, freeBytes } = fileSystemOf(directory);
    this.#say('database', 'filesystem', local ? 'ok' : 'warn', name, local ? undefined : unlike(name));
    this.#space('database', freeBytes, GIB);
    this.#say(
      'database',
      'journal',
      wal ? 'ok' : 'note',
      wal ? 'write-ahead log while a job runs, one file after it' : 'rollback journal',
      wal
        ? undefined
        : 'readers and the root hold each other up while one of them works; a long read can delay a flush',
    );
  }

  spool(path: string, launched: Launch | null): void {
    let options;
    try {
      options = parseOptions();
    } catch (error) {
      this.#say('spool', 'options', 'fail', 'in the environment', (error as Error).message);
      return;
    }
    const limit = options.spoolLimitBytes;
    let directory: string;
    try {
      directory = spoolDirectory(resolve(path), options.spoolDir);
    } catch (error) {
      this.#say('spool', 'directory', 'fail', 'none', (error as Error).message);
      return;
    }
    const parent = nearest(directory);
    const stat = statSync(parent);
    const usable = stat.isDirectory() && canWrite(parent) && (parent !== directory || stat.uid === process.geteuid!());
    const told = options.spoolDir === undefined ? '' : ' (BRAID_SPOOL_DIR)';
    this.#say(
      'spool',
      'directory',
      usable ? 'ok' : 'fail',
      directory + told,
      usable ? undefined : `${parent} is not a directory that this user can write to: set BRAID_SPOOL_DIR`,
    );
    const { name, freeBytes, ...fileSystem } = fileSystemOf(parent);
    const [level, advice] = adviceOnSpool(name, fileSystem);
    this.#say('spool', 'filesystem', level, name, advice);
    this.#space('spool', freeBytes, Math.min(limit, GIB));
    this.#quota(parent, launched);
    const maps = numberIn('/proc/sys/vm/max_map_count');
    const needed = Math.ceil(limit / SEGMENT_BYTES) + 4096;
    if (maps !== undefined) {
      const enough = maps >= needed;
      this.#say(
        'spool',
        'max_map_count',
        enough ? 'ok' : 'warn',
        String(maps),
        enough
          ? undefined
          : `a spool that grows to its limit of ${bytesText(limit)} needs about ${needed} mappings: flush more often, or raise vm.max_map_count`,
      );
    }
    const fileSize = limitOf('Max file size');
    if (fileSize !== undefined && fileSize < limit) {
      this.#say(
        'spool',
        'file_size_limit',
        'warn',
        bytesText(fileSize),
        'a larger spool or database ends the process (ulimit -f)',
      );
    }
  }

  system(launched: Launch | null): void {
    if (existsSync('/dev/shm')) {
      const { bavail, blocks, bsize } = statfsSync('/dev/shm');
      const small = bavail * bsize < 64 * MIB;
      this.#say(
        'system',
        'shm',
        small ? 'warn' : 'ok',
        `/dev/shm ${bytesText(bavail * bsize)} free of ${bytesText(blocks * bsize)}`,
        small
          ? 'MPI keeps the ranks of a node in touch there: many ranks may fail to start (docker run --shm-size=1g)'
          : undefined,
      );
    } else {
      this.#say('system', 'shm', 'warn', '/dev/shm is missing', 'MPI may not start more than one rank on this node');
    }
    const addresses = limitOf('Max address space');
    if (addresses !== undefined) {
      this.#say(
        'system',
        'address_space',
        'warn',
        bytesText(addresses),
        'Node reserves far more than it uses: start the job with ulimit -v unlimited',
      );
    }
    if (numberIn('/proc/sys/vm/overcommit_memory') === 2) {
      this.#say(
        'system',
        'overcommit',
        'note',
        'strict (vm.overcommit_memory=2)',
        'spools count as files, but Node may find no memory earlier than elsewhere',
      );
    }
    if (!launched && process.env.BRAID === 'off') {
      this.#say('system', 'recording', 'warn', 'BRAID=off', 'nothing is recorded');
    }
  }

  #say(area: Finding['area'], name: string, level: FindingLevel, value: string, advice?: string): void {
    this.findings.push({ area, name, level, value, advice });
  }

  #try(area: Finding['area'], name: string, remedy: string, look: () => string): void {
    try {
      this.#say(area, name, 'ok', look());
    } catch (error) {
      this.#say(area, name, 'fail', 'does not load', `${(error as Error).message.split('\n', 1)[0]}: ${remedy}`);
    }
  }

  #extension(): void {
    const db = openSqlite(':memory:');
    try {
      new ExtensionTables(db, EXTENSION);
      this.#say('software', 'extension', 'ok', 'braid_sqlite.so loads: commits are native');
    } catch (error) {
      this.#say(
        'software',
        'extension',
        'warn',
        'braid_sqlite.so does not load',
        `commits take the slower way of prepared statements: ${(error as Error).message}`,
      );
    } finally {
      db.close();
    }
  }

  #runtime(): void {
    try {
      const { addon, vendor } = mpiRuntime();
      // Open MPI's text ends with a NUL.
      const [library] = addon.libraryVersion().split('\n', 1);
      this.#say(
        'mpi',
        'runtime',
        'ok',
        `${library.replace(/\0.*$/, '').trim()} (${vendor}), MPI ${addon.standardVersion()}`,
      );
      this.#say('mpi', 'ranks', 'ok', `rank ${addon.rank(WORLD)} of ${addon.size(WORLD)}, on ${addon.processorName()}`);
      this.#say('mpi', 'thread_level', addon.threadLevel() >= 1 ? 'ok' : 'warn', THREAD_LEVELS[addon.threadLevel()]);
    } catch (error) {
      this.#say('mpi', 'runtime', 'fail', 'MPI does not start', (error as Error).message);
    }
  }

  /** What `mpiexec` would be, and whether we are built for it. */
  #launchers(): void {
    const mpiexec = onPath('mpiexec');
    if (!mpiexec) {
      this.#say('mpi', 'mpiexec', 'note', 'not on PATH');
      return;
    }
    const { stdout = '' } = spawnSync(mpiexec, ['--version'], { encoding: 'utf8', timeout: ASK_MS });
    const vendor = /Open MPI|OpenRTE|PRRTE/.test(stdout)
      ? 'openmpi'
      : /HYDRA|MPICH/i.test(stdout)
        ? 'mpich'
        : undefined;
    const fits = vendor === undefined || builtVendors().includes(vendor) || builtVendors().includes('mpiabi');
    this.#say(
      'mpi',
      'mpiexec',
      fits ? 'ok' : 'fail',
      `${mpiexec}, ${vendor ? `of ${VENDOR_NAMES[vendor]}` : 'whose is not known'}`,
      fits
        ? undefined
        : `braid-mpi is not built for ${VENDOR_NAMES[vendor]}: npm rebuild braid-mpi with its mpicc on PATH`,
    );
  }

  #file(path: string): void {
    if (!existsSync(path)) {
      this.#say('database', 'file', 'ok', `${path}, to be made`);
      return;
    }
    let kind;
    try {
      const db = openReadOnly(path);
      try {
        kind = databaseKind(db);
        if (kind !== 'empty') checkSchema(db, kind);
      } finally {
        db.close();
      }
    } catch (error) {
      this.#say('database', 'file', 'fail', path, said(error));
      return;
    }
    const writable = canWrite(path);
    this.#say(
      'database',
      'file',
      writable ? 'ok' : 'fail',
      path,
      writable ? undefined : 'cannot be written to by this user',
    );
    if (kind === 'ours') this.#leftovers(path);
  }

  #leftovers(path: string): void {
    try {
      const { dead, leftovers } = inspect(path);
      leftovers.release();
      if (dead.length === 0) return;
      const runs = new Set(dead.map(({ run }) => run)).size;
      this.#say(
        'database',
        'dead_runs',
        'note',
        `${runs} of which no rank is alive`,
        `the next open brings in what they left, or: braid recover ${path}`,
      );
    } catch (error) {
      this.#say('database', 'dead_runs', 'warn', 'could not be looked for', said(error));
    }
  }

  #space(area: 'database' | 'spool', freeBytes: number, wanted: number): void {
    const level = freeBytes < 16 * MIB ? 'fail' : freeBytes < wanted ? 'warn' : 'ok';
    this.#say(
      area,
      'space',
      level,
      `${bytesText(freeBytes)} free`,
      level === 'ok' ? undefined : 'little for a long job',
    );
  }

  #quota(directory: string, launched: Launch | null): void {
    const quota = onPath('quota');
    const unseen = 'free space is that of the file system; a quota of this user or project is not seen by it';
    if (!quota || launched) {
      this.#say('spool', 'quota', 'note', 'not known', unseen);
      return;
    }
    const { status, stdout } = spawnSync(quota, ['-w', '-f', directory], { encoding: 'utf8', timeout: ASK_MS });
    const lines = (stdout ?? '').trim().split('\n');
    // One line says whose quotas follow, one names the columns.
    if (status === null || lines.length < 3)
      this.#say('spool', 'quota', 'note', 'none that the quota program knows of');
    else
      this.#say(
        'spool',
        'quota',
        status === 0 ? 'ok' : 'warn',
        lines.slice(2).join('; ').trim(),
        status === 0 ? undefined : 'over quota',
      );
  }
}

function said(error: unknown): string {
  return error instanceof BraidError ? `${error.message} (${error.code})` : (error as Error).message;
}

function chosenVendor(launched: Launch | null, built: ReturnType<typeof builtVendors>) {
  try {
    return chooseVendor(launched, requestedMpi(process.env), built);
  } catch {
    return undefined;
  }
}

/** Why the dynamic loader refuses an addon; asked of another process, which forgets it again. */
function loadProblem(path: string): string | undefined {
  const program = 'process.dlopen({ exports: {} }, process.argv[1])';
  // Without its hooks UCX can't break the heap (`keepUcxOffTheHeap`), which it does in one load of a few hundred.
  const env = { UCX_MEM_EVENTS: 'no', ...process.env };
  const { status, signal, stderr } = spawnSync(process.execPath, ['-e', program, path], { encoding: 'utf8', timeout: LOAD_MS, env }); // prettier-ignore
  if (status === 0) return undefined;
  return /^Error: (.*)$/m.exec(stderr)?.[1] ?? (stderr.trim() || `no answer (${signal ?? `exit status ${status}`})`);
}

/** What is not guaranteed on a file system that is not known to be this machine's own. */
function unlike(name: string): string {
  const what = name.startsWith('0x') ? `an unknown file system (${name})` : `${name} is shared by machines`;
  return `${what}: only the root may have the database open, no other machine may write it, and a sync is as good as the server's word`;
}

function adviceOnSpool(name: string, { local, wal }: { local: boolean; wal: boolean }): [FindingLevel, string?] {
  if (!local) {
    return [
      'warn',
      'a recorded call may not survive its process there, and locks may not be seen by other nodes: set BRAID_SPOOL_DIR to a disk of the node',
    ];
  }
  if (name === 'tmpfs') {
    return [
      'note',
      'lives in memory: what is not yet committed does not survive a reboot, and takes memory of the job',
    ];
  }
  // Where a mapped file of SQLite isn't safe from a full disk, a spool isn't either.
  if (!wal) {
    return [
      'note',
      'a full disk may end a process by SIGBUS there, and not by an error (what it was promised is not lost): ext4, xfs and tmpfs are better',
    ];
  }
  return ['ok'];
}

function nearest(path: string): string {
  let at = resolve(path);
  while (!existsSync(at)) at = dirname(at);
  return at;
}

function canWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function onPath(program: string): string | undefined {
  const places = (process.env.PATH ?? '').split(delimiter).filter((place) => place !== '');
  return places.map((place) => join(place, program)).find((file) => existsSync(file));
}

function numberIn(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** This process's soft limit, in bytes; undefined if there is none. */
function limitOf(name: string): number | undefined {
  try {
    const line = readFileSync('/proc/self/limits', 'utf8')
      .split('\n')
      .find((each) => each.startsWith(name));
    const value = line?.slice(name.length).trim().split(/\s+/)[0];
    return value === undefined || value === 'unlimited' ? undefined : Number(value);
  } catch {
    return undefined;
  }
}
