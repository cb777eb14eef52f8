#include "arguments.h"
#include "errors.h"
#include "module.h"

namespace braid {

namespace {

struct Operation {
  MPI_Op handle;
  bool needs_integers;
};

/* In the order of `native.ts`. */
Operation OperationAt(int index) {
  const Operation operations[] = {
      {MPI_SUM, false}, {MPI_PROD, false}, {MPI_MIN, false}, {MPI_MAX, false},
      {MPI_LAND, true}, {MPI_LOR, true},   {MPI_BAND, true}, {MPI_BOR, true},
  };
  return operations[index];
}

Operation TakeOperation(Arguments& arguments) {
  return OperationAt(arguments.IntBetween(0, 7, "operation"));
}

const void* SendData(const Buffer& send) {
  return send ? send.data : MPI_IN_PLACE;
}

void RefuseOtherType(const Buffer& a, const Buffer& b) {
  if (a && b && a.type != b.type) RefuseType("the send and the receive buffer hold different types");
}

void Hold(Request& request, const Buffer& buffer) {
  if (buffer) request.Hold(buffer.value);
}

struct Broadcast {
  const Communicator& comm;
  Buffer buffer;
  int root;

  Broadcast(Module& module, Arguments& arguments) : comm(module.communicators.At(arguments.Int())) {
    buffer = arguments.Array();
    root = arguments.IntBetween(0, comm.size - 1, "root");
  }
};

/* Element by element over the ranks, to the root or to all. */
struct Reduction {
  const Communicator& comm;
  Buffer send;
  Buffer receive;
  Operation operation;
  int root = -1;

  enum class To { root, all };

  Reduction(Module& module, Arguments& arguments, To to) : comm(module.communicators.At(arguments.Int())) {
    send = arguments.ArrayOrNull();
    receive = arguments.ArrayOrNull();
    operation = TakeOperation(arguments);
    if (to == To::root) root = arguments.IntBetween(0, comm.size - 1, "root");
    const bool receives = to == To::all || root == comm.rank;
    if (receives && !receive) RefuseType("a receive buffer is needed here");
    if (!receives && !send) RefuseType("only the root may reduce in place");
    RefuseOtherType(send, receive);
    if (send && receive && receive.count != send.count)
      RefuseRange("the send and the receive buffer differ in length");
    if (operation.needs_integers && !Sample().is_integer) RefuseType("this operation is for integers");
  }

  /* The buffer that gives count and type: on the root in place, there is only the one it receives in. */
  const Buffer& Sample() const { return send ? send : receive; }
  void* ReceiveData() const { return receive ? receive.data : nullptr; }
};

/* The same number of elements from every rank, to the root or to all. */
struct Gathering {
  const Communicator& comm;
  Buffer send;
  Buffer receive;
  int count_each = 0;
  int root = -1;

  enum class To { root, all };

  Gathering(Module& module, Arguments& arguments, To to) : comm(module.communicators.At(arguments.Int())) {
    send = arguments.ArrayOrNull();
    if (to == To::root) root = arguments.IntBetween(0, comm.size - 1, "root");
    receive = arguments.ArrayOrNull();
    const bool receives = to == To::all || root == comm.rank;
    if (!receives) {
      if (!send) RefuseType("only the root may gather in place");
      return;
    }
    if (!receive) RefuseType("a receive buffer is needed here");
    RefuseOtherType(send, receive);
    const size_t size = static_cast<size_t>(comm.size);
    if (send ? receive.count != send.count * size : receive.count % size != 0) {
      RefuseRange(
          "the receive buffer must have room for the same number of elements from every rank, and no more");
    }
    Buffer each = receive;
    each.count = receive.count / size;
    count_each = each.Count();
  }

