#include "common/http/http.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/http/admin_guard.h"
#include "common/http/router.h"

namespace stele::http {
namespace {

TEST(ParseTargetTest, DecodesPathAndParameters) {
  const auto target = ParseTarget("/a%2Fb/../c?x=1+2&empty=&none&y=%C3%a4&&z==");
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->path, "/a/b/../c");
  const absl::btree_map<std::string, std::string> expected = {
      {"x", "1+2"}, {"empty", ""}, {"none", ""}, {"y", "\xC3\xA4"}, {"z", "="}};
  EXPECT_EQ(target->query, expected);
}

TEST(ParseTargetTest, RefusesWhatItCannotDecode) {
  for (const std::string_view bad :
       {"", "x", "*", "http://host/", "/%", "/%4", "/%zz", "/%00", "/?a=%00", "/?a=1&a=1"}) {
    EXPECT_EQ(CodeOf(ParseTarget(bad).status()), ErrorCode::kInvalidArgument) << bad;
  }
}

TEST(ParseJsonObjectTest, TakesFlatObjects) {
  const auto object = ParseJsonObject(R"({"yes": true, "n": -3, "t": "a\"b", "l": ["x", "y"]})");
  ASSERT_TRUE(object.ok()) << object.status();
  EXPECT_EQ(observe::ToJson(*object), R"({"l": ["x", "y"], "n": -3, "t": "a\"b", "yes": true})");
  EXPECT_TRUE(ParseJsonObject("")->fields().empty());
  EXPECT_EQ(*BoolMember(*object, "yes"), true);
  EXPECT_EQ(*BoolMember(*object, "absent"), std::nullopt);
  EXPECT_FALSE(BoolMember(*object, "n").ok());
}

