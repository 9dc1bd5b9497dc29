#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace stele {

void CheckFailed(const char* file, int line, std::string_view expression) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %.*s\n", file, line,
               static_cast<int>(expression.size()), expression.data());
  std::abort();
}

void CheckFailed(const char* file, int line, std::string_view expression, int64_t left,
                 int64_t right) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %.*s (%lld, %lld)\n", file, line,
               static_cast<int>(expression.size()), expression.data(), static_cast<long long>(left),
               static_cast<long long>(right));
  std::abort();
}

}  // namespace stele
