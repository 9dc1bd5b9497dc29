// Server: accepts peers and routes their requests to the services of the node.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "bookie/server/bad_input.h"
#include "bookie/server/read_service.h"
#include "bookie/server/request_metrics.h"
#include "bookie/server/server_connection.h"
#include "bookie/server/write_service.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct DiskTotals {
  uint64_t total_bytes = 0;  // over all ledger directories, each file system counted once
  uint64_t free_bytes = 0;
};

struct ServerLimits {
  ConnectionLimits connection;
  TransportLimits transport;
  size_t connections_max = 10'000;
  size_t connections_per_address_max = 512;  // so that one peer cannot take them all
};

class Server final : public RequestRouter, private AcceptHandler {
 public:
  // All pointers outlive the server. requirements: of each peer; disk_totals: the last known
  // figures, for GET_BOOKIE_INFO.
  Server(Env env, WriteService* writes, ReadService* reads, ServerLimits limits,
         PeerRequirements requirements, observe::Log* log,
         absl::AnyInvocable<DiskTotals()> disk_totals);
  ~Server() override;

  absl::Status Listen(Endpoint at);
  Endpoint endpoint() const { return listener_->endpoint(); }

  // The write service's overload began or ended.
  void OnOverload(bool overloaded);

  // Takes no new peers, drops those that are there, and logs how often each kind of bad input came.
  void Stop();

  size_t connections() const { return connections_.size(); }
  void Export(observe::MetricsText& into) const;

 private:
  void OnAccept(std::unique_ptr<Connection> connection) override;
  void Route(const ReplySinkPtr& sink, wire::Request request) override;
  bool is_overloaded() const override { return writes_->is_overloaded(); }
  void OnBadInput(std::string_view reason, std::string_view peer) override {
    bad_input_.Count(reason, peer);
  }
  void DropPeers();
  void RefuseConnection(std::string_view reason, std::string_view peer);
  void OnClosed(uint64_t number, ServerConnection* closed);
  wire::GetBookieInfoReply BookieInfo(const wire::GetBookieInfoRequest& request);

  Env env_;
  WriteService* writes_;
  ReadService* reads_;
  ServerLimits limits_;
  const PeerRequirements requirements_;
  absl::AnyInvocable<DiskTotals()> disk_totals_;
  RequestMetrics metrics_;
  std::unique_ptr<Listener> listener_;
  // By order of arrival, so that who is served first after an overload does not depend on
  // addresses.
  std::map<uint64_t, std::shared_ptr<ServerConnection>> connections_;
  uint64_t next_connection_ = 0;
  absl::flat_hash_map<std::string, size_t> connections_by_address_;  // looked up only
  int64_t connections_refused_ = 0;
  BadInput bad_input_;
};

}  // namespace stele::bookie
