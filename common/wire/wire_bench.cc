// What the codecs cost per append: a bookie decodes an ADD and encodes its reply, a client the
// reverse.
//   bazel run --config=release //common/wire:wire_bench
#include <string>
#include <utility>
#include <variant>

#include <benchmark/benchmark.h>

#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"
#include "common/wire/wire_test_bytes.h"
#include "proto/bookkeeper.pb.h"

namespace stele::wire {
namespace {

constexpr int64_t kLedger = 123456;
constexpr int64_t kEntry = 7654321;

RequestHeader HeaderOf(ProtocolVersion version, Operation operation) {
  RequestHeader header;
  header.version = version;
  header.operation = operation;
  header.txn_id = 98765432;
  return header;
}

EntryToAdd AddOf(size_t payload_size) {
  const Buffer payload = Buffer::FromString(std::string(payload_size, 'x'));
  EntryToAdd add;
  add.ledger = LedgerId(kLedger);
  add.entry = EntryId(kEntry);
  add.master_key = TestKey();
  add.head = EntryHead({.ledger = LedgerId(kLedger),
                        .entry = EntryId(kEntry),
                        .last_add_confirmed = EntryId(kEntry - 1),
                        .length_bytes = 1 << 30},
                       payload.view(), Digester(DigestType::kCrc32c));
  add.payload = payload;
  return add;
}

Buffer AddFrame(ProtocolVersion version, size_t payload_size) {
  return Flatten(*EncodeAdd(HeaderOf(version, Operation::kAdd), AddOf(payload_size)));
}

void BookieAdd(benchmark::State& state, ProtocolVersion version) {
  const Buffer frame = AddFrame(version, 1024);
  for (auto _ : state) {
    DecodedRequest decoded = DecodeRequest(frame);
    const Request& request = std::get<Request>(decoded);
    const auto& add = std::get<AddRequest>(request.body);
    OutgoingFrame reply = EncodeAddReply(request.header, ReplyCode::kOk, add.ledger, add.entry);
    benchmark::DoNotOptimize(reply);
  }
}
BENCHMARK_CAPTURE(BookieAdd, v2, ProtocolVersion::kV2);
BENCHMARK_CAPTURE(BookieAdd, v3, ProtocolVersion::kV3);

// The same with protobuf's generated code, for comparison.
void BookieAddByProtobuf(benchmark::State& state) {
  namespace pb = bookkeeper_v3;
  const Buffer frame = AddFrame(ProtocolVersion::kV3, 1024);
  for (auto _ : state) {
    pb::Request request;
    request.ParseFromArray(frame.data(), static_cast<int>(frame.size()));
    pb::Response response;
    response.mutable_header()->set_version(pb::VERSION_THREE);
    response.mutable_header()->set_operation(pb::ADD_ENTRY);
    response.mutable_header()->set_txnid(request.header().txnid());
    response.set_status(pb::STATUS_EOK);
    response.mutable_addresponse()->set_status(pb::STATUS_EOK);
    response.mutable_addresponse()->set_ledgerid(request.addrequest().ledgerid());
    response.mutable_addresponse()->set_entryid(request.addrequest().entryid());
    std::string bytes;
    response.SerializeToString(&bytes);
    benchmark::DoNotOptimize(bytes);
  }
}
BENCHMARK(BookieAddByProtobuf);

void DecodeAdd(benchmark::State& state, ProtocolVersion version) {
  const Buffer frame = AddFrame(version, 1024);
  for (auto _ : state) {
    DecodedRequest decoded = DecodeRequest(frame);
    benchmark::DoNotOptimize(decoded);
  }
}
BENCHMARK_CAPTURE(DecodeAdd, v2, ProtocolVersion::kV2);
BENCHMARK_CAPTURE(DecodeAdd, v3, ProtocolVersion::kV3);

void ClientAdd(benchmark::State& state, ProtocolVersion version) {
  const EntryToAdd add = AddOf(1024);
  const RequestHeader header = HeaderOf(version, Operation::kAdd);
  const Buffer reply =
      Flatten(EncodeAddReply(header, ReplyCode::kOk, LedgerId(kLedger), EntryId(kEntry)));
  for (auto _ : state) {
    auto frame = EncodeAdd(header, add);
    benchmark::DoNotOptimize(frame);
    auto decoded = DecodeReply(version, reply);
    benchmark::DoNotOptimize(decoded);
  }
}
BENCHMARK_CAPTURE(ClientAdd, v2, ProtocolVersion::kV2);
BENCHMARK_CAPTURE(ClientAdd, v3, ProtocolVersion::kV3);

void BookieRead(benchmark::State& state, ProtocolVersion version) {
  ReadRequest read;
  read.ledger = LedgerId(kLedger);
  read.entry = EntryId(kEntry);
  const Buffer frame = Flatten(*EncodeRequest({HeaderOf(version, Operation::kRead), read}));
  ReadReply reply;
  reply.ledger = read.ledger;
  reply.entry = read.entry;
  reply.body = Buffer::FromString(std::string(1060, 'x'));
  reply.max_lac = EntryId(kEntry);
  for (auto _ : state) {
    DecodedRequest decoded = DecodeRequest(frame);
    OutgoingFrame out = EncodeReply(std::get<Request>(decoded).header, ReplyCode::kOk, reply);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK_CAPTURE(BookieRead, v2, ProtocolVersion::kV2);
BENCHMARK_CAPTURE(BookieRead, v3, ProtocolVersion::kV3);

}  // namespace
}  // namespace stele::wire
