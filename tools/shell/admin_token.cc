#include "tools/shell/admin_token.h"

#include <algorithm>
#include <string>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/seams/file_system.h"

namespace stele::shell {
namespace {

constexpr size_t kTokenSizeMin = 16;
constexpr size_t kTokenFileSizeMaxBytes = 4096;

absl::Status BadTokenFile(std::string_view path, std::string_view why) {
  return MakeError(ErrorCode::kConfig, StrCat("token file ", path, ": ", why));
}

bool IsSecretFile(const std::string& path) {
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0) return false;
  TokenOwner owner = TokenOwner::kOther;
  if (found.st_uid == 0) owner = TokenOwner::kRoot;
  if (found.st_uid == ::geteuid()) owner = TokenOwner::kUs;
  return IsSecret(owner, static_cast<std::filesystem::perms>(found.st_mode & 07777));
}

Task<absl::StatusOr<Buffer>> ReadSmallFile(FileSystem* files, std::string path) {
  co_return co_await ReadFile(files, std::move(path), kTokenFileSizeMaxBytes);
}

}  // namespace

bool IsSecret(TokenOwner owner, std::filesystem::perms mode) {
  using std::filesystem::perms;
  perms others = perms::group_all | perms::others_all;
  if (owner == TokenOwner::kRoot) others &= ~perms::group_read;
  return (mode & others) == perms::none;
}

absl::StatusOr<std::string> ReadToken(real::Shard& shard, const std::string& path) {
  if (path.empty()) return std::string();
  STELE_TRY(const Buffer bytes, shard.RunUntil(ReadSmallFile(shard.env().files, path)));
  if (!IsSecretFile(path)) return BadTokenFile(path, "others can read it: chmod 600");
  std::string token = bytes.ToString();
  token.resize(std::min(token.find('\n'), token.size()));
  if (token.size() < kTokenSizeMin) {
    return BadTokenFile(path, StrCat("a token has at least ", kTokenSizeMin, " characters"));
  }
  return token;
}

}  // namespace stele::shell
