#include "metadata/drivers/node_path.h"

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::metadata {
namespace {

absl::Status Refuse(std::string_view path, std::string_view why) {
  // Only the start is quoted: the path may be what is too long.
  return MakeError(ErrorCode::kInvalidArgument,
                   StrCat("metadata path '", path.substr(0, 128), "' ", why));
}

absl::Status CheckPart(std::string_view path, std::string_view part) {
  if (part.empty()) return Refuse(path, "has an empty part");
  if (part == "." || part == "..") return Refuse(path, "has a relative part");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckNodePath(std::string_view path) {
  if (path.empty() || path.front() != '/') return Refuse(path, "does not start with '/'");
  if (path.size() > kNodePathSizeMaxBytes) return Refuse(path, "is too long");
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return Refuse(path, "has a control character");
    }
  }
  size_t start = 1;
  while (true) {
    const size_t slash = path.find('/', start);
    const size_t end = slash == std::string_view::npos ? path.size() : slash;
    if (absl::Status status = CheckPart(path, path.substr(start, end - start)); !status.ok()) {
      return status;
    }
    if (slash == std::string_view::npos) return absl::OkStatus();
    start = slash + 1;
  }
}

absl::Status CheckSequentialPrefix(std::string_view path_prefix) {
  return CheckNodePath(StrCat(path_prefix, "0000000000"));
}

absl::Status CheckNodeValue(std::string_view path, std::string_view value) {
  if (value.size() <= kNodeValueSizeMaxBytes) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidArgument,
                   StrCat("the value for metadata path '", path, "' has ", value.size(),
                          " bytes; at most ", kNodeValueSizeMaxBytes, " can be stored"));
}

std::string_view ParentPath(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? path.substr(0, 1) : path.substr(0, slash);
}

std::string_view NodeName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace stele::metadata
