#pragma once

#include <mpi.h>

#include <algorithm>
#include <cstddef>

namespace braid {

/*
 * A number of elements in parts of at most 1 GiB, for the operations that can be done part by part: it is all
 * the same on every rank. Not even those whose count fits an int may be asked for in one call: MPICH 4.0
 * fails an MPI_Ibcast of more than 2 GiB.
 */
class Parted {
 public:
  Parted() = default;
  Parted(size_t count, size_t bytes_each) : count_(count), most_((size_t{1} << 30) / bytes_each) {}

  /* One, of no elements, where there are none: a collective call is due all the same. */
  size_t Parts() const { return std::max<size_t>(1, (count_ + most_ - 1) / most_); }
  size_t Place(size_t part) const { return part * most_; }
  int Count(size_t part) const { return static_cast<int>(std::min(most_, count_ - Place(part))); }

 private:
  size_t count_ = 0;
  size_t most_ = 1;
};

/*
 * A number of elements as one argument pair of an MPI call: a count and a datatype. MPI-3 counts by an int;
 * what is more becomes one element of a type made of that many, which lives as long as this does.
 */
class Elements {
 public:
  Elements() = default;
  Elements(MPI_Datatype type, size_t count);
  ~Elements();
  Elements(const Elements&) = delete;
  Elements& operator=(const Elements&) = delete;
  Elements(Elements&& other) noexcept;
  Elements& operator=(Elements&& other) noexcept;

  int count() const { return count_; }
  MPI_Datatype type() const { return type_; }

 private:
  int count_ = 0;
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
  bool made_ = false;
};

}  // namespace braid
