import assert from 'node:assert/strict';

import {
  bindingLauncher,
  detectLaunch,
  isChildOfRank,
  launchedRank,
  rankMark,
  rankVariables,
  requestedMpi,
  RANK_VARIABLE,
  type Environment,
  type Launch,
} from '#src/comm/launcher.js';
import { chooseVendor } from '#src/comm/mpi-runtime.js';

const PID = 4711;

const OPEN_MPI = { OMPI_COMM_WORLD_SIZE: '4', OMPI_COMM_WORLD_RANK: '1', PMIX_RANK: '1', PMIX_NAMESPACE: '77' };
const HYDRA = { PMI_RANK: '1', PMI_SIZE: '4', PMI_FD: '6', HYDI_CONTROL_FD: '7' };
const SRUN = { SLURM_JOB_ID: '9', SLURM_STEP_ID: '0', SLURM_STEP_NUM_TASKS: '4', SLURM_PROCID: '1' };

const openMpi: Launch = { launcher: 'Open MPI', vendors: ['openmpi', 'mpiabi'], size: 4 };
const hydra: Launch = { launcher: 'Hydra', vendors: ['mpich', 'mpiabi'], size: 4 };
const pmix = (size?: number): Launch => ({ launcher: 'PMIx', vendors: ['openmpi', 'mpich', 'mpiabi'], size });
const pmi = (size?: number): Launch => ({ launcher: 'PMI', vendors: ['mpich', 'openmpi', 'mpiabi'], size });

const markedBy = (env: Environment, pid: number) => ({ ...env, [RANK_VARIABLE]: rankMark(env, pid) });

const LAUNCHES: readonly (readonly [title: string, env: Environment, launch: Launch | null])[] = [
  ['nothing', { PATH: '/bin' }, null],
  ['mpiexec of Open MPI', OPEN_MPI, openMpi],
  ['mpiexec of MPICH', HYDRA, hydra],
  ['mpiexec of MPICH that passes a port', { PMI_PORT: 'host:4000', PMI_ID: '0' }, pmi()],
  ['prterun', { PMIX_RANK: '0', PMIX_NAMESPACE: 'prterun-1' }, pmix()],
  ['srun --mpi=pmix', { ...SRUN, PMIX_RANK: '1' }, pmix(4)],
  ['srun --mpi=pmi2', { ...SRUN, PMI_RANK: '1', PMI_SIZE: '4', PMI_FD: '12', PMI_JOBID: '9.0' }, pmi(4)],
  ['srun of a Cray', { ...SRUN, PMI_CONTROL_PORT: '20001' }, pmi(4)],
  ['srun of one task', { ...SRUN, SLURM_STEP_NUM_TASKS: '1' }, null],
  ['the batch script of a Slurm job', { SLURM_JOB_ID: '9', SLURM_NTASKS: '4' }, null],
  ['srun of tasks on their own', { ...SRUN, BRAID_MPI: 'off' }, null],
  ['mpiexec where BRAID_MPI is off', { ...OPEN_MPI, BRAID_MPI: 'off' }, null],
  ['mpiexec where BRAID_MPI names a vendor', { ...OPEN_MPI, BRAID_MPI: 'mpich' }, openMpi],
  ['mpiexec, seen again by the rank that has initialised', markedBy(OPEN_MPI, PID), openMpi],
  ['mpiexec, seen by a child of a rank', markedBy(OPEN_MPI, 1), null],
  ['mpiexec of MPICH, seen by a child of a rank', markedBy(HYDRA, 1), null],
  ['srun without a PMI, seen by a child of a rank', markedBy(SRUN, 1), null],
  ['mpiexec that a rank has launched', { ...markedBy(OPEN_MPI, 1), PMIX_NAMESPACE: '78' }, openMpi],
  [
    'mpiexec of MPICH that a rank of Open MPI has launched',
    { ...markedBy(OPEN_MPI, 1), ...HYDRA, OMPI_COMM_WORLD_SIZE: undefined, PMIX_RANK: undefined },
    hydra,
  ],
  ['a size that is no number', { ...OPEN_MPI, OMPI_COMM_WORLD_SIZE: 'many' }, { ...openMpi, size: undefined }],
];

