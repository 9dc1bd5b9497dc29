// A process of its own on a metadata file, for sqlite_processes_test.cc. Says "ready" when it has a
// store, then does what it is told:
//   hold FILE NODE            makes NODE ephemeral, says "done", waits until its input ends
//   increment FILE NODE N     adds 1 to the number in NODE, N times; says "done"
//   append FILE NODE          makes sequential children of NODE for ever, says the path of each
//   watch FILE NODE           says "changed" whenever NODE's watch calls
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "common/async/notification.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/real/shard.h"
#include "metadata/metadata_store.h"
#include "metadata/sqlite/sqlite_store.h"

namespace stele::metadata {
namespace {

void Say(std::string_view text) {
  std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
  std::fflush(stdout);
}

void WaitForEndOfInput() {
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

Task<void> Increment(MetadataStore* store, std::string path, int times) {
  for (int done = 0; done < times;) {
    const absl::StatusOr<Node> node = co_await store->Get(path);
    STELE_CHECK(node.ok());
    std::string next = std::to_string(std::stoi(node->value) + 1);
    const absl::StatusOr<Version> put = co_await store->Put(path, std::move(next), node->version);
    if (put.ok()) {
      ++done;
    } else {
      STELE_CHECK(CodeOf(put.status()) == ErrorCode::kMetadataConflict);
    }
  }
}

Task<void> Append(MetadataStore* store, std::string path) {
  while (true) {
    const auto made = co_await store->CreateSequential(path + "/n-", "", NodeKind::kPersistent);
    STELE_CHECK(made.ok());
    Say(*made);
  }
}

Task<void> WaitForEver(Notification* never) { co_await never->Wait(); }

int Main(int argc, char** argv) {
  STELE_CHECK(argc >= 4);
  const std::string_view command = argv[1];
  const std::string node = argv[3];
  real::Shard shard;
  auto store =
      shard.RunUntil(OpenSqliteStore({.path = argv[2], .poll_interval = absl::Milliseconds(5)},
                                     shard.executor(), shard.env().clock));
  STELE_CHECK(store.ok());
  Say("ready");
  if (command == "hold") {
    STELE_CHECK(shard.RunUntil((*store)->Create(node, "held", NodeKind::kEphemeral)).ok());
    Say("done");
    WaitForEndOfInput();
  } else if (command == "increment") {
    shard.RunUntil(Increment(store->get(), node, std::atoi(argv[4])));
    Say("done");
  } else if (command == "append") {
    shard.RunUntil(Append(store->get(), node));
  } else if (command == "watch") {
    const std::unique_ptr<Watch> watch = (*store)->WatchNode(node, [] { Say("changed"); });
    Notification never(shard.executor());
    shard.RunUntil(WaitForEver(&never));
  }
  shard.RunUntil((*store)->Close());
  return 0;
}

}  // namespace
}  // namespace stele::metadata

int main(int argc, char** argv) { return stele::metadata::Main(argc, argv); }
