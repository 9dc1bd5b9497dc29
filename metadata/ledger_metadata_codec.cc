#include "metadata/ledger_metadata_codec.h"

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "google/protobuf/io/coded_stream.h"
#include "metadata/decimal.h"
#include "metadata/proto_text.h"
#include "proto/ledger_metadata.pb.h"

namespace stele::metadata {
namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using stored::LedgerMetadataFormat;

constexpr std::string_view kHeader = "BookieMetadataFormatVersion\t";
constexpr size_t kVersionDigitsMax = 9;

// Version 1 has no states: it writes this last entry for a ledger in recovery.
constexpr int64_t kLinesInRecovery = -102;
constexpr std::string_view kLinesClosed = "CLOSED";

absl::Status Corrupt(std::string_view detail) {
  return MakeError(ErrorCode::kCorruptData, StrCat("ledger metadata: ", detail));
}

absl::StatusOr<LedgerMetadata> CreateFromStored(LedgerMetadataFields fields) {
  absl::StatusOr<LedgerMetadata> metadata = LedgerMetadata::Create(std::move(fields));
  if (!metadata.ok()) return Corrupt(ToStd(metadata.status().message()));
  return metadata;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string_view::npos; begin = end + 1) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

// --- Version 1: lines.

absl::StatusOr<int64_t> ParseLineNumber(std::string_view text, int64_t max) {
  const std::optional<int64_t> value = ParseDecimal(text);
  if (!value.has_value() || *value > max)
    return Corrupt("a line is not the number that it must be");
  return *value;
}

// <first entry> TAB <bookie> TAB <bookie> ...
absl::StatusOr<Fragment> ParseFragmentLine(const std::vector<std::string_view>& parts) {
  STELE_TRY(const int64_t first, ParseLineNumber(parts[0], std::numeric_limits<int64_t>::max()));
  Fragment fragment{EntryId(first), {}};
  fragment.ensemble.reserve(parts.size() - 1);
  for (size_t i = 1; i < parts.size(); ++i) fragment.ensemble.emplace_back(std::string(parts[i]));
  return fragment;
}

absl::StatusOr<LedgerMetadata> ParseLines(std::string_view body) {
  constexpr int kIntMax = std::numeric_limits<int>::max();
  const std::vector<std::string_view> lines = Split(body, '\n');
  if (lines.size() < 4) return Corrupt("a line is missing");
  LedgerMetadataFields fields;
  fields.format = MetadataFormat::kLines;
  fields.password = std::nullopt;
  STELE_TRY(const int64_t write_quorum_size, ParseLineNumber(lines[0], kIntMax));
  STELE_TRY(const int64_t ensemble_size, ParseLineNumber(lines[1], kIntMax));
  STELE_TRY(const int64_t length, ParseLineNumber(lines[2], std::numeric_limits<int64_t>::max()));
  fields.replication = {.ensemble_size = static_cast<int>(ensemble_size),
                        .write_quorum_size = static_cast<int>(write_quorum_size),
                        .ack_quorum_size = static_cast<int>(write_quorum_size)};
  for (size_t i = 3; i < lines.size(); ++i) {
    if (lines[i].empty() && i + 1 == lines.size()) break;  // behind the newline of the last line
    const std::vector<std::string_view> parts = Split(lines[i], '\t');
    if (parts.size() >= 2 && parts[1] == kLinesClosed) {
      STELE_TRY(const int64_t last, ParseLineNumber(parts[0], std::numeric_limits<int64_t>::max()));
      if (last == kLinesInRecovery) {
        fields.state = LedgerState::kInRecovery;
      } else {
        fields.state = LedgerState::kClosed;
        fields.last_entry = EntryId(last);
        fields.length_bytes = length;
      }
      break;
    }
    STELE_TRY(Fragment fragment, ParseFragmentLine(parts));
    fields.fragments.push_back(std::move(fragment));
  }
  return CreateFromStored(std::move(fields));
}

absl::StatusOr<std::string> SerializeLines(const LedgerMetadata& metadata) {
  const quorum::Replication& replication = metadata.replication();
  if (replication.ack_quorum_size != replication.write_quorum_size ||
      metadata.password().has_value() || !metadata.custom_metadata().empty() ||
      metadata.creation_time().has_value()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "metadata format 1 has no ack quorum, password, custom metadata or time");
  }
  std::string body = StrCat(replication.write_quorum_size, "\n", replication.ensemble_size, "\n",
                            metadata.length_bytes(), "\n");
  for (const Fragment& fragment : metadata.fragments()) {
    if (fragment.ensemble.front().value() == kLinesClosed) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "metadata format 1 cannot express a first bookie of this name");
    }
    body += StrCat(fragment.first_entry.value());
    for (const BookieId& bookie : fragment.ensemble) body += StrCat("\t", bookie.value());
    body += '\n';
  }
  if (metadata.state() != LedgerState::kOpen) {
    body += StrCat(metadata.IsClosed() ? metadata.last_entry().value() : kLinesInRecovery, "\t",
                   kLinesClosed);
  }
  return body;
}

