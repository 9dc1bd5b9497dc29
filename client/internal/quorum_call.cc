#include "client/internal/quorum_call.h"

#include <memory>
#include <utility>

#include "common/async/completion.h"
#include "common/base/strings.h"

namespace stele::client {
namespace {

struct Tally {
  int missing;  // yes to come
  int spare;    // how many may say no
  Completer<absl::Status> done;
};

void OnAnswer(Tally& tally, const BookieId& from, ErrorCode code) {
  if (code == ErrorCode::kOk) {
    if (--tally.missing == 0) tally.done.Set(absl::OkStatus());
  } else if (--tally.spare < 0) {
    tally.done.Set(MakeError(code, Effect::kUnknown, StrCat("bookie ", from.value())));
  }
}

Task<absl::Status> Wait(Completion<absl::Status> done) { co_return co_await done; }

}  // namespace

Task<absl::Status> CallQuorum(Executor* executor, std::vector<Bookie*> bookies, int needed,
                              wire::RequestBody request) {
  Completion<absl::Status> done(executor);
  auto tally = std::make_shared<Tally>(
      Tally{needed, static_cast<int>(bookies.size()) - needed, done.GetCompleter()});
  for (Bookie* bookie : bookies) {
    bookie->Call(request, {},
                 [tally, bookie](Answer answer) { OnAnswer(*tally, bookie->id(), answer.code); });
  }
  return Wait(std::move(done));
}

}  // namespace stele::client
