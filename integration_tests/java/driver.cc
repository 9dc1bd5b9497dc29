#include "integration_tests/java/driver.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include <gtest/gtest.h>

#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/strings.h"

namespace stele::integration {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5);

}  // namespace

std::string_view NameOf(ClientKind kind) {
  switch (kind) {
    case ClientKind::kStele: return "Stele";
    case ClientKind::kJavaV2: return "JavaV2";
    case ClientKind::kJavaV3: return "JavaV3";
  }
  return "";
}

int64_t Answer::Number() const { return std::strtoll(text.c_str(), nullptr, 10); }

std::string Answer::Value(const std::string& key) const {
  const std::vector<std::string> words = absl::StrSplit(text, ' ');
  for (const std::string& word : words) {
    if (word.starts_with(key + "=")) return word.substr(key.size() + 1);
  }
  return "";
}

std::vector<std::string> JavaCommand(const std::string& main_class,
                                     const std::vector<std::string>& arguments,
                                     const std::string& log_level) {
  std::vector<std::string> command = {
      "/usr/bin/java",
      // Programs that live for seconds, several on two cores: start fast, stay small.
      "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx256m",
      "-XX:MaxDirectMemorySize=256m", "-Djava.net.preferIPv4Stack=true",
      "-Dio.netty.tryReflectionSetAccessible=true", "--add-opens=java.base/java.nio=ALL-UNNAMED",
      "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
      "--add-opens=java.base/java.io=ALL-UNNAMED",
      "--add-opens=java.base/java.util.zip=ALL-UNNAMED",
      "-Dlog4j.configurationFile=integration_tests/java/log4j2.xml",
      StrCat("-Dstele.log=", log_level), "-cp",
      "integration_tests/java/programs.jar:../apache_bookkeeper/lib/*", main_class};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Driver::Driver(ClientKind kind, const std::string& metadata_uri, std::vector<std::string> settings,
               const std::string& log_path)
    : log_path_(log_path) {
  settings.push_back("metadataServiceUri=" + metadata_uri);
  std::vector<std::string> command;
  if (kind == ClientKind::kStele) {
    command = {"integration_tests/java/stele_driver"};
    command.insert(command.end(), settings.begin(), settings.end());
  } else {
    settings.push_back(StrCat("useV2WireProtocol=", kind == ClientKind::kJavaV2));
    command = JavaCommand("LedgerDriver", settings);
  }
  process_ = ChildProcess::Start({.argv = std::move(command), .error_path = log_path});
  const auto line = process_->ReadLine(kPatience);
  if (line != "ready") {
    std::fprintf(stderr, "no driver: '%s'; see %s\n", line.value_or("").c_str(), log_path.c_str());
    std::abort();
  }
}

Answer Driver::Do(const std::string& command) {
  Send(command);
  return Receive();
}

void Driver::Send(const std::string& command) {
  process_->WriteLine(command);
  sent_ = command;
}

Answer Driver::Receive() {
  const auto line = process_->ReadLine(kPatience);
  if (!line.has_value()) {
    std::fprintf(stderr, "no answer to '%s'; log:\n", sent_.c_str());
    std::ifstream log(log_path_);
    for (std::string said; std::getline(log, said);) std::fprintf(stderr, "%s\n", said.c_str());
    // Java says what its threads do, and goes on.
    process_->Signal(SIGQUIT);
    while (const auto said = process_->ReadLine(absl::Seconds(2))) {
      std::fprintf(stderr, "%s\n", said->c_str());
    }
    std::abort();
  }
  Answer answer = {.ok = line->starts_with("ok")};
  const size_t space = line->find(' ');
  if (space != std::string::npos) answer.text = line->substr(space + 1);
  if (!answer.ok) answer.error = answer.text.substr(0, answer.text.find(' '));
  return answer;
}

Answer Driver::Must(const std::string& command) {
  Answer answer = Do(command);
  EXPECT_TRUE(answer.ok) << command << ": " << answer.text;
  return answer;
}

}  // namespace stele::integration
