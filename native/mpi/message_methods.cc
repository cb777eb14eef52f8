#include <limits>

#include "arguments.h"
#include "errors.h"
#include "module.h"

namespace braid {

namespace {

/* A message to or from one rank. */
struct Message {
  const Communicator& comm;
  Buffer buffer;
  int peer;
  int tag;

  static Message Outgoing(Module& module, Arguments& arguments) {
    const Communicator& comm = module.communicators.At(arguments.Int());
    Buffer buffer = arguments.Array();
    const int dest = arguments.IntBetween(0, comm.size - 1, "dest");
    const int tag = arguments.IntBetween(0, std::numeric_limits<int>::max(), "tag");
    return {comm, buffer, dest, tag};
  }

  static Message Incoming(Module& module, Arguments& arguments) {
    const Communicator& comm = module.communicators.At(arguments.Int());
    Buffer buffer = arguments.Array();
    const int source = arguments.IntBetween(-1, comm.size - 1, "source");
    const int tag = arguments.IntBetween(-1, std::numeric_limits<int>::max(), "tag");
    return {comm, buffer, source < 0 ? MPI_ANY_SOURCE : source, tag < 0 ? MPI_ANY_TAG : tag};
  }
};

Napi::Value Send(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Message message = Message::Outgoing(module, arguments);
  const Buffer& buffer = message.buffer;
  Check(MPI_Send(buffer.data, buffer.Count(), buffer.type, message.peer, message.tag, message.comm.handle),
        "MPI_Send");
  return info.Env().Undefined();
}

Napi::Value Isend(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Message message = Message::Outgoing(module, arguments);
  const Buffer& buffer = message.buffer;
  auto request = module.requests.Prepare(info.Env(), "MPI_Isend");
  request->Hold(buffer.value);
  Check(MPI_Isend(buffer.data, buffer.Count(), buffer.type, message.peer, message.tag, message.comm.handle,
                  request->Slot()),
        request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

Napi::Value Recv(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Message message = Message::Incoming(module, arguments);
  const Buffer& buffer = message.buffer;
  const auto [result, result_count] = arguments.Int32s();
  if (result_count < 3) RefuseRange("the status needs room for 3 integers");
  MPI_Status status;
  Check(MPI_Recv(buffer.data, buffer.Count(), buffer.type, message.peer, message.tag, message.comm.handle,
                 &status),
        "MPI_Recv");
  int count = 0;
  Check(MPI_Get_count(&status, buffer.type, &count), "MPI_Get_count");
  result[0] = status.MPI_SOURCE;
  result[1] = status.MPI_TAG;
  result[2] = count;
  return info.Env().Undefined();
}

Napi::Value Irecv(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Message message = Message::Incoming(module, arguments);
  const Buffer& buffer = message.buffer;
  auto request = module.requests.Prepare(info.Env(), "MPI_Irecv");
  request->Hold(buffer.value);
  request->cancellable = true;
  request->received_type = buffer.type;
  Check(MPI_Irecv(buffer.data, buffer.Count(), buffer.type, message.peer, message.tag, message.comm.handle,
                  request->Slot()),
        request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
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
    if (static_cast<size_t>(bytes_each) * peers.size() > buffer.bytes)
      RefuseRange("the buffer is too short for its messages");
  }

  void* Place(size_t index) const {
    return static_cast<char*>(buffer.data) + index * static_cast<size_t>(bytes_each);
  }
};

/*
 * Once a message is under way the buffer must be held until it has completed. A later one that can't be
 * started therefore doesn't throw: the request fails with its error when those before it are through.
 */
bool Started(int code, size_t index, Request& request) {
  if (code == MPI_SUCCESS) return true;
  if (index == 0) Check(code, request.call());
  request.error = code;
  return false;
}

Napi::Value IsendEach(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Messages messages(module, arguments);
  auto request = module.requests.Prepare(info.Env(), "MPI_Isend", messages.peers.size());
  request->Hold(messages.buffer.value);
  for (size_t i = 0; i < messages.peers.size(); i++) {
    const int code = MPI_Isend(messages.Place(i), messages.bytes_each, MPI_BYTE, messages.peers[i],
                               messages.tag, messages.comm.handle, request->Slot(i));
    if (!Started(code, i, *request)) break;
  }
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

Napi::Value IrecvEach(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Messages messages(module, arguments);
  auto request = module.requests.Prepare(info.Env(), "MPI_Irecv", messages.peers.size());
  request->Hold(messages.buffer.value);
  request->cancellable = true;
  request->received_type = MPI_BYTE;
  request->exact_bytes = messages.bytes_each;
  for (size_t i = 0; i < messages.peers.size(); i++) {
    const int code = MPI_Irecv(messages.Place(i), messages.bytes_each, MPI_BYTE, messages.peers[i],
                               messages.tag, messages.comm.handle, request->Slot(i));
    if (!Started(code, i, *request)) break;
  }
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

}  // namespace

void ExportMessages(Napi::Object exports) {
  Export<Send>(exports, "send");
  Export<Isend>(exports, "isend");
  Export<Recv>(exports, "recv");
  Export<Irecv>(exports, "irecv");
  Export<IsendEach>(exports, "isendEach");
  Export<IrecvEach>(exports, "irecvEach");
}

}  // namespace braid
