// Protobuf's wire format without generated code: fields are visited one after the other, and bytes
// fields are views, so that the body of an entry is never copied.
// Why: docs/decisions/0002-v3-by-hand.md
//
// Accepts what protobuf's own C++ parser accepts: any order of fields, unknown fields, numbers
// encoded longer than needed. Time is linear in the message's size and memory is constant.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace stele::wire {

// Visits the fields of one message:
//   ProtoReader reader(message);
//   while (reader.Next()) { if (reader.IsVarint(2)) ...; }
//   if (reader.malformed()) ...
// A known field number with another wire type matches no IsX(): it is an unknown field, as in
// protobuf.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message)
      : at_(message.data()), end_(message.data() + message.size()) {}

  // Moves to the next field; false at the end and where the bytes are not a message.
  bool Next();
  bool malformed() const { return malformed_; }

  uint32_t number() const { return number_; }
  bool IsVarint(uint32_t number) const { return number_ == number && type_ == kVarint; }
  bool IsBytes(uint32_t number) const { return number_ == number && type_ == kBytes; }

  // The value of a field that IsVarint. Narrower types take the low bits.
  uint64_t varint() const { return varint_; }
  int64_t int64() const { return static_cast<int64_t>(varint_); }
  int32_t int32() const { return static_cast<int32_t>(varint_); }
  // The value of a field that IsBytes, a view into the message.
  std::string_view bytes() const { return bytes_; }

 private:
  static constexpr uint32_t kVarint = 0;
  static constexpr uint32_t kFixed64 = 1;
  static constexpr uint32_t kBytes = 2;
  static constexpr uint32_t kStartGroup = 3;
  static constexpr uint32_t kEndGroup = 4;
  static constexpr uint32_t kFixed32 = 5;
  static constexpr int kTagSizeMax = 5;
  static constexpr int kVarintSizeMax = 10;
  static constexpr int kGroupDepthMax = 100;  // protobuf's own limit

  bool Fail() {
    malformed_ = true;
    at_ = end_;
    return false;
  }
  bool ReadVarint(int size_max, uint64_t& value);
  bool ReadTag();
  bool ReadValue();  // of a field that is not a group
  bool SkipGroup();

  const char* at_;
  const char* end_;
  bool malformed_ = false;
  uint32_t number_ = 0;
  uint32_t type_ = 0;
  uint64_t varint_ = 0;
  std::string_view bytes_;
};

inline bool ProtoReader::ReadVarint(int size_max, uint64_t& value) {
  if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) [[likely]] {
    value = static_cast<uint8_t>(*at_++);
    return true;
  }
  value = 0;
  for (int i = 0; i < size_max && at_ != end_; ++i) {
    const auto byte = static_cast<uint8_t>(*at_++);
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) return true;
  }
  return false;
}

inline bool ProtoReader::ReadTag() {
  uint64_t tag = 0;
  if (!ReadVarint(kTagSizeMax, tag)) return false;
  type_ = static_cast<uint32_t>(tag) & 7;
  number_ = static_cast<uint32_t>(tag) >> 3;
  return number_ != 0;
}

inline bool ProtoReader::ReadValue() {
  const auto left = static_cast<uint64_t>(end_ - at_);
  uint64_t size = 0;
  switch (type_) {
    case kVarint: return ReadVarint(kVarintSizeMax, varint_);
    case kFixed64: size = 8; break;
    case kFixed32: size = 4; break;
    case kBytes: {
      if (!ReadVarint(kTagSizeMax, size) || size > static_cast<uint64_t>(end_ - at_)) return false;
      bytes_ = {at_, static_cast<size_t>(size)};
      at_ += size;
      return true;
    }
    default: return false;
  }
  if (size > left) return false;
  at_ += size;
  return true;
}

inline bool ProtoReader::SkipGroup() {
  std::array<uint32_t, kGroupDepthMax> open;
  int depth = 0;
  open[depth++] = number_;
  while (depth > 0) {
    if (!ReadTag()) return false;
    if (type_ == kStartGroup) {
      if (depth == kGroupDepthMax) return false;
      open[depth++] = number_;
    } else if (type_ == kEndGroup) {
      if (number_ != open[--depth]) return false;
    } else if (!ReadValue()) {
      return false;
    }
  }
  type_ = kEndGroup;  // matches no IsX()
  return true;
}

inline bool ProtoReader::Next() {
  if (at_ == end_) return false;
  if (!ReadTag()) return Fail();
  return (type_ == kStartGroup ? SkipGroup() : ReadValue()) ? true : Fail();
}

// Appends fields to a string. Order is the caller's; a message inside is written to a string of its
// own first.
class ProtoWriter {
 public:
  explicit ProtoWriter(std::string& to) : to_(to) {}

  void Varint(uint32_t number, uint64_t value) {
    Raw((static_cast<uint64_t>(number) << 3) | kVarint);
    Raw(value);
  }
  // Negative numbers of every signed type take ten bytes.
  void Int64(uint32_t number, int64_t value) { Varint(number, static_cast<uint64_t>(value)); }
  void Bytes(uint32_t number, std::string_view value) {
    BytesHead(number, value.size());
    to_.append(value);
  }
  // The start of a bytes field or message whose `size` bytes follow by other means.
  void BytesHead(uint32_t number, size_t size) {
    Raw((static_cast<uint64_t>(number) << 3) | kBytes);
    Raw(size);
  }

 private:
  static constexpr uint64_t kVarint = 0;
  static constexpr uint64_t kBytes = 2;

  void Raw(uint64_t value) {
    char raw[10];
    size_t size = 0;
    while (value >= 0x80) {
      raw[size++] = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    raw[size++] = static_cast<char>(value);
    to_.append(raw, size);
  }

  std::string& to_;
};

}  // namespace stele::wire
