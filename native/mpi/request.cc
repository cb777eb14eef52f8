#include "request.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "communicator.h"
#include "errors.h"

namespace braid {

namespace {

/* A look at the clock takes as long as a test, but for a test that leaves the core to other ranks. */
constexpr int tests_per_look = 8;
constexpr std::chrono::microseconds slow_look(50);

}  // namespace

int CountReceived(const MPI_Status& status, size_t bytes_each, MPI_Count* count) {
  /* By bytes: Open MPI 4 can't count the elements of a type that is filled in part, as one of many elements
   * may be. */
  MPI_Count bytes = 0;
  const int error = MPI_Get_elements_x(&status, MPI_BYTE, &bytes);
  const MPI_Count each = static_cast<MPI_Count>(bytes_each);
  *count = bytes < 0 || bytes % each != 0 ? -1 : bytes / each;
  return error;
}

void Request::Hold(napi_value buffer) {
  buffers_.push_back(Napi::Persistent(Napi::Object(env_, buffer)));
}

std::unique_ptr<Request> Requests::Prepare(Napi::Env env, const char* call, size_t messages) {
  const size_t room = handles_.size() + messages;
  if (room > static_cast<size_t>(std::numeric_limits<int>::max())) RefuseRange("too many messages in flight");
  if (room > handles_.capacity()) {
    /* By doubling: growing to the exact size would copy everything for every request. */
    const size_t capacity = std::max(room, 2 * handles_.capacity());
    handles_.reserve(capacity);
    messages_.reserve(capacity);
    indices_.resize(capacity);
    statuses_.resize(capacity);
  }
  auto request = std::make_unique<Request>(env, call, messages);
  request->arrived_.assign(messages, false);
  return request;
}

int32_t Requests::Start(std::unique_ptr<Request> request) {
  do {
    last_id_ = last_id_ == std::numeric_limits<int32_t>::max() ? 1 : last_id_ + 1;
  } while (requests_.count(last_id_) != 0);

  for (size_t index = 0; index < request->messages_.size(); index++) {
    if (request->messages_[index] == MPI_REQUEST_NULL) continue;
    handles_.push_back(request->messages_[index]);
    messages_.push_back({request.get(), last_id_, static_cast<int>(index)});
    request->remaining_++;
  }
  if (request->remaining_ == 0) completed_.push_back(last_id_);
  requests_.emplace(last_id_, std::move(request));
  return last_id_;
}

size_t Requests::Test(double* rows, size_t row_count, std::chrono::nanoseconds within) {
  if (!handles_.empty()) TestMessages();
  if (within.count() > 0) {
    const auto start = std::chrono::steady_clock::now();
    auto now = start;
    int tests = tests_per_look;
    while (completed_.empty() && !handles_.empty() && now - start < within) {
      for (int i = 0; i < tests && completed_.empty() && !handles_.empty(); i++) TestMessages();
      const auto before = now;
      now = std::chrono::steady_clock::now();
      if (now - before > slow_look) tests = 1;
    }
  }

  const size_t count = std::min(row_count, completed_.size());
  for (size_t i = 0; i < count; i++) {
    const auto found = requests_.find(completed_[i]);
    const Request& request = *found->second;
    double* row = rows + i * column_count;
    row[column_id] = completed_[i];
    row[column_error] = request.error;
    row[column_source] = request.source_;
    row[column_tag] = request.tag_;
    row[column_value] = static_cast<double>(request.value_);
    requests_.erase(found);
  }
  completed_.erase(completed_.begin(), completed_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

void Requests::TestMessages() {
  /*
   * By the standard the statuses tell errors only when the call returns MPI_ERR_IN_STATUS. Open MPI 4 returns
   * success where the only failed request was freed by the same call, with the error in its status; libraries
   * that leave the field alone find it set here.
   */
  for (size_t i = 0; i < handles_.size(); i++) statuses_[i].MPI_ERROR = MPI_SUCCESS;
  int completed = 0;
  const int result = MPI_Testsome(static_cast<int>(handles_.size()), handles_.data(), &completed,
                                  indices_.data(), statuses_.data());
  if (result != MPI_ERR_IN_STATUS) Check(result, "MPI_Testsome");
  if (completed <= 0) return;

  for (int i = 0; i < completed; i++) {
    Message& message = messages_[static_cast<size_t>(indices_[static_cast<size_t>(i)])];
    const MPI_Status& status = statuses_[static_cast<size_t>(i)];
    Complete(message, status.MPI_ERROR, status);
    message.request = nullptr;
  }

  size_t kept = 0;
  for (size_t i = 0; i < messages_.size(); i++) {
    if (!messages_[i].request) continue;
    messages_[kept] = messages_[i];
    handles_[kept] = handles_[i];
    kept++;
  }
  messages_.resize(kept);
  handles_.resize(kept);
}

void Requests::Complete(const Message& message, int error, const MPI_Status& status) {
  Request& request = *message.request;
  request.arrived_[static_cast<size_t>(message.index)] = true;

  if (error == MPI_SUCCESS && static_cast<size_t>(message.index) < request.receives) {
    MPI_Count count = 0;
    error = CountReceived(status, request.bytes_each, &count);
    if (error == MPI_SUCCESS && request.exact_bytes >= 0 && count != request.exact_bytes)
      error = MPI_ERR_COUNT;
    request.source_ = status.MPI_SOURCE;
    request.tag_ = status.MPI_TAG;
    request.value_ = count;
  }
  if (request.error == MPI_SUCCESS) request.error = error;

  if (--request.remaining_ > 0) return;
  if (request.made != MPI_COMM_NULL && request.error == MPI_SUCCESS) {
    /* Nothing may be thrown here: the other messages that this test has completed are still to be told. */
    try {
      request.value_ = communicators_.Add(request.made);
    } catch (const MpiFailure& failure) {
      request.error = failure.code;
    }
  }
  completed_.push_back(message.id);
}

bool Requests::Pending(int32_t id, std::vector<int32_t>& indices) const {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return false;
  const std::vector<bool>& arrived = found->second->arrived_;
  for (size_t index = 0; index < arrived.size(); index++) {
    if (!arrived[index]) indices.push_back(static_cast<int32_t>(index));
  }
  return true;
}

void Requests::FinishCollectives(MPI_Comm comm) {
  const auto on_it = [comm](const Message& message) { return message.request->collective_on == comm; };
  while (std::any_of(messages_.begin(), messages_.end(), on_it)) {
    TestMessages();
    std::this_thread::yield();
  }
}

bool Requests::Drain(double wait_ms) {
  for (size_t i = 0; i < messages_.size(); i++) {
    if (static_cast<size_t>(messages_[i].index) < messages_[i].request->receives)
      Check(MPI_Cancel(&handles_[i]), "MPI_Cancel");
  }
  const auto start = std::chrono::steady_clock::now();
  const auto limit = std::chrono::duration<double, std::milli>(wait_ms);
  while (!handles_.empty()) {
    TestMessages();
    if (handles_.empty()) break;
    if (std::chrono::steady_clock::now() - start > limit) return false;
    /* Ranks often share a core with those they wait for. */
    std::this_thread::yield();
  }
  /* With what they own of MPI, while it is up. */
  requests_.clear();
  return true;
}

}  // namespace braid
