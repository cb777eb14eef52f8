import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { run, type Run, type RunOptions } from './mpiexec.js';

/** What MPI's ranks and srun agree by, and whose ranks understand it here. */
export type SlurmMpi = 'pmix' | 'pmi2';

const DAEMONS = ['munged', 'slurmctld', 'slurmd'];
/** As many as the tests ask for at once; Slurm is told that the machine has them. */
const TASKS = 8;
const START_MS = 20_000;

/** A Slurm of one node, of Debian's packages, with everything that it writes in a directory of its own. */
export class Slurm {
  readonly #directory = mkdtempSync(join(tmpdir(), 'braid-slurm-'));
  readonly #daemons: ChildProcess[] = [];

  /** Why there can be none; undefined where there can. */
  static whyNot(): string | undefined {
    if (process.getuid!() !== 0) return 'a Slurm that starts tasks of users must be root';
    const missing = [...DAEMONS, 'srun'].filter((name) => spawnSync(name, ['-V'], { env: environment() }).error);
    return missing.length > 0 ? `no ${missing.join(', no ')} on the PATH` : undefined;
  }

  /** Whether its srun has a plugin for this way. */
  static has(mpi: SlurmMpi): boolean {
    const conf = join(mkdtempSync(join(tmpdir(), 'braid-slurm-')), 'slurm.conf');
    writeFileSync(conf, `ClusterName=none\nSlurmctldHost=${hostname()}\nNodeName=${hostname()}\n`);
    try {
      const { stdout, stderr } = spawnSync('srun', ['--mpi=list'], {
        env: { ...environment(), SLURM_CONF: conf },
        encoding: 'utf8',
      });
      return new RegExp(`^\\s*${mpi}$`, 'm').test(stdout + stderr);
    } finally {
      rmSync(join(conf, '..'), { recursive: true });
    }
  }

  /** Starts the daemons, and waits until the node takes jobs. */
  static async start(): Promise<Slurm> {
    const slurm = new Slurm();
    try {
      await slurm.#start();
      return slurm;
    } catch (error) {
      await slurm.stop();
      throw error;
    }
  }

