// A process of its own with a metadata store, for the tests of the drivers. Says "ready" when it
// has one, then does what it is told:
//   hold URI NODE            makes NODE ephemeral, says "done", waits until its input ends
//   increment URI NODE N     adds 1 to the number in NODE, N times; says "done"
//   append URI NODE          makes sequential children of NODE for ever, says the path of each
//   watch URI NODE           says "changed" whenever NODE's watch calls
#include <unistd.h>

#include "common/async/notification.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/real/shard.h"
#include "metadata/drivers/open_metadata_store.h"
#include "metadata/metadata_store.h"

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
  auto store = shard.RunUntil(
      OpenMetadataStore(std::string(argv[2]), shard.executor(), shard.env().clock,
                        OpenMetadataStoreOptions{.session_timeout = absl::Seconds(1)}));
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
