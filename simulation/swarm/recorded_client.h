// A client whose calls go into the history: thin covers of Client, WriteHandle and ReadHandle that
// write down what was asked and what came back. All on the client's shard.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "simulation/swarm/stage.h"

namespace stele::simulation {

// Where a call comes from. The process outlives every task of it.
struct Caller {
  Stage* stage = nullptr;
  std::string process;
  Env env;
  client::Client* client = nullptr;
};

class RecordedWriter {
 public:
  RecordedWriter(Caller caller, client::WriteHandle handle, int64_t number)
      : caller_(std::move(caller)), handle_(std::move(handle)), number_(number) {}

  LedgerId id() const { return handle_.id(); }
  // The id of the next entry.
  EntryId next() const { return next_; }
  EntryId last_add_confirmed() const { return handle_.last_add_confirmed(); }

  using Done = std::function<void(const absl::Status&)>;
  // Appends self-describing bytes; `done` comes once, unless the process crashes first. The writer
  // stays until then.
  void Append(size_t size_bytes, Done done);
  // On a handle whose caller assigns ids.
  void AppendAt(EntryId entry, size_t size_bytes, Done done);
  Task<absl::Status> Force();
  Task<absl::Status> Close();

 private:
  // Writes it down; gives the callback.
  Callback<EntryId> Record(EntryId entry, size_t size_bytes, Done done, Buffer* payload);

  Caller caller_;
  client::WriteHandle handle_;
  int64_t number_;
  EntryId next_{0};
  int64_t attempts_ = 0;
};

class RecordedReader {
 public:
  RecordedReader(Caller caller, client::ReadHandle handle, int64_t number)
      : caller_(std::move(caller)), handle_(std::move(handle)), number_(number) {}

  LedgerId id() const { return handle_.id(); }
  EntryId last_add_confirmed() const { return handle_.last_add_confirmed(); }
  bool is_closed() const { return handle_.is_closed(); }

  Task<absl::Status> Read(EntryId first, EntryId last);
  Task<absl::Status> ReadUnconfirmed(EntryId first, EntryId last);
  Task<absl::Status> ReadBatch(EntryId first, int32_t count_max, int64_t size_max_bytes);
  Task<absl::Status> ReadLac();
  Task<absl::Status> Wait(EntryId entry, absl::Duration timeout);
  // The next entry of the stream; false at the end. `expected` is its id.
  Task<absl::StatusOr<bool>> Next(client::TailStream* stream, EntryId expected);
  client::TailStream Tail(EntryId first) const { return handle_.Tail(first); }

 private:
  history::Question Ask(history::Operation operation) const;
  absl::Status Record(int64_t call, const absl::StatusOr<std::vector<client::Entry>>& entries);

  Caller caller_;
  client::ReadHandle handle_;
  int64_t number_;
};

struct CreateOptions {
  quorum::Replication replication;
  bool deferred_sync = false;
  bool caller_ids = false;
  std::optional<LedgerId> id = std::nullopt;
};

// A writer is shared by those of its callbacks that are under way.
Task<absl::StatusOr<std::shared_ptr<RecordedWriter>>> CreateRecorded(Caller caller,
                                                                     CreateOptions options);
Task<absl::StatusOr<RecordedReader>> OpenRecorded(Caller caller, LedgerId ledger, bool recover);
Task<absl::Status> DeleteRecorded(Caller caller, LedgerId ledger);
Task<absl::Status> ReadMetadataRecorded(Caller caller, LedgerId ledger);

}  // namespace stele::simulation
