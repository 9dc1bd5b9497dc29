// SeamHook: sees every call that a process makes through a seam, and may let it fail, lose its
// answer, or kill the process at it. For tests that go through all calls one by one.
#pragma once

#include <cstdint>
#include <string_view>

namespace stele::simulation {

class SimProcess;

enum class SeamKind : uint8_t {
  kFile,      // an operation of the file system
  kConnect,   // of the transport
  kSend,      // one frame
  kMetadata,  // an operation of the metadata store
};

struct SeamCall {
  SeamKind kind;
  SimProcess* process;
  std::string_view what;  // for people: a path, a host
};

enum class SeamVerdict : uint8_t {
  kProceed,
  kFail,         // an error, without effect. A frame: the connection is lost before it leaves
  kLoseAnswer,   // it takes effect, and the connection is lost with the answer: the caller of a
                 // metadata write gets an error of unknown effect. Files always answer
  kCrashBefore,  // the process dies, and nothing has happened
  kCrashAfter,   // it takes effect, and the process dies before it learns
};

class SeamHook {
 public:
  virtual ~SeamHook() = default;
  virtual SeamVerdict OnCall(const SeamCall& call) = 0;
};

}  // namespace stele::simulation
