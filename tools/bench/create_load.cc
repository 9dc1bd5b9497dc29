#include "tools/bench/create_load.h"

#include <utility>

#include "common/base/try.h"

namespace stele::bench {

CreateLoad::CreateLoad(Env env, client::Client* client, CreateLoadOptions options)
    : env_(env), client_(client), options_(std::move(options)), tasks_(env.executor) {}

Task<absl::Status> CreateLoad::Start() {
  for (int64_t i = 0; i < options_.at_once; ++i) tasks_.Spawn(CreateOnAndOn());
  co_return absl::OkStatus();
}

Task<void> CreateLoad::CreateOnAndOn() {
  while (!stopping_) {
    const MonotonicTime began = env_.clock->Now();
    const absl::Status created = co_await CreateOne();
    if (!created.ok()) {
      ++window_.failed;
      failure_.Update(created);
      co_return;
    }
    ++window_.operations;
    window_.latency_nanoseconds.Record((env_.clock->Now() - began) / absl::Nanoseconds(1));
  }
}

Task<absl::Status> CreateLoad::CreateOne() {
  STELE_CO_TRY(client::WriteHandle writer, co_await client_->CreateLedger()
                                               .Replication(options_.replication)
                                               .Digest(options_.digest_type)
                                               .Password(options_.password)
                                               .Create());
  ledgers_.push_back(writer.id());
  co_return co_await writer.Close();
}

void CreateLoad::BeginWindow() {
  window_ = Window();
  window_began_ = env_.clock->Now();
}

Window CreateLoad::EndWindow() {
  window_.nanoseconds = (env_.clock->Now() - window_began_) / absl::Nanoseconds(1);
  return std::exchange(window_, Window());
}

Task<absl::Status> CreateLoad::Stop() {
  stopping_ = true;
  co_await tasks_.Join();
  co_return failure_;
}

Task<void> CreateLoad::DeleteOnAndOn() {
  while (!ledgers_.empty()) {
    const LedgerId ledger = ledgers_.back();
    ledgers_.pop_back();
    failure_.Update(co_await client_->DeleteLedger(ledger));
  }
}

Task<absl::Status> CreateLoad::DeleteAll() {
  for (int64_t i = 0; i < options_.at_once; ++i) tasks_.Spawn(DeleteOnAndOn());
  co_await tasks_.Join();
  co_return failure_;
}

}  // namespace stele::bench
