#include "simulation/history/history.h"

#include <utility>

#include "common/base/check.h"

namespace stele::history {

int64_t History::Invoke(int64_t nanoseconds, std::string_view process, Question question) {
  const int64_t id = ids_made_++;
  InvokeAs(id, nanoseconds, process, std::move(question));
  return id;
}

void History::InvokeAs(int64_t id, int64_t nanoseconds, std::string_view process,
                       Question question) {
  STELE_CHECK(index_of_id_.emplace(id, calls_.size()).second);
  Call& call = calls_.emplace_back();
  call.id = id;
  call.process = process;
  call.question = std::move(question);
  call.invoked_at = events_++;
  call.invoked_nanoseconds = nanoseconds;
}

Call& History::Pending(int64_t id) {
  Call& call = calls_[index_of_id_.at(id)];
  STELE_CHECK(call.outcome == Outcome::kPending);
  return call;
}

void History::Ok(int64_t nanoseconds, int64_t id, Answer answer) {
  Call& call = Pending(id);
  call.outcome = Outcome::kOk;
  call.answer = std::move(answer);
  call.ended_at = events_++;
  call.ended_nanoseconds = nanoseconds;
}

void History::Error(int64_t nanoseconds, int64_t id, ErrorCode code, Effect effect) {
  Call& call = Pending(id);
  call.outcome = Outcome::kError;
  call.code = code;
  call.effect = effect;
  call.ended_at = events_++;
  call.ended_nanoseconds = nanoseconds;
}

void History::AddMark(int64_t nanoseconds, Mark::Kind kind, std::string_view process,
                      std::string_view text) {
  marks_.push_back({kind, std::string(process), std::string(text), events_++, nanoseconds});
}

const Call* History::Find(int64_t id) const {
  const auto found = index_of_id_.find(id);
  return found == index_of_id_.end() ? nullptr : &calls_[found->second];
}

}  // namespace stele::history
