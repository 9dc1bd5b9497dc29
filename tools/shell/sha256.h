// SHA-256 as text, for the hashes that commands print and compare.
#pragma once

#include <string>
#include <string_view>

namespace stele::shell {

// 64 hexadecimal digits.
std::string Sha256Hex(std::string_view bytes);

// `bytes` as hexadecimal digits.
std::string Hex(std::string_view bytes);

}  // namespace stele::shell
