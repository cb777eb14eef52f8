#include "reduction.h"

#include <cstdint>

#include "errors.h"

namespace braid {

namespace {

/* The operations of `native.ts`, in its order, that MPI has for the elements of any buffer. */
struct Predefined {
  MPI_Op op;
  bool needs_integers;
};

constexpr int predefined_count = 10;

Predefined PredefinedAt(int index) {
  const Predefined predefined[predefined_count] = {
      {MPI_SUM, false}, {MPI_PROD, false}, {MPI_MIN, false}, {MPI_MAX, false}, {MPI_LAND, true},
      {MPI_LOR, true},  {MPI_LXOR, true},  {MPI_BAND, true}, {MPI_BOR, true},  {MPI_BXOR, true},
  };
  return predefined[index];
}

/*
 * MPI_MINLOC and MPI_MAXLOC for a value and an index of the same type, which the standard has in Fortran only
 * (MPI_2REAL and the like), where arrays are as uniform as JavaScript's.
 */
template <class T, bool largest>
void CombinePairs(void* in, void* in_out, int* length, MPI_Datatype*) {
  const T* other = static_cast<const T*>(in);
  T* best = static_cast<T*>(in_out);
  for (int i = 0; i < *length; i++, other += 2, best += 2) {
    /* What is no number is more extreme than any: else the outcome hangs on who is combined with whom first.
     */
    const bool other_is_nan = other[0] != other[0];
    const bool best_is_nan = best[0] != best[0];
    const bool better =
        other_is_nan ? !best_is_nan : !best_is_nan && (largest ? other[0] > best[0] : other[0] < best[0]);
    const bool equal = other[0] == best[0] || (other_is_nan && best_is_nan);
    if (better || (equal && other[1] < best[1])) {
      best[0] = other[0];
      best[1] = other[1];
    }
  }
}

/* Made when they are first needed, and MPI's until it is finalized. */
struct PairType {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  MPI_Op ops[2] = {MPI_OP_NULL, MPI_OP_NULL};
};

PairType pair_types[napi_biguint64_array + 1];

template <class T>
MPI_User_function* PairFunction(bool largest) {
  return largest ? &CombinePairs<T, true> : &CombinePairs<T, false>;
}

MPI_User_function* PairFunctionOf(napi_typedarray_type kind, bool largest) {
  switch (kind) {
    case napi_int8_array:
      return PairFunction<int8_t>(largest);
    case napi_int16_array:
      return PairFunction<int16_t>(largest);
    case napi_uint16_array:
      return PairFunction<uint16_t>(largest);
    case napi_int32_array:
      return PairFunction<int32_t>(largest);
    case napi_uint32_array:
      return PairFunction<uint32_t>(largest);
    case napi_float32_array:
      return PairFunction<float>(largest);
    case napi_float64_array:
      return PairFunction<double>(largest);
    case napi_bigint64_array:
      return PairFunction<int64_t>(largest);
    case napi_biguint64_array:
      return PairFunction<uint64_t>(largest);
    default:
      return PairFunction<uint8_t>(largest);
  }
}

Combination PairsOf(const Buffer& sample, bool largest) {
  if (sample.count % 2 != 0) RefuseRange("pairs of a value and an index are an even number of elements");
  PairType& pair = pair_types[sample.kind];
  if (pair.type == MPI_DATATYPE_NULL) {
    Check(MPI_Type_contiguous(2, sample.type, &pair.type), "MPI_Type_contiguous");
    Check(MPI_Type_commit(&pair.type), "MPI_Type_commit");
  }
  MPI_Op& op = pair.ops[largest];
  if (op == MPI_OP_NULL) Check(MPI_Op_create(PairFunctionOf(sample.kind, largest), 1, &op), "MPI_Op_create");
  return {op, pair.type, 2};
}

}  // namespace

Combination CombinationOf(int index, const Buffer& sample) {
  if (index < 0 || index >= predefined_count + 2)
    RefuseRange("operation " + std::to_string(index) + " isn't one");
  if (index >= predefined_count) return PairsOf(sample, index == predefined_count + 1);
  const Predefined predefined = PredefinedAt(index);
  if (predefined.needs_integers && !sample.IsInteger()) RefuseType("this operation is for integers");
  return {predefined.op, sample.type, 1};
}

}  // namespace braid
