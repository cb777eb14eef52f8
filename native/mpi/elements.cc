#include "elements.h"

#include <limits>
#include <utility>

#include "errors.h"

namespace braid {

namespace {

constexpr size_t chunk = size_t{1} << 30;

/* A datatype in the making, gone where the next step fails. */
struct Made {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  ~Made() {
    if (type != MPI_DATATYPE_NULL) MPI_Type_free(&type);
  }
};

MPI_Datatype MakeContiguous(MPI_Datatype type, size_t count) {
  MPI_Count lower_bound = 0;
  MPI_Count bytes = 0;
  Check(MPI_Type_get_extent_x(type, &lower_bound, &bytes), "MPI_Type_get_extent_x");
  Made each;
  Made chunks;
  Check(MPI_Type_contiguous(static_cast<int>(chunk), type, &each.type), "MPI_Type_contiguous");
  Check(MPI_Type_contiguous(static_cast<int>(count / chunk), each.type, &chunks.type), "MPI_Type_contiguous");
  const int lengths[] = {1, static_cast<int>(count % chunk)};
  const MPI_Aint places[] = {0, static_cast<MPI_Aint>(count / chunk * chunk) * static_cast<MPI_Aint>(bytes)};
  const MPI_Datatype types[] = {chunks.type, type};
  Made whole;
  Check(MPI_Type_create_struct(2, lengths, places, types, &whole.type), "MPI_Type_create_struct");
  Check(MPI_Type_commit(&whole.type), "MPI_Type_commit");
  return std::exchange(whole.type, MPI_DATATYPE_NULL);
}

}  // namespace

Elements::Elements(MPI_Datatype type, size_t count) {
  made_ = count > static_cast<size_t>(std::numeric_limits<int>::max());
  count_ = made_ ? 1 : static_cast<int>(count);
  type_ = made_ ? MakeContiguous(type, count) : type;
}

Elements::~Elements() {
  /* By the standard an operation under way still completes. */
  if (made_) MPI_Type_free(&type_);
}

Elements::Elements(Elements&& other) noexcept
    : count_(other.count_), type_(other.type_), made_(std::exchange(other.made_, false)) {}

Elements& Elements::operator=(Elements&& other) noexcept {
  std::swap(count_, other.count_);
  std::swap(type_, other.type_);
  std::swap(made_, other.made_);
  return *this;
}

}  // namespace braid
