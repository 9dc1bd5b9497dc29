#include "tools/shell/text_file.h"

#include <utility>

namespace stele::shell {

Task<absl::Status> ReplaceTextFile(FileSystem* files, std::string path, std::string text) {
  const size_t slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "." : path.substr(0, slash);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (directory.empty()) directory = "/";
  co_return co_await ReplaceFile(files, std::move(directory), std::move(name),
                                 Buffer::FromString(std::move(text)));
}

}  // namespace stele::shell
