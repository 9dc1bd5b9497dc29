// Stele's client behind the commands of driver.h: the counterpart of LedgerDriver.java. A line in,
// a line out. Arguments are key=value, named as in Apache's client configuration.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <sstream>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "bookie/config/tls_keys.h"
#include "client/real.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "integration_tests/java/payload.h"

namespace stele::integration {
namespace {

using client::Entry;
using client::ReadHandle;
using client::WriteHandle;
using Words = std::vector<std::string>;
using Options = std::map<std::string, std::string>;
using Answer = absl::StatusOr<std::string>;

int64_t Number(const std::string& word) { return std::strtoll(word.c_str(), nullptr, 10); }

Options OptionsOf(const Words& words, size_t from) {
  Options options;
  for (size_t i = from; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    options[words[i].substr(0, equals)] = words[i].substr(equals + 1);
  }
  return options;
}

std::string Get(const Options& options, const std::string& key, const std::string& otherwise) {
  const auto found = options.find(key);
  return found == options.end() ? otherwise : found->second;
}

const std::map<std::string, DigestType> kDigests = {{"crc32", DigestType::kCrc32},
                                                    {"mac", DigestType::kMac},
                                                    {"crc32c", DigestType::kCrc32c},
                                                    {"dummy", DigestType::kDummy}};

// "COUNT BYTES" of entries whose payloads are those that the drivers write.
Answer Checked(const std::vector<Entry>& entries) {
  size_t bytes = 0;
  for (const Entry& entry : entries) {
    if (entry.payload.ToString() != PayloadOf(entry.ledger, entry.id, entry.payload.size())) {
      return MakeError(ErrorCode::kCorruptData,
                       StrCat("entry ", entry.id.value(), " has other bytes"));
    }
    bytes += entry.payload.size();
  }
  return StrCat(entries.size(), " ", bytes);
}

// Appends with a bound on those outstanding, and what became of them.
class Load {
 public:
  Load(WriteHandle* handle, size_t size, int outstanding, const std::string& log_path)
      : handle_(handle), size_(size), outstanding_(outstanding), room_(outstanding) {
    if (!log_path.empty()) log_ = std::fopen(log_path.c_str(), "a");
  }
  ~Load() {
    if (log_ != nullptr) std::fclose(log_);
  }

  void Send() {
    room_.acquire();
    const EntryId entry = next_;
    next_ = EntryId(next_.value() + 1);
    handle_->Append(Buffer::CopyOf(PayloadOf(handle_->id(), entry, size_)),
                    [this, entry](absl::StatusOr<EntryId> id) {
                      Done(entry, id);
                      room_.release();
                    });
  }

  void Start() {
    thread_ = std::thread([this] {
      while (!stopping_ && ok()) Send();
    });
  }

  void AwaitAll() {
    for (int i = 0; i < outstanding_; ++i) room_.acquire();
    room_.release(outstanding_);
  }

  std::string Stop() {
    stopping_ = true;
    thread_.join();
    AwaitAll();
    return StrCat(acknowledged_.load(), " ", last_.load(), " ",
                  ok() ? "-" : std::string(NameOf(CodeOf(error()))));
  }

  bool ok() const { return !failed_; }
  absl::Status error() const {
    const std::lock_guard lock(mutex_);
    return error_;
  }
  int64_t acknowledged() const { return acknowledged_; }
  int64_t last() const { return last_; }
  int64_t sent() const { return next_.value() - first_.value(); }

 private:
  void Done(EntryId entry, const absl::StatusOr<EntryId>& id) {
    const std::lock_guard lock(mutex_);
    if (!id.ok() || *id != entry) {
      if (error_.ok()) {
        error_ = id.ok() ? MakeError(ErrorCode::kCorruptData, "another entry id") : id.status();
      }
      failed_ = true;
      return;
    }
    ++acknowledged_;
    last_ = id->value();
    if (log_ == nullptr) return;
    std::fprintf(log_, "%lld\n", static_cast<long long>(id->value()));
    std::fflush(log_);
  }

