#include "simulation/history/text_format.h"

#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "simulation/history/words.h"

namespace stele::history {
namespace {

constexpr std::pair<Operation, std::string_view> kOperations[] = {
    {Operation::kCreate, "create"},
    {Operation::kOpen, "open"},
    {Operation::kAppend, "append"},
    {Operation::kForce, "force"},
    {Operation::kRead, "read"},
    {Operation::kReadBatch, "read-batch"},
    {Operation::kReadUnconfirmed, "read-unconfirmed"},
    {Operation::kReadLac, "read-lac"},
    {Operation::kWait, "wait"},
    {Operation::kTail, "tail"},
    {Operation::kClose, "close"},
    {Operation::kDelete, "delete"},
    {Operation::kMetadata, "metadata"},
    {Operation::kBookieFence, "bookie-fence"},
    {Operation::kBookieAdd, "bookie-add"},
    {Operation::kBookieLac, "bookie-lac"},
    {Operation::kBookieWriteLac, "bookie-write-lac"},
};
constexpr std::pair<LedgerStateSeen, std::string_view> kStates[] = {
    {LedgerStateSeen::kOpen, "open"},
    {LedgerStateSeen::kInRecovery, "in-recovery"},
    {LedgerStateSeen::kClosed, "closed"},
};
constexpr std::pair<Mark::Kind, std::string_view> kMarks[] = {
    {Mark::Kind::kCrash, "crash"},       {Mark::Kind::kReckoning, "reckoning"},
    {Mark::Kind::kEnd, "end"},           {Mark::Kind::kNote, "note"},
    {Mark::Kind::kOverride, "override"}, {Mark::Kind::kLateAck, "late-ack"},
};

template <typename T, size_t kCount>
std::string_view NameIn(const std::pair<T, std::string_view> (&table)[kCount], T value) {
  for (const auto& [key, name] : table) {
    if (key == value) return name;
  }
  return "-";
}

template <typename T, size_t kCount>
bool FindIn(const std::pair<T, std::string_view> (&table)[kCount], std::string_view name,
            T* value) {
  for (const auto& [key, known] : table) {
    if (known != name) continue;
    *value = key;
    return true;
  }
  return false;
}

bool ParseCode(std::string_view name, ErrorCode* code) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kCookieMismatch); ++i) {
    if (NameOf(static_cast<ErrorCode>(i)) != name) continue;
    *code = static_cast<ErrorCode>(i);
    return true;
  }
  return false;
}

bool ParseReplication(std::string_view text, quorum::Replication* replication) {
  int64_t sizes[3];
  for (int64_t& size : sizes) {
    const size_t slash = text.find('/');
    if (!ParseNumber(text.substr(0, slash), &size)) return false;
    text.remove_prefix(slash == std::string_view::npos ? text.size() : slash + 1);
  }
  *replication = {static_cast<int>(sizes[0]), static_cast<int>(sizes[1]),
                  static_cast<int>(sizes[2])};
  return text.empty();
}

struct Field {
  std::string_view key;
  std::string_view value;
};

bool TakeField(std::string_view* line, Field* field) {
  const std::string_view word = TakeWord(line);
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  *field = {word.substr(0, equals), word.substr(equals + 1)};
  return true;
}

template <typename Id>
bool ParseId(std::string_view text, Id* id) {
  int64_t value;
  if (!ParseNumber(text, &value)) return false;
  *id = Id(value);
  return true;
}

bool ParseFlag(std::string_view text, bool* flag) {
  *flag = text == "1";
  return text == "0" || text == "1";
}

bool ParseQuestionField(const Field& field, Question* question) {
  const auto& [key, value] = field;
  if (key == "ledger") return ParseId(value, &question->ledger);
  if (key == "handle") return ParseNumber(value, &question->handle);
  if (key == "entry") return ParseId(value, &question->entry);
  if (key == "first") return ParseId(value, &question->first);
  if (key == "last") return ParseId(value, &question->last);
  if (key == "payload") return ParseTag(value, &question->payload);
  if (key == "recover") return ParseFlag(value, &question->recover);
  if (key == "deferred") return ParseFlag(value, &question->deferred_sync);
  if (key == "caller-ids") return ParseFlag(value, &question->caller_ids);
  if (key == "replication") return ParseReplication(value, &question->replication);
  if (key == "bookie") question->bookie = value;
  return key == "bookie";
}

bool ParseAnswerField(const Field& field, Answer* answer) {
  const auto& [key, value] = field;
  if (key == "ledger") return ParseId(value, &answer->ledger);
  if (key == "handle") return true;
  if (key == "entry") return ParseId(value, &answer->entry);
  if (key == "lac") {
    answer->has_lac = true;
    return ParseId(value, &answer->lac);
  }
  if (key == "state") return FindIn(kStates, value, &answer->state);
  if (key == "last") return ParseId(value, &answer->last);
  if (key == "length") return ParseNumber(value, &answer->length_bytes);
  EntrySeen seen;
  if (!ParseId(key, &seen.entry) || !ParseTag(value, &seen.payload)) return false;
  answer->entries.push_back(seen);
  return true;
}

