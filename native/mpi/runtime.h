#pragma once

#include <mpi.h>

#include <string>

#include "request.h"

namespace braid {

/*
 * How long to wait for the other ranks in MPI_Init before saying so, and before ending the job; negative is
 * for ever. `rank` and `size` are by the launcher, for what is said, and negative where it doesn't tell;
 * `pmi_fd` is where it listens if it speaks PMI-1.
 */
struct StartPatience {
  int rank = -1;
  int size = -1;
  double stall_ms = -1;
  double abort_ms = -1;
  int pmi_fd = -1;
};

/*
 * MPI in this process: who started it, which thread calls it, how it ends.
 *
 * Nothing happens when the addon is loaded. MPI_Init_thread asks for FUNNELED and is made by the thread that
 * then makes every other call; a library that is up already, because the program embeds another user of MPI,
 * is used as it is and left to its owner.
 */
class Runtime {
 public:
  explicit Runtime(Requests& requests) : requests_(requests) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  void Initialize(const StartPatience& patience);

  /* Refuses unless MPI is up and this is the thread that may call it. */
  void RequireUsable() const;

  /* What the end of the process shall do; see End. */
  void SetExit(int exit_code, double wait_ms);

  /*
   * The end, of the environment or of the process; the first of them counts. With an exit code other than 0
   * the job is aborted, because its other ranks would wait for this one for ever; otherwise, and where there
   * are no others, requests are brought to an end and MPI is finalized.
   *
   * Nothing is done unless SetExit has announced the end: a library that leaves by exit() from inside one of
   * its calls, as it does to abort, must not be called again.
   */
  void End();

  /* Every rank's process, with `exit_code`. */
  [[noreturn]] static void Abort(int exit_code);

  static std::string LibraryVersion();
  static std::string StandardVersion();
  static std::string ProcessorName();
  static int ThreadLevel();
  static int TagUpperBound();

 private:
  Requests& requests_;
  bool usable_ = false;
  bool ours_ = false;
  bool announced_ = false;
  int exit_code_ = 0;
  double wait_ms_ = 0;
};

}  // namespace braid