  WriteHandle* const handle_;
  const size_t size_;
  const int outstanding_;
  std::counting_semaphore<> room_;
  std::FILE* log_ = nullptr;
  const EntryId first_ = EntryId(handle_->last_add_pushed().value() + 1);
  EntryId next_ = first_;
  std::atomic<int64_t> acknowledged_ = 0;
  std::atomic<int64_t> last_ = -1;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> failed_ = false;
  mutable std::mutex mutex_;
  absl::Status error_;
  std::thread thread_;
};

class Driver {
 public:
  explicit Driver(std::unique_ptr<client::Connection> connection)
      : connection_(std::move(connection)) {}

  Answer CarryOut(const Words& words) {
    using Command = Answer (Driver::*)(const Words&);
    static const std::map<std::string, Command> commands = {
        {"create", &Driver::Create},
        {"open", &Driver::Open},
        {"append", &Driver::Append},
        {"append-at", &Driver::AppendAt},
        {"load", &Driver::StartLoad},
        {"load-stop", &Driver::StopLoad},
        {"read", &Driver::Read},
        {"read-unconfirmed", &Driver::ReadUnconfirmed},
        {"read-batch", &Driver::ReadBatch},
        {"lac", &Driver::Lac},
        {"read-lac", &Driver::ReadLac},
        {"try-read-lac", &Driver::ReadLac},
        {"wait", &Driver::Wait},
        {"force", &Driver::Force},
        {"close", &Driver::Close},
        {"delete", &Driver::Delete},
        {"metadata", &Driver::Metadata},
        {"list", &Driver::List},
    };
    const auto command = commands.find(words[0]);
    if (command == commands.end()) {
      return MakeError(ErrorCode::kInvalidArgument, "no such command");
    }
    return (this->*command->second)(words);
  }

 private:
  client::Client& client() { return connection_->client(); }
  WriteHandle& writer(const std::string& name) { return *writers_.at(name); }
  ReadHandle& reader(const std::string& name) { return *readers_.at(name); }

  // create NAME [e= w= a= digest= password= id= adv=1 deferred=1 custom.KEY=VALUE]
  Answer Create(const Words& words) {
    const Options options = OptionsOf(words, 2);
    client::CreateLedgerBuilder builder = client().CreateLedger();
    builder
        .Replication({.ensemble_size = static_cast<int>(Number(Get(options, "e", "3"))),
                      .write_quorum_size = static_cast<int>(Number(Get(options, "w", "2"))),
                      .ack_quorum_size = static_cast<int>(Number(Get(options, "a", "2")))})
        .Digest(kDigests.at(Get(options, "digest", "crc32")))
        .Password(Get(options, "password", ""));
    std::map<std::string, std::string> custom;
    for (const auto& [key, value] : options) {
      if (key.starts_with("custom.")) custom[key.substr(7)] = value;
    }
    builder.CustomMetadata(custom);
    if (options.contains("id")) builder.Id(LedgerId(Number(options.at("id"))));
    if (options.contains("id") || options.contains("adv")) builder.CallerAssignsEntryIds();
    if (options.contains("deferred")) builder.DeferredSync();
    STELE_TRY(WriteHandle handle, builder.Create(UseFuture()).get());
    const LedgerId id = handle.id();
    writers_[words[1]] = std::make_unique<WriteHandle>(std::move(handle));
    return StrCat(id.value());
  }

  // open NAME LEDGER [password= recover=1]; the digest type is that of the metadata.
  Answer Open(const Words& words) {
    const Options options = OptionsOf(words, 3);
    client::OpenLedgerBuilder builder = client().OpenLedger(LedgerId(Number(words[2])));
    builder.Password(Get(options, "password", ""));
    if (options.contains("recover")) builder.Recover();
    STELE_TRY(ReadHandle handle, builder.Open(UseFuture()).get());
    std::string answer =
        StrCat(handle.last_add_confirmed().value(), " ", handle.is_closed() ? "closed" : "open");
    readers_[words[1]] = std::make_unique<ReadHandle>(std::move(handle));
    return answer;
  }

  // append NAME SIZE COUNT OUTSTANDING
  Answer Append(const Words& words) {
    Load load(&writer(words[1]), Number(words[2]), static_cast<int>(Number(words[4])), "");
    const int64_t count = Number(words[3]);
    while (load.sent() < count && load.ok()) load.Send();
    load.AwaitAll();
    if (!load.ok()) {
      return WithContext(load.error(), StrCat("acknowledged ", load.acknowledged()));
    }
    return StrCat(load.last());
  }

