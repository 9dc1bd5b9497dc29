// A replicated key-value store on Stele, in one file, to copy from.
//
// Every change is an entry. The entries are in a chain of ledgers: reign r of the store, the time
// of one primary, is ledger base + r. A primary answers "ok" when its entry is acknowledged, so a
// change that was answered is on enough bookies to outlive any one of them, and the primary. A
// standby tails the chain. To take over it opens each ledger *with recovery*: that fences the old
// primary (none of its later changes is acknowledged), finds the true end, and closes the ledger.
// Then it replays what it has not seen and begins the next ledger. Creating base + r succeeds for
// one process only, so two standbys cannot both reign.
//
//   kv_store primary --metadata URI --base 1000     reads "set KEY VALUE" and "get KEY" lines
//   kv_store standby --metadata URI --base 1000     follows; on the line "takeover" it is the
//   primary
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "client/real.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace {

using stele::Buffer;
using stele::CodeOf;
using stele::EntryId;
using stele::ErrorCode;
using stele::LedgerId;
using stele::UseFuture;
using stele::client::Connection;
using stele::client::Entry;
using stele::client::ReadHandle;
using stele::client::WriteHandle;

constexpr char kPassword[] = "kv-store example";
constexpr stele::quorum::Replication kReplication{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};
constexpr int64_t kEntriesPerRead = 1000;
constexpr absl::Duration kPollTime = absl::Milliseconds(500);  // "takeover" is heard within it

constexpr std::chrono::milliseconds kRetryTime(100);

// A change is stored as "KEY\tVALUE".
std::string ChangeOf(const std::string& key, const std::string& value) {
  return key + "\t" + value;
}

// The state machine: what all changes so far amount to.
class Table {
 public:
  void Apply(std::string_view change) {
    const size_t tab = change.find('\t');
    if (tab == std::string_view::npos) return;  // not ours; nobody else writes here
    values_[std::string(change.substr(0, tab))] = std::string(change.substr(tab + 1));
  }
  const std::string* Find(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }
  size_t size() const { return values_.size(); }

 private:
  std::map<std::string, std::string> values_;
};

class Store {
 public:
  Store(Connection* connection, int64_t base) : connection_(connection), base_(base) {}

  // Follows the primary until stop() says so: applies each change as it is acknowledged.
  absl::Status Follow(const std::function<bool()>& stop) {
    while (!stop()) {
      auto opened = Open(LedgerOf(reign_)).Open(UseFuture()).get();
      if (CodeOf(opened.status()) == ErrorCode::kNoSuchLedgerMetadata) {
        std::this_thread::sleep_for(kRetryTime);  // nobody reigns yet
        continue;
      }
      if (!opened.ok()) return opened.status();
      ReadHandle reader = *std::move(opened);
      while (!stop() && !(reader.is_closed() && next_ > reader.last_add_confirmed())) {
        auto news = reader.WaitForEntry(next_, kPollTime, UseFuture()).get();
        if (!news.ok()) return news.status();
        if (news->entry.has_value()) Apply(*news->entry);
        STELE_TRY_OK(Replay(reader));  // what became known together with it
      }
      if (!stop()) NextReign();  // the ledger is closed and all of it is applied
    }
    return absl::OkStatus();
  }

  // Ends all earlier reigns and begins one of our own.
  absl::Status TakeOver() {
    for (;;) {
      auto opened = Open(LedgerOf(reign_)).Recover().Open(UseFuture()).get();
      if (opened.ok()) {
        STELE_TRY_OK(Replay(*opened));
        NextReign();
        continue;
      }
      if (CodeOf(opened.status()) != ErrorCode::kNoSuchLedgerMetadata) return opened.status();
      auto created = connection_->client()
                         .CreateLedger()
                         .Id(LedgerOf(reign_))
                         .Replication(kReplication)
                         .Password(kPassword)
                         .Digest(stele::DigestType::kCrc32c)
                         .Create(UseFuture())
                         .get();
      if (created.ok()) {
        writer_.emplace(*std::move(created));
        return absl::OkStatus();
      }
      // Another standby was faster: its reign is the one to end now.
      if (CodeOf(created.status()) != ErrorCode::kLedgerExists) return created.status();
    }
  }

