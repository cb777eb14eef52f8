// Brings a database's log into its file in a thread of its own, while its writer goes on.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include <sqlite3ext.h>

namespace braid {

// SQLite's own checkpoints are made by the commit that finds the log long, which so writes everything twice,
// and waits for the disk twice. Here that commit only says so, to a thread with a connection of its own; all
// else is SQLite's, which lets one connection write while another makes a checkpoint. Begun with the first
// log that is long enough.
class Checkpointer {
 public:
  Checkpointer() = default;
  ~Checkpointer() { End(); }
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // Takes the place of SQLite's own checkpoints of a connection, which it must not outlive.
  void Attach(sqlite3* db);

  // Waits for the checkpoint that is under way, and gives thread and connection up, as others can't close or
  // settle the database before. What is left in the log is the writer's to bring in. A later commit begins
  // anew.
  void End();

 private:
  static int Committed(void* self, sqlite3* db, const char* name, int pages);

  bool Begin(sqlite3* db);
  void Want(bool and_wait);
  void Run();

  sqlite3* connection_ = nullptr;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool wanted_ = false;
  bool busy_ = false;
  bool ending_ = false;
};

}  // namespace braid