describe('the launcher of this process', () => {
  it('is asked for more processors where it has bound the rank, and is there', () => {
    const bound = { ...OPEN_MPI, OMPI_MCA_orte_bound_at_launch: '1' };
    assert.equal(bindingLauncher(bound, 17), 17);
    assert.equal(bindingLauncher(bound, 1), undefined);
    assert.equal(bindingLauncher({ ...bound, OMPI_COMM_WORLD_SIZE: undefined }, 17), undefined);
    for (const env of [OPEN_MPI, HYDRA, SRUN, {}]) assert.equal(bindingLauncher(env, 17), undefined);
  });

  it('tells the rank, by whatever name it has for it', () => {
    for (const [env, rank] of [
      [OPEN_MPI, 1],
      [HYDRA, 1],
      [SRUN, 1],
      [{ PMIX_RANK: '0' }, 0],
      [{ PALS_RANKID: '7' }, 7],
      [{ PMI_RANK: '' }, undefined],
      [{}, undefined],
    ] as const) {
      assert.equal(launchedRank(env), rank);
    }
  });

  for (const [title, env, launch] of LAUNCHES) {
    it(`is told by its environment: ${title}`, () => {
      assert.deepEqual(detectLaunch(env, PID), launch);
    });
  }

  it('is explained where srun tells its tasks nothing of each other', () => {
    assert.throws(() => detectLaunch(SRUN, PID), {
      code: 'ERR_BRAID_MPI_LAUNCHER',
      message: /srun started 4 tasks .* Use srun --mpi=pmix/,
    });
  });

  it('rejects a value of BRAID_MPI that means nothing', () => {
    assert.throws(() => requestedMpi({ BRAID_MPI: 'OpenMPI' }), {
      code: 'ERR_BRAID_MPI_LAUNCHER',
      message: /'OpenMPI'; it can be openmpi, mpich, mpiabi or off/,
    });
    assert.equal(requestedMpi({ BRAID_MPI: '' }), undefined);
  });

  it('marks a rank for its children only', () => {
    assert.equal(isChildOfRank({}, PID), false);
    assert.equal(isChildOfRank(markedBy(HYDRA, PID), PID), false);
    assert.equal(isChildOfRank(markedBy(HYDRA, 1), PID), true);
  });

  it('names what a child must lose to start on its own, and leaves what a user has set', () => {
    const mine = { OMPI_MCA_btl: 'self', OMPI_ALLOW_RUN_AS_ROOT: '1', MPIR_CVAR_X: '1', SLURM_JOB_ID: '9' };
    const theirs = {
      ...OPEN_MPI,
      ...HYDRA,
      OMPI_MCA_orte_hnp_uri: 'x',
      OMPI_MCA_ess_base_jobid: '1',
      MPI_LOCALRANKID: '0',
    };
    assert.deepEqual(rankVariables({ ...mine, ...theirs }).sort(), Object.keys(theirs).sort());
  });
});

describe('the MPI library of this process', () => {
  const CHOICES = [
    ['the launcher’s', openMpi, undefined, ['mpich', 'openmpi'], 'openmpi'],
    ['the one that is asked for, under any launcher', openMpi, 'mpich', ['mpich', 'openmpi'], 'mpich'],
    ['the likeliest under a launcher of several', pmix(4), undefined, ['mpich', 'openmpi'], 'openmpi'],
    ['the one there is under a launcher of several', pmix(4), undefined, ['mpich'], 'mpich'],
    ['the standard ABI’s where the vendor’s own is not built', hydra, undefined, ['openmpi', 'mpiabi'], 'mpiabi'],
    ['the default of the machine without a launcher', null, undefined, ['mpich', 'openmpi'], 'mpich'],
  ] as const;
  for (const [title, launch, requested, built, vendor] of CHOICES) {
    it(`is ${title}`, () => {
      assert.equal(chooseVendor(launch, requested, built), vendor);
    });
  }

  const REFUSALS = [
    [
      'another vendor’s launcher',
      hydra,
      undefined,
      ['openmpi'],
      /^Hydra starts ranks of mpich or mpiabi, and .* for openmpi only/,
    ],
    ['a library that is not built', null, 'mpich', ['openmpi'], /^BRAID_MPI=mpich asks for mpich, .* for openmpi only/],
    [
      'no library at all',
      null,
      undefined,
      [],
      /^MPI needs an MPI library, and braid-mpi was built without MPI.*npm rebuild/,
    ],
    ['BRAID_MPI=off', openMpi, 'off', ['openmpi'], /^BRAID_MPI=off/],
  ] as const;
  for (const [title, launch, requested, built, message] of REFUSALS) {
    it(`is explained with ${title}`, () => {
      assert.throws(() => chooseVendor(launch, requested, built), { code: 'ERR_BRAID_MPI_UNAVAILABLE', message });
    });
  }
});
