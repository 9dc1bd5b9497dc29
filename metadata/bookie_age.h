// BookieAge: how old the data of one bookie are, as the metadata store knows it: a number that only
// grows. The bookie has the same number in its directories; one that is behind this has lost what
// came after (bookie/data_age.h). It lies at ages/<bookie> below the private root, and stays when
// the bookie's cookie goes: whoever comes back under the name has promised things before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

class BookieAge {
 public:
  // `store` outlives it and its tasks.
  BookieAge(MetadataStore* store, const std::optional<std::string>& instance_id,
            const BookieId& bookie);

  // 0: the store knows none.
  //   errors   kCorruptData: what is there is no age; those of the store
  Task<absl::StatusOr<int64_t>> Read();
  // What is stored becomes `age`, unless it is as high already. One attempt.
  //   errors   as Read; kMetadataConflict, kKeyExists: another process of this bookie writes it
  Task<absl::Status> Raise(int64_t age);

 private:
  struct Stored {
    int64_t age = 0;
    std::optional<Version> version;  // nothing: there is no node
  };
  Task<absl::StatusOr<Stored>> Find();

  MetadataStore* store_;
  const std::string path_;
};

}  // namespace stele::metadata
