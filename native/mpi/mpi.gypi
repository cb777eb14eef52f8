# What the targets of all vendors have in common: the same sources, another mpi.h.
{
  'sources': [
    'arguments.cc',
    'collective_methods.cc',
    'communicator.cc',
    'communicator_methods.cc',
    'elements.cc',
    'errors.cc',
    'message_methods.cc',
    'module.cc',
    'reduction.cc',
    'reduction_methods.cc',
    'request.cc',
    'runtime.cc',
  ],
  'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
  'cflags': ['<!@(node scripts/mpi-config.mjs --cflags <(mpi_vendor))'],
  'ldflags': ['<!@(node scripts/mpi-config.mjs --ldflags <(mpi_vendor))'],
  'libraries': ['<!@(node scripts/mpi-config.mjs --libraries <(mpi_vendor))'],
}
