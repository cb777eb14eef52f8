/* The same exchanges as mpi-side.ts, in C: mpi PATTERN. Rank 0 writes the figure to standard output. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank;

static double ping_pong(char *buffer, int bytes, int rounds) {
  const int other = 1 - rank;
  MPI_Barrier(MPI_COMM_WORLD);
  const double started = MPI_Wtime();
  for (int i = 0; i < rounds; i++) {
    if (rank == 0) MPI_Send(buffer, bytes, MPI_BYTE, other, 0, MPI_COMM_WORLD);
    MPI_Recv(buffer, bytes, MPI_BYTE, other, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (rank == 1) MPI_Send(buffer, bytes, MPI_BYTE, other, 0, MPI_COMM_WORLD);
  }
  return (MPI_Wtime() - started) / rounds;
}

static double allreduce(float *buffer, int count, int rounds) {
  MPI_Barrier(MPI_COMM_WORLD);
  const double started = MPI_Wtime();
  for (int i = 0; i < rounds; i++) MPI_Allreduce(MPI_IN_PLACE, buffer, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  return (MPI_Wtime() - started) / rounds;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const char *pattern = argc > 1 ? argv[1] : "";
  const size_t bytes = strcmp(pattern, "latency") == 0 ? 8 : strcmp(pattern, "bandwidth") == 0 ? 1 << 20 : 4 << 20;
  char *buffer = calloc(bytes, 1);
  double figure = 0;
  /* All but the last to warm up: the machine, and in the other programs the compiler. */
  for (int pass = 0; pass < 4; pass++) {
    if (strcmp(pattern, "latency") == 0) figure = ping_pong(buffer, bytes, 20000) / 2 * 1e6;
    else if (strcmp(pattern, "bandwidth") == 0) figure = 2 * bytes / ping_pong(buffer, bytes, 5000) / 1e6;
    else if (strcmp(pattern, "allreduce") == 0) figure = 1e3 * allreduce((float *)buffer, 1 << 20, 200);
  }
  if (rank == 0) printf("%g\n", figure);
  MPI_Finalize();
  return 0;
}
