#include "arguments.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "errors.h"

namespace braid {

namespace {

struct Element {
  MPI_Datatype type;
  size_t bytes;
};

Element ElementOf(napi_typedarray_type kind) {
  switch (kind) {
    case napi_int8_array:
      return {MPI_INT8_T, 1};
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return {MPI_UINT8_T, 1};
    case napi_int16_array:
      return {MPI_INT16_T, 2};
    case napi_uint16_array:
      return {MPI_UINT16_T, 2};
    case napi_int32_array:
      return {MPI_INT32_T, 4};
    case napi_uint32_array:
      return {MPI_UINT32_T, 4};
    case napi_float32_array:
      return {MPI_FLOAT, 4};
    case napi_float64_array:
      return {MPI_DOUBLE, 8};
    case napi_bigint64_array:
      return {MPI_INT64_T, 8};
    case napi_biguint64_array:
      return {MPI_UINT64_T, 8};
    default:
      /* A kind of array that a later Node has and MPI has no type for. */
      RefuseType("no MPI datatype for this kind of typed array");
  }
}

}  // namespace

int Buffer::Count() const {
  if (count > static_cast<size_t>(std::numeric_limits<int>::max())) {
    RefuseRange("more than 2147483647 elements where MPI counts them by an int");
  }
  return static_cast<int>(count);
}

Napi::Value Arguments::Next() {
  if (next_ >= info_.Length()) RefuseType("argument " + std::to_string(next_) + " is missing");
  return info_[next_++];
}

int32_t Arguments::Int() {
  const double value = Number();
  if (value != std::floor(value) || value < std::numeric_limits<int32_t>::min() ||
      value > std::numeric_limits<int32_t>::max()) {
    RefuseRange("argument " + std::to_string(next_ - 1) + " must be a 32-bit integer");
  }
  return static_cast<int32_t>(value);
}

int32_t Arguments::IntBetween(int32_t low, int32_t high, const char* what) {
  const int32_t value = Int();
  if (value < low || value > high) {
    RefuseRange(std::string(what) + " " + std::to_string(value) + " isn't from " + std::to_string(low) +
                " to " + std::to_string(high));
  }
  return value;
}

double Arguments::Number() {
  double value = 0;
  if (napi_get_value_double(info_.Env(), Next(), &value) != napi_ok)
    RefuseType("argument " + std::to_string(next_ - 1) + " must be a number");
  return value;
}

Buffer Arguments::Array() {
  const Napi::Value value = Next();
  Buffer buffer;
  const napi_status status = napi_get_typedarray_info(info_.Env(), value, &buffer.kind, &buffer.count,
                                                      &buffer.data, nullptr, nullptr);
  if (status != napi_ok) RefuseType("argument " + std::to_string(next_ - 1) + " must be a typed array");
  const Element element = ElementOf(buffer.kind);
  buffer.value = value;
  buffer.type = element.type;
  buffer.bytes_each = element.bytes;
  return buffer;
}

bool Arguments::TakeNull() {
  if (next_ >= info_.Length() || !info_[next_].IsNull()) return false;
  next_++;
  return true;
}

Buffer Arguments::ArrayOrNull() {
  return TakeNull() ? Buffer{} : Array();
}

Buffer Arguments::ArrayOf(napi_typedarray_type kind, const char* name) {
  const size_t index = next_;
  const Buffer buffer = Array();
  if (buffer.kind != kind) RefuseType("argument " + std::to_string(index) + " must be " + name);
  return buffer;
}

std::pair<int32_t*, size_t> Arguments::Int32s() {
  const Buffer buffer = ArrayOf(napi_int32_array, "an Int32Array");
  return {static_cast<int32_t*>(buffer.data), buffer.count};
}

std::pair<double*, size_t> Arguments::Float64s() {
  const Buffer buffer = ArrayOf(napi_float64_array, "a Float64Array");
  return {static_cast<double*>(buffer.data), buffer.count};
}

std::vector<int> Arguments::IntsOrNull() {
  if (TakeNull()) return {};
  const auto [data, count] = Int32s();
  return std::vector<int>(data, data + count);
}

Napi::Function Arguments::Function() {
  const Napi::Value value = Next();
  if (!value.IsFunction()) RefuseType("argument " + std::to_string(next_ - 1) + " must be a function");
  return value.As<Napi::Function>();
}

}  // namespace braid