  // Durable, and seen by every later primary, when it returns ok. After an error the change may or
  // may not have happened, and this process no longer reigns.
  absl::Status Set(const std::string& key, const std::string& value) {
    const std::string change = ChangeOf(key, value);
    STELE_TRY_OK(writer_->Append(Buffer::CopyOf(change), UseFuture()).get().status());
    table_.Apply(change);
    return absl::OkStatus();
  }

  const std::string* Get(const std::string& key) const { return table_.Find(key); }
  int64_t reign() const { return reign_; }
  size_t size() const { return table_.size(); }

  absl::Status Close() { return writer_->Close(UseFuture()).get(); }

 private:
  LedgerId LedgerOf(int64_t reign) const { return LedgerId(base_ + reign); }

  stele::client::OpenLedgerBuilder Open(LedgerId ledger) {
    stele::client::OpenLedgerBuilder builder = connection_->client().OpenLedger(ledger);
    builder.Password(kPassword);
    return builder;
  }

  // Applies what is confirmed in this ledger and was not seen yet.
  absl::Status Replay(ReadHandle& reader) {
    const EntryId last = reader.last_add_confirmed();
    while (next_ <= last) {
      const EntryId to(std::min(last.value(), next_.value() + kEntriesPerRead - 1));
      STELE_TRY(std::vector<Entry> entries, reader.Read(next_, to, UseFuture()).get());
      for (const Entry& entry : entries) Apply(entry);
    }
    return absl::OkStatus();
  }

  void Apply(const Entry& entry) {
    table_.Apply(entry.payload.view());
    next_ = entry.id.Next();
  }

  void NextReign() {
    ++reign_;
    next_ = EntryId(0);
  }

  Connection* connection_;
  const int64_t base_;
  int64_t reign_ = 0;
  EntryId next_{0};  // the first entry of this reign that is not applied
  Table table_;
  std::optional<WriteHandle> writer_;
};

// Answers "set" and "get" lines until the input ends.
absl::Status Serve(Store& store) {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string verb;
    std::string key;
    std::string value;
    words >> verb >> key;
    std::getline(words >> std::ws, value);
    if (verb == "set" && !key.empty()) {
      STELE_TRY_OK(store.Set(key, value));
      std::cout << "ok " << key << std::endl;
    } else if (verb == "get" && !key.empty()) {
      const std::string* found = store.Get(key);
      std::cout << (found == nullptr ? "none " + key : "value " + key + " " + *found) << std::endl;
    } else {
      std::cout << "error: expected 'set KEY VALUE' or 'get KEY'" << std::endl;
    }
  }
  return store.Close();
}

// Waits for "takeover" on a thread of its own while the main one follows.
absl::Status FollowUntilToldToTakeOver(Store& store) {
  std::mutex mutex;
  bool told = false;
  std::thread input([&] {
    std::string line;
    while (std::getline(std::cin, line) && line != "takeover") {
    }
    const std::lock_guard<std::mutex> lock(mutex);
    told = true;
  });
  const absl::Status followed = store.Follow([&] {
    const std::lock_guard<std::mutex> lock(mutex);
    return told;
  });
  input.join();
  return followed;
}

absl::Status Run(const std::string& role, const std::string& uri, int64_t base) {
  stele::client::ClientOptions options;
  options.explicit_lac_interval = absl::Milliseconds(50);  // standbys see the last change soon
  STELE_TRY(std::unique_ptr<Connection> connection, Connection::Open(uri, options));
  Store store(connection.get(), base);
  if (role == "standby") {
    std::cout << "following" << std::endl;
    STELE_TRY_OK(FollowUntilToldToTakeOver(store));
  }
  STELE_TRY_OK(store.TakeOver());
  std::cout << "primary of reign " << store.reign() << " with " << store.size() << " keys"
            << std::endl;
  return Serve(store);
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 2; i + 1 < argc; i += 2) flags[argv[i]] = argv[i + 1];
  const std::string role = argc > 1 ? argv[1] : "";
  if ((role != "primary" && role != "standby") || flags["--metadata"].empty()) {
    std::fprintf(stderr, "usage: kv_store primary|standby --metadata URI [--base LEDGER_ID]\n");
    return 2;
  }
  const int64_t base = flags["--base"].empty() ? 1000 : std::atoll(flags["--base"].c_str());
  const absl::Status status = Run(role, flags["--metadata"], base);
  if (status.ok()) return 0;
  std::fprintf(stderr, "kv_store: %s\n", std::string(status.message()).c_str());
  return 1;
}