// --- Versions 2 and 3: one protobuf message.

absl::StatusOr<LedgerState> StateOf(const LedgerMetadataFormat& message) {
  if (!message.has_state()) return Corrupt("the state is missing or unknown");
  switch (message.state()) {
    case LedgerMetadataFormat::OPEN: return LedgerState::kOpen;
    case LedgerMetadataFormat::IN_RECOVERY: return LedgerState::kInRecovery;
    case LedgerMetadataFormat::CLOSED: return LedgerState::kClosed;
  }
  return Corrupt("the state is unknown");
}

// protobuf keeps a number that is not in the enum as an unknown field, which looks like an absent
// one.
bool HasUnknownEnumerator(const LedgerMetadataFormat& message) {
  const google::protobuf::UnknownFieldSet& unknown = message.unknown_fields();
  for (int i = 0; i < unknown.field_count(); ++i) {
    const int number = unknown.field(i).number();
    if (number == LedgerMetadataFormat::kStateFieldNumber ||
        number == LedgerMetadataFormat::kDigestTypeFieldNumber) {
      return true;
    }
  }
  return false;
}

absl::Status TakeFragments(const LedgerMetadataFormat& message, LedgerMetadataFields* fields) {
  for (const LedgerMetadataFormat::Segment& segment : message.segment()) {
    if (!segment.has_firstentryid()) return Corrupt("a fragment has no first entry");
    Fragment fragment{EntryId(segment.firstentryid()), {}};
    fragment.ensemble.reserve(segment.ensemblemember_size());
    for (const std::string& member : segment.ensemblemember()) {
      fragment.ensemble.emplace_back(member);
    }
    fields->fragments.push_back(std::move(fragment));
  }
  return absl::OkStatus();
}

absl::StatusOr<LedgerMetadata> FromMessage(const LedgerMetadataFormat& message,
                                           MetadataFormat format) {
  if (!message.has_quorumsize() || !message.has_ensemblesize() || !message.has_length()) {
    return Corrupt("a required field is missing");
  }
  if (HasUnknownEnumerator(message)) return Corrupt("the state or the digest type is unknown");
  LedgerMetadataFields fields;
  fields.format = format;
  fields.replication = {.ensemble_size = message.ensemblesize(),
                        .write_quorum_size = message.quorumsize(),
                        .ack_quorum_size = message.has_ackquorumsize() ? message.ackquorumsize()
                                                                       : message.quorumsize()};
  STELE_TRY(fields.state, StateOf(message));
  if (fields.state == LedgerState::kClosed) {
    if (!message.has_lastentryid()) return Corrupt("a closed ledger has no last entry");
    fields.last_entry = EntryId(message.lastentryid());
    fields.length_bytes = message.length();
  }
  STELE_TRY_OK(TakeFragments(message, &fields));
  if (message.has_password()) {
    fields.password = message.password();
    fields.digest_type = static_cast<DigestType>(message.digesttype());
  } else {
    fields.password = std::nullopt;
  }
  for (const LedgerMetadataFormat::CustomEntry& entry : message.custommetadata()) {
    if (!fields.custom_metadata.emplace(entry.key(), entry.value()).second) {
      return Corrupt("a key of the custom metadata is there twice");
    }
  }
  if (message.has_ctime()) fields.creation_time = absl::FromUnixMillis(message.ctime());
  fields.creator_token = message.ctoken();
  return CreateFromStored(std::move(fields));
}

LedgerMetadataFormat::State StateNumberOf(LedgerState state) {
  switch (state) {
    case LedgerState::kOpen: return LedgerMetadataFormat::OPEN;
    case LedgerState::kInRecovery: return LedgerMetadataFormat::IN_RECOVERY;
    case LedgerState::kClosed: return LedgerMetadataFormat::CLOSED;
  }
  return LedgerMetadataFormat::OPEN;
}

