#include "bookie/storage/tombstones.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/storage_rig.h"
#include "common/base/errors.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;

TEST(TombstonesFormatTest, ByteForByte) {
  const std::string bytes = MakeTombstones({LedgerId(7), LedgerId(0x102)});
  EXPECT_EQ(bytes.substr(0, 32), std::string("STLD\0\0\0\1\0\0\0\0\0\0\0\2"
                                             "\0\0\0\0\0\0\0\7\0\0\0\0\0\0\1\2",
                                             32));
  EXPECT_EQ(bytes.size(), 36u);
  EXPECT_EQ(*ParseTombstones(bytes), (std::vector<LedgerId>{LedgerId(7), LedgerId(0x102)}));
}

TEST(TombstonesFormatTest, AnyChangedOrMissingByteIsNoticed) {
  const std::string bytes = MakeTombstones({LedgerId(7), LedgerId(8)});
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] ^= 0x10;
    EXPECT_EQ(CodeOf(ParseTombstones(changed).status()), ErrorCode::kCorruptData) << i;
    EXPECT_EQ(CodeOf(ParseTombstones(bytes.substr(0, i)).status()), ErrorCode::kCorruptData) << i;
  }
}

struct TombstonesTest : testing::Test, StorageRig {
  TombstonesTest() : StorageRig(1, /*directories=*/2) {}
  std::unique_ptr<Tombstones> OpenTombstones() {
    return Await(Tombstones::Open(world.env(process).files, options.ledger_directories));
  }
};

TEST_F(TombstonesTest, SurviveAPowerCutAndTheLossOfADirectory) {
  auto tombstones = OpenTombstones();
  EXPECT_FALSE(tombstones->Contains(LedgerId(7)));
  EXPECT_TRUE(Await(tombstones->Add({LedgerId(7), LedgerId(9)})).ok());
  PowerCut();
  tombstones = OpenTombstones();
  EXPECT_TRUE(tombstones->Contains(LedgerId(7)) && tombstones->Contains(LedgerId(9)));
  RemoveFile("/d0/tombstones");
  tombstones = OpenTombstones();
  EXPECT_TRUE(tombstones->damage().ok());
  EXPECT_EQ(tombstones->size(), 2u);
}

TEST_F(TombstonesTest, OneDirectoryIsEnoughAndNoneIsAnError) {
  auto tombstones = OpenTombstones();
  faults.Fail(FileOperation::kOpen, "/d0/");
  EXPECT_TRUE(Await(tombstones->Add({LedgerId(7)})).ok());
  faults.Fail(FileOperation::kOpen, "/d");
  EXPECT_FALSE(Await(tombstones->Add({LedgerId(8)})).ok());
  EXPECT_FALSE(tombstones->Contains(LedgerId(8)));
  faults.Clear();
  tombstones = OpenTombstones();
  EXPECT_TRUE(tombstones->Contains(LedgerId(7)));
  EXPECT_FALSE(tombstones->Contains(LedgerId(8)));
}

TEST_F(TombstonesTest, ADamagedFileIsToldAndPassedOver) {
  auto tombstones = OpenTombstones();
  EXPECT_TRUE(Await(tombstones->Add({LedgerId(7)})).ok());
  OverwriteFile("/d0/tombstones", 20, "x");
  tombstones = OpenTombstones();
  EXPECT_EQ(CodeOf(tombstones->damage()), ErrorCode::kCorruptData);
  EXPECT_TRUE(tombstones->Contains(LedgerId(7)));
}

TEST_F(TombstonesTest, ADiskThatCannotReadThemForAMomentForgetsNone) {
  EXPECT_TRUE(Await(OpenTombstones()->Add({LedgerId(7)})).ok());
  for (const int failures_max : {1, 2, 3}) {
    int failures = 0;
    faults.Set([&](const simulation::FileRequest& request) {
      const bool fails = request.operation == FileOperation::kRead && failures < failures_max;
      failures += fails ? 1 : 0;
      return fails ? MakeError(ErrorCode::kIoError, "injected") : absl::OkStatus();
    });
    const auto tombstones = OpenTombstones();
    EXPECT_TRUE(tombstones->damage().ok()) << tombstones->damage();
    EXPECT_TRUE(tombstones->Contains(LedgerId(7)));
  }
}

TEST_F(TombstonesTest, WhatCouldNotBeReadIsReadAgainBeforeItIsWrittenOver) {
  EXPECT_TRUE(Await(OpenTombstones()->Add({LedgerId(7)})).ok());
  faults.Fail(FileOperation::kRead, kTombstonesFileName);
  auto tombstones = OpenTombstones();
  EXPECT_EQ(CodeOf(tombstones->damage()), ErrorCode::kIoError);
  EXPECT_FALSE(tombstones->Contains(LedgerId(7)));
  faults.Clear();
  EXPECT_TRUE(Await(tombstones->Add({LedgerId(8)})).ok());
  EXPECT_TRUE(tombstones->Contains(LedgerId(7)));
  tombstones = OpenTombstones();
  EXPECT_TRUE(tombstones->Contains(LedgerId(7)) && tombstones->Contains(LedgerId(8)));
}

TEST_F(TombstonesTest, TheOldestGoWhenThereAreTooMany) {
  auto tombstones = OpenTombstones();
  std::vector<LedgerId> many;
  for (size_t i = 0; i < kTombstonesMax; ++i) many.emplace_back(static_cast<int64_t>(i));
  EXPECT_TRUE(Await(tombstones->Add(many)).ok());
  EXPECT_TRUE(Await(tombstones->Add({LedgerId(1'000'000)})).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(tombstones->size(), kTombstonesMax);
    EXPECT_FALSE(tombstones->Contains(LedgerId(0)));
    EXPECT_TRUE(tombstones->Contains(LedgerId(1)));
    EXPECT_TRUE(tombstones->Contains(LedgerId(1'000'000)));
    tombstones = OpenTombstones();
  }
}

}  // namespace
}  // namespace stele::bookie
