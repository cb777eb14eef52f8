#include "elements.h"
#include "operation.h"
#include "reduction.h"

namespace braid {

namespace {

/* Element by element over the ranks. Derived datatypes have no MPI_SUM, so more than an int counts goes in
 * parts. */
struct Reduction : Collective {
  const Communicator& comm;
  Buffer send;
  Buffer receive;
  int root = -1;
  Combination combination;
  Parted parts;

  enum class To { root, all };

  Reduction(Module& module, Arguments& arguments, To to) : comm(module.communicators.At(arguments.Int())) {
    send = arguments.ArrayOrNull();
    receive = arguments.ArrayOrNull();
    const int index = arguments.Int();
    if (to == To::root) root = arguments.IntBetween(0, comm.size - 1, "root");
    const bool receives = to == To::all || root == comm.rank;
    if (receives && !receive) RefuseType("a receive buffer is needed here");
    if (!receives && !send) RefuseType("only the root may reduce in place");
    if (send && receive && send.kind != receive.kind)
      RefuseType("the send and the receive buffer hold different types");
    if (send && receive && receive.count != send.count)
      RefuseRange("the send and the receive buffer differ in length");
    /* The buffer that gives count and type: on the root in place, there is only the one it receives in. */
    const Buffer& sample = send ? send : receive;
    combination = CombinationOf(index, sample);
    parts = Parted(sample.count / combination.elements_each, sample.bytes_each * combination.elements_each);
  }

  size_t Parts() const { return parts.Parts(); }

  void HoldIn(Request& request) const {
    Hold(request, send);
    Hold(request, receive);
  }

 protected:
  const void* SendAt(size_t part) const { return send ? send.At(Place(part)) : MPI_IN_PLACE; }
  void* ReceiveAt(size_t part) const { return receive ? receive.At(Place(part)) : nullptr; }
  int CountOf(size_t part) const { return parts.Count(part); }
  size_t BytesOf(size_t part) const {
    return static_cast<size_t>(CountOf(part)) * combination.elements_each * receive.bytes_each;
  }

 private:
  size_t Place(size_t part) const { return parts.Place(part) * combination.elements_each; }
};

struct Reduce : Reduction {
  static constexpr const char *call = "MPI_Reduce", *start_call = "MPI_Ireduce";
  Reduce(Module& module, Arguments& arguments) : Reduction(module, arguments, To::root) {}

  int Call(size_t part) const {
    const void* send_data = SendAt(part);
#ifdef MPICH_VERSION
    /* MPICH 4.0 reads from the address that MPI_IN_PLACE is, at another root than 0 and above 2 KiB. */
    std::vector<char> copy;
    if (send_data == MPI_IN_PLACE && root != 0) {
      const char* own = static_cast<const char*>(ReceiveAt(part));
      copy.assign(own, own + BytesOf(part));
      send_data = copy.data();
    }
#endif
    return MPI_Reduce(send_data, ReceiveAt(part), CountOf(part), combination.type, combination.op, root,
                      comm.handle);
  }
  int Start(size_t part, MPI_Request* slot) const {
    return MPI_Ireduce(SendAt(part), ReceiveAt(part), CountOf(part), combination.type, combination.op, root,
                       comm.handle, slot);
  }
};

struct Allreduce : Reduction {
  static constexpr const char *call = "MPI_Allreduce", *start_call = "MPI_Iallreduce";
  Allreduce(Module& module, Arguments& arguments) : Reduction(module, arguments, To::all) {}

  int Call(size_t part) const {
    return MPI_Allreduce(SendAt(part), ReceiveAt(part), CountOf(part), combination.type, combination.op,
                         comm.handle);
  }
  int Start(size_t part, MPI_Request* slot) const {
    return MPI_Iallreduce(SendAt(part), ReceiveAt(part), CountOf(part), combination.type, combination.op,
                          comm.handle, slot);
  }
};

struct Scan : Reduction {
  static constexpr const char *call = "MPI_Scan", *start_call = "MPI_Iscan";
  Scan(Module& module, Arguments& arguments) : Reduction(module, arguments, To::all) {}

  int Call(size_t part) const {
    return MPI_Scan(SendAt(part), ReceiveAt(part), CountOf(part), combination.type, combination.op,
                    comm.handle);
  }
  int Start(size_t part, MPI_Request* slot) const {
    return MPI_Iscan(SendAt(part), ReceiveAt(part), CountOf(part), combination.type, combination.op,
                     comm.handle, slot);
  }
};

struct Exscan : Reduction {
  static constexpr const char *call = "MPI_Exscan", *start_call = "MPI_Iexscan";
  Exscan(Module& module, Arguments& arguments) : Reduction(module, arguments, To::all) {}

  int Call(size_t part) const {
    return MPI_Exscan(SendAt(part), ReceiveAt(part), CountOf(part), combination.type, combination.op,
                      comm.handle);
  }
  int Start(size_t part, MPI_Request* slot) const {
    return MPI_Iexscan(SendAt(part), ReceiveAt(part), CountOf(part), combination.type, combination.op,
                       comm.handle, slot);
  }
};

}  // namespace

void ExportReductions(Napi::Object exports) {
  ExportBoth<Reduce>(exports, "reduce", "ireduce");
  ExportBoth<Allreduce>(exports, "allreduce", "iallreduce");
  ExportBoth<Scan>(exports, "scan", "iscan");
  ExportBoth<Exscan>(exports, "exscan", "iexscan");
}

}  // namespace braid
