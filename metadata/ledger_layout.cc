#include "metadata/ledger_layout.h"

#include <array>
#include <numeric>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/decimal.h"

namespace stele::metadata {
namespace {

struct LayoutName {
  LayoutType type;
  std::string_view name;
  std::string_view factory;
};

constexpr std::string_view kFactoryPackage = "org.apache.bookkeeper.meta.";
constexpr std::array<LayoutName, 4> kNames = {{
    {LayoutType::kHierarchical, "hierarchical", "HierarchicalLedgerManagerFactory"},
    {LayoutType::kLongHierarchical, "longhierarchical", "LongHierarchicalLedgerManagerFactory"},
    {LayoutType::kLegacyHierarchical, "legacyhierarchical",
     "LegacyHierarchicalLedgerManagerFactory"},
    {LayoutType::kFlat, "flat", "FlatLedgerManagerFactory"},
}};
constexpr int64_t kLayoutFormat = 2;
constexpr int64_t kManagerVersion = 1;

const LayoutName& Find(LayoutType type) { return kNames[static_cast<size_t>(type)]; }

absl::Status CorruptLayout(std::string_view detail) {
  return MakeError(ErrorCode::kCorruptData, StrCat("LAYOUT: ", detail));
}

std::vector<PathShape> ShapesOf(LayoutType type) {
  const PathShape kShort = {2, 4, 4};
  const PathShape kLong = {3, 4, 4, 4, 4};
  switch (type) {
    case LayoutType::kHierarchical: return {kShort, kLong};
    case LayoutType::kLongHierarchical: return {kLong};
    case LayoutType::kLegacyHierarchical: return {kShort};
    case LayoutType::kFlat: return {{10}};
  }
  return {};
}

size_t DigitCount(const PathShape& shape) {
  return std::accumulate(shape.begin(), shape.end(), size_t{0});
}

}  // namespace

std::string_view NameOf(LayoutType type) { return Find(type).name; }

std::string SerializeLayout(LayoutType type) {
  return StrCat(kLayoutFormat, "\n", kFactoryPackage, Find(type).factory, ":", kManagerVersion);
}

absl::StatusOr<LayoutType> ParseLayout(std::string_view bytes) {
  const size_t newline = bytes.find('\n');
  if (newline == std::string_view::npos) return CorruptLayout("there is no second line");
  const std::optional<int64_t> format = ParseDecimal(bytes.substr(0, newline));
  if (format != 1 && format != kLayoutFormat) return CorruptLayout("the format is unknown");
  std::string_view line = bytes.substr(newline + 1);
  line = line.substr(0, line.find('\n'));
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || ParseDecimal(line.substr(colon + 1)) != kManagerVersion) {
    return CorruptLayout("the manager's version is missing or unknown");
  }
  const std::string_view manager = line.substr(0, colon);
  for (const LayoutName& known : kNames) {
    if (format == kLayoutFormat && manager == StrCat(kFactoryPackage, known.factory)) {
      return known.type;
    }
  }
  if (format == 1 && manager == "hierarchical") return LayoutType::kHierarchical;
  if (format == 1 && manager == "flat") return LayoutType::kFlat;
  return CorruptLayout("the ledger manager is unknown");
}

LedgerLayout::LedgerLayout(std::string root, LayoutType type)
    : root_(std::move(root)), type_(type), shapes_(ShapesOf(type)) {}

absl::StatusOr<std::string> LedgerLayout::PathOf(LedgerId ledger) const {
  if (!ledger.IsValid()) {
    return MakeError(ErrorCode::kInvalidArgument, StrCat("no ledger has id ", ledger.value()));
  }
  const bool is_short = shapes_.size() == 1 || ledger.value() < kFirstLongId;
  const PathShape& shape = is_short ? shapes_.front() : shapes_.back();
  const std::string digits = ZeroPadded(ledger.value(), DigitCount(shape));
  if (digits.size() > DigitCount(shape)) {
    return MakeError(ErrorCode::kUnsupported,
                     StrCat("ledger id ", ledger.value(), " is too large for the layout \"",
                            NameOf(type_), "\""));
  }
  std::string path = root_;
  size_t used = 0;
  for (size_t level = 0; level < shape.size(); ++level) {
    path += level + 1 == shape.size() ? "/L" : "/";
    path.append(digits, used, shape[level]);
    used += shape[level];
  }
  return path;
}

std::optional<LedgerId> LedgerLayout::LedgerOf(std::string_view path) const {
  if (path.substr(0, root_.size()) != root_) return std::nullopt;
  std::string digits;
  for (const char c : path.substr(root_.size())) {
    if (c >= '0' && c <= '9') digits += c;
  }
  const std::optional<int64_t> value = ParseDecimal(digits);
  if (!value.has_value()) return std::nullopt;
  const absl::StatusOr<std::string> canonical = PathOf(LedgerId(*value));
  if (!canonical.ok() || *canonical != path) return std::nullopt;
  return LedgerId(*value);
}

bool LedgerLayout::RemovesEmptyParents() const {
  return type_ == LayoutType::kHierarchical || type_ == LayoutType::kLongHierarchical;
}

}  // namespace stele::metadata
