#pragma once

#include <napi.h>

#include "communicator.h"
#include "request.h"
#include "runtime.h"

namespace braid {

/*
 * What one environment has of the addon. The order of the members is the order they are made in and,
 * reversed, destroyed in: requests hold references to JavaScript buffers and must go while the environment is
 * there.
 */
struct Module {
  Communicators communicators;
  Requests requests{communicators};
  Runtime runtime{requests};
  /* (call, error code) => Error, given by JavaScript once: the class of the errors is declared there. */
  Napi::FunctionReference create_error;
  /* A Float64Array of JavaScript's: what the last blocking receive or probe told. */
  Napi::ObjectReference status_array;
  double* status = nullptr;
};

/* A function callable from JavaScript. */
using Method = Napi::Value (*)(Module&, const Napi::CallbackInfo&);

/* Turns what native code throws into JavaScript exceptions. */
[[noreturn]] void Rethrow(Napi::Env env, Module& module);

/* `method` behind the check that MPI is up and that this is its thread. */
template <Method method>
Napi::Value Call(const Napi::CallbackInfo& info) {
  Module& module = *info.Env().GetInstanceData<Module>();
  try {
    module.runtime.RequireUsable();
    return method(module, info);
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    Rethrow(info.Env(), module);
  }
}

template <Method method>
void Export(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<&Call<method>>(exports.Env(), name));
}

/* Each adds its methods to the addon; `native.ts` says what they do. */
void ExportCommunicators(Napi::Object exports);
void ExportMessages(Napi::Object exports);
void ExportCollectives(Napi::Object exports);
void ExportReductions(Napi::Object exports);

}  // namespace braid