absl::Status ParseLine(std::string_view line, History* history) {
  const auto wrong = [](std::string_view what) {
    return MakeError(ErrorCode::kInvalidArgument, what);
  };
  int64_t time;
  if (!ParseNumber(TakeWord(&line), &time)) return wrong("a time in nanoseconds comes first");
  const std::string_view process = TakeWord(&line);
  const std::string_view call_word = TakeWord(&line);
  const std::string_view kind = TakeWord(&line);
  Mark::Kind mark;
  if (FindIn(kMarks, kind, &mark)) {
    history->AddMark(time, mark, process == "-" ? "" : process, line);
    return absl::OkStatus();
  }
  int64_t id;
  if (!ParseNumber(call_word, &id)) return wrong("the call is a number");
  Field field;
  if (kind == "invoke") {
    Question question;
    if (!FindIn(kOperations, TakeWord(&line), &question.operation)) return wrong("what operation?");
    while (!line.empty()) {
      if (!TakeField(&line, &field) || !ParseQuestionField(field, &question)) {
        return wrong(StrCat("bad field: ", field.key));
      }
    }
    if (history->Find(id) != nullptr) return wrong("this call was invoked before");
    history->InvokeAs(id, time, process, std::move(question));
    return absl::OkStatus();
  }
  const Call* call = history->Find(id);
  if (call == nullptr || call->outcome != Outcome::kPending)
    return wrong("no such call is pending");
  if (kind == "ok") {
    Answer answer;
    while (!line.empty()) {
      if (!TakeField(&line, &field) || !ParseAnswerField(field, &answer)) {
        return wrong(StrCat("bad field: ", field.key));
      }
    }
    history->Ok(time, id, std::move(answer));
    return absl::OkStatus();
  }
  if (kind != "error") return wrong("invoke, ok, error, or a mark?");
  ErrorCode code;
  if (!ParseCode(TakeWord(&line), &code)) return wrong("an unknown error code");
  const std::string_view effect = TakeWord(&line);
  if (effect != "none" && effect != "unknown") return wrong("the effect is none or unknown");
  history->Error(time, id, code, effect == "none" ? Effect::kNone : Effect::kUnknown);
  return absl::OkStatus();
}

std::string Head(int64_t nanoseconds, const Call& call) {
  return StrCat(nanoseconds, " ", call.process, " ", call.id);
}

void AppendClosed(EntryId last, int64_t length_bytes, std::string* line) {
  *line += StrCat(" last=", last.value());
  if (length_bytes >= 0) *line += StrCat(" length=", length_bytes);
}

}  // namespace

std::string InvokeLine(const Call& call) {
  const Question& question = call.question;
  std::string line = StrCat(Head(call.invoked_nanoseconds, call), " invoke ",
                            NameIn(kOperations, question.operation));
  if (question.operation == Operation::kCreate) {
    const quorum::Replication& replication = question.replication;
    line += StrCat(" replication=", replication.ensemble_size, "/", replication.write_quorum_size,
                   "/", replication.ack_quorum_size);
  }
  if (question.ledger.IsValid()) line += StrCat(" ledger=", question.ledger.value());
  if (!question.bookie.empty()) line += StrCat(" bookie=", question.bookie);
  if (question.handle != 0) line += StrCat(" handle=", question.handle);
  if (!question.entry.IsNone()) line += StrCat(" entry=", question.entry.value());
  if (!question.first.IsNone()) line += StrCat(" first=", question.first.value());
  if (!question.last.IsNone()) line += StrCat(" last=", question.last.value());
  if (question.operation == Operation::kAppend || question.operation == Operation::kBookieAdd) {
    line += StrCat(" payload=", ToText(question.payload));
  }
  if (question.recover) line += " recover=1";
  if (question.deferred_sync) line += " deferred=1";
  if (question.caller_ids) line += " caller-ids=1";
  return line + "\n";
}

std::string EndLine(const Call& call) {
  std::string line = Head(call.ended_nanoseconds, call);
  if (call.failed()) {
    line += StrCat(" error ", NameOf(call.code),
                   call.effect == Effect::kNone ? " none\n" : " unknown\n");
    return line;
  }
  const Answer& answer = call.answer;
  line += " ok";
  if (answer.ledger.IsValid()) line += StrCat(" ledger=", answer.ledger.value());
  if (call.question.operation == Operation::kAppend) {
    line += StrCat(" entry=", answer.entry.value());
  }
  if (answer.has_lac) line += StrCat(" lac=", answer.lac.value());
  if (answer.state != LedgerStateSeen::kNone) {
    line += StrCat(" state=", NameIn(kStates, answer.state));
  }
  if (answer.state == LedgerStateSeen::kClosed || call.question.operation == Operation::kClose) {
    AppendClosed(answer.last, answer.length_bytes, &line);
  }
  for (const EntrySeen& seen : answer.entries) {
    line += StrCat(" ", seen.entry.value(), "=", ToText(seen.payload));
  }
  return line + "\n";
}

std::string MarkLine(const Mark& mark) {
  std::string line = StrCat(mark.nanoseconds, " ", mark.process.empty() ? "-" : mark.process, " - ",
                            NameIn(kMarks, mark.kind));
  if (!mark.text.empty()) line += StrCat(" ", mark.text);
  return line + "\n";
}

std::string ToText(const History& history) {
  std::vector<std::string> lines(history.size());
  for (const Call& call : history.calls()) {
    lines[call.invoked_at] = InvokeLine(call);
    if (call.outcome != Outcome::kPending) lines[call.ended_at] = EndLine(call);
  }
  for (const Mark& mark : history.marks()) lines[mark.at] = MarkLine(mark);
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

absl::StatusOr<History> ParseHistory(std::string_view text) {
  History history;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    if (absl::Status parsed = ParseLine(line, &history); !parsed.ok()) {
      return WithContext(parsed, StrCat("line ", number));
    }
  }
  return history;
}

}  // namespace stele::history
