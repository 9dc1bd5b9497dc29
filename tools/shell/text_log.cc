#include "tools/shell/text_log.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "tools/shell/output.h"

namespace stele::shell {
namespace {

spdlog::level::level_enum LevelOf(observe::LogLevel level) {
  switch (level) {
    case observe::LogLevel::kDebug: return spdlog::level::debug;
    case observe::LogLevel::kInfo: return spdlog::level::info;
    case observe::LogLevel::kWarning: return spdlog::level::warn;
    case observe::LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

// One sink for all logs of the process, so that lines never mix.
spdlog::sink_ptr SharedSink() {
  static const auto* const sink =
      new spdlog::sink_ptr(std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  return *sink;
}

class TextLog final : public observe::LevelledLog {
 public:
  TextLog(LogFormat format, std::string component)
      : format_(format), component_(std::move(component)), logger_("stele", SharedSink()) {
    logger_.set_pattern(format == LogFormat::kText ? "%Y-%m-%dT%H:%M:%S.%e %^%L%$ %v" : "%v");
    logger_.flush_on(spdlog::level::info);
  }

  void Write(observe::LogLevel level, std::string_view message,
             std::initializer_list<observe::LogField> fields) override {
    const spdlog::level::level_enum spd_level = LevelOf(level);
    if (!logger_.should_log(spd_level)) return;
    if (format_ == LogFormat::kText) {
      std::string line = component_.empty() ? "" : "[" + component_ + "] ";
      line += message;
      for (const observe::LogField& field : fields) {
        line += " ";
        line += field.name;
        line += "=" + Quoted(field.value);
      }
      logger_.log(spd_level, "{}", line);
      return;
    }
    Record record;
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    record.Set("time_ms", int64_t{now})
        .Set("level", std::string(spdlog::level::to_string_view(spd_level).data()))
        .Set("message", std::string(message));
    if (!component_.empty()) record.Set("component", component_);
    for (const observe::LogField& field : fields) record.Set(std::string(field.name), field.value);
    logger_.log(spd_level, "{}", ToJson(record));
  }

  observe::LogLevel level() const override { return level_; }
  void SetLevel(observe::LogLevel level) override {
    level_ = level;
    logger_.set_level(LevelOf(level));
  }

 private:
  // Outside text is never allowed to forge a line or a field.
  static std::string Quoted(const std::string& value) {
    const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
      return c > ' ' && c != '"' && c != '\\' && c != 0x7f;
    });
    if (plain) return value;
    Record record;
    record.Set("", value);
    const std::string json = ToJson(record);  // {"": "..."}
    return json.substr(5, json.size() - 6);
  }

  const LogFormat format_;
  const std::string component_;
  spdlog::logger logger_;  // its default level is info
  std::atomic<observe::LogLevel> level_ = observe::LogLevel::kInfo;
};

}  // namespace

std::unique_ptr<observe::LevelledLog> MakeTextLog(LogFormat format, std::string component) {
  return std::make_unique<TextLog>(format, std::move(component));
}

}  // namespace stele::shell
