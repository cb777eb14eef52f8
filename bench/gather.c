/*
 * What gather-side.ts is measured against: gather BYTES:CALLS,… gathers so many bytes of each rank by MPI_Gatherv, into
 * memory that was used before. Each call begins at a barrier and is timed on the root.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank, size;

static void check(int result, const char *call) {
  if (result == MPI_SUCCESS) return;
  fprintf(stderr, "gather: %s failed\n", call);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The median, in microseconds. */
static double gather(int bytes, int calls) {
  const int warm_up = calls / 10 > 2 ? (calls + 9) / 10 : 2;
  char *send = malloc(bytes);
  char *receive = rank == 0 ? malloc((size_t)bytes * size) : NULL;
  int *counts = malloc(sizeof(int) * size);
  int *displs = malloc(sizeof(int) * size);
  double *times = malloc(sizeof(double) * calls);
  for (int i = 0; i < bytes; i++) send[i] = (char)rand();
  if (receive) memset(receive, 1, (size_t)bytes * size);
  for (int i = 0; i < size; i++) {
    counts[i] = bytes;
    displs[i] = i * bytes;
  }
  for (int i = -warm_up; i < calls; i++) {
    check(MPI_Barrier(MPI_COMM_WORLD), "MPI_Barrier");
    const double started = MPI_Wtime();
    check(MPI_Gatherv(send, bytes, MPI_BYTE, receive, counts, displs, MPI_BYTE, 0, MPI_COMM_WORLD), "MPI_Gatherv");
    if (i >= 0) times[i] = (MPI_Wtime() - started) * 1e6;
  }
  qsort(times, calls, sizeof(double), by_value);
  const double median = times[calls / 2];
  free(send);
  free(receive);
  free(counts);
  free(displs);
  free(times);
  return median;
}

int main(int argc, char **argv) {
  check(MPI_Init(&argc, &argv), "MPI_Init");
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const char *separator = "{";
  for (char *each = strtok(argc > 1 ? argv[1] : NULL, ","); each; each = strtok(NULL, ",")) {
    int bytes, calls;
    if (sscanf(each, "%d:%d", &bytes, &calls) != 2 || bytes < 1 || calls < 1) {
      fprintf(stderr, "gather: %s is not BYTES:CALLS\n", each);
      MPI_Abort(MPI_COMM_WORLD, 2);
    }
    const double us = gather(bytes, calls);
    if (rank == 0) printf("%s\"us %d\":%g,\"MBps %d\":%g", separator, bytes, us, bytes, (double)bytes * size / us);
    separator = ",";
  }
  if (rank == 0) printf("}\n");
  MPI_Finalize();
  return 0;
}
