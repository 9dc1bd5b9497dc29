#include "client/internal/wire_bookie_client.h"

#include <utility>
#include <variant>

#include "common/async/yield.h"

namespace stele::client {

class WireBookieClient::WireBookie : public Bookie {
 public:
  WireBookie(WireBookieClient* client, BookieId id)
      : client_(client),
        id_(std::move(id)),
        debt_(client->env_.executor, client->options_.add_debt),
        v2_(client->env_, id_, client->options_.lane, &client->addresses_, &debt_),
        v3_(client->env_, id_, client->options_.lane, &client->addresses_, &debt_),
        large_(client->env_, id_, client->options_.lane, &client->addresses_, &debt_) {}

  const BookieId& id() const override { return id_; }

  void Add(const OutgoingAdd& add, AddSink* sink, const AddTag& tag) override {
    if (LargeAddLane::IsFor(add)) {
      large_.Add(add, sink, tag);
    } else if (!add.v2_frame().has_value() || !v2_.Add(add, sink, tag)) {
      v3_.Add(add, sink, tag);
    }
    StopAgain();
  }

  void Call(wire::RequestBody request, const CallOptions& options, AnswerCallback done) override {
    if (V2Lane::CanSend(request) && options.timeout == absl::InfiniteDuration()) {
      v2_.Call(std::move(request), options.high_priority, std::move(done));
    } else {
      v3_.Call(std::move(request), options, std::move(done));
    }
    StopAgain();
  }

  bool HasRoom() const override { return debt_.HasRoom(); }
  void CallWhenRoom(AddSink* sink) override { debt_.CallWhenRoom(sink); }

  void DropSink(AddSink* sink) {
    v2_.DropSink(sink);
    v3_.DropSink(sink);
    large_.DropSink(sink);
    debt_.DropSink(sink);
  }

  void Stop() {
    v2_.Stop();
    v3_.Stop();
    large_.Stop();
  }

 private:
  void StopAgain() {
    if (client_->is_stopped_) client_->tasks_.Spawn(StopNextTurn(this));
  }
  static Task<void> StopNextTurn(WireBookie* bookie) {
    co_await Yield(bookie->client_->env_.executor);
    bookie->Stop();
  }

  WireBookieClient* client_;
  const BookieId id_;
  AddDebt debt_;
  V2Lane v2_;
  V3Lane v3_;
  LargeAddLane large_;
};

WireBookieClient::WireBookieClient(const Env& env, const WireOptions& options,
                                   BookieAddresses addresses)
    : env_(env), options_(options), addresses_(std::move(addresses)), tasks_(env.executor) {}

WireBookieClient::~WireBookieClient() = default;

Bookie* WireBookieClient::Get(const BookieId& id) {
  std::unique_ptr<WireBookie>& bookie = bookies_[id];
  if (bookie == nullptr) bookie = std::make_unique<WireBookie>(this, id);
  return bookie.get();
}

void WireBookieClient::DropSink(AddSink* sink) {
  for (const auto& [id, bookie] : bookies_) bookie->DropSink(sink);
}

void WireBookieClient::Stop() {
  is_stopped_ = true;
  for (const auto& [id, bookie] : bookies_) bookie->Stop();
}

}  // namespace stele::client