TEST(ParseJsonObjectTest, RefusesEverythingElse) {
  const std::string deep = std::string(10'000, '[') + std::string(10'000, ']');
  for (const std::string& bad : std::vector<std::string>{
           "{", "[]", "true", "nul", R"({"a": 1, "a": 2})", R"({"a": 1.5})", R"({"a": 1e300})",
           R"({"a": {"b": 1}})", R"({"a": null})", R"({"a": [1]})", "{\"a\": \"\xFF\"}",
           "{\"a\": " + deep + "}", std::string("{}\0", 3), "{} {}"}) {
    EXPECT_EQ(CodeOf(ParseJsonObject(bad).status()), ErrorCode::kInvalidArgument)
        << bad.substr(0, 40);
  }
}

// None of these may take long: a shard does nothing else meanwhile.
TEST(ParseJsonObjectTest, TheLargestBodiesAreNoWork) {
  constexpr size_t kSize = kJsonSizeMaxBytes - 16;
  const auto repeat = [](std::string_view part) {
    std::string text;
    while (text.size() + part.size() < kSize) text += part;
    return text;
  };
  std::string many = "{\"k\":1";
  for (int i = 0; many.size() < kSize; ++i) many += StrCat(",\"", i, "\":", i);
  EXPECT_TRUE(ParseJsonObject(many + "}").ok());
  EXPECT_TRUE(ParseJsonObject("{\"l\":[\"\"" + repeat(",\"x\"") + "]}").ok());
  EXPECT_TRUE(ParseJsonObject("{\"t\":\"" + repeat("\\u00e4") + "\"}").ok());
  EXPECT_TRUE(ParseJsonObject("{" + repeat(" ") + "}").ok());
  EXPECT_FALSE(ParseJsonObject("{" + std::string(kJsonSizeMaxBytes - 1, ' ') + "}").ok());
  for (const std::string_view part :
       {"[", "{", "{\"a\":", "[[", "\"", "\\", "1", "[1,", "-", "t"}) {
    EXPECT_FALSE(ParseJsonObject(repeat(part)).ok()) << part;
    EXPECT_FALSE(ParseJsonObject("{\"a\":" + repeat(part)).ok()) << part;
  }
}

TEST(AdmitChangeTest, NeedsTheTokenAndNoBrowser) {
  struct Case {
    std::string token, authorization;
    bool has_origin;
    Admission expected;
    int status;
  };
  for (const Case& c :
       std::vector<Case>{{"", "Bearer ", false, Admission::kNoTokenConfigured, 403},
                         {"", "", false, Admission::kNoTokenConfigured, 403},
                         {"secret", "", false, Admission::kNoToken, 401},
                         {"secret", "Bearer secret", true, Admission::kFromWebPage, 403},
                         {"secret", "Bearer secre", false, Admission::kWrongToken, 403},
                         {"secret", "Bearer secrets", false, Admission::kWrongToken, 403},
                         {"secret", "Bearer Secret", false, Admission::kWrongToken, 403},
                         {"secret", "secret", false, Admission::kWrongToken, 403},
                         {"secret", "Bearer secret", false, Admission::kAdmitted, 200}}) {
    const Request request{.authorization = c.authorization, .has_origin = c.has_origin};
    const Admission admission = AdmitChange(request, c.token);
    EXPECT_EQ(admission, c.expected) << c.token << " / " << c.authorization;
    if (admission != Admission::kAdmitted) EXPECT_EQ(Refusal(admission).status, c.status);
  }
}

class LineLog final : public observe::Log {
 public:
  void Write(observe::LogLevel, std::string_view message,
             std::initializer_list<observe::LogField> fields) override {
    std::string line(message);
    for (const auto& field : fields) line += StrCat(" ", field.name, "=", field.value);
    lines.push_back(std::move(line));
  }
  std::vector<std::string> lines;
};

class InlineExecutor final : public Executor {
 public:
  void Post(Job job) override { std::move(job)(); }
  void PostFromAnyThread(Job job) override { Post(std::move(job)); }
  void PostAtTurnEnd(Job job) override { Post(std::move(job)); }
  bool IsCurrent() const override { return true; }
};

Task<Response> Say(std::string text) { co_return Text(200, text); }

Task<void> Keep(Task<Response> task, Response* into) { *into = co_await std::move(task); }

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    router_.Get("/looks", [](Request) { return Say("looked"); });
    router_.Get("/both", [](Request) { return Say("looked"); });
    router_.Put("/both", [](Request request) { return Say("did " + request.body); });
    router_.Put("/does", [](Request) { return Say("did"); });
  }
  Response Ask(std::string method, std::string path, std::string authorization = "") {
    Response response;
    TaskScope scope(&executor_);
    scope.Spawn(Keep(router_.Answer({.method = std::move(method),
                                     .target = {.path = std::move(path)},
                                     .body = "it",
                                     .authorization = std::move(authorization),
                                     .peer = "10.0.0.1:5"}),
                     &response));
    return response;
  }
  InlineExecutor executor_;
  LineLog log_;
  Router router_{"secret", &log_};
};

TEST_F(RouterTest, PathsAndMethods) {
  EXPECT_EQ(Ask("GET", "/looks").body, "looked\n");
  EXPECT_EQ(Ask("GET", "/nowhere").status, 404);
  EXPECT_EQ(Ask("GET", "/looks/").status, 404);
  EXPECT_EQ(Ask("GET", "/../looks").status, 404);
  EXPECT_EQ(Ask("POST", "/looks").status, 405);
  EXPECT_EQ(Ask("POST", "/looks").allow, "GET");
  EXPECT_EQ(Ask("PUT", "/looks").status, 405);
  EXPECT_EQ(Ask("GET", "/does").allow, "PUT");
  EXPECT_EQ(Ask("DELETE", "/both").allow, "GET, PUT");
  EXPECT_TRUE(log_.lines.empty());
}

TEST_F(RouterTest, ChangesNeedTheTokenAndStandInTheLog) {
  EXPECT_EQ(Ask("PUT", "/both").status, 401);
  EXPECT_EQ(Ask("PUT", "/both", "Bearer wrong").status, 403);
  EXPECT_EQ(Ask("PUT", "/both", "Bearer secret").body, "did it\n");
  const std::vector<std::string> expected = {
      "asked over HTTP for what needs the token method=PUT path=/both peer=10.0.0.1:5 status=401",
      "asked over HTTP for what needs the token method=PUT path=/both peer=10.0.0.1:5 status=403",
      "asked over HTTP for what needs the token method=PUT path=/both peer=10.0.0.1:5 status=200"};
  EXPECT_EQ(log_.lines, expected);
}

}  // namespace
}  // namespace stele::http
