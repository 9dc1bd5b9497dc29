#include "tools/shell/ledger_flags.h"

#include <utility>

#include "common/base/errors.h"
#include "common/base/try.h"

namespace stele::shell {
namespace {

constexpr size_t kPasswordFileSizeMaxBytes = 64 * 1024;

}  // namespace

absl::StatusOr<std::string> PasswordOf(Session& session, const PasswordOptions& options) {
  if (options.password_file.empty()) return options.password;
  if (!options.password.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "give --password or --password-file, not both");
  }
  STELE_TRY(const Buffer text,
            session.shard().RunUntil(
                ReadFile(session.env().files, options.password_file, kPasswordFileSizeMaxBytes)));
  std::string password = text.ToString();
  if (password.ends_with('\n')) password.pop_back();
  return password;
}

client::CreateLedgerBuilder BuilderOf(client::Client& client, const CreateOptions& options,
                                      std::string password) {
  client::CreateLedgerBuilder builder = client.CreateLedger();
  builder.Replication(options.replication)
      .Digest(options.digest_type)
      .Password(std::move(password))
      .CustomMetadata(options.custom);
  if (options.id.has_value()) builder.Id(*options.id);
  return builder;
}

std::map<std::string, std::string> WithUnclaimedMark(std::map<std::string, std::string> custom) {
  custom[client::kUnclaimedMark] = "1";
  return custom;
}

}  // namespace stele::shell
