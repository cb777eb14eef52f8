// braid_core.node: what a spool needs of the operating system and Node doesn't offer. `CoreAddon` in
// src/native.ts declares and documents every function. Nothing here is shared between threads: each
// environment has its own mappings.

#include <fcntl.h>
#include <napi.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace braid {
namespace {

constexpr int64_t kMaxFd = INT32_MAX;
constexpr int64_t kMaxOffset = (int64_t{1} << 53) - 1;
// No Node that we support has a smaller limit for an ArrayBuffer.
constexpr int64_t kMaxMappingBytes = int64_t{1} << 30;
// As many as Linux can be built for; sched_getaffinity(2) refuses room for fewer than it is.
constexpr size_t kMaxProcessors = 8192;

// ---- Errors
// ------------------------------------------------------------------------------------------------------

// glibc names its errors from 2.32 on only, musl not at all, and libuv doesn't know EDQUOT. These are those
// that the calls below are documented to fail with.
const char* ErrnoName(int error) {
#define BRAID_ERRNO_NAME(name) \
  case name:                   \
    return #name
  switch (error) {
    BRAID_ERRNO_NAME(EACCES);
    BRAID_ERRNO_NAME(EAGAIN);
    BRAID_ERRNO_NAME(EBADF);
    BRAID_ERRNO_NAME(EBUSY);
    BRAID_ERRNO_NAME(EDQUOT);
    BRAID_ERRNO_NAME(EFBIG);
    BRAID_ERRNO_NAME(EINVAL);
    BRAID_ERRNO_NAME(EIO);
    BRAID_ERRNO_NAME(EISDIR);
    BRAID_ERRNO_NAME(ENFILE);
    BRAID_ERRNO_NAME(ENODEV);
    BRAID_ERRNO_NAME(ENOLCK);
    BRAID_ERRNO_NAME(ENOMEM);
    BRAID_ERRNO_NAME(ENOSPC);
    BRAID_ERRNO_NAME(ENOSYS);
    BRAID_ERRNO_NAME(EOPNOTSUPP);
    BRAID_ERRNO_NAME(EOVERFLOW);
    BRAID_ERRNO_NAME(EPERM);
    BRAID_ERRNO_NAME(EPIPE);
    BRAID_ERRNO_NAME(EROFS);
    BRAID_ERRNO_NAME(ESPIPE);
    BRAID_ERRNO_NAME(ESTALE);
    BRAID_ERRNO_NAME(ETIMEDOUT);
    BRAID_ERRNO_NAME(ETXTBSY);
  }
#undef BRAID_ERRNO_NAME
  return "UNKNOWN";
}

// Like the errors of node:fs.
[[noreturn]] void ThrowErrno(Napi::Env env, int error, const char* syscall) {
  const char* code = ErrnoName(error);
  Napi::Error thrown = Napi::Error::New(
      env, std::string(code) + ": " + std::generic_category().message(error) + ", " + syscall);
  thrown.Set("errno", Napi::Number::New(env, -error));
  thrown.Set("code", Napi::String::New(env, code));
  thrown.Set("syscall", Napi::String::New(env, syscall));
  throw thrown;
}

[[noreturn]] void ThrowType(Napi::Env env, const std::string& message) {
  Napi::TypeError thrown = Napi::TypeError::New(env, message);
  thrown.Set("code", Napi::String::New(env, "ERR_INVALID_ARG_TYPE"));
  throw thrown;
}

[[noreturn]] void ThrowRange(Napi::Env env, const std::string& message) {
  Napi::RangeError thrown = Napi::RangeError::New(env, message);
  thrown.Set("code", Napi::String::New(env, "ERR_OUT_OF_RANGE"));
  throw thrown;
}

// ---- Arguments
// ---------------------------------------------------------------------------------------------------

int64_t Integer(const Napi::CallbackInfo& info, size_t index, const char* name, int64_t least,
                int64_t greatest) {
  if (!info[index].IsNumber()) ThrowType(info.Env(), std::string(name) + " must be a number");
  const double value = info[index].As<Napi::Number>().DoubleValue();
  // Written so that NaN fails; the cast is defined only for what passes.
  if (!(value >= static_cast<double>(least) && value <= static_cast<double>(greatest)) ||
      static_cast<double>(static_cast<int64_t>(value)) != value) {
    ThrowRange(info.Env(), std::string(name) + " must be an integer from " + std::to_string(least) + " to " +
                               std::to_string(greatest));
  }
  return static_cast<int64_t>(value);
}

int FileDescriptor(const Napi::CallbackInfo& info) {
  return static_cast<int>(Integer(info, 0, "fd", 0, kMaxFd));
}

// A piece of memory, shared or not.
std::pair<uint8_t*, size_t> Bytes(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsTypedArray()) ThrowType(info.Env(), std::string(name) + " must be a Uint8Array");
  napi_typedarray_type type;
  size_t length;
  void* data;
  const napi_status status =
      napi_get_typedarray_info(info.Env(), info[index], &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok || type != napi_uint8_array) {
    ThrowType(info.Env(), std::string(name) + " must be a Uint8Array");
  }
  return {static_cast<uint8_t*>(data), length};
}

