#include "elements.h"
#include "operation.h"

namespace braid {

namespace {

enum class At { root, all };

void* DataOf(const Buffer& buffer) {
  return buffer ? buffer.data : MPI_IN_PLACE;
}

void RefuseOtherType(const Buffer& a, const Buffer& b) {
  if (a && b && a.kind != b.kind) RefuseType("the send and the receive buffer hold different types");
}

struct Barrier : Collective {
  static constexpr const char *call = "MPI_Barrier", *start_call = "MPI_Ibarrier";
  const Communicator& comm;

  Barrier(Module& module, Arguments& arguments) : comm(module.communicators.At(arguments.Int())) {}
  void HoldIn(Request&) const {}
  int Call(size_t) const { return MPI_Barrier(comm.handle); }
  int Start(size_t, MPI_Request* slot) const { return MPI_Ibarrier(comm.handle, slot); }
};

struct Broadcast : Collective {
  static constexpr const char *call = "MPI_Bcast", *start_call = "MPI_Ibcast";
  const Communicator& comm;
  const Buffer buffer;
  const int root;
  const Parted parts;

  Broadcast(Module& module, Arguments& arguments)
      : comm(module.communicators.At(arguments.Int())),
        buffer(arguments.Array()),
        root(arguments.IntBetween(0, comm.size - 1, "root")),
        parts(buffer.count, buffer.bytes_each) {}

  size_t Parts() const { return parts.Parts(); }
  void HoldIn(Request& request) const { Hold(request, buffer); }
  int Call(size_t part) const {
    return MPI_Bcast(buffer.At(parts.Place(part)), parts.Count(part), buffer.type, root, comm.handle);
  }
  int Start(size_t part, MPI_Request* slot) const {
    return MPI_Ibcast(buffer.At(parts.Place(part)), parts.Count(part), buffer.type, root, comm.handle, slot);
  }
};

/*
 * The same number of elements between one buffer of each rank, the `part`, and a `whole` that holds those of
 * all ranks: at the root, or at every rank.
 */
struct Even : Collective {
  const Communicator& comm;
  Buffer part;
  Buffer whole;
  int root = -1;
  Elements each;

  Even(Module& module, Arguments& arguments, At at) : comm(module.communicators.At(arguments.Int())) {
    part = arguments.ArrayOrNull();
    if (at == At::root) root = arguments.IntBetween(0, comm.size - 1, "root");
    whole = arguments.ArrayOrNull();
    const bool has_whole = at == At::all || root == comm.rank;
    if (!has_whole) {
      whole = Buffer{};
      if (!part) RefuseType("only the root may work in place");
      each = Elements(part.type, part.count);
      return;
    }
    if (!whole) RefuseType("the buffer of all ranks is needed here");
    RefuseOtherType(part, whole);
    const size_t size = static_cast<size_t>(comm.size);
    if (part ? whole.count != part.count * size : whole.count % size != 0) {
      RefuseRange(
          "the buffer of all ranks must have the same number of elements for every rank, and no more");
    }
    each = Elements(whole.type, whole.count / size);
  }

  void HoldIn(Request& request) const {
    Hold(request, part);
    Hold(request, whole);
  }
};

struct Gather : Even {
  static constexpr const char *call = "MPI_Gather", *start_call = "MPI_Igather";
  Gather(Module& module, Arguments& arguments) : Even(module, arguments, At::root) {}
  int Call(size_t) const {
    return MPI_Gather(DataOf(part), each.count(), each.type(), whole.data, each.count(), each.type(), root,
                      comm.handle);
  }
  int Start(size_t, MPI_Request* slot) const {
    return MPI_Igather(DataOf(part), each.count(), each.type(), whole.data, each.count(), each.type(), root,
                       comm.handle, slot);
  }
};

struct Allgather : Even {
  static constexpr const char *call = "MPI_Allgather", *start_call = "MPI_Iallgather";
  Allgather(Module& module, Arguments& arguments) : Even(module, arguments, At::all) {}
  int Call(size_t) const {
    return MPI_Allgather(DataOf(part), each.count(), each.type(), whole.data, each.count(), each.type(),
                         comm.handle);
  }
  int Start(size_t, MPI_Request* slot) const {
    return MPI_Iallgather(DataOf(part), each.count(), each.type(), whole.data, each.count(), each.type(),
                          comm.handle, slot);
  }
};

struct Scatter : Even {
  static constexpr const char *call = "MPI_Scatter", *start_call = "MPI_Iscatter";
  Scatter(Module& module, Arguments& arguments) : Even(module, arguments, At::root) {}
  int Call(size_t) const {
    return MPI_Scatter(whole.data, each.count(), each.type(), DataOf(part), each.count(), each.type(), root,
                       comm.handle);
  }
  int Start(size_t, MPI_Request* slot) const {
    return MPI_Iscatter(whole.data, each.count(), each.type(), DataOf(part), each.count(), each.type(), root,
                        comm.handle, slot);
  }
};

struct Alltoall : Collective {
  static constexpr const char *call = "MPI_Alltoall", *start_call = "MPI_Ialltoall";
  const Communicator& comm;
  Buffer send;
  Buffer receive;
  Elements each;

