// Reading many entries by few requests, where every bookie of the ensemble holds every entry: one
// bookie answers with a run of them. What a batch does not bring is read one by one
// (read_range.h), which knows replicas, slow bookies and errors.
//
// Source: docs/PROTOCOL.md "Reading", "Batch read".
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "client/entry.h"
#include "client/internal/read_range.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::client {

// All of first..last (0 <= first <= last), in order; the caller has checked that they may be read.
// Errors as ReadOneByOne.
Task<absl::StatusOr<std::vector<Entry>>> ReadEntries(ReadSource source, EntryId first,
                                                     EntryId last);

// One batch request: the entries from `first` on that one bookie gives in one reply, at least one,
// at most `count_max`, about `size_max_bytes`. Only for ledgers whose bookies hold every entry.
// Fewer than asked for says nothing about the rest.
//   errors   as ReadOneByOne for the first entry
Task<absl::StatusOr<std::vector<Entry>>> ReadEntryBatch(ReadSource source, EntryId first,
                                                        int32_t count_max, int64_t size_max_bytes);

}  // namespace stele::client
