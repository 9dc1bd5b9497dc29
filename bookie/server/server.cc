#include "bookie/server/server.h"

#include <utility>
#include <variant>

#include "common/base/check.h"
#include "common/base/try.h"
#include "common/wire/reply_codec.h"

namespace stele::bookie {

using wire::ReplyCode;

namespace {

// "10.1.2.3:4567" and "[::1]:4567" without the port.
std::string AddressOf(std::string_view peer) {
  return std::string(peer.substr(0, peer.rfind(':')));
}

}  // namespace

Server::Server(Env env, WriteService* writes, ReadService* reads, ServerLimits limits,
               PeerRequirements requirements, observe::Log* log,
               absl::AnyInvocable<DiskTotals()> disk_totals)
    : env_(env),
      writes_(writes),
      reads_(reads),
      limits_(limits),
      requirements_(std::move(requirements)),
      disk_totals_(std::move(disk_totals)),
      metrics_(env.clock),
      bad_input_(env.clock, log) {}

Server::~Server() { DropPeers(); }

absl::Status Server::Listen(Endpoint at) {
  STELE_TRY(listener_, env_.transport->Listen(std::move(at), limits_.transport, this));
  return absl::OkStatus();
}

void Server::Stop() {
  DropPeers();
  bad_input_.LogTotals();
}

void Server::DropPeers() {
  listener_.reset();
  for (auto& [number, connection] : std::exchange(connections_, {})) connection->Close();
  connections_by_address_.clear();
}

void Server::OnAccept(std::unique_ptr<Connection> connection) {
  const std::string& peer = connection->peer();
  if (connections_.size() >= limits_.connections_max) {
    return RefuseConnection("too_many_connections", peer);
  }
  const std::string address = AddressOf(peer);
  const auto of_address = connections_by_address_.find(address);
  if (of_address != connections_by_address_.end() &&
      of_address->second >= limits_.connections_per_address_max) {
    return RefuseConnection("too_many_connections_of_address", peer);
  }
  ++connections_by_address_[address];
  const uint64_t number = next_connection_++;
  auto accepted = std::make_shared<ServerConnection>(
      env_.executor, this, limits_.connection, &requirements_, &metrics_, std::move(connection),
      [this, number](ServerConnection* closed) { OnClosed(number, closed); });
  connections_.emplace(number, accepted);
  accepted->Start();
}

void Server::RefuseConnection(std::string_view reason, std::string_view peer) {
  ++connections_refused_;
  OnBadInput(reason, peer);
}

void Server::Export(observe::MetricsText& into) const {
  metrics_.Export(into);
  bad_input_.Export(into);
  into.Gauge("stele_conn_open", {}, static_cast<int64_t>(connections_.size()));
  into.Gauge("stele_conn_max", {}, static_cast<int64_t>(limits_.connections_max));
  into.Counter("stele_conn_rejected_total", {}, connections_refused_);
}

void Server::OnClosed(uint64_t number, ServerConnection* closed) {
  reads_->OnSinkClosed(closed);
  const auto of_address = connections_by_address_.find(AddressOf(closed->peer()));
  if (--of_address->second == 0) connections_by_address_.erase(of_address);
  connections_.erase(number);
}

void Server::OnOverload(bool overloaded) {
  // A connection may close while it is updated: walk by number.
  for (uint64_t number = 0; number < next_connection_;) {
    const auto next = connections_.lower_bound(number);
    if (next == connections_.end()) break;
    number = next->first + 1;
    const std::shared_ptr<ServerConnection> connection = next->second;
    connection->Update();
    if (writes_->is_overloaded() != overloaded)
      break;  // it turned meanwhile, and a newer call does the rest
  }
}

wire::GetBookieInfoReply Server::BookieInfo(const wire::GetBookieInfoRequest& request) {
  const DiskTotals totals = disk_totals_();
  wire::GetBookieInfoReply reply;
  if (request.total_disk_capacity) reply.total_disk_capacity_bytes = totals.total_bytes;
  if (request.free_disk_space) reply.free_disk_space_bytes = totals.free_bytes;
  return reply;
}

namespace {
template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
}  // namespace

void Server::Route(const ReplySinkPtr& sink, wire::Request request) {
  const wire::RequestHeader& header = request.header;
  std::visit(
      Overloaded{
          [&](wire::AddRequest& add) { writes_->Add(sink, header, std::move(add)); },
          [&](wire::ReadRequest& read) { reads_->Read(sink, header, std::move(read)); },
          [&](wire::BatchReadRequest& read) { reads_->BatchRead(sink, header, std::move(read)); },
          [&](wire::WriteLacRequest& lac) { writes_->WriteLac(sink, header, std::move(lac)); },
          [&](wire::ReadLacRequest& lac) { reads_->ReadLac(sink, header, lac); },
          [&](wire::ForceLedgerRequest& force) { writes_->Force(sink, header, force); },
          [&](wire::GetBookieInfoRequest& info) {
            sink->Reply(header, ReplyCode::kOk, BookieInfo(info));
          },
          [&](wire::ListEntriesRequest& list) { reads_->ListEntries(sink, header, list); },
          // No exchange is configured, or this peer is in already: whoever asks is told so.
          [&](wire::AuthRequest&) {
            sink->Reply(header, ReplyCode::kOk,
                        wire::AuthReply{std::string(wire::kAuthDisabledPlugin), ""});
          },
          [&](wire::StartTlsRequest&) {
            STELE_CHECK(false);  // the connection's own
          },
      },
      request.body);
}

}  // namespace stele::bookie
