// Log: where the product says what an operator should know. An interface, so that the simulator
// can keep it in the trace and a program can choose text or JSON lines.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace stele::observe {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// One named value of a log line. Names are snake_case: ledger, entry, bookie, directory, error.
struct LogField {
  LogField(std::string_view field_name, std::string_view text) : name(field_name), value(text) {}
  template <typename T>
    requires std::is_integral_v<T>
  LogField(std::string_view field_name, T number)
      : name(field_name), value(std::to_string(number)) {}

  std::string_view name;
  std::string value;
};

class Log {
 public:
  virtual ~Log() = default;

  // `message` is a constant sentence without values; what varies goes into the fields. No secrets,
  // no payload bytes.
  virtual void Write(LogLevel level, std::string_view message,
                     std::initializer_list<LogField> fields = {}) = 0;
};

// One that an operator can make say more or less while it is written.
class LevelledLog : public Log {
 public:
  // What is written: lines of this level and of worse ones.
  virtual LogLevel level() const = 0;
  virtual void SetLevel(LogLevel level) = 0;
};

}  // namespace stele::observe
