"""The same exchanges as mpi-side.ts, by mpi4py: mpi.py PATTERN. Rank 0 writes the figure to standard output."""

import sys

import numpy
from mpi4py import MPI

comm = MPI.COMM_WORLD
rank = comm.Get_rank()


def ping_pong(buffer, rounds):
    other = 1 - rank
    comm.Barrier()
    started = MPI.Wtime()
    for _ in range(rounds):
        if rank == 0:
            comm.Send(buffer, other)
        comm.Recv(buffer, other)
        if rank == 1:
            comm.Send(buffer, other)
    return (MPI.Wtime() - started) / rounds


def allreduce(buffer, rounds):
    comm.Barrier()
    started = MPI.Wtime()
    for _ in range(rounds):
        comm.Allreduce(MPI.IN_PLACE, buffer)
    return (MPI.Wtime() - started) / rounds


PATTERNS = {
    "latency": lambda: ping_pong(numpy.zeros(8, numpy.uint8), 20000) / 2 * 1e6,
    "bandwidth": lambda: 2 * 2**20 / ping_pong(numpy.zeros(2**20, numpy.uint8), 5000) / 1e6,
    "allreduce": lambda: 1e3 * allreduce(numpy.zeros(2**20, numpy.float32), 200),
}
pattern = PATTERNS[sys.argv[1]]
# All but the last to warm up.
for _ in range(4):
    figure = pattern()
if rank == 0:
    print(figure)
