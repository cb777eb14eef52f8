#include "runtime.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "errors.h"

namespace braid {

namespace {

/* MPI belongs to the process, this addon is loaded once for every environment (main thread, workers) in it.
 */
struct Owner {
  std::mutex mutex;
  bool taken = false;
  std::thread::id thread;
  /* Until its environment is gone. */
  Runtime* runtime = nullptr;
};

Owner owner;

constexpr std::chrono::milliseconds kAbortLimit{2000};

[[noreturn]] void RefuseThread() {
  throw Refusal{Refusal::Kind::state, "ERR_BRAID_MPI_WRONG_THREAD",
                "MPI is called from one thread of a process, and this is another one"};
}

[[noreturn]] void RefuseDown(const char* message) {
  throw Refusal{Refusal::Kind::state, "ERR_BRAID_MPI_DOWN", message};
}

/*
 * Launchers read the output of their ranks through pipes, and on an abort drop what they have not read: the
 * sentence that says why.
 */
void LetLauncherRead() {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

/*
 * MPICH asks its launcher to end the job and waits for the answer, which never comes where the launcher is
 * ending itself, as srun is when its job is cancelled.
 */
void ExitWithin(std::chrono::milliseconds limit, int exit_code) {
  try {
    std::thread([=] {
      std::this_thread::sleep_for(limit);
      std::_Exit(exit_code);
    }).detach();
  } catch (const std::system_error&) {
    /* No thread is to be had: then without the limit. */
  }
}

/* By write(2): the thread that is inside MPI may hold a lock of stdio. */
void Say(const std::string& line) {
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // Nobody reads it.
}

std::string Milliseconds(double ms) {
  return std::to_string(static_cast<int64_t>(ms)) + " ms";
}

/*
 * MPI_Init_thread returns when the other processes of the job have come to it, and nothing in this process
 * can call it off, nor tell who is missing. So a thread watches the clock while it runs.
 */
class StartWatch {
 public:
  explicit StartWatch(const StartPatience& patience) : patience_(patience) {
    if (patience.stall_ms < 0 && patience.abort_ms < 0) return;
    try {
      thread_ = std::thread([this] { Watch(); });
    } catch (const std::system_error&) {
      /* No thread is to be had: then without a word. */
    }
  }

  ~StartWatch() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      started_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  void Watch() {
    const auto [rank, size, stall_ms, abort_ms, pmi_fd] = patience_;
    const Clock::time_point begin = Clock::now();
    const std::string who = rank < 0 ? "braid-mpi: a rank" : "braid-mpi: rank " + std::to_string(rank);
    const std::string all = size < 0 ? "all" : "all " + std::to_string(size);
    if (stall_ms >= 0 && (abort_ms < 0 || stall_ms < abort_ms)) {
      if (IsStartedWithin(begin, stall_ms)) return;
      Say(who + " has waited " + Milliseconds(stall_ms) + " in MPI_Init for other ranks: " + all +
          " must start MPI, as BraidDB.open() does\n");
    }
    if (abort_ms < 0 || IsStartedWithin(begin, abort_ms)) return;
    Say(who + " ends the job: not " + all + " ranks have started MPI within " + Milliseconds(abort_ms) +
        " (abortMs)\n");
    LetLauncherRead();
    /* MPI_Abort is only for those that have started. Most launchers end the job of a rank that is gone in the
     * midst of its start; Slurm wants to be told. */
    constexpr char kAbort[] = "cmd=abort exitcode=1\n";
    if (pmi_fd >= 0 && write(pmi_fd, kAbort, sizeof kAbort - 1) > 0) LetLauncherRead();
    std::_Exit(1);
  }

  bool IsStartedWithin(Clock::time_point begin, double ms) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto limit = begin + std::chrono::milliseconds(static_cast<int64_t>(ms));
    return changed_.wait_until(lock, limit, [this] { return started_; });
  }

  const StartPatience patience_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false;
  std::thread thread_;
};

bool IsFinalized() {
  int finalized = 0;
  Check(MPI_Finalized(&finalized), "MPI_Finalized");
  return finalized != 0;
}

/*
 * process.exit() and uncaught exceptions leave by exit(), without the hooks of the environment. JavaScript is
 * over by then, but its heap, where the buffers of requests are, is still there.
 */
void AtProcessExit() {
  if (owner.runtime && std::this_thread::get_id() == owner.thread) owner.runtime->End();
}

}  // namespace

Runtime::~Runtime() {
  if (owner.runtime == this) owner.runtime = nullptr;
}

void Runtime::Initialize(const StartPatience& patience) {
  std::lock_guard<std::mutex> lock(owner.mutex);
  if (usable_) return;
  if (owner.taken) RefuseThread();
  if (IsFinalized()) RefuseDown("MPI has been finalized in this process and can't be initialised again");

  int initialized = 0;
  Check(MPI_Initialized(&initialized), "MPI_Initialized");
  if (initialized) {
    int is_main = 0;
    Check(MPI_Is_thread_main(&is_main), "MPI_Is_thread_main");
    if (!is_main) RefuseThread();
  } else {
    int provided = 0;
    const StartWatch watch(patience);
    Check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    ours_ = true;
  }
  owner.taken = true;
  owner.thread = std::this_thread::get_id();
  owner.runtime = this;
  usable_ = true;
  /* After MPI's own handlers, in order to be called before them. */
  std::atexit(AtProcessExit);
}

void Runtime::RequireUsable() const {
  if (usable_ && std::this_thread::get_id() == owner.thread) return;
  std::lock_guard<std::mutex> lock(owner.mutex);
  if (owner.taken && std::this_thread::get_id() != owner.thread) RefuseThread();
  RefuseDown("MPI isn't initialised");
}

void Runtime::SetExit(int exit_code, double wait_ms) {
  announced_ = true;
  exit_code_ = exit_code;
  wait_ms_ = wait_ms;
}

void Runtime::End() {
  if (!usable_ || !announced_) return;
  usable_ = false;
  try {
    if (IsFinalized()) return;
    int size = 1;
    Check(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
    if (exit_code_ != 0 && size > 1) Abort(exit_code_);
    if (!requests_.Drain(wait_ms_)) {
      int rank = 0;
      Check(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
      std::fprintf(stderr,
                   "braid-mpi: rank %d of %d exits with operations under way that others did not join: "
                   "ending the whole job\n",
                   rank, size);
      Abort(1);
    }
    /* Communicators are left to MPI_Finalize: freeing one is collective, and ranks end in whatever order they
     * like. */
    if (ours_) Check(MPI_Finalize(), "MPI_Finalize");
  } catch (const MpiFailure& failure) {
    std::fprintf(stderr, "braid-mpi: %s failed at exit (error %d): ending the whole job\n", failure.call,
                 failure.code);
    Abort(1);
  }
}

void Runtime::Abort(int exit_code) {
  LetLauncherRead();
  ExitWithin(kAbortLimit, exit_code);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  /* A library that came back from it must not let this process run on. */
  std::_Exit(exit_code);
}

std::string Runtime::LibraryVersion() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  Check(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
  // Open MPI counts the NUL.
  return std::string(text, strnlen(text, static_cast<size_t>(length)));
}

std::string Runtime::StandardVersion() {
  int version = 0;
  int subversion = 0;
  Check(MPI_Get_version(&version, &subversion), "MPI_Get_version");
  return std::to_string(version) + "." + std::to_string(subversion);
}

std::string Runtime::ProcessorName() {
  char text[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  Check(MPI_Get_processor_name(text, &length), "MPI_Get_processor_name");
  return std::string(text, static_cast<size_t>(length));
}

int Runtime::ThreadLevel() {
  int level = MPI_THREAD_SINGLE;
  Check(MPI_Query_thread(&level), "MPI_Query_thread");
  switch (level) {
    case MPI_THREAD_MULTIPLE:
      return 3;
    case MPI_THREAD_SERIALIZED:
      return 2;
    case MPI_THREAD_FUNNELED:
      return 1;
    default:
      return 0;
  }
}

int Runtime::TagUpperBound() {
  int* bound = nullptr;
  int found = 0;
  Check(MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &bound, &found), "MPI_Comm_get_attr");
  /* What the standard promises of every library. */
  return found ? *bound : 32767;
}

}  // namespace braid
