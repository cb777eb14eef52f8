#pragma once

#include <memory>
#include <utility>

#include "arguments.h"
#include "errors.h"
#include "module.h"

namespace braid {

/*
 * An MPI operation that has a blocking and a nonblocking form. A derived struct takes and checks its
 * arguments in its constructor, Operation(module, arguments), and has
 *
 *   static constexpr const char *call, *start_call;   MPI's names of the two
 *   int Call(size_t part)                             makes the blocking call
 *   int Start(size_t part, MPI_Request*)              makes the nonblocking one
 *   void HoldIn(Request&)                             the buffers that MPI uses until completion
 *
 * What MPI reads until completion besides the buffers (counts, datatypes) are its members: it lives as long
 * as its request.
 */
struct Operation {
  /* Whether all ranks of the communicator take part. */
  static constexpr bool collective = false;

  /* MPI calls that do it: more than one where MPI's own counts are too small for it. */
  size_t Parts() const { return 1; }

  static void Hold(Request& request, const Buffer& buffer) {
    if (buffer) request.Hold(buffer.value);
  }
};

/*
 * Once a message is under way the buffer must be held until it has completed. A later one that can't be
 * started therefore doesn't throw: the request fails with its error when those before it are through.
 */
inline bool Started(int code, size_t index, Request& request) {
  if (code == MPI_SUCCESS) return true;
  if (index == 0) Check(code, request.call());
  request.error = code;
  /* A receive may otherwise wait for ever for the answer to what was not sent. */
  for (size_t before = 0; before < index && before < request.receives; before++)
    MPI_Cancel(request.Slot(before));
  return false;
}

template <class T>
Napi::Value Blocking(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  T operation(module, arguments);
  for (size_t part = 0; part < operation.Parts(); part++) Check(operation.Call(part), T::call);
  return info.Env().Undefined();
}

template <class T>
Napi::Value Nonblocking(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  auto operation = std::make_shared<T>(module, arguments);
  const size_t parts = operation->Parts();
  auto request = module.requests.Prepare(info.Env(), T::start_call, parts);
  operation->HoldIn(*request);
  request->operation = operation;
  if constexpr (T::collective) request->collective_on = operation->comm.handle;
  for (size_t part = 0; part < parts; part++) {
    if (!Started(operation->Start(part, request->Slot(part)), part, *request)) break;
  }
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

/* An operation of all ranks of a communicator. */
struct Collective : Operation {
  static constexpr bool collective = true;
};

template <class T>
void ExportBoth(Napi::Object exports, const char* name, const char* start_name) {
  Export<Blocking<T>>(exports, name);
  Export<Nonblocking<T>>(exports, start_name);
}

}  // namespace braid