Napi::ArrayBuffer Buffer(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer()) ThrowType(info.Env(), "buffer must be an ArrayBuffer");
  return info[0].As<Napi::ArrayBuffer>();
}

// ---- Mappings
// ----------------------------------------------------------------------------------------------------

// A mapped piece of a file. Unmapped by itself when nobody has done it before.
class Mapping {
 public:
  // The mappings of an environment, by address. Held by each of them, for at the environment's end the order
  // in which finalizers and instance data go is not ours to choose.
  using Registry = std::unordered_map<const void*, Mapping*>;

  Mapping(void* address, size_t bytes, std::shared_ptr<Registry> registry)
      : address_(address), bytes_(bytes), registry_(std::move(registry)) {
    registry_->emplace(address_, this);
  }
  ~Mapping() { Unmap(); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // The kernel may give the address to the next mapping at once, while the finalizer of this one still waits
  // for its turn: hence the null, and not a look into the registry.
  void Unmap() {
    if (address_ == nullptr) return;
    registry_->erase(address_);
    munmap(address_, bytes_);
    address_ = nullptr;
  }

 private:
  void* address_;
  const size_t bytes_;
  const std::shared_ptr<Registry> registry_;
};

class Core : public Napi::Addon<Core> {
 public:
  Core(Napi::Env, Napi::Object exports) : page_bytes_(sysconf(_SC_PAGESIZE)) {
    DefineAddon(exports, {
                             InstanceMethod<&Core::Lock>("lock"),
                             InstanceMethod<&Core::LockShared>("lockShared"),
                             InstanceMethod<&Core::Allocate>("allocate"),
                             InstanceMethod<&Core::Map>("map"),
                             InstanceMethod<&Core::Unmap>("unmap"),
                             InstanceMethod<&Core::Sync>("sync"),
                             InstanceMethod<&Core::Copy>("copy"),
                             InstanceMethod<&Core::WidenAffinity>("widenAffinity"),
                         });
  }

 private:
  Napi::Value WidenAffinity(const Napi::CallbackInfo& info) {
    const auto pid = static_cast<pid_t>(Integer(info, 0, "pid", 1, std::numeric_limits<pid_t>::max()));
    std::array<cpu_set_t, kMaxProcessors / CPU_SETSIZE> own{}, wider{};
    // Where it can't be asked, or the sandbox forbids it, threads stay where they are.
    bool widened = sched_getaffinity(0, sizeof own, own.data()) == 0 &&
                   sched_getaffinity(pid, sizeof wider, wider.data()) == 0;
    if (widened) {
      CPU_OR_S(sizeof own, wider.data(), wider.data(), own.data());
      widened = !CPU_EQUAL_S(sizeof own, wider.data(), own.data()) &&
                sched_setaffinity(0, sizeof wider, wider.data()) == 0;
    }
    return Napi::Boolean::New(info.Env(), widened);
  }

  void Copy(const Napi::CallbackInfo& info) {
    const auto [target, room] = Bytes(info, 0, "target");
    const auto [source, bytes] = Bytes(info, 1, "source");
    if (bytes > room) ThrowRange(info.Env(), "source must not be longer than target");
    // Of none there may be no address.
    if (bytes > 0) std::memmove(target, source, bytes);
  }

  Napi::Value Lock(const Napi::CallbackInfo& info) { return Flock(info, LOCK_EX); }
  Napi::Value LockShared(const Napi::CallbackInfo& info) { return Flock(info, LOCK_SH); }

