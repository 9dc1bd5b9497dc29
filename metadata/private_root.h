// Where Stele keeps what Apache BookKeeper has no place for: beside the ledgers root, because
// Apache's tools refuse a root with unknown nodes.
#pragma once

#include <optional>
#include <string>

namespace stele::metadata {

// "/stele/<instance id>"; clusters from before there were instance ids share one.
inline std::string PrivateRoot(const std::optional<std::string>& instance_id) {
  return "/stele/" + instance_id.value_or("none");
}

}  // namespace stele::metadata