  Alltoall(Module& module, Arguments& arguments) : comm(module.communicators.At(arguments.Int())) {
    send = arguments.ArrayOrNull();
    receive = arguments.Array();
    RefuseOtherType(send, receive);
    const size_t size = static_cast<size_t>(comm.size);
    if ((send && send.count != receive.count) || receive.count % size != 0)
      RefuseRange("both buffers must have the same number of elements for every rank, and no more");
    each = Elements(receive.type, receive.count / size);
  }
  void HoldIn(Request& request) const {
    Hold(request, send);
    Hold(request, receive);
  }
  int Call(size_t) const {
    return MPI_Alltoall(DataOf(send), each.count(), each.type(), receive.data, each.count(), each.type(),
                        comm.handle);
  }
  int Start(size_t, MPI_Request* slot) const {
    return MPI_Ialltoall(DataOf(send), each.count(), each.type(), receive.data, each.count(), each.type(),
                         comm.handle, slot);
  }
};

/* As many elements of each rank as the counts say, laid down in `whole` where the displacements say. */
struct Uneven : Collective {
  const Communicator& comm;
  Buffer part;
  Buffer whole;
  std::vector<int> counts;
  std::vector<int> displs;
  int root = -1;

  Uneven(Module& module, Arguments& arguments, At at) : comm(module.communicators.At(arguments.Int())) {
    part = arguments.ArrayOrNull();
    if (at == At::root) root = arguments.IntBetween(0, comm.size - 1, "root");
    whole = arguments.ArrayOrNull();
    counts = arguments.IntsOrNull();
    displs = arguments.IntsOrNull();
    if (part) part.Count();
    if (at == At::root && root != comm.rank) {
      if (!part) RefuseType("only the root may work in place");
      whole = Buffer{};
      return;
    }
    if (!whole) RefuseType("the buffer of all ranks is needed here");
    RefuseOtherType(part, whole);
    const size_t size = static_cast<size_t>(comm.size);
    if (counts.size() != size || displs.size() != size)
      RefuseRange("a count and a displacement are needed for every rank");
    for (size_t rank = 0; rank < size; rank++) {
      if (counts[rank] < 0 || displs[rank] < 0) RefuseRange("counts and displacements can't be negative");
      if (static_cast<size_t>(displs[rank]) + static_cast<size_t>(counts[rank]) > whole.count) {
        RefuseRange("the elements of rank " + std::to_string(rank) + " end behind the buffer of all ranks");
      }
    }
    if (part && part.count != static_cast<size_t>(counts[static_cast<size_t>(comm.rank)])) {
      RefuseRange("the count of this rank isn't the length of its own buffer");
    }
  }

  void HoldIn(Request& request) const {
    Hold(request, part);
    Hold(request, whole);
  }
  int PartCount() const { return part ? part.Count() : 0; }
  MPI_Datatype Type() const { return part ? part.type : whole.type; }
};

struct Gatherv : Uneven {
  static constexpr const char *call = "MPI_Gatherv", *start_call = "MPI_Igatherv";
  Gatherv(Module& module, Arguments& arguments) : Uneven(module, arguments, At::root) {}
  int Call(size_t) const {
    return MPI_Gatherv(DataOf(part), PartCount(), Type(), whole.data, counts.data(), displs.data(), Type(),
                       root, comm.handle);
  }
  int Start(size_t, MPI_Request* slot) const {
    return MPI_Igatherv(DataOf(part), PartCount(), Type(), whole.data, counts.data(), displs.data(), Type(),
                        root, comm.handle, slot);
  }
};

struct Allgatherv : Uneven {
  static constexpr const char *call = "MPI_Allgatherv", *start_call = "MPI_Iallgatherv";
  Allgatherv(Module& module, Arguments& arguments) : Uneven(module, arguments, At::all) {
    if (comm.size > 1) return;
    /* MPICH 4.0 looks at no displacement where there is one rank. */
    whole.data = whole.At(static_cast<size_t>(displs[0]));
    displs[0] = 0;
  }
  int Call(size_t) const {
    return MPI_Allgatherv(DataOf(part), PartCount(), Type(), whole.data, counts.data(), displs.data(), Type(),
                          comm.handle);
  }
  int Start(size_t, MPI_Request* slot) const {
    return MPI_Iallgatherv(DataOf(part), PartCount(), Type(), whole.data, counts.data(), displs.data(),
                           Type(), comm.handle, slot);
  }
};

struct Scatterv : Uneven {
  static constexpr const char *call = "MPI_Scatterv", *start_call = "MPI_Iscatterv";
  Scatterv(Module& module, Arguments& arguments) : Uneven(module, arguments, At::root) {}
  int Call(size_t) const {
    return MPI_Scatterv(whole.data, counts.data(), displs.data(), Type(), DataOf(part), PartCount(), Type(),
                        root, comm.handle);
  }
  int Start(size_t, MPI_Request* slot) const {
    return MPI_Iscatterv(whole.data, counts.data(), displs.data(), Type(), DataOf(part), PartCount(), Type(),
                         root, comm.handle, slot);
  }
};

}  // namespace

void ExportCollectives(Napi::Object exports) {
  ExportBoth<Barrier>(exports, "barrier", "ibarrier");
  ExportBoth<Broadcast>(exports, "bcast", "ibcast");
  ExportBoth<Gather>(exports, "gather", "igather");
  ExportBoth<Gatherv>(exports, "gatherv", "igatherv");
  ExportBoth<Allgather>(exports, "allgather", "iallgather");
  ExportBoth<Allgatherv>(exports, "allgatherv", "iallgatherv");
  ExportBoth<Scatter>(exports, "scatter", "iscatter");
  ExportBoth<Scatterv>(exports, "scatterv", "iscatterv");
  ExportBoth<Alltoall>(exports, "alltoall", "ialltoall");
}

}  // namespace braid