  Napi::Value Flock(const Napi::CallbackInfo& info, int operation) {
    const int fd = FileDescriptor(info);
    while (flock(fd, operation | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return Napi::Boolean::New(info.Env(), false);
      if (errno != EINTR) ThrowErrno(info.Env(), errno, "flock");
    }
    return Napi::Boolean::New(info.Env(), true);
  }

  // Not posix_fallocate, whose emulation reads and writes single bytes, and is wrong when it races with
  // another writer.
  void Allocate(const Napi::CallbackInfo& info) {
    const int fd = FileDescriptor(info);
    int64_t offset = Integer(info, 1, "offset", 0, kMaxOffset);
    int64_t bytes = Integer(info, 2, "bytes", 1, kMaxOffset - offset);
    while (fallocate(fd, 0, offset, bytes) != 0) {
      if (errno == EINTR) continue;
      if (errno != EOPNOTSUPP && errno != ENOSYS) ThrowErrno(info.Env(), errno, "fallocate");

      const char zeros[64 << 10] = {};
      while (bytes > 0) {
        const ssize_t written = pwrite(fd, zeros, std::min<int64_t>(bytes, sizeof zeros), offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) ThrowErrno(info.Env(), errno, "pwrite");
        offset += written;
        bytes -= written;
      }
      return;
    }
  }

  Napi::Value Map(const Napi::CallbackInfo& info) {
    const int fd = FileDescriptor(info);
    const int64_t offset = Integer(info, 1, "offset", 0, kMaxOffset);
    const int64_t bytes = Integer(info, 2, "bytes", 1, kMaxMappingBytes);
    if (offset % page_bytes_ != 0 || bytes % page_bytes_ != 0) {
      ThrowRange(info.Env(),
                 "offset and bytes must be multiples of the page, " + std::to_string(page_bytes_) + " bytes");
    }

    // A store beyond the end of the file would be a SIGBUS. Nothing guards against a file that is cut later.
    struct stat file;
    if (fstat(fd, &file) != 0) ThrowErrno(info.Env(), errno, "fstat");
    if (bytes > file.st_size - offset) {
      ThrowRange(info.Env(), "the mapping would end beyond the file, which has " +
                                 std::to_string(file.st_size) + " bytes");
    }

    const int flags = MAP_SHARED | MAP_POPULATE;
    void* address = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, flags, fd, offset);
    if (address == MAP_FAILED) ThrowErrno(info.Env(), errno, "mmap");
    auto mapping = std::make_unique<Mapping>(address, static_cast<size_t>(bytes), mappings_);
    auto buffer = Napi::ArrayBuffer::New(
        info.Env(), address, static_cast<size_t>(bytes),
        [](Napi::Env, void*, Mapping* finalized) { delete finalized; }, mapping.get());
    mapping.release();
    return buffer;
  }

  void Unmap(const Napi::CallbackInfo& info) {
    Napi::ArrayBuffer buffer = Buffer(info);
    if (buffer.IsDetached()) return;
    Mapping& mapping = MappingOf(info, buffer);
    buffer.Detach();
    mapping.Unmap();
  }

  void Sync(const Napi::CallbackInfo& info) {
    Napi::ArrayBuffer buffer = Buffer(info);
    MappingOf(info, buffer);
    const auto length = static_cast<int64_t>(buffer.ByteLength());
    const int64_t offset = Integer(info, 1, "offset", 0, length);
    const int64_t bytes = Integer(info, 2, "bytes", 0, length - offset);
    const int64_t page = offset - offset % page_bytes_;
    if (msync(static_cast<uint8_t*>(buffer.Data()) + page, static_cast<size_t>(offset - page + bytes),
              MS_SYNC) != 0) {
      ThrowErrno(info.Env(), errno, "msync");
    }
  }

  Mapping& MappingOf(const Napi::CallbackInfo& info, Napi::ArrayBuffer buffer) {
    const auto found = mappings_->find(buffer.Data());
    if (found == mappings_->end()) ThrowType(info.Env(), "buffer must be mapped, by this thread");
    return *found->second;
  }

  const int64_t page_bytes_;
  const std::shared_ptr<Mapping::Registry> mappings_ = std::make_shared<Mapping::Registry>();
};

}  // namespace
}  // namespace braid

using braid::Core;
NODE_API_ADDON(Core)