  int SendCount() const { return send ? send.Count() : 0; }
  MPI_Datatype SendType() const { return send ? send.type : receive.type; }
  void* ReceiveData() const { return receive ? receive.data : nullptr; }
  MPI_Datatype ReceiveType() const { return receive ? receive.type : send.type; }
};

/* As many elements from each rank as the root says. */
struct VectorGathering {
  const Communicator& comm;
  Buffer send;
  Buffer receive;
  std::vector<int> counts;
  std::vector<int> displs;
  int root = -1;

  VectorGathering(Module& module, Arguments& arguments) : comm(module.communicators.At(arguments.Int())) {
    send = arguments.ArrayOrNull();
    root = arguments.IntBetween(0, comm.size - 1, "root");
    receive = arguments.ArrayOrNull();
    counts = arguments.IntsOrNull();
    displs = arguments.IntsOrNull();
    if (root != comm.rank) {
      if (!send) RefuseType("only the root may gather in place");
      return;
    }
    if (!receive) RefuseType("a receive buffer is needed here");
    RefuseOtherType(send, receive);
    const size_t size = static_cast<size_t>(comm.size);
    if (counts.size() != size || displs.size() != size)
      RefuseRange("a count and a displacement are needed for every rank");
    for (size_t rank = 0; rank < size; rank++) {
      if (counts[rank] < 0 || displs[rank] < 0) RefuseRange("counts and displacements can't be negative");
      if (static_cast<size_t>(displs[rank]) + static_cast<size_t>(counts[rank]) > receive.count) {
        RefuseRange("the elements of rank " + std::to_string(rank) + " end behind the receive buffer");
      }
    }
    if (send && send.count != static_cast<size_t>(counts[static_cast<size_t>(root)])) {
      RefuseRange("the root's own count isn't what it sends");
    }
  }

