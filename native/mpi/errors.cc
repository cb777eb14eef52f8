#include "errors.h"

namespace braid {

namespace {

struct ErrorClass {
  int value;
  const char* name;
};

#define BRAID_ERROR_CLASS(name) \
  { name, #name }

/* The values differ between libraries, so the names can only be given here, where mpi.h is. */
const ErrorClass error_classes[] = {
    BRAID_ERROR_CLASS(MPI_ERR_BUFFER),   BRAID_ERROR_CLASS(MPI_ERR_COUNT),
    BRAID_ERROR_CLASS(MPI_ERR_TYPE),     BRAID_ERROR_CLASS(MPI_ERR_TAG),
    BRAID_ERROR_CLASS(MPI_ERR_COMM),     BRAID_ERROR_CLASS(MPI_ERR_RANK),
    BRAID_ERROR_CLASS(MPI_ERR_REQUEST),  BRAID_ERROR_CLASS(MPI_ERR_ROOT),
    BRAID_ERROR_CLASS(MPI_ERR_GROUP),    BRAID_ERROR_CLASS(MPI_ERR_OP),
    BRAID_ERROR_CLASS(MPI_ERR_TOPOLOGY), BRAID_ERROR_CLASS(MPI_ERR_DIMS),
    BRAID_ERROR_CLASS(MPI_ERR_ARG),      BRAID_ERROR_CLASS(MPI_ERR_UNKNOWN),
    BRAID_ERROR_CLASS(MPI_ERR_TRUNCATE), BRAID_ERROR_CLASS(MPI_ERR_OTHER),
    BRAID_ERROR_CLASS(MPI_ERR_INTERN),   BRAID_ERROR_CLASS(MPI_ERR_IN_STATUS),
    BRAID_ERROR_CLASS(MPI_ERR_PENDING),  BRAID_ERROR_CLASS(MPI_ERR_KEYVAL),
    BRAID_ERROR_CLASS(MPI_ERR_NO_MEM),   BRAID_ERROR_CLASS(MPI_ERR_INFO),
    BRAID_ERROR_CLASS(MPI_ERR_PORT),     BRAID_ERROR_CLASS(MPI_ERR_SERVICE),
    BRAID_ERROR_CLASS(MPI_ERR_SPAWN),    BRAID_ERROR_CLASS(MPI_ERR_WIN),
    BRAID_ERROR_CLASS(MPI_ERR_FILE),     BRAID_ERROR_CLASS(MPI_ERR_IO),
};

#undef BRAID_ERROR_CLASS

}  // namespace

void RefuseType(const std::string& message) {
  throw Refusal{Refusal::Kind::type, "ERR_BRAID_MPI_ARGUMENT_TYPE", message};
}

void RefuseRange(const std::string& message) {
  throw Refusal{Refusal::Kind::range, "ERR_BRAID_MPI_ARGUMENT_RANGE", message};
}

const char* ErrorClassName(int code) {
  int value = MPI_ERR_UNKNOWN;
  /* No exception from here: this is called to make one. */
  if (MPI_Error_class(code, &value) != MPI_SUCCESS) return "MPI_ERR_UNKNOWN";
  for (const ErrorClass& known : error_classes) {
    if (known.value == value) return known.name;
  }
  return "MPI_ERR_UNKNOWN";
}

std::string ErrorText(int code) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) return "error " + std::to_string(code);
  return std::string(text, static_cast<size_t>(length));
}

}  // namespace braid
