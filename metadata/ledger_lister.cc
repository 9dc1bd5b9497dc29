#include "metadata/ledger_lister.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/decimal.h"

namespace stele::metadata {

LedgerLister::LedgerLister(MetadataStore* store, LedgerLayout layout)
    : store_(store), layout_(std::move(layout)) {}

Task<absl::StatusOr<std::optional<LedgerRange>>> LedgerLister::Next() {
  if (!error_.ok()) co_return error_;
  absl::StatusOr<std::optional<LedgerRange>> range = co_await Step();
  if (!range.ok()) error_ = range.status();
  co_return range;
}

Task<absl::StatusOr<std::optional<LedgerRange>>> LedgerLister::Step() {
  while (shape_index_ < layout_.shapes().size()) {
    if (!shape_begun_) {
      STELE_CO_TRY_OK(co_await BeginShape());
      shape_begun_ = true;
      if (shape().size() == 1) {
        STELE_CO_TRY(LedgerRange range, co_await ListLeaves(layout_.root(), ""));
        if (!range.empty()) co_return std::optional<LedgerRange>(std::move(range));
      }
    } else if (open_.empty()) {
      shape_begun_ = false;
      ++shape_index_;
    } else if (open_.back().names.empty()) {
      open_.pop_back();
    } else {
      const std::string name = std::move(open_.back().names.front());
      open_.back().names.pop_front();
      std::string path = StrCat(open_.back().path, "/", name);
      std::string digits = open_.back().digits + name;
      const size_t depth = open_.size();  // of the directory at `path`
      if (depth + 1 == shape().size()) {
        STELE_CO_TRY(LedgerRange range, co_await ListLeaves(path, digits));
        if (!range.empty()) co_return std::optional<LedgerRange>(std::move(range));
      } else {
        STELE_CO_TRY(const std::vector<std::string> names, co_await ChildrenOf(path));
        open_.push_back({path, digits, NamesOfWidth(names, shape()[depth])});
      }
    }
  }
  co_return std::optional<LedgerRange>();
}

Task<absl::Status> LedgerLister::BeginShape() {
  if (!top_names_.has_value()) {
    absl::StatusOr<std::vector<std::string>> names = co_await store_->Children(layout_.root());
    if (CodeOf(names.status()) == ErrorCode::kNoSuchKey) {
      co_return MakeError(ErrorCode::kConfig,
                          StrCat("there is no ", layout_.root(),
                                 ": the cluster is not initialised, or its path is wrong"));
    }
    STELE_CO_TRY_OK(names.status());
    top_names_ = *std::move(names);
  }
  // The root has other children, so what is not of this width is not counted as ignored.
  std::deque<std::string> names;
  for (const std::string& name : *top_names_) {
    if (IsDigits(name, shape().front())) names.push_back(name);
  }
  if (shape().size() > 1) open_.push_back({layout_.root(), "", std::move(names)});
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::vector<std::string>>> LedgerLister::ChildrenOf(std::string path) {
  absl::StatusOr<std::vector<std::string>> names = co_await store_->Children(std::move(path));
  if (CodeOf(names.status()) == ErrorCode::kNoSuchKey) co_return std::vector<std::string>();
  if (names.ok()) std::sort(names->begin(), names->end());
  co_return names;
}

Task<absl::StatusOr<LedgerRange>> LedgerLister::ListLeaves(std::string path, std::string digits) {
  STELE_CO_TRY(const std::vector<std::string> names, co_await ChildrenOf(path));
  const bool in_root = digits.empty();
  LedgerRange range;
  for (const std::string& name : names) {
    const bool is_leaf =
        name[0] == 'L' && IsDigits(std::string_view(name).substr(1), shape().back());
    const std::optional<int64_t> id =
        is_leaf ? ParseDecimal(StrCat(digits, std::string_view(name).substr(1))) : std::nullopt;
    if (!id.has_value()) {
      if (!in_root) ++ignored_names_;
      continue;
    }
    const absl::StatusOr<std::string> readable = layout_.PathOf(LedgerId(*id));
    if (!readable.ok() || *readable != StrCat(path, "/", name)) {
      co_return MakeError(
          ErrorCode::kCorruptData,
          StrCat("ledger ", *id, " is stored at ", path, "/", name, ", where the layout \"",
                 NameOf(layout_.type()), "\" does not look for it"));
    }
    range.push_back(LedgerId(*id));
  }
  co_return range;
}

std::deque<std::string> LedgerLister::NamesOfWidth(const std::vector<std::string>& names,
                                                   size_t width) {
  std::deque<std::string> result;
  for (const std::string& name : names) {
    if (IsDigits(name, width)) {
      result.push_back(name);
    } else {
      ++ignored_names_;
    }
  }
  return result;
}

}  // namespace stele::metadata
