// What the acceptance scenarios of the writing side share (docs/PROTOCOL.md lists them): they play
// against fake bookies. Unless one says otherwise: three bookies, two acknowledgements, spares.
#pragma once

#include <functional>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "client/client.h"
#include "client/testing/test_cluster.h"

namespace stele::client {

using AppendFuture = std::future<absl::StatusOr<EntryId>>;

inline constexpr quorum::Replication kThreeTwo{3, 3, 2};

inline FakeBookie::Action RefuseAdds(const wire::Request& request) {
  return IsAdd(request) ? FakeBookie::Refuse(wire::ReplyCode::kIoError) : FakeBookie::kServe;
}
inline FakeBookie::Action HoldAddReplies(const wire::Request& request) {
  return IsAdd(request) ? FakeBookie::kHoldReply : FakeBookie::kServe;
}
inline FakeBookie::Action IgnoreAdds(const wire::Request& request) {
  return IsAdd(request) ? FakeBookie::kIgnore : FakeBookie::kServe;
}

// Each scenario runs under several seeds, that is, orders of events.
class WriteScenarios : public testing::TestWithParam<uint64_t> {
 protected:
  WriteScenarios() : cluster(GetParam()) {}

  // A writer on the bookies that there are; `spares` more are registered afterwards.
  WriteHandle Writer(quorum::Replication replication, int spares, ClientOptions options = {},
                     std::function<void(CreateLedgerBuilder&)> setup = nullptr) {
    cluster.AddBookies(replication.ensemble_size);
    Client& client = cluster.NewClient("writer", options);
    CreateLedgerBuilder builder = client.CreateLedger();
    builder.Replication(replication);
    if (setup) setup(builder);
    WriteHandle writer = cluster.Get(builder.Create(UseFuture())).value();
    ensemble = cluster.LastEnsemble(writer.id());
    cluster.AddBookies(spares);
    return writer;
  }
  FakeBookie& at(size_t index) { return cluster.bookie(ensemble[index]); }
  GatedStore& store() { return cluster.store("writer"); }
  void Settle() { cluster.RunFor(absl::Milliseconds(100)); }

  ErrorCode Result(AppendFuture future) { return CodeOf(cluster.Get(std::move(future)).status()); }
  ErrorCode AppendNow(WriteHandle& writer) {
    return Result(writer.Append(Buffer::CopyOf("payload"), UseFuture()));
  }
  AppendFuture AppendLater(WriteHandle& writer) {
    return writer.Append(Buffer::CopyOf("payload"), UseFuture());
  }
  ErrorCode AppendAt(WriteHandle& writer, int64_t entry, const std::string& payload = "payload") {
    return Result(writer.AppendAt(EntryId(entry), Buffer::CopyOf(payload), UseFuture()));
  }
  std::vector<int64_t> FragmentStarts(LedgerId id) {
    std::vector<int64_t> starts;
    const metadata::LedgerMetadata metadata = cluster.ReadMetadata(id).value;
    for (const metadata::Fragment& fragment : metadata.fragments()) {
      starts.push_back(fragment.first_entry.value());
    }
    return starts;
  }

  TestCluster cluster;
  metadata::Ensemble ensemble;
};

}  // namespace stele::client
