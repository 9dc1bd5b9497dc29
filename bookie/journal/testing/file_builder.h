// Builds journal files by hand, as Java or Stele would have written them, to be damaged by tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bookie/journal/journal_format.h"

namespace stele::bookie {

// A record with its length in front.
std::string FramedRecord(std::string_view body);

// The body of an entry of ledger 7: ids and a payload.
std::string EntryBody(int64_t entry, std::string_view payload = "payload of an entry");

// A file of Java's: header, records, paddings to multiples of 512 where the version has them.
class JavaFileBuilder {
 public:
  explicit JavaFileBuilder(int version);
  JavaFileBuilder& Record(std::string_view body);
  // What ends a flush: a padding record, if the version has them and it is needed.
  JavaFileBuilder& Flush();
  JavaFileBuilder& Raw(std::string_view bytes);
  size_t size() const { return content_.size(); }
  const std::string& content() const { return content_; }

 private:
  int version_;
  std::string content_;
};

// A file of Stele's.
class SteleFileBuilder {
 public:
  explicit SteleFileBuilder(StreamHeader header);
  //   durable   what the footer claims
  SteleFileBuilder& Batch(uint64_t sequence, uint64_t durable,
                          const std::vector<std::string>& bodies);
  // What a crash leaves of a batch: its first block is there, all else is zero.
  SteleFileBuilder& TornBatch(uint64_t sequence, const std::vector<std::string>& bodies);
  SteleFileBuilder& Zeros(size_t size);
  SteleFileBuilder& Raw(std::string_view bytes);
  size_t size() const { return content_.size(); }
  const std::string& content() const { return content_; }

 private:
  StreamHeader header_;
  std::string content_;
};

}  // namespace stele::bookie
