#include "common/base/sometimes.h"

namespace stele {

std::string_view TextOf(Sometimes place) {
  switch (place) {
#define STELE_SOMETIMES_CASE(name, text) \
  case Sometimes::name: return text;
    STELE_SOMETIMES_LIST(STELE_SOMETIMES_CASE)
#undef STELE_SOMETIMES_CASE
  }
  return "";
}

}  // namespace stele
