#include "module.h"

#include <algorithm>
#include <exception>

#include "arguments.h"
#include "errors.h"

namespace braid {

namespace {

Napi::Error ErrorOf(Napi::Env env, const Refusal& refusal) {
  Napi::Error error = refusal.kind == Refusal::Kind::type    ? Napi::TypeError::New(env, refusal.message)
                      : refusal.kind == Refusal::Kind::range ? Napi::RangeError::New(env, refusal.message)
                                                             : Napi::Error::New(env, refusal.message);
  error.Set("code", Napi::String::New(env, refusal.code));
  return error;
}

Napi::Error ErrorOf(Napi::Env env, Module& module, const MpiFailure& failure) {
  const Napi::Value error =
      module.create_error.Call({Napi::String::New(env, failure.call), Napi::Number::New(env, failure.code)});
  return Napi::Error(env, error);
}

/* The one method that may be called before MPI is up. */
Napi::Value Initialize(const Napi::CallbackInfo& info) {
  Module& module = *info.Env().GetInstanceData<Module>();
  try {
    Arguments arguments(info);
    const Napi::Function create_error = arguments.Function();
    const auto [status, count] = arguments.Float64s();
    if (count < 3) RefuseRange("the status needs room for 3 numbers");
    StartPatience patience;
    patience.rank = arguments.Int();
    patience.size = arguments.Int();
    patience.stall_ms = arguments.Number();
    patience.abort_ms = arguments.Number();
    patience.pmi_fd = arguments.Int();
    module.create_error = Napi::Persistent(create_error);
    module.status_array = Napi::Persistent(info[1].As<Napi::Object>());
    module.status = status;
    module.runtime.Initialize(patience);
    module.communicators.AddPredefined();
    return info.Env().Undefined();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    Rethrow(info.Env(), module);
  }
}

Napi::Value SetExit(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int exit_code = arguments.Int();
  module.runtime.SetExit(exit_code, arguments.Number());
  return info.Env().Undefined();
}

Napi::Value Abort(Module&, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Runtime::Abort(arguments.Int());
}

Napi::Value ErrorClass(Module&, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  return Napi::String::New(info.Env(), ErrorClassName(arguments.Int()));
}

Napi::Value ErrorString(Module&, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  return Napi::String::New(info.Env(), ErrorText(arguments.Int()));
}

Napi::Value LibraryVersion(Module&, const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), Runtime::LibraryVersion());
}

Napi::Value StandardVersion(Module&, const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), Runtime::StandardVersion());
}

Napi::Value ProcessorName(Module&, const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), Runtime::ProcessorName());
}

Napi::Value ThreadLevel(Module&, const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Runtime::ThreadLevel());
}

Napi::Value TagUpperBound(Module&, const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Runtime::TagUpperBound());
}

Napi::Value Wtime(Module&, const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), MPI_Wtime());
}

Napi::Value TestSome(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto [rows, count] = arguments.Float64s();
  const double within_ms = arguments.Number();
  /* Never longer than a second: the event loop waits meanwhile. */
  const double most_ms = within_ms > 0 ? std::min(within_ms, 1000.0) : 0;
  const std::chrono::nanoseconds within(static_cast<int64_t>(most_ms * 1e6));
  return Napi::Number::New(
      info.Env(), static_cast<double>(module.requests.Test(rows, count / Requests::column_count, within)));
}

Napi::Value Pending(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int32_t id = arguments.Int();
  const auto [indices, room] = arguments.Int32s();
  std::vector<int32_t> pending;
  if (!module.requests.Pending(id, pending)) RefuseRange("no such request in flight");
  if (pending.size() > room) RefuseRange("no room for the indices of all messages");
  std::copy(pending.begin(), pending.end(), indices);
  return Napi::Number::New(info.Env(), static_cast<double>(pending.size()));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* module = new Module;
  env.SetInstanceData(module);
  /* Runs while JavaScript's buffers are still there, which is what MPI needs to bring its requests to an end.
   */
  env.AddCleanupHook([module] { module->runtime.End(); });

  exports.Set("initialize", Napi::Function::New<Initialize>(env, "initialize"));
  Export<SetExit>(exports, "setExit");
  Export<Abort>(exports, "abort");
  Export<ErrorClass>(exports, "errorClass");
  Export<ErrorString>(exports, "errorString");
  Export<LibraryVersion>(exports, "libraryVersion");
  Export<StandardVersion>(exports, "standardVersion");
  Export<ProcessorName>(exports, "processorName");
  Export<ThreadLevel>(exports, "threadLevel");
  Export<TagUpperBound>(exports, "tagUpperBound");
  Export<Wtime>(exports, "wtime");
  ExportCommunicators(exports);
  ExportMessages(exports);
  ExportCollectives(exports);
  ExportReductions(exports);
  Export<TestSome>(exports, "testSome");
  Export<Pending>(exports, "pending");
  return exports;
}

}  // namespace

void Rethrow(Napi::Env env, Module& module) {
  try {
    throw;
  } catch (const MpiFailure& failure) {
    throw ErrorOf(env, module, failure);
  } catch (const Refusal& refusal) {
    throw ErrorOf(env, refusal);
  } catch (const std::exception& exception) {
    throw Napi::Error::New(env, exception.what());
  }
}

}  // namespace braid

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return braid::Init(env, exports);
}

NODE_API_MODULE(braid_mpi, Init)
