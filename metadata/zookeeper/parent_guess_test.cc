#include "metadata/zookeeper/parent_guess.h"

#include <string>

#include <gtest/gtest.h>

namespace stele::metadata {
namespace {

TEST(ParentGuessTest, ASiblingOfAParentThatHadToBeMadeIsTakenToBeMissing) {
  ParentGuess guess;
  EXPECT_FALSE(guess.IsMissing("/marks/0001/urL1"));
  guess.NoteMade("/marks/0001/urL1", true);
  EXPECT_TRUE(guess.IsMissing("/marks/0002/urL2"));
  EXPECT_FALSE(guess.IsMissing("/marks/0001/urL1"));  // it was made just now
  EXPECT_FALSE(guess.IsMissing("/locks/0002/urL2"));
  EXPECT_FALSE(guess.IsMissing("/marks/urL2"));
}

TEST(ParentGuessTest, AParentThatWasThereEndsIt) {
  ParentGuess guess;
  guess.NoteMade("/00/0000/L0001", true);
  guess.NoteMade("/00/0000/L0002", false);
  EXPECT_FALSE(guess.IsMissing("/00/0001/L0001"));
  guess.NoteMade("/00/0001/L0001", true);
  EXPECT_TRUE(guess.IsMissing("/00/0002/L0001"));
}

TEST(ParentGuessTest, WhatIsAtTheRootHasAParentAndWhatIsRememberedIsBounded) {
  ParentGuess guess;
  guess.NoteMade("/a", false);
  EXPECT_FALSE(guess.IsMissing("/b"));
  guess.NoteMade("/first/x/y", true);
  for (int i = 0; i < 1000; ++i) guess.NoteMade("/" + std::to_string(i) + "/x/y", true);
  EXPECT_FALSE(guess.IsMissing("/first/z/y"));
  EXPECT_TRUE(guess.IsMissing("/999/z/y"));
}

}  // namespace
}  // namespace stele::metadata
