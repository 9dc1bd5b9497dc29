// What an admin endpoint is asked and what it answers. Pure: sockets are in
// common/real/http_server.h, and a test calls a Handler like any other function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/observe/record.h"

namespace stele::http {

struct Target {
  std::string path;  // decoded, not normalised: nothing here is a file
  absl::btree_map<std::string, std::string> query;  // decoded
};

// Of a request line: "/path?name=value&name=value".
//   errors   kInvalidArgument: no absolute path, a broken escape, a NUL, a name twice
absl::StatusOr<Target> ParseTarget(std::string_view target);

struct Request {
  std::string method;  // "GET"
  Target target;
  std::string body;
  std::string authorization;  // that header
  bool has_origin = false;    // it comes from a page in a browser
  std::string peer;           // address and port, for logs

  // The parameter; empty when it is not given.
  std::string Parameter(const std::string& name) const;
  // The same as a whole number; nullopt when it is not given. kInvalidArgument: it is none.
  absl::StatusOr<std::optional<int64_t>> IntegerParameter(const std::string& name) const;
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  std::string allow;                    // with 405
  std::string content_security_policy;  // of a page
};

Response Text(int status, std::string_view line);  // a line's end is added
Response Json(const observe::Record& record);
Response Json(std::string text);
// The answer to an error, with the HTTP status that its code has.
Response Failure(const absl::Status& status);

// The members of a JSON object that has only booleans, numbers, texts and lists of texts. Numbers
// are whole. An empty text is an empty object.
//   errors   kInvalidArgument: anything else, also a name twice or a longer text
inline constexpr size_t kJsonSizeMaxBytes = 4096;
absl::StatusOr<observe::Record> ParseJsonObject(std::string_view text);
// nullopt: there is no such member. kInvalidArgument: it is of another type.
absl::StatusOr<std::optional<bool>> BoolMember(const observe::Record& object,
                                               std::string_view name);
absl::StatusOr<std::optional<int64_t>> IntegerMember(const observe::Record& object,
                                                     std::string_view name);
absl::StatusOr<std::optional<std::string>> TextMember(const observe::Record& object,
                                                      std::string_view name);
absl::StatusOr<std::optional<std::vector<std::string>>> TextsMember(const observe::Record& object,
                                                                    std::string_view name);

class Handler {
 public:
  virtual ~Handler() = default;
  // On the handler's shard. The handler outlives the task.
  virtual Task<Response> Answer(Request request) = 0;
};

}  // namespace stele::http