  /** Runs a program for Node as a job of `ranks`. */
  srun(mpi: SlurmMpi, ranks: number, program: string, options: RunOptions = {}): Promise<Run> {
    const args = [`--mpi=${mpi}`, '-n', String(ranks), process.execPath, program, ...(options.args ?? [])];
    return run('srun', args, { ...options, env: { ...this.#environment(), ...options.env } });
  }

  /** Submits a script that lies in `directory`, where its output will be, too. Gives the job's number. */
  async submit(directory: string, script: string, args: readonly string[] = []): Promise<string> {
    const stdout = await this.command('sbatch', ['--parsable', '-D', directory, '-o', 'out', ...args, script]);
    return stdout.trim();
  }

  /** Runs one of Slurm's commands. Gives what it prints. */
  async command(name: string, args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(name, args, { env: this.#environment(), timeoutMs: 10_000 });
    if (code !== 0) throw new Error(`${name} ${args.join(' ')} failed with ${code}: ${stderr}`);
    return stdout;
  }

  /** Waits until a job is in a state, such as PENDING. Gives all that Slurm says of it. */
  async until(job: string, state: string, limitMs = START_MS): Promise<string> {
    const limit = performance.now() + limitMs;
    for (;;) {
      const says = await this.command('scontrol', ['show', 'job', job]);
      if (says.includes(`JobState=${state} `)) return says;
      if (performance.now() > limit) throw new Error(`job ${job} isn't ${state} after ${limitMs} ms: ${says}`);
      await pause(50);
    }
  }

  /** Ends what was started, the last first, and removes what it wrote. */
  async stop(): Promise<void> {
    for (const daemon of this.#daemons.reverse()) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
      const ended = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      const patience = setTimeout(() => daemon.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(patience);
    }
    rmSync(this.#directory, { recursive: true });
  }

  async #start(): Promise<void> {
    const at = (name: string) => join(this.#directory, name);
    for (const name of ['state', 'spool']) mkdirSync(at(name));
    writeFileSync(at('munge.key'), randomBytes(1024), { mode: 0o600 });
    writeFileSync(at('slurm.conf'), await this.#conf());
    const munge = ['key', 'socket', 'pid', 'log', 'seed'].map((name) => {
      const option = name === 'socket' ? name : `${name}-file`;
      return `--${option}=${at(`munge.${name}`)}`;
    });
    this.#spawn('munged', ['--foreground', '--force', ...munge]);
    await this.#until('munged', () => spawnSync('munge', ['-n', '-S', at('munge.socket')]).status === 0);
    this.#spawn('slurmctld', ['-D', '-f', at('slurm.conf')]);
    this.#spawn('slurmd', ['-D', '-f', at('slurm.conf')]);
    await this.#until('the node', () => {
      const { stdout } = spawnSync('sinfo', ['-h', '-o', '%T'], { env: this.#environment(), encoding: 'utf8' });
      return stdout.trim() === 'idle';
    });
  }

  async #conf(): Promise<string> {
    const at = (name: string) => join(this.#directory, name);
    const [ctldPort, dPort] = await freePorts(2);
    const host = hostname();
    return [
      'ClusterName=braid',
      `SlurmctldHost=${host}(127.0.0.1)`,
      'SlurmUser=root',
      'SlurmdUser=root',
      'AuthType=auth/munge',
      `AuthInfo=socket=${at('munge.socket')}`,
      `SlurmctldPort=${ctldPort}`,
      `SlurmdPort=${dPort}`,
      `StateSaveLocation=${at('state')}`,
      `SlurmdSpoolDir=${at('spool')}`,
      `SlurmctldPidFile=${at('slurmctld.pid')}`,
      `SlurmdPidFile=${at('slurmd.pid')}`,
      // No control groups, no accounting: what a container has.
      'ProctrackType=proctrack/pgid',
      'TaskPlugin=task/none',
      'SwitchType=switch/none',
      'JobAcctGatherType=jobacct_gather/none',
      'AccountingStorageType=accounting_storage/none',
      'SelectType=select/cons_tres',
      // Jobs come one after another here, each waited for.
      'SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1',
      'SelectTypeParameters=CR_CPU',
      // A rank that fails must end its job by itself.
      'KillOnBadExit=0',
      'ReturnToService=2',
      `SlurmdParameters=config_overrides`,
      `NodeName=${host} NodeAddr=127.0.0.1 CPUs=${Math.max(TASKS, availableParallelism())}`,
      'PartitionName=all Nodes=ALL Default=YES',
      '',
    ].join('\n');
  }

  #environment(): NodeJS.ProcessEnv {
    return { ...environment(), SLURM_CONF: join(this.#directory, 'slurm.conf') };
  }

  #spawn(command: string, args: readonly string[]): void {
    const log = join(this.#directory, `${command}.out`);
    const daemon = spawn('sh', ['-c', 'exec "$0" "$@" >"$LOG" 2>&1', command, ...args], {
      env: { ...environment(), LOG: log },
      stdio: 'ignore',
    });
    this.#daemons.push(daemon);
  }

  async #until(what: string, ready: () => boolean): Promise<void> {
    const limit = performance.now() + START_MS;
    while (!ready()) {
      if (performance.now() > limit) throw new Error(`${what} isn't ready after ${START_MS} ms:\n${this.#logs()}`);
      await pause(50);
    }
  }

  #logs(): string {
    return DAEMONS.map((name) => {
      try {
        return `${name}: ${readFileSync(join(this.#directory, `${name}.out`), 'utf8').slice(-2000)}`;
      } catch {
        return `${name}: not started`;
      }
    }).join('\n');
  }
}

/** Of a process that is in no job, even where the tests run in one. */
function environment(): NodeJS.ProcessEnv {
  const outer = Object.keys(process.env).filter((name) => /^(SLURM|SRUN|PMI|PMIX)_/.test(name));
  return { ...process.env, ...Object.fromEntries(outer.map((name) => [name, undefined])) };
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
