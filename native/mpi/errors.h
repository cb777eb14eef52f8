#pragma once

#include <mpi.h>

#include <string>

namespace braid {

/* An MPI call that did not return MPI_SUCCESS. Becomes an MpiError in JavaScript. */
struct MpiFailure {
  const char* call;
  int code;
};

/* The caller broke a rule of the boundary; MPI was not asked. */
struct Refusal {
  enum class Kind { type, range, state };

  Kind kind;
  const char* code;
  std::string message;
};

[[noreturn]] void RefuseType(const std::string& message);
[[noreturn]] void RefuseRange(const std::string& message);

/* Wraps every MPI call on the line that makes it. */
inline void Check(int code, const char* call) {
  if (code != MPI_SUCCESS) throw MpiFailure{call, code};
}

/* MPI's name of the class of an error code: "MPI_ERR_TRUNCATE". */
const char* ErrorClassName(int code);

/* The library's own sentence for an error code. */
std::string ErrorText(int code);

}  // namespace braid
