#include "tools/shell/admin_token.h"

#include <gtest/gtest.h>

namespace stele::shell {
namespace {

bool IsSecretWith(TokenOwner owner, unsigned mode) {
  return IsSecret(owner, static_cast<std::filesystem::perms>(mode));
}

TEST(AdminTokenTest, OnlyItsOwnerMayReadIt) {
  for (const TokenOwner owner : {TokenOwner::kUs, TokenOwner::kRoot, TokenOwner::kOther}) {
    EXPECT_TRUE(IsSecretWith(owner, 0600));
    EXPECT_TRUE(IsSecretWith(owner, 0400));
    EXPECT_FALSE(IsSecretWith(owner, 0604));
    EXPECT_FALSE(IsSecretWith(owner, 0602));
    EXPECT_FALSE(IsSecretWith(owner, 0620));
    EXPECT_FALSE(IsSecretWith(owner, 0660));
  }
}

TEST(AdminTokenTest, AGroupMayReadWhatRootGivesIt) {
  EXPECT_TRUE(IsSecretWith(TokenOwner::kRoot, 0440));
  EXPECT_TRUE(IsSecretWith(TokenOwner::kRoot, 0640));
  EXPECT_FALSE(IsSecretWith(TokenOwner::kRoot, 0444));
  EXPECT_FALSE(IsSecretWith(TokenOwner::kRoot, 0460));
  EXPECT_FALSE(IsSecretWith(TokenOwner::kUs, 0440));
  EXPECT_FALSE(IsSecretWith(TokenOwner::kOther, 0440));
}

}  // namespace
}  // namespace stele::shell
