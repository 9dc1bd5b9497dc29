#include "simulation/swarm/stage.h"

#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/history/text_format.h"

namespace stele::simulation {

int64_t Stage::Begin(const std::string& process, history::Question question) {
  const int64_t call = history_.Invoke(now_nanoseconds(), process, std::move(question));
  if (listener_) Say(history::InvokeLine(*history_.Find(call)));
  return call;
}

void Stage::Ok(int64_t call, history::Answer answer) {
  history_.Ok(now_nanoseconds(), call, std::move(answer));
  const history::Call& ended = *history_.Find(call);
  if (ended.question.operation == history::Operation::kAppend && on_acknowledged_) {
    on_acknowledged_(ended.question.ledger, ended.answer.entry);
  }
  if (listener_) Say(history::EndLine(*history_.Find(call)));
}

void Stage::Error(int64_t call, const absl::Status& status) {
  history_.Error(now_nanoseconds(), call, CodeOf(status), EffectOf(status));
  if (listener_) Say(history::EndLine(*history_.Find(call)));
}

void Stage::Mark(history::Mark::Kind kind, std::string_view process, std::string_view text) {
  history_.AddMark(now_nanoseconds(), kind, process, text);
  Say(history::MarkLine(history_.marks().back()));
}

void Stage::Violate(std::string_view checker, std::string_view text) {
  violations_.push_back(
      {std::string(checker), std::string(text), now_nanoseconds(), scheduler_->steps()});
  Say(StrCat(now_nanoseconds(), " VIOLATION ", checker, ": ", text, "\n"));
}

void Stage::Say(std::string_view line) {
  if (listener_) listener_(line);
  if (lines_.size() == kLinesKept) lines_.pop_front();
  lines_.emplace_back(line);
}

}  // namespace stele::simulation
