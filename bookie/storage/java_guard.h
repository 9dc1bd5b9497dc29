// What keeps Java's bookie from starting over an index of extents, of which it knows nothing: it
// would find no ledger, and serve none. At start it takes each file two levels below an index
// directory whose name ends in ".idx" for the index of a ledger, and ends with an error when the
// rest of the name is no number. It prints that rest: the name is the message.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

inline constexpr char kJavaGuardDirectory[] = "not-for-java";
inline constexpr char kJavaGuardName[] =
    "The index is in extents, which Java cannot read. Start stele bookie with "
    "stele.indexFormat=files first.idx";

// `directory`: the extents directory of an index directory; it exists. Durable when it returns.
Task<absl::Status> KeepJavaAway(FileSystem* files, std::string directory);
// Not durable: the caller syncs `directory`. Ok when Java was not kept away.
Task<absl::Status> LetJavaIn(FileSystem* files, std::string directory);

}  // namespace stele::bookie
