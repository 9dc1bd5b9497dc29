// Which strings are bookie ids.
#pragma once

#include <string_view>

namespace stele::metadata {

// True for a non-empty name of '-', '.', digits, letters and : ; < = > ? @ [ \ ] ^ _ that is not
// "readonly" in any letter case. Apache's clients hang on a registration or cookie under any other
// name, so none is ever written, and none that is found is believed.
bool IsValidBookieId(std::string_view id);

}  // namespace stele::metadata
