#pragma once

#include <mpi.h>
#include <napi.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace braid {

class Communicators;

/* The number of elements of a message that was received; -1 if they are no whole number. An MPI error code
 * otherwise. */
int CountReceived(const MPI_Status& status, size_t bytes_each, MPI_Count* count);

/*
 * One operation under way, of one MPI request or of many. It owns everything that MPI still reads or writes:
 * the JavaScript buffers by reference, the counts and displacements by copy, the communicator in the making.
 */
class Request {
 public:
  Request(Napi::Env env, const char* call, size_t messages)
      : env_(env), call_(call), messages_(messages, MPI_REQUEST_NULL) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  /* Keeps a buffer from being collected until the request is complete. */
  void Hold(napi_value buffer);

  /* Where MPI is to write the handle of message `index`. */
  MPI_Request* Slot(size_t index = 0) { return &messages_[index]; }

  /* The operation, where it has arrays or datatypes that MPI reads until completion. */
  std::shared_ptr<void> operation;
  /* Of MPI_Comm_idup: written until completion, a live communicator afterwards. */
  MPI_Comm made = MPI_COMM_NULL;
  /* How many of the messages, the first ones, are receives. They can be called off at exit, nothing else can.
   */
  size_t receives = 0;
  /* Of what they receive, for the number of elements that is told. */
  size_t bytes_each = 1;
  /* Bytes that each of them must have, where the operation promises exactly so many; -1 elsewhere. */
  MPI_Count exact_bytes = -1;
  /* Of a collective operation: on which communicator. */
  MPI_Comm collective_on = MPI_COMM_NULL;
  /* The first error among the messages. */
  int error = MPI_SUCCESS;

  const char* call() const { return call_; }

 private:
  friend class Requests;

  Napi::Env env_;
  const char* call_;
  std::vector<MPI_Request> messages_;
  std::vector<bool> arrived_;
  size_t remaining_ = 0;
  int source_ = -1;
  int tag_ = -1;
  MPI_Count value_ = 0;
  std::vector<Napi::ObjectReference> buffers_;
};

/* The requests in flight, tested all together by one MPI call. */
class Requests {
 public:
  /* The columns of a row that Test writes for a completed request. */
  enum Column { column_id, column_error, column_source, column_tag, column_value, column_count };

  explicit Requests(Communicators& communicators) : communicators_(communicators) {}

  /*
   * A request with room for `messages`, not started: what can be refused is refused before MPI has an
   * address in its hands.
   */
  std::unique_ptr<Request> Prepare(Napi::Env env, const char* call, size_t messages = 1);

  /* Takes over a request whose messages have been started; returns its id. */
  int32_t Start(std::unique_ptr<Request> request);

  /*
   * Tests everything in flight once, and again for as long as `within` while no request has completed. Writes
   * a row for each completed one, at most `row_count`; what finds no room comes with the next call. Returns
   * the number of rows.
   */
  size_t Test(double* rows, size_t row_count, std::chrono::nanoseconds within);

  /* Indices of the messages of a request that have not completed; false if the id isn't in flight. */
  bool Pending(int32_t id, std::vector<int32_t>& indices) const;

  /*
   * Brings the collective operations on a communicator to their end, so that it can be freed: Open MPI 4
   * doesn't keep it for them. Ranks free it together, so all of them have begun what is waited for here.
   */
  void FinishCollectives(MPI_Comm comm);

  /* At exit: calls off receives and waits for everything else, up to `wait_ms`. False if something is still
   * under way. */
  bool Drain(double wait_ms);

 private:
  struct Message {
    Request* request;
    int32_t id;
    int index;
  };

  void TestMessages();
  void Complete(const Message& message, int error, const MPI_Status& status);

  Communicators& communicators_;
  std::unordered_map<int32_t, std::unique_ptr<Request>> requests_;
  std::vector<int32_t> completed_;
  int32_t last_id_ = 0;
  /* In step with each other: the handles as MPI_Testsome wants them, and whose they are. */
  std::vector<MPI_Request> handles_;
  std::vector<Message> messages_;
  std::vector<int> indices_;
  std::vector<MPI_Status> statuses_;
};

}  // namespace braid
