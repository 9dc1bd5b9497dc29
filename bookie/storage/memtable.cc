#include "bookie/storage/memtable.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "common/base/check.h"
#include "common/base/prefetch.h"

namespace stele::bookie {

MutableBuffer MemtableChunks::Take() {
  if (spare_.empty()) return MutableBuffer(kMemtableChunkBytes);
  MutableBuffer chunk = std::move(spare_.back());
  spare_.pop_back();
  return chunk;
}

void MemtableChunks::Give(std::vector<MutableBuffer> chunks) {
  const size_t most = chunks.size();
  // Not those that a reader still looks at, nor those of one large entry.
  std::erase_if(chunks, [](const MutableBuffer& chunk) {
    return chunk.size() != kMemtableChunkBytes || !chunk.IsUnshared();
  });
  std::move(chunks.begin(), chunks.end(), std::back_inserter(spare_));
  if (spare_.size() > most) spare_.resize(most);
}

const Memtable::Entry* Memtable::Ledger::Find(EntryId entry) const {
  const int64_t id = entry.value();
  if (in_order_.empty()) return nullptr;  // the first entry is always in order
  // Without gaps the place is known.
  const auto guess = static_cast<uint64_t>(id) - static_cast<uint64_t>(in_order_.front().id);
  if (guess < in_order_.size() && in_order_[guess].id == id) return &in_order_[guess];
  const auto place =
      std::lower_bound(in_order_.begin(), in_order_.end(), id,
                       [](const Entry& left, int64_t right) { return left.id < right; });
  if (place != in_order_.end() && place->id == id) return &*place;
  const auto found = out_of_order_.find(id);
  return found == out_of_order_.end() ? nullptr : &found->second;
}

std::vector<Memtable::Entry> Memtable::Ledger::Sorted() const {
  std::vector<Entry> result;
  result.reserve(in_order_.size() + out_of_order_.size());
  auto other = out_of_order_.begin();
  for (const Entry& entry : in_order_) {
    for (; other != out_of_order_.end() && other->first < entry.id; ++other) {
      result.push_back(other->second);
    }
    result.push_back(entry);
  }
  // Every entry out of order lies before the last one in order.
  STELE_CHECK(other == out_of_order_.end());
  return result;
}

EntryId Memtable::Ledger::last() const {
  return in_order_.empty() ? kNoEntry : EntryId(in_order_.back().id);
}

Memtable::Ledger* Memtable::Find(LedgerId ledger) {
  const auto found = ledgers_.find(ledger);
  if (found == ledgers_.end() || found->second->dropped_) return nullptr;
  return found->second.get();
}

Memtable::Ledger* Memtable::FindOrMake(LedgerId ledger) {
  std::unique_ptr<Ledger>& place = ledgers_[ledger];
  if (place == nullptr) {
    place = std::make_unique<Ledger>();
    bytes_ += kMemtableLedgerOverheadBytes;
  }
  place->dropped_ = false;
  return place.get();
}

void Memtable::Add(Ledger* ledger, EntryId entry, std::string_view body) {
  Entry added{.id = entry.value(), .size = static_cast<uint32_t>(body.size())};
  uint64_t taken = body.size();
  if (body.size() > kEntryInChunkMaxBytes) {
    added.chunk = static_cast<uint32_t>(chunks_.size());
    chunks_.emplace_back(body.size());
  } else {
    if (chunk_left_ < body.size() || chunks_.empty()) {
      taken += chunk_left_;  // stays unused
      open_chunk_ = chunks_.size();
      chunks_.push_back(spare_->Take());
      chunk_left_ = kMemtableChunkBytes;
    }
    added.chunk = static_cast<uint32_t>(open_chunk_);
    added.offset = kMemtableChunkBytes - chunk_left_;
    chunk_left_ -= body.size();
  }
  if (!body.empty()) {
    std::memcpy(chunks_[added.chunk].data() + added.offset, body.data(), body.size());
    if (added.chunk == open_chunk_) {
      PrefetchToWrite(chunks_[open_chunk_].data() + added.offset + body.size(),
                      std::min(body.size(), chunk_left_));
    }
  }
  bytes_ += taken + kMemtableEntryOverheadBytes;
  if (ledger->in_order_.empty() || ledger->in_order_.back().id < added.id) {
    ledger->in_order_.push_back(added);
  } else {
    STELE_CHECK(ledger->out_of_order_.try_emplace(added.id, added).second);
  }
}

void Memtable::Drop(LedgerId ledger) {
  Ledger* dropped = Find(ledger);
  if (dropped == nullptr) return;
  dropped->in_order_.clear();
  dropped->out_of_order_.clear();
  dropped->dropped_ = true;
}

std::vector<LedgerId> Memtable::SortedLedgers() const {
  std::vector<LedgerId> result;
  result.reserve(ledgers_.size());
  for (const auto& [id, ledger] : ledgers_) {
    if (!ledger->empty()) result.push_back(id);
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace stele::bookie
