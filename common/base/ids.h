// Strong types for the ids of the protocol, so that a ledger id is never passed where an entry id
// is meant.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>

namespace stele {

// A ledger's number: 0 .. 2^63-1. Negative values do not name a ledger and are refused wherever
// they come from outside.
class LedgerId {
 public:
  constexpr LedgerId() = default;
  constexpr explicit LedgerId(int64_t value) : value_(value) {}
  constexpr int64_t value() const { return value_; }
  constexpr bool IsValid() const { return value_ >= 0; }
  friend constexpr auto operator<=>(LedgerId, LedgerId) = default;

 private:
  int64_t value_ = -1;
};

// An entry's number within its ledger: the first is 0, "none" is -1.
class EntryId {
 public:
  constexpr EntryId() = default;
  constexpr explicit EntryId(int64_t value) : value_(value) {}
  constexpr int64_t value() const { return value_; }
  constexpr bool IsNone() const { return value_ < 0; }
  constexpr EntryId Next() const { return EntryId(value_ + 1); }
  constexpr EntryId Previous() const { return EntryId(value_ - 1); }
  friend constexpr auto operator<=>(EntryId, EntryId) = default;

 private:
  int64_t value_ = -1;
};

inline constexpr EntryId kNoEntry{-1};

// How many entries lie in [first, last]; 0 when last < first.
constexpr int64_t Distance(EntryId first, EntryId last) {
  return last < first ? 0 : last.value() - first.value() + 1;
}

// A bookie's stable name in the cluster, "host:port" by default. It is not an address: the registry
// resolves it.
class BookieId {
 public:
  BookieId() = default;
  explicit BookieId(std::string value) : value_(std::move(value)) {}
  const std::string& value() const { return value_; }
  friend auto operator<=>(const BookieId&, const BookieId&) = default;

 private:
  std::string value_;
};

// A bookie's position in an ensemble: 0 .. E-1.
using BookieIndex = int;

template <typename H>
H AbslHashValue(H h, LedgerId id) {
  return H::combine(std::move(h), id.value());
}
template <typename H>
H AbslHashValue(H h, EntryId id) {
  return H::combine(std::move(h), id.value());
}
template <typename H>
H AbslHashValue(H h, const BookieId& id) {
  return H::combine(std::move(h), id.value());
}

}  // namespace stele