  // append-at NAME SIZE ENTRY...: all at once, in the order given.
  Answer AppendAt(const Words& words) {
    WriteHandle& handle = writer(words[1]);
    std::vector<std::future<absl::StatusOr<EntryId>>> pending;
    for (size_t i = 3; i < words.size(); ++i) {
      const EntryId entry(Number(words[i]));
      pending.push_back(handle.AppendAt(
          entry, Buffer::CopyOf(PayloadOf(handle.id(), entry, Number(words[2]))), UseFuture()));
    }
    for (auto& one : pending) {
      STELE_TRY_OK(one.get().status());
    }
    return StrCat(handle.last_add_confirmed().value());
  }

  // load NAME SIZE OUTSTANDING FILE
  Answer StartLoad(const Words& words) {
    auto load = std::make_unique<Load>(&writer(words[1]), Number(words[2]),
                                       static_cast<int>(Number(words[3])), words[4]);
    load->Start();
    loads_[words[1]] = std::move(load);
    return std::string();
  }

  Answer StopLoad(const Words& words) {
    std::string answer = loads_.at(words[1])->Stop();
    loads_.erase(words[1]);
    return answer;
  }

  Answer Read(const Words& words) {
    std::vector<Entry> all;
    const int64_t last = Number(words[3]);
    for (int64_t from = Number(words[2]); from <= last; from += 100) {
      const EntryId until(std::min(last, from + 99));
      STELE_TRY(std::vector<Entry> part,
                reader(words[1]).Read(EntryId(from), until, UseFuture()).get());
      all.insert(all.end(), part.begin(), part.end());
    }
    return Checked(all);
  }

  Answer ReadUnconfirmed(const Words& words) {
    STELE_TRY(
        const std::vector<Entry> entries,
        reader(words[1])
            .ReadUnconfirmed(EntryId(Number(words[2])), EntryId(Number(words[3])), UseFuture())
            .get());
    return Checked(entries);
  }

  Answer ReadBatch(const Words& words) {
    STELE_TRY(const std::vector<Entry> entries,
              reader(words[1])
                  .ReadBatch(EntryId(Number(words[2])), static_cast<int32_t>(Number(words[3])),
                             Number(words[4]), UseFuture())
                  .get());
    return Checked(entries);
  }

  Answer Lac(const Words& words) {
    const auto reader = readers_.find(words[1]);
    return StrCat((reader == readers_.end() ? writer(words[1]).last_add_confirmed()
                                            : reader->second->last_add_confirmed())
                      .value());
  }

  Answer ReadLac(const Words& words) {
    STELE_TRY(const EntryId lac, reader(words[1]).ReadLastAddConfirmed(UseFuture()).get());
    return StrCat(lac.value());
  }

  // wait NAME ENTRY MILLISECONDS
  Answer Wait(const Words& words) {
    STELE_TRY(const client::LacAndEntry found,
              reader(words[1])
                  .WaitForEntry(EntryId(Number(words[2])), absl::Milliseconds(Number(words[3])),
                                UseFuture())
                  .get());
    const std::string lac = StrCat(found.last_add_confirmed.value());
    if (!found.entry.has_value()) return lac + " none";
    STELE_TRY_OK(Checked({*found.entry}).status());
    return StrCat(lac, " ", found.entry->id.value());
  }

  Answer Force(const Words& words) {
    STELE_TRY_OK(writer(words[1]).Force(UseFuture()).get());
    return std::string();
  }

  Answer Close(const Words& words) {
    readers_.erase(words[1]);
    if (!writers_.contains(words[1])) return std::string();
    const absl::Status closed = writer(words[1]).Close(UseFuture()).get();
    STELE_TRY_OK(closed);
    return std::string();
  }

  Answer Delete(const Words& words) {
    STELE_TRY_OK(client().DeleteLedger(LedgerId(Number(words[1])), UseFuture()).get());
    return std::string();
  }

