#pragma once

#include <mpi.h>
#include <napi.h>

#include <cstdint>
#include <vector>

namespace braid {

/*
 * A typed array as MPI sees it. Over an ArrayBuffer, over memory mapped by another addon or over a
 * SharedArrayBuffer: the data pointer is all that matters, and Node-API gives it for each of them.
 */
struct Buffer {
  /* Empty for an IN_PLACE argument, or one that only the root passes. */
  napi_value value = nullptr;
  void* data = nullptr;
  size_t count = 0;
  size_t bytes = 0;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  bool is_integer = false;

  explicit operator bool() const { return value != nullptr; }

  /* Elements, as MPI-3 counts them. */
  int Count() const;
};

/* The arguments of a call, checked while they are taken, from left to right. */
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  int32_t Int();
  int32_t IntBetween(int32_t low, int32_t high, const char* what);
  double Number();
  Buffer Array();
  /* An empty Buffer for null. */
  Buffer ArrayOrNull();
  /* A view of an Int32Array, to be read or written during the call only. */
  std::pair<int32_t*, size_t> Int32s();
  std::vector<int> IntsOrNull();
  Napi::Function Function();

  Napi::Env env() const { return info_.Env(); }

 private:
  Napi::Value Next();

  const Napi::CallbackInfo& info_;
  size_t next_ = 0;
};

}  // namespace braid
