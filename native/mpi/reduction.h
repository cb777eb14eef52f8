#pragma once

#include <mpi.h>

#include "arguments.h"

namespace braid {

/* What MPI combines elements with, and what it takes for one element of a buffer. */
struct Combination {
  MPI_Op op = MPI_OP_NULL;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  /* Of the buffer's elements for each of `type`. */
  size_t elements_each = 1;
};

/*
 * `index` as in `native.ts`, over buffers like `sample`. Refuses logical and bitwise operations on floats,
 * and an odd number of elements where value and index are a pair.
 */
Combination CombinationOf(int index, const Buffer& sample);

}  // namespace braid
