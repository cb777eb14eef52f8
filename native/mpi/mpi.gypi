# What the targets of all vendors have in common: the same sources, another mpi.h.
{
  'sources': ['addon.cc'],
  'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
  'cflags': ['<!@(node scripts/mpi-config.mjs --cflags <(mpi_vendor))'],
  'ldflags': ['<!@(node scripts/mpi-config.mjs --ldflags <(mpi_vendor))'],
  'libraries': ['<!@(node scripts/mpi-config.mjs --libraries <(mpi_vendor))'],
}
