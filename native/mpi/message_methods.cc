#include <limits>

#include "elements.h"
#include "operation.h"

namespace braid {

namespace {

/* Where a message goes. */
struct Destination {
  int rank;
  int tag;

  Destination(const Communicator& comm, Arguments& arguments) {
    rank = arguments.IntBetween(0, comm.size - 1, "dest");
    tag = arguments.IntBetween(0, std::numeric_limits<int>::max(), "tag");
  }
};

/* Where one comes from; -1 is any. */
struct Origin {
  int rank;
  int tag;

  Origin(const Communicator& comm, Arguments& arguments) {
    const int source = arguments.IntBetween(-1, comm.size - 1, "source");
    const int given_tag = arguments.IntBetween(-1, std::numeric_limits<int>::max(), "tag");
    rank = source < 0 ? MPI_ANY_SOURCE : source;
    tag = given_tag < 0 ? MPI_ANY_TAG : given_tag;
  }
};

/* What a message turned out to be: its source, its tag, and its number of elements. */
void WriteStatus(Module& module, const MPI_Status& status, size_t bytes_each) {
  MPI_Count count = 0;
  Check(CountReceived(status, bytes_each, &count), "MPI_Get_elements_x");
  module.status[0] = status.MPI_SOURCE;
  module.status[1] = status.MPI_TAG;
  module.status[2] = static_cast<double>(count);
}

struct Send : Operation {
  static constexpr const char *call = "MPI_Send", *start_call = "MPI_Isend";
  const Communicator& comm;
  const Buffer buffer;
  const Destination to;
  const Elements elements;

  Send(Module& module, Arguments& arguments)
      : comm(module.communicators.At(arguments.Int())),
        buffer(arguments.Array()),
        to(comm, arguments),
        elements(buffer.type, buffer.count) {}

  void HoldIn(Request& request) const { Hold(request, buffer); }
  int Call(size_t) const {
    return MPI_Send(buffer.data, elements.count(), elements.type(), to.rank, to.tag, comm.handle);
  }
  int Start(size_t, MPI_Request* slot) const {
    return MPI_Isend(buffer.data, elements.count(), elements.type(), to.rank, to.tag, comm.handle, slot);
  }
};

/* The blocking form tells by the module's status, the other one by the row of its request. */
struct Receive : Operation {
  static constexpr const char* start_call = "MPI_Irecv";
  const Communicator& comm;
  const Buffer buffer;
  const Origin from;
  const Elements elements;

  Receive(Module& module, Arguments& arguments)
      : comm(module.communicators.At(arguments.Int())),
        buffer(arguments.Array()),
        from(comm, arguments),
        elements(buffer.type, buffer.count) {}

  void HoldIn(Request& request) const {
    Hold(request, buffer);
    request.receives = 1;
    request.bytes_each = buffer.bytes_each;
  }
  int Call(MPI_Status* status) const {
#ifdef OPEN_MPI
    if (buffer.Bytes() < looked_at_first) return LookThenReceive(status);
#endif
    return MPI_Recv(buffer.data, elements.count(), elements.type(), from.rank, from.tag, comm.handle, status);
  }
  int Start(size_t, MPI_Request* slot) const {
    return MPI_Irecv(buffer.data, elements.count(), elements.type(), from.rank, from.tag, comm.handle, slot);
  }

#ifdef OPEN_MPI
 private:
  /*
   * Open MPI 4 writes a message of more than 4 KiB beyond the end of a buffer that is too short for it, and
   * cuts one to the own rank without a word. So its length is looked at first, and what is too long is
   * received elsewhere; but where that would cost bandwidth.
   */
  static constexpr size_t looked_at_first = size_t{1} << 18;

  int LookThenReceive(MPI_Status* status) const {
    MPI_Message message = MPI_MESSAGE_NULL;
    int error = MPI_Mprobe(from.rank, from.tag, comm.handle, &message, status);
    MPI_Count bytes = 0;
    if (error == MPI_SUCCESS) error = MPI_Get_elements_x(status, MPI_BYTE, &bytes);
    if (error != MPI_SUCCESS) return error;
    if (static_cast<size_t>(bytes) <= buffer.Bytes())
      return MPI_Mrecv(buffer.data, elements.count(), elements.type(), &message, status);
    std::vector<char> scratch(static_cast<size_t>(bytes));
    const Elements all(MPI_BYTE, scratch.size());
    error = MPI_Mrecv(scratch.data(), all.count(), all.type(), &message, status);
    return error == MPI_SUCCESS ? MPI_ERR_TRUNCATE : error;
  }
#endif
};

Napi::Value Recv(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Receive receive(module, arguments);
  MPI_Status status;
  Check(receive.Call(&status), "MPI_Recv");
  WriteStatus(module, status, receive.buffer.bytes_each);
  return info.Env().Undefined();
}

/* A message to one rank and one from another, neither of which waits for the other. */
struct SendReceive : Operation {
  /* MPI 4's name of what older libraries are asked for in two calls. */
  static constexpr const char* start_call = "MPI_Isendrecv";
  const Communicator& comm;
  const Buffer send;
  const Destination to;
  const Buffer receive;
  const Origin from;
  const Elements sent;
  const Elements received;

