// CreateLoad: ledgers that are created and closed, empty, so many at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "common/async/task_scope.h"
#include "common/base/digest_type.h"
#include "common/quorum/write_set.h"
#include "common/seams/env.h"
#include "tools/bench/load.h"

namespace stele::bench {

struct CreateLoadOptions {
  int64_t at_once = 16;
  quorum::Replication replication{3, 3, 2};
  DigestType digest_type = DigestType::kCrc32c;
  std::string password;
};

class CreateLoad final : public Load {
 public:
  // `client` and what `env` points to outlive it.
  CreateLoad(Env env, client::Client* client, CreateLoadOptions options);
  CreateLoad(const CreateLoad&) = delete;
  CreateLoad& operator=(const CreateLoad&) = delete;

  Task<absl::Status> Start() override;
  void BeginWindow() override;
  Window EndWindow() override;
  const absl::Status& failure() const override { return failure_; }
  Task<absl::Status> Stop() override;

  // Deletes what it has created, so many at once too. After Stop.
  Task<absl::Status> DeleteAll();

  const std::vector<LedgerId>& ledgers() const { return ledgers_; }

 private:
  // One of those that work at once.
  Task<void> CreateOnAndOn();
  Task<absl::Status> CreateOne();
  Task<void> DeleteOnAndOn();

  const Env env_;
  client::Client* const client_;
  const CreateLoadOptions options_;
  std::vector<LedgerId> ledgers_;
  bool stopping_ = false;
  absl::Status failure_;
  Window window_;
  MonotonicTime window_began_;
  TaskScope tasks_;
};

}  // namespace stele::bench