LedgerMetadataFormat ToMessage(const LedgerMetadata& metadata) {
  LedgerMetadataFormat message;
  message.set_quorumsize(metadata.replication().write_quorum_size);
  message.set_ensemblesize(metadata.replication().ensemble_size);
  message.set_ackquorumsize(metadata.replication().ack_quorum_size);
  message.set_state(StateNumberOf(metadata.state()));
  message.set_length(metadata.length_bytes());
  message.set_lastentryid(metadata.last_entry().value());
  for (const Fragment& fragment : metadata.fragments()) {
    LedgerMetadataFormat::Segment* segment = message.add_segment();
    segment->set_firstentryid(fragment.first_entry.value());
    for (const BookieId& bookie : fragment.ensemble) segment->add_ensemblemember(bookie.value());
  }
  if (metadata.password().has_value()) {
    message.set_digesttype(static_cast<LedgerMetadataFormat::DigestType>(metadata.digest_type()));
    message.set_password(*metadata.password());
  }
  if (metadata.creation_time().has_value()) {
    message.set_ctime(absl::ToUnixMillis(*metadata.creation_time()));
  }
  for (const auto& [key, value] : metadata.custom_metadata()) {
    LedgerMetadataFormat::CustomEntry* entry = message.add_custommetadata();
    entry->set_key(key);
    entry->set_value(value);
  }
  return message;
}

absl::StatusOr<LedgerMetadata> ParseText(std::string_view body) {
  LedgerMetadataFormat message;
  STELE_TRY_OK(ParseProtoText(body, &message));
  return FromMessage(message, MetadataFormat::kText);
}

absl::StatusOr<LedgerMetadata> ParseBinary(std::string_view body) {
  CodedInputStream stream(reinterpret_cast<const uint8_t*>(body.data()),
                          static_cast<int>(body.size()));
  uint32_t length = 0;
  if (!stream.ReadVarint32(&length)) return Corrupt("the message's length is missing");
  const size_t begin = static_cast<size_t>(stream.CurrentPosition());
  if (length > body.size() - begin) return Corrupt("the message is cut off");
  LedgerMetadataFormat message;
  if (!message.ParsePartialFromArray(body.data() + begin, static_cast<int>(length))) {
    return Corrupt("the message cannot be parsed");
  }
  return FromMessage(message, MetadataFormat::kBinary);
}

std::string SerializeBinary(const LedgerMetadata& metadata) {
  LedgerMetadataFormat message = ToMessage(metadata);
  message.set_ctoken(metadata.creator_token());
  const std::string encoded = message.SerializeAsString();
  uint8_t length[5];
  const uint8_t* end =
      CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(encoded.size()), length);
  return StrCat(std::string_view(reinterpret_cast<const char*>(length), end - length), encoded);
}

}  // namespace

absl::StatusOr<LedgerMetadata> ParseLedgerMetadata(std::string_view bytes) {
  if (bytes.size() > kLedgerMetadataSizeMaxBytes) {
    return Corrupt(StrCat("it has ", bytes.size(), " bytes; at most ", kLedgerMetadataSizeMaxBytes,
                          " are expected"));
  }
  if (bytes.substr(0, kHeader.size()) != kHeader) return Corrupt("the header is missing");
  const std::string_view rest = bytes.substr(kHeader.size());
  const size_t newline = rest.substr(0, kVersionDigitsMax + 1).find('\n');
  if (newline == std::string_view::npos) return Corrupt("the version is missing");
  const std::optional<int64_t> version = ParseDecimal(rest.substr(0, newline));
  const std::string_view body = rest.substr(newline + 1);
  if (version == 1) return ParseLines(body);
  if (version == 2) return ParseText(body);
  if (version == 3) return ParseBinary(body);
  return Corrupt("the version is unknown");
}

absl::StatusOr<std::string> SerializeLedgerMetadata(const LedgerMetadata& metadata) {
  std::string bytes = StrCat(kHeader, static_cast<int>(metadata.format()), "\n");
  switch (metadata.format()) {
    case MetadataFormat::kLines: {
      STELE_TRY(const std::string body, SerializeLines(metadata));
      bytes += body;
      break;
    }
    case MetadataFormat::kText: bytes += PrintProtoText(ToMessage(metadata)); break;
    case MetadataFormat::kBinary: bytes += SerializeBinary(metadata); break;
  }
  if (bytes.size() > kLedgerMetadataSizeMaxBytes) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("ledger metadata of ", bytes.size(), " bytes; at most ",
                            kLedgerMetadataSizeMaxBytes, " can be stored"));
  }
  return bytes;
}

}  // namespace stele::metadata