  int SendCount() const { return send ? send.Count() : 0; }
  MPI_Datatype SendType() const { return send ? send.type : receive.type; }
  void* ReceiveData() const { return receive ? receive.data : nullptr; }
  MPI_Datatype ReceiveType() const { return receive ? receive.type : send.type; }
};

Napi::Value Barrier(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Check(MPI_Barrier(module.communicators.At(arguments.Int()).handle), "MPI_Barrier");
  return info.Env().Undefined();
}

Napi::Value Ibarrier(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Communicator& comm = module.communicators.At(arguments.Int());
  auto request = module.requests.Prepare(info.Env(), "MPI_Ibarrier");
  Check(MPI_Ibarrier(comm.handle, request->Slot()), request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

Napi::Value Bcast(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Broadcast b(module, arguments);
  Check(MPI_Bcast(b.buffer.data, b.buffer.Count(), b.buffer.type, b.root, b.comm.handle), "MPI_Bcast");
  return info.Env().Undefined();
}

Napi::Value Ibcast(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Broadcast b(module, arguments);
  auto request = module.requests.Prepare(info.Env(), "MPI_Ibcast");
  Hold(*request, b.buffer);
  Check(MPI_Ibcast(b.buffer.data, b.buffer.Count(), b.buffer.type, b.root, b.comm.handle, request->Slot()),
        request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

Napi::Value Reduce(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Reduction r(module, arguments, Reduction::To::root);
  const Buffer& sample = r.Sample();
  Check(MPI_Reduce(SendData(r.send), r.ReceiveData(), sample.Count(), sample.type, r.operation.handle, r.root,
                   r.comm.handle),
        "MPI_Reduce");
  return info.Env().Undefined();
}

Napi::Value Ireduce(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Reduction r(module, arguments, Reduction::To::root);
  const Buffer& sample = r.Sample();
  auto request = module.requests.Prepare(info.Env(), "MPI_Ireduce");
  Hold(*request, r.send);
  Hold(*request, r.receive);
  Check(MPI_Ireduce(SendData(r.send), r.ReceiveData(), sample.Count(), sample.type, r.operation.handle,
                    r.root, r.comm.handle, request->Slot()),
        request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

Napi::Value Allreduce(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Reduction r(module, arguments, Reduction::To::all);
  const Buffer& sample = r.Sample();
  Check(MPI_Allreduce(SendData(r.send), r.ReceiveData(), sample.Count(), sample.type, r.operation.handle,
                      r.comm.handle),
        "MPI_Allreduce");
  return info.Env().Undefined();
}

Napi::Value Iallreduce(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Reduction r(module, arguments, Reduction::To::all);
  const Buffer& sample = r.Sample();
  auto request = module.requests.Prepare(info.Env(), "MPI_Iallreduce");
  Hold(*request, r.send);
  Hold(*request, r.receive);
  Check(MPI_Iallreduce(SendData(r.send), r.ReceiveData(), sample.Count(), sample.type, r.operation.handle,
                       r.comm.handle, request->Slot()),
        request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

Napi::Value Gather(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Gathering g(module, arguments, Gathering::To::root);
  Check(MPI_Gather(SendData(g.send), g.SendCount(), g.SendType(), g.ReceiveData(), g.count_each,
                   g.ReceiveType(), g.root, g.comm.handle),
        "MPI_Gather");
  return info.Env().Undefined();
}

Napi::Value Igather(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Gathering g(module, arguments, Gathering::To::root);
  auto request = module.requests.Prepare(info.Env(), "MPI_Igather");
  Hold(*request, g.send);
  Hold(*request, g.receive);
  Check(MPI_Igather(SendData(g.send), g.SendCount(), g.SendType(), g.ReceiveData(), g.count_each,
                    g.ReceiveType(), g.root, g.comm.handle, request->Slot()),
        request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

Napi::Value Gatherv(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const VectorGathering g(module, arguments);
  Check(MPI_Gatherv(SendData(g.send), g.SendCount(), g.SendType(), g.ReceiveData(), g.counts.data(),
                    g.displs.data(), g.ReceiveType(), g.root, g.comm.handle),
        "MPI_Gatherv");
  return info.Env().Undefined();
}

Napi::Value Igatherv(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  VectorGathering g(module, arguments);
  auto request = module.requests.Prepare(info.Env(), "MPI_Igatherv");
  Hold(*request, g.send);
  Hold(*request, g.receive);
  request->counts = std::move(g.counts);
  request->displs = std::move(g.displs);
  Check(MPI_Igatherv(SendData(g.send), g.SendCount(), g.SendType(), g.ReceiveData(), request->counts.data(),
                     request->displs.data(), g.ReceiveType(), g.root, g.comm.handle, request->Slot()),
        request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

Napi::Value Allgather(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Gathering g(module, arguments, Gathering::To::all);
  Check(MPI_Allgather(SendData(g.send), g.SendCount(), g.SendType(), g.ReceiveData(), g.count_each,
                      g.ReceiveType(), g.comm.handle),
        "MPI_Allgather");
  return info.Env().Undefined();
}

Napi::Value Iallgather(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Gathering g(module, arguments, Gathering::To::all);
  auto request = module.requests.Prepare(info.Env(), "MPI_Iallgather");
  Hold(*request, g.send);
  Hold(*request, g.receive);
  Check(MPI_Iallgather(SendData(g.send), g.SendCount(), g.SendType(), g.ReceiveData(), g.count_each,
                       g.ReceiveType(), g.comm.handle, request->Slot()),
        request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

}  // namespace

void ExportCollectives(Napi::Object exports) {
  Export<Barrier>(exports, "barrier");
  Export<Ibarrier>(exports, "ibarrier");
  Export<Bcast>(exports, "bcast");
  Export<Ibcast>(exports, "ibcast");
  Export<Reduce>(exports, "reduce");
  Export<Ireduce>(exports, "ireduce");
  Export<Allreduce>(exports, "allreduce");
  Export<Iallreduce>(exports, "iallreduce");
  Export<Gather>(exports, "gather");
  Export<Igather>(exports, "igather");
  Export<Gatherv>(exports, "gatherv");
  Export<Igatherv>(exports, "igatherv");
  Export<Allgather>(exports, "allgather");
  Export<Iallgather>(exports, "iallgather");
}

}  // namespace braid
