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
  size_t bytes_each = 0;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  napi_typedarray_type kind = napi_uint8_array;

  explicit operator bool() const { return value != nullptr; }

  size_t Bytes() const { return count * bytes_each; }
  bool IsInteger() const { return kind != napi_float32_array && kind != napi_float64_array; }

  /* Elements, where MPI counts them by an int. */
  int Count() const;
  /* A place in it, in elements; null in a buffer that isn't there. */
  void* At(size_t element) const { return static_cast<char*>(data) + element * bytes_each; }
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
  /* Views of an Int32Array and a Float64Array, to be read or written during the call only. */
  std::pair<int32_t*, size_t> Int32s();
  std::pair<double*, size_t> Float64s();
  std::vector<int> IntsOrNull();
  Napi::Function Function();

  Napi::Env env() const { return info_.Env(); }

 private:
  Napi::Value Next();
  bool TakeNull();
  Buffer ArrayOf(napi_typedarray_type kind, const char* name);

  const Napi::CallbackInfo& info_;
  size_t next_ = 0;
};

}  // namespace braid