  Answer List(const Words&) {
    STELE_TRY(const std::vector<LedgerId> ids, client().ListLedgers(UseFuture()).get());
    std::string answer;
    for (const LedgerId id : ids) answer += StrCat(answer.empty() ? "" : " ", id.value());
    return answer;
  }

  Answer Metadata(const Words& words) {
    STELE_TRY(const metadata::LedgerMetadata metadata,
              client().ReadMetadata(LedgerId(Number(words[1])), UseFuture()).get());
    return Describe(metadata);
  }

  static std::string Describe(const metadata::LedgerMetadata& metadata) {
    const metadata::LedgerMetadataFields& fields = metadata.fields();
    std::string fragments;
    for (const metadata::Fragment& fragment : fields.fragments) {
      fragments += StrCat(fragments.empty() ? "" : ";", fragment.first_entry.value(), ":");
      bool first = true;
      for (const BookieId& bookie : fragment.ensemble) {
        fragments += StrCat(first ? "" : ",", bookie.value());
        first = false;
      }
    }
    std::string custom;
    for (const auto& [key, value] : fields.custom_metadata) {
      custom += StrCat(custom.empty() ? "" : ",", key, ":", value);
    }
    std::string digest;
    for (const auto& [name, type] : kDigests) {
      if (type == fields.digest_type) digest = name;
    }
    static constexpr const char* kStates[] = {"open", "in_recovery", "closed"};
    const quorum::Replication& copies = fields.replication;
    return StrCat(
        "state=", kStates[static_cast<int>(fields.state)],
        " last=", metadata.IsClosed() ? fields.last_entry.value() : -1,
        " length=", metadata.IsClosed() ? fields.length_bytes : 0, " e=", copies.ensemble_size,
        " w=", copies.write_quorum_size, " a=", copies.ack_quorum_size, " digest=", digest,
        " format=", static_cast<int>(fields.format), " custom=", custom, " fragments=", fragments);
  }

  std::unique_ptr<client::Connection> connection_;
  std::map<std::string, std::unique_ptr<WriteHandle>> writers_;
  std::map<std::string, std::unique_ptr<ReadHandle>> readers_;
  std::map<std::string, std::unique_ptr<Load>> loads_;
};

Words WordsOf(const std::string& line) {
  std::istringstream stream(line);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// The keys of TLS are those of Apache's file of a client.
absl::Status UseTls(const Options& arguments, client::ClientOptions& options) {
  std::string text;
  for (const auto& [key, value] : arguments) text += StrCat(key, "=", value, "\n");
  STELE_TRY(const bookie::TlsSettings tls, bookie::ParseClientTls(text));
  if (!tls.is_on) return absl::OkStatus();
  STELE_TRY(options.tls, real::LoadTlsCredentials(tls.files));
  options.tls_verifies_name = tls.verifies_server_name;
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  const Options arguments = OptionsOf(Words(argv, argv + argc), 1);
  client::ClientOptions options;
  options.explicit_lac_interval =
      absl::Milliseconds(Number(Get(arguments, "explicitLacInterval", "0")));
  options.add_timeout = absl::Seconds(Number(Get(arguments, "addEntryTimeoutSec", "5")));
  options.read_timeout = absl::Seconds(Number(Get(arguments, "readEntryTimeoutSec", "5")));
  const absl::Status secured = UseTls(arguments, options);
  if (!secured.ok()) {
    std::cerr << secured << "\n";
    return 1;
  }
  auto connection = client::Connection::Open(arguments.at("metadataServiceUri"), options);
  if (!connection.ok()) {
    std::cerr << connection.status() << "\n";
    return 1;
  }
  Driver driver(*std::move(connection));
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const Answer answer = driver.CarryOut(WordsOf(line));
    if (answer.ok()) {
      std::cout << (answer->empty() ? "ok" : "ok " + *answer) << std::endl;
    } else {
      std::string text(answer.status().message());
      std::replace(text.begin(), text.end(), '\n', ' ');
      std::cout << "error " << NameOf(CodeOf(answer.status())) << " " << text << std::endl;
    }
  }
  // As a process that ends without a word: ledgers stay open, threads are not waited for.
  std::fflush(nullptr);
  std::_Exit(0);
}

}  // namespace
}  // namespace stele::integration

int main(int argc, char** argv) { return stele::integration::Main(argc, argv); }