  SendReceive(Module& module, Arguments& arguments)
      : comm(module.communicators.At(arguments.Int())),
        send(arguments.Array()),
        to(comm, arguments),
        receive(arguments.Array()),
        from(comm, arguments),
        sent(send.type, send.count),
        received(receive.type, receive.count) {}

  size_t Parts() const { return 2; }
  void HoldIn(Request& request) const {
    Hold(request, send);
    Hold(request, receive);
    request.receives = 1;
    request.bytes_each = receive.bytes_each;
  }
  int Call(MPI_Status* status) const {
    return MPI_Sendrecv(send.data, sent.count(), sent.type(), to.rank, to.tag, receive.data, received.count(),
                        received.type(), from.rank, from.tag, comm.handle, status);
  }
  int Start(size_t part, MPI_Request* slot) const {
    if (part == 0) {
      return MPI_Irecv(receive.data, received.count(), received.type(), from.rank, from.tag, comm.handle,
                       slot);
    }
    return MPI_Isend(send.data, sent.count(), sent.type(), to.rank, to.tag, comm.handle, slot);
  }
};

Napi::Value Sendrecv(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const SendReceive both(module, arguments);
  MPI_Status status;
  Check(both.Call(&status), "MPI_Sendrecv");
  WriteStatus(module, status, both.receive.bytes_each);
  return info.Env().Undefined();
}

Napi::Value Probe(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Communicator& comm = module.communicators.At(arguments.Int());
  const Origin from(comm, arguments);
  MPI_Status status;
  Check(MPI_Probe(from.rank, from.tag, comm.handle, &status), "MPI_Probe");
  WriteStatus(module, status, 1);
  return info.Env().Undefined();
}

Napi::Value Iprobe(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Communicator& comm = module.communicators.At(arguments.Int());
  const Origin from(comm, arguments);
  MPI_Status status;
  int found = 0;
  Check(MPI_Iprobe(from.rank, from.tag, comm.handle, &found, &status), "MPI_Iprobe");
  if (found) WriteStatus(module, status, 1);
  return Napi::Boolean::New(info.Env(), found != 0);
}

/* Many messages of the same number of bytes, each with its own place in one buffer. */
struct Messages {
  const Communicator& comm;
  Buffer buffer;
  int bytes_each;
  std::vector<int> peers;
  int tag;

  Messages(Module& module, Arguments& arguments) : comm(module.communicators.At(arguments.Int())) {
    buffer = arguments.Array();
    bytes_each = arguments.IntBetween(0, std::numeric_limits<int>::max(), "bytesEach");
    peers = arguments.IntsOrNull();
    tag = arguments.IntBetween(0, std::numeric_limits<int>::max(), "tag");
    for (const int peer : peers) {
      if (peer < 0 || peer >= comm.size)
        RefuseRange("rank " + std::to_string(peer) + " isn't one of the communicator");
    }
    if (static_cast<size_t>(bytes_each) * peers.size() > buffer.Bytes())
      RefuseRange("the buffer is too short for its messages");
  }

  void* Place(size_t index) const {
    return static_cast<char*>(buffer.data) + index * static_cast<size_t>(bytes_each);
  }
};

struct SendEach : Operation {
  static constexpr const char* start_call = "MPI_Isend";
  const Messages messages;

  SendEach(Module& module, Arguments& arguments) : messages(module, arguments) {}

  size_t Parts() const { return messages.peers.size(); }
  void HoldIn(Request& request) const { Hold(request, messages.buffer); }
  int Start(size_t i, MPI_Request* slot) const {
    return MPI_Isend(messages.Place(i), messages.bytes_each, MPI_BYTE, messages.peers[i], messages.tag,
                     messages.comm.handle, slot);
  }
};

struct ReceiveEach : Operation {
  static constexpr const char* start_call = "MPI_Irecv";
  const Messages messages;

  ReceiveEach(Module& module, Arguments& arguments) : messages(module, arguments) {}

  size_t Parts() const { return messages.peers.size(); }
  void HoldIn(Request& request) const {
    Hold(request, messages.buffer);
    request.receives = Parts();
    request.exact_bytes = messages.bytes_each;
  }
  int Start(size_t i, MPI_Request* slot) const {
    return MPI_Irecv(messages.Place(i), messages.bytes_each, MPI_BYTE, messages.peers[i], messages.tag,
                     messages.comm.handle, slot);
  }
};

}  // namespace

void ExportMessages(Napi::Object exports) {
  ExportBoth<Send>(exports, "send", "isend");
  Export<Recv>(exports, "recv");
  Export<Nonblocking<Receive>>(exports, "irecv");
  Export<Sendrecv>(exports, "sendrecv");
  Export<Nonblocking<SendReceive>>(exports, "isendrecv");
  Export<Probe>(exports, "probe");
  Export<Iprobe>(exports, "iprobe");
  Export<Nonblocking<SendEach>>(exports, "isendEach");
  Export<Nonblocking<ReceiveEach>>(exports, "irecvEach");
}

}  // namespace braid
