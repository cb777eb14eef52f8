# Three kinds of binary, so that each can be built where it can be built:
#   braid_core.node            the spool; needs nothing but Node
#   braid_sqlite.so            the SQLite extension; needs neither Node nor MPI
#   braid_mpi.<vendor>.node    one for each MPI library found on this machine
{
  'variables': {
    'mpi_vendors': '<!(node scripts/mpi-config.mjs --vendors)',
  },
  'target_defaults': {
    'cflags': ['-O2', '-Wall', '-Wextra', '-fvisibility=hidden'],
    'cflags_cc': ['-std=c++17'],
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-std=gnu++20'],
    'cflags!': ['-fno-exceptions', '-O3'],
    'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_CPP_EXCEPTIONS'],
  },
  'targets': [
    {
      'target_name': 'braid_core',
      'sources': ['native/core/core.cc'],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
    },
    {
      'target_name': 'braid_sqlite',
      'type': 'shared_library',
      'product_prefix': '',
      'product_extension': 'so',
      'sources': ['native/sqlite/extension.cc', 'native/sqlite/checkpointer.cc', 'native/sqlite/round.cc', 'native/sqlite/tables.cc'],
      'cflags': ['-pthread'],
      'ldflags': ['-pthread'],
      # Its header only: SQLite itself is the one that better-sqlite3 brings, reached through the extension's table.
      'include_dirs': [
        '<!(node -p "require(\'path\').join(require(\'path\').dirname(require.resolve(\'better-sqlite3/package.json\')), \'deps/sqlite3\')")',
      ],
    },
  ],
  'conditions': [
    ['"openmpi" in mpi_vendors', {
      'targets': [{
        'target_name': 'braid_mpi.openmpi',
        'variables': { 'mpi_vendor': 'openmpi' },
        'includes': ['native/mpi/mpi.gypi'],
      }],
    }],
    ['"mpich" in mpi_vendors', {
      'targets': [{
        'target_name': 'braid_mpi.mpich',
        'variables': { 'mpi_vendor': 'mpich' },
        'includes': ['native/mpi/mpi.gypi'],
      }],
    }],
    ['"mpiabi" in mpi_vendors', {
      'targets': [{
        'target_name': 'braid_mpi.mpiabi',
        'variables': { 'mpi_vendor': 'mpiabi' },
        'includes': ['native/mpi/mpi.gypi'],
      }],
    }],
  ],
}
