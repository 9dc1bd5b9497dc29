// The fixture of the bad-input suites: one bookie for all tests of a suite, and a writer that works
// throughout. After each test the process must live, be small, and go on serving; at the end it
// must stop cleanly and have counted what it refused.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "integration_tests/live_bookie.h"

namespace stele::integration {

// Above what an idle bookie has. Sanitizers keep what was freed, and a shadow of everything.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr int64_t kResidentMaxBytes = 1'200 << 20;
#endif
#endif
#if !defined(__has_feature) || !__has_feature(address_sanitizer)
inline constexpr int64_t kResidentMaxBytes = 160 << 20;
#endif

class BadInputTest : public testing::Test {
 protected:
  static void StartBookie(LiveBookie::Options options) {
    bookie_ = std::make_unique<LiveBookie>(std::move(options));
    writer_ = std::make_unique<HealthyWriter>(bookie_->endpoint());
    counted_.clear();
  }
  static void TearDownTestSuite() {
    writer_.reset();
    EXPECT_EQ(bookie_->Stop(), 0) << bookie_->log();
    for (const auto& [reason, count] : counted_) {
      EXPECT_GE(bookie_->BadInputs(reason), count) << reason;
    }
    bookie_.reset();
  }
  void TearDown() override {
    ASSERT_TRUE(bookie_->IsRunning()) << bookie_->log();
    EXPECT_LT(bookie_->resident_bytes(), kResidentMaxBytes);
    EXPECT_TRUE(writer_->AwaitProgress());
  }

  // What strangers opened is closed again, if not at once. A few files may be opened meanwhile.
  static void ExpectDescriptorsFall(int64_t before) {
    constexpr int64_t kFiles = 16;
    for (int i = 0; i < 1'000 && bookie_->descriptors() > before + kFiles; ++i) {
      EXPECT_TRUE(writer_->AwaitProgress());
    }
    EXPECT_LE(bookie_->descriptors(), before + kFiles);
  }

  // The bookie will have counted one more of these when it stops.
  static void Counts(const std::string& reason, int64_t count = 1) { counted_[reason] += count; }

  // Sends `bytes` and sees the connection end without an answer.
  static void ExpectClosed(const std::string& bytes, const std::string& reason) {
    real::RawPeer peer(bookie_->endpoint());
    peer.Send(bytes);
    EXPECT_EQ(peer.ReceiveAll(), "");
    Counts(reason);
  }

  static std::unique_ptr<LiveBookie> bookie_;
  static std::unique_ptr<HealthyWriter> writer_;
  static std::map<std::string, int64_t> counted_;
};

inline std::unique_ptr<LiveBookie> BadInputTest::bookie_;
inline std::unique_ptr<HealthyWriter> BadInputTest::writer_;
inline std::map<std::string, int64_t> BadInputTest::counted_;

}  // namespace stele::integration
