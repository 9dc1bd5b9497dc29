#include "tools/shell/admin_port.h"

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

// The first line of a file that only its owner can read.
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

}  // namespace

absl::StatusOr<std::unique_ptr<AdminPort>> AdminPort::Open(
    real::Shard* shard, AdminPortOptions options, absl::FunctionRef<void(http::Router&)> add_routes,
    observe::Log* log) {
  if (!options.is_on) return nullptr;
  STELE_TRY(std::string token, ReadToken(*shard, options.token_path));
  std::unique_ptr<AdminPort> port(new AdminPort(std::move(token), log));
  add_routes(port->router_);
  auto server = real::HttpServer::Start(options.at, {}, shard->executor(), &port->router_);
  if (!server.ok()) return WithContext(server.status(), "admin port");
  port->server_ = *std::move(server);
  const Endpoint at = port->server_->endpoint();
  log->Write(observe::LogLevel::kInfo, "admin port",
             {{"host", std::string_view(at.host)}, {"port", at.port}});
  return port;
}

}  // namespace stele::shell
