#include "bookie/testing/bookie_operator.h"

#include <utility>

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "metadata/cluster_init.h"
#include "metadata/cookie_check.h"
#include "metadata/ledger_manager.h"

namespace stele::bookie {
namespace {

constexpr size_t kFileSizeMaxBytes = 64 << 20;

Task<void> RemoveTask(Env env, std::string path) {
  const absl::Status removed = co_await env.files->Remove(path);
  EXPECT_TRUE(removed.ok()) << removed;
}

Task<void> StatTask(Env env, std::string path, bool* exists) {
  *exists = (co_await env.files->Stat(path)).ok();
}

Task<void> ListTask(Env env, std::string path, std::vector<std::string>* names) {
  auto listed = co_await env.files->List(path);
  EXPECT_TRUE(listed.ok()) << listed.status();
  if (listed.ok()) *names = *std::move(listed);
}

Task<void> ReadTask(Env env, std::string path, std::string* content) {
  const auto read = co_await stele::ReadFile(env.files, path, kFileSizeMaxBytes);
  EXPECT_TRUE(read.ok()) << read.status();
  if (read.ok()) *content = read->ToString();
}

Task<void> OverwriteTask(Env env, std::string path, uint64_t offset, std::string bytes) {
  const auto file = co_await env.files->Open(path, {.access = OpenOptions::Access::kReadWrite});
  EXPECT_TRUE(file.ok()) << file.status();
  if (!file.ok()) co_return;
  EXPECT_TRUE((co_await (*file)->WriteAt(offset, Buffer::FromString(std::move(bytes)))).ok());
  EXPECT_TRUE((co_await (*file)->Sync()).ok());
}

Task<void> EmptyTask(Env env, std::string current, std::string cookie) {
  EXPECT_TRUE((co_await env.files->MakeDirectories(current)).ok());
  const absl::Status written = co_await ReplaceFile(env.files, current, metadata::kCookieFileName,
                                                    Buffer::FromString(std::move(cookie)));
  EXPECT_TRUE(written.ok()) << written;
}

enum class Change { kCreate, kBeginFragment, kClose, kDelete };

Task<void> ChangeTask(Env env, metadata::MetadataStore* store, BookieOptions options, Change change,
                      LedgerId ledger, EntryId entry) {
  auto cluster = co_await metadata::OpenCluster(store, options.ledgers_root, std::nullopt);
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  metadata::LedgerManager ledgers(env, store, cluster->layout);
  absl::Status done;
  if (change == Change::kDelete) {
    done = co_await ledgers.Delete(ledger, metadata::kAnyVersion);
  } else if (change == Change::kClose) {
    auto open = co_await ledgers.Read(ledger);
    EXPECT_TRUE(open.ok()) << open.status();
    auto closed = open->value.WithClosed(entry, 1'000);
    EXPECT_TRUE(closed.ok()) << closed.status();
    done = (co_await ledgers.Update(ledger, *closed, open->version)).status();
  } else if (change == Change::kBeginFragment) {
    auto open = co_await ledgers.Read(ledger);
    EXPECT_TRUE(open.ok()) << open.status();
    auto longer = open->value.WithEnsembleFrom(entry, {options.id});
    EXPECT_TRUE(longer.ok()) << longer.status();
    done = (co_await ledgers.Update(ledger, *longer, open->version)).status();
  } else {
    auto made = metadata::LedgerMetadata::Create(
        {.replication = {.ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1},
         .fragments = {{.first_entry = EntryId(0), .ensemble = {options.id}}},
         .digest_type = DigestType::kCrc32c,
         .password = "secret"});
    EXPECT_TRUE(made.ok()) << made.status();
    done = (co_await ledgers.CreateWithId(ledger, *made)).status();
  }
  EXPECT_TRUE(done.ok()) << done;
}

Task<void> PutTask(metadata::MetadataStore* store, std::string path, std::string value) {
  const auto put = co_await store->Put(std::move(path), std::move(value), metadata::kAnyVersion);
  EXPECT_TRUE(put.ok()) << put.status();
}

Task<void> GetTask(metadata::MetadataStore* store, std::string path, std::string* value) {
  const auto node = co_await store->Get(std::move(path));
  EXPECT_TRUE(node.ok()) << node.status();
  if (node.ok()) *value = node->value;
}

}  // namespace

BookieOperator::BookieOperator(BookieWorld* world)
    : world_(world),
      process_(world->world().AddProcess(world->machine(), "operator")),
      store_(world->world().NewMetadataStore(world->peer())) {}

void BookieOperator::RunOnMachine(Task<void> task) {
  const absl::Status ran = world_->world().RunToEnd(process_, std::move(task));
  ASSERT_TRUE(ran.ok()) << ran;
}

void BookieOperator::RemoveFile(std::string path) {
  RunOnMachine(RemoveTask(world_->world().env(process_), std::move(path)));
}

bool BookieOperator::Exists(std::string path) {
  bool exists = false;
  RunOnMachine(StatTask(world_->world().env(process_), std::move(path), &exists));
  return exists;
}

std::vector<std::string> BookieOperator::List(std::string directory) {
  std::vector<std::string> names;
  RunOnMachine(ListTask(world_->world().env(process_), std::move(directory), &names));
  return names;
}

std::string BookieOperator::ReadFile(std::string path) {
  std::string content;
  RunOnMachine(ReadTask(world_->world().env(process_), std::move(path), &content));
  return content;
}

void BookieOperator::Overwrite(std::string path, uint64_t offset, std::string bytes) {
  RunOnMachine(
      OverwriteTask(world_->world().env(process_), std::move(path), offset, std::move(bytes)));
}

void BookieOperator::EmptyBelowCookie(std::string current) {
  std::string cookie = ReadFile(StrCat(current, "/", metadata::kCookieFileName));
  ASSERT_TRUE(world_->machine()->disk().Wipe(current));
  RunOnMachine(EmptyTask(world_->world().env(process_), std::move(current), std::move(cookie)));
}

void BookieOperator::CreateLedger(LedgerId ledger) {
  world_->Run(ChangeTask(world_->peer_env(), store_.get(), world_->options(), Change::kCreate,
                         ledger, kNoEntry));
}

void BookieOperator::BeginFragment(LedgerId ledger, EntryId first) {
  world_->Run(ChangeTask(world_->peer_env(), store_.get(), world_->options(),
                         Change::kBeginFragment, ledger, first));
}

void BookieOperator::CloseLedger(LedgerId ledger, EntryId last) {
  world_->Run(ChangeTask(world_->peer_env(), store_.get(), world_->options(), Change::kClose,
                         ledger, last));
}

void BookieOperator::DeleteLedger(LedgerId ledger) {
  world_->Run(ChangeTask(world_->peer_env(), store_.get(), world_->options(), Change::kDelete,
                         ledger, kNoEntry));
}

std::string BookieOperator::ReadNode(std::string path) {
  std::string value;
  world_->Run(GetTask(store_.get(), std::move(path), &value));
  return value;
}

void BookieOperator::PutNode(std::string path, std::string value) {
  world_->Run(PutTask(store_.get(), std::move(path), std::move(value)));
}

}  // namespace stele::bookie
