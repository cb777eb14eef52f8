#include "arguments.h"
#include "errors.h"
#include "module.h"

namespace braid {

namespace {

Napi::Value Rank(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  return Napi::Number::New(info.Env(), module.communicators.At(arguments.Int()).rank);
}

Napi::Value Size(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  return Napi::Number::New(info.Env(), module.communicators.At(arguments.Int()).size);
}

Napi::Value Name(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Communicator& comm = module.communicators.At(arguments.Int());
  char text[MPI_MAX_OBJECT_NAME] = {};
  int length = 0;
  Check(MPI_Comm_get_name(comm.handle, text, &length), "MPI_Comm_get_name");
  return Napi::String::New(info.Env(), text, static_cast<size_t>(length));
}

Napi::Value Dup(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Communicator& comm = module.communicators.At(arguments.Int());
  MPI_Comm made = MPI_COMM_NULL;
  Check(MPI_Comm_dup(comm.handle, &made), "MPI_Comm_dup");
  return Napi::Number::New(info.Env(), module.communicators.Add(made));
}

Napi::Value Idup(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Communicator& comm = module.communicators.At(arguments.Int());
  auto request = module.requests.Prepare(info.Env(), "MPI_Comm_idup");
  request->collective_on = comm.handle;
  Check(MPI_Comm_idup(comm.handle, &request->made, request->Slot()), request->call());
  return Napi::Number::New(info.Env(), module.requests.Start(std::move(request)));
}

Napi::Value Split(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Communicator& comm = module.communicators.At(arguments.Int());
  const int color = arguments.Int();
  const int key = arguments.Int();
  MPI_Comm made = MPI_COMM_NULL;
  Check(MPI_Comm_split(comm.handle, color < 0 ? MPI_UNDEFINED : color, key, &made), "MPI_Comm_split");
  return Napi::Number::New(info.Env(), made == MPI_COMM_NULL ? -1 : module.communicators.Add(made));
}

Napi::Value SplitShared(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Communicator& comm = module.communicators.At(arguments.Int());
  const int key = arguments.Int();
  MPI_Comm made = MPI_COMM_NULL;
  Check(MPI_Comm_split_type(comm.handle, MPI_COMM_TYPE_SHARED, key, MPI_INFO_NULL, &made),
        "MPI_Comm_split_type");
  return Napi::Number::New(info.Env(), module.communicators.Add(made));
}

Napi::Value Free(Module& module, const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int32_t id = arguments.Int();
  module.requests.FinishCollectives(module.communicators.At(id).handle);
  module.communicators.Free(id);
  return info.Env().Undefined();
}

}  // namespace

void ExportCommunicators(Napi::Object exports) {
  Export<Rank>(exports, "rank");
  Export<Size>(exports, "size");
  Export<Name>(exports, "name");
  Export<Dup>(exports, "dup");
  Export<Idup>(exports, "idup");
  Export<Split>(exports, "split");
  Export<SplitShared>(exports, "splitShared");
  Export<Free>(exports, "free");
}

}  // namespace braid
