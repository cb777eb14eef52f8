#include "communicator.h"

#include "errors.h"

namespace braid {

void Communicators::AddPredefined() {
  AddAs(world, MPI_COMM_WORLD);
  AddAs(self, MPI_COMM_SELF);
}

int32_t Communicators::Add(MPI_Comm handle) {
  /* Ids are never used again, so that a stale one can't name another communicator. */
  try {
    return AddAs(next_id_++, handle);
  } catch (...) {
    MPI_Comm_free(&handle);
    throw;
  }
}

int32_t Communicators::AddAs(int32_t id, MPI_Comm handle) {
  Communicator added{handle, 0, 0};
  Check(MPI_Comm_set_errhandler(handle, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  Check(MPI_Comm_rank(handle, &added.rank), "MPI_Comm_rank");
  Check(MPI_Comm_size(handle, &added.size), "MPI_Comm_size");
  communicators_[id] = added;
  return id;
}

const Communicator& Communicators::At(int32_t id) const {
  const auto found = communicators_.find(id);
  if (found == communicators_.end())
    throw Refusal{Refusal::Kind::state, "ERR_BRAID_MPI_FREED", "no such communicator"};
  return found->second;
}

void Communicators::Free(int32_t id) {
  if (id == world || id == self) RefuseRange("a predefined communicator can't be freed");
  MPI_Comm handle = At(id).handle;
  communicators_.erase(id);
  Check(MPI_Comm_free(&handle), "MPI_Comm_free");
}

}  // namespace braid
