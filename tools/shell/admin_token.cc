#include "tools/shell/admin_token.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>

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

Task<absl::StatusOr<Buffer>> ReadSmallFile(FileSystem* files, std::string path) {
  co_return co_await ReadFile(files, std::move(path), kTokenFileSizeMaxBytes);
}

}  // namespace

absl::StatusOr<std::string> ReadToken(real::Shard& shard, const std::string& path) {
  if (path.empty()) return std::string();
  STELE_TRY(const Buffer bytes, shard.RunUntil(ReadSmallFile(shard.env().files, path)));
  std::error_code failed;
  const std::filesystem::perms mode = std::filesystem::status(path, failed).permissions();
  constexpr auto kOthers = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
  if (failed || (mode & kOthers) != std::filesystem::perms::none) {
    return BadTokenFile(path, "others can read it: chmod 600");
  }
  std::string token = bytes.ToString();
  token.resize(std::min(token.find('\n'), token.size()));
  if (token.size() < kTokenSizeMin) {
    return BadTokenFile(path, StrCat("a token has at least ", kTokenSizeMin, " characters"));
  }
  return token;
}

}  // namespace stele::shell
