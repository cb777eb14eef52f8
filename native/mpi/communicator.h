#pragma once

#include <mpi.h>

#include <cstdint>
#include <unordered_map>

namespace braid {

/* A communicator that JavaScript knows by its id. */
struct Communicator {
  MPI_Comm handle;
  int rank;
  int size;
};

/* Those that are live. On each of them MPI returns its errors instead of ending the job. */
class Communicators {
 public:
  static constexpr int32_t world = 0;
  static constexpr int32_t self = 1;

  /* Once MPI is up. */
  void AddPredefined();

  int32_t Add(MPI_Comm handle);

  /* Refuses an id that isn't live. */
  const Communicator& At(int32_t id) const;

  /* Collective. Refuses the predefined ones. */
  void Free(int32_t id);

 private:
  int32_t AddAs(int32_t id, MPI_Comm handle);

  std::unordered_map<int32_t, Communicator> communicators_;
  int32_t next_id_ = self + 1;
};

}  // namespace braid
