// EntryCutter: cuts a stream of bytes into entries, by lines or by blocks. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/buffer.h"

namespace stele::shell {

class EntryCutter {
 public:
  // block_size_bytes   0: by lines, without the newline that ends each; else every entry but the
  //                    last has this size
  // entry_size_max_bytes   a longer line is an error
  EntryCutter(size_t block_size_bytes, size_t entry_size_max_bytes)
      : block_size_(block_size_bytes), entry_size_max_(entry_size_max_bytes) {}

  // More of the stream. Only when Next() has given nothing.
  void Feed(Buffer chunk);

  // The next whole entry; nothing: feed more. Entries inside one chunk share its bytes.
  //   kInvalidArgument  a line is too long
  absl::StatusOr<std::optional<Buffer>> Next();

  // The stream has ended: what is left after the last whole entry, if anything.
  std::optional<Buffer> Finish();

 private:
  std::optional<Buffer> Take(size_t size, size_t skip);

  const size_t block_size_;
  const size_t entry_size_max_;
  std::string begun_;  // the beginning of an entry, from earlier chunks
  Buffer chunk_;       // what of the last chunk is not given yet
};

}  // namespace stele::shell
