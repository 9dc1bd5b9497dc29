// What a disk does to data behind everybody's back, and what an operator does to a disk.
#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/sim_disk.h"

namespace stele::simulation {
namespace {

// A copy of the tree with its durable state only.
std::shared_ptr<Inode> CopyDurable(const std::shared_ptr<const Inode>& from,
                                   std::map<uint64_t, std::shared_ptr<Inode>>* copies) {
  std::shared_ptr<Inode>& copy = (*copies)[from->id];
  if (copy != nullptr) return copy;  // another name of the same file
  auto made = std::make_shared<Inode>();
  copy = made;
  made->id = from->id;
  made->is_directory = from->is_directory;
  made->content = made->durable = from->durable;
  made->bad_sectors = from->bad_sectors;
  for (const auto& [name, child] : from->durable_names) {
    const std::shared_ptr<Inode> below = CopyDurable(child, copies);
    ++below->links;
    made->names[name] = made->durable_names[name] = below;
  }
  return made;
}

}  // namespace

// ---- Reads and writes that go wrong

absl::Status SimDisk::CheckSectors(const Inode& inode, uint64_t offset, uint64_t size) {
  if (inode.bad_sectors.empty() || size == 0) return absl::OkStatus();
  const auto bad = inode.bad_sectors.lower_bound(offset / kSectorBytes);
  if (bad == inode.bad_sectors.end() || *bad > (offset + size - 1) / kSectorBytes) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kIoError, StrCat("sector ", *bad, " cannot be read"));
}

void SimDisk::MakeBad(Inode* inode, uint64_t offset) {
  inode->bad_sectors.insert(offset / kSectorBytes);
}

void SimDisk::LoseUnsynced(Inode* inode, bool shows_old) {
  if (shows_old) {
    for (const auto& [page, mask] : inode->unsynced) {
      inode->content.CopySectors(page, mask, inode->durable);
    }
  }
  inode->unsynced.clear();
}

void SimDisk::WriteLost(Inode* inode, uint64_t offset, std::string_view bytes,
                        OpenOptions::Sync sync) {
  // A direct write leaves nothing in a cache either.
  if (sync == OpenOptions::Sync::kEachWrite) return;
  const auto before = inode->unsynced;
  if (Write(inode, offset, bytes, sync).ok()) inode->unsynced = before;
}

// A long read is many commands to a device, and one of them goes astray.
void SimDisk::MisdirectPage(const Inode& inode, uint64_t offset, std::span<char> read) {
  const uint64_t pages = inode.content.size() / kPageBytes;
  if (read.empty() || pages < 2) return;
  const uint64_t end = offset + read.size();
  const uint64_t first = offset / kPageBytes;
  const uint64_t page = first + random_.Below((end - 1) / kPageBytes - first + 1);
  const uint64_t other = random_.Below(pages);
  const uint64_t from = std::max(offset, page * kPageBytes);
  const uint64_t to = std::min(end, (page + 1) * kPageBytes);
  inode.content.Read(other * kPageBytes + from % kPageBytes, read.data() + (from - offset),
                     to - from);
}

uint64_t SimDisk::DrawOtherOffset(const Inode& inode, uint64_t offset, size_t size) {
  if (inode.content.size() < size + kPageBytes) return offset;
  const uint64_t places = (inode.content.size() - size) / kPageBytes + 1;
  const uint64_t place = random_.Below(places) * kPageBytes;
  return place == offset / kPageBytes * kPageBytes ? offset : place;
}

void SimDisk::WriteToOtherFile(const Inode* not_this, std::string_view bytes) {
  std::vector<FoundFile> files = FilesBelow("/");
  std::erase_if(files, [&](const FoundFile& file) {
    return file.second.get() == not_this || file.second->content.size() < kPageBytes;
  });
  if (files.empty()) return;
  Inode* inode = files[random_.Below(files.size())].second.get();
  const uint64_t offset = random_.Below(inode->content.size() / kPageBytes) * kPageBytes;
  const size_t size = std::min<uint64_t>(bytes.size(), inode->content.size() - offset);
  Write(inode, offset, bytes.substr(0, size), OpenOptions::Sync::kEachWrite).IgnoreError();
}

std::vector<SimDisk::FoundFile> SimDisk::FilesBelow(std::string_view prefix) const {
  std::vector<FoundFile> found;
  Collect(root_, "", prefix, &found);
  return found;
}

void SimDisk::Collect(const InodeRef& directory, const std::string& path, std::string_view prefix,
                      std::vector<FoundFile>* found) {
  for (const auto& [name, inode] : directory->names) {
    const std::string here = StrCat(path, "/", name);
    if (inode->is_directory) {
      Collect(inode, here, prefix, found);
    } else if (here.starts_with(prefix)) {
      found->emplace_back(here, inode);
    }
  }
}

// ---- At rest

std::optional<DamagedPlace> SimDisk::Rot(std::string_view prefix) {
  std::vector<FoundFile> files = FilesBelow(prefix);
  std::erase_if(files, [](const FoundFile& file) {
    return file.second->durable.NextPage(0) == UINT64_MAX || file.second->durable.size() == 0;
  });
  if (files.empty()) return std::nullopt;
  const auto& [path, inode] = files[random_.Below(files.size())];
  // A page that was written, from a random place on.
  const uint64_t pages = (inode->durable.size() + kPageBytes - 1) / kPageBytes;
  uint64_t page = inode->durable.NextPage(random_.Below(pages));
  if (page >= pages) page = inode->durable.NextPage(0);
  if (page >= pages) return std::nullopt;
  const uint64_t end = std::min(inode->durable.size(), (page + 1) * kPageBytes);
  const uint64_t sectors = (end - page * kPageBytes + kSectorBytes - 1) / kSectorBytes;
  const uint64_t offset = page * kPageBytes + random_.Below(sectors) * kSectorBytes;
  std::string sector(std::min<uint64_t>(kSectorBytes, end - offset), '\0');
  inode->durable.Read(offset, sector.data(), sector.size());
  const uint64_t flips = 1 + random_.Below(64);
  const uint64_t first = random_.Below(sector.size() * 8);
  for (uint64_t i = 0; i < flips; ++i) {
    const uint64_t bit = (first + i * 37) % (sector.size() * 8);
    sector[bit / 8] = static_cast<char>(sector[bit / 8] ^ (1 << bit % 8));
  }
  inode->durable.Write(offset, sector);
  // Seen by whoever reads, unless it is to be written again.
  const auto unsynced = inode->unsynced.find(page);
  const uint8_t bit = static_cast<uint8_t>(1u << offset % kPageBytes / kSectorBytes);
  if (unsynced == inode->unsynced.end() || (unsynced->second & bit) == 0) {
    inode->content.CopySectors(page, bit, inode->durable);
  }
  scheduler_->faults().Count("disk.rot");
  scheduler_->trace().Record(TraceKind::kDisk, device_, offset);
  return DamagedPlace{path, offset};
}

void SimDisk::DropCaches() {
  for (const auto& [path, inode] : FilesBelow("/")) {
    SectorImage seen = inode->durable;
    for (const auto& [page, mask] : inode->unsynced) {
      seen.CopySectors(page, mask, inode->content);
    }
    seen.Resize(std::max(seen.size(), inode->content.size()));
    seen.Resize(inode->content.size());
    inode->content = std::move(seen);
  }
}

// ---- Operators and snapshots

std::shared_ptr<const Inode> SimDisk::TakeSnapshot() const {
  std::map<uint64_t, std::shared_ptr<Inode>> copies;
  return CopyDurable(root_, &copies);
}

void SimDisk::RestoreSnapshot(const std::shared_ptr<const Inode>& snapshot) {
  std::map<uint64_t, std::shared_ptr<Inode>> copies;
  root_ = CopyDurable(snapshot, &copies);
  unsynced_names_.clear();
  for (const auto& [id, inode] : copies) {
    if (!inode->is_directory) Recharge(inode.get());
  }
  RecountUsed();
  scheduler_->faults().Count("disk.rollback");
}

void SimDisk::SetContent(Inode* inode, const SectorImage& content) {
  inode->durable = content;
  inode->unsynced.clear();
  used_bytes_ -= inode->charged_bytes;
  Recharge(inode);
}

bool SimDisk::RestoreFile(const std::shared_ptr<const Inode>& snapshot, std::string_view path) {
  std::vector<FoundFile> old;
  Collect(std::const_pointer_cast<Inode>(snapshot), "", path, &old);
  const absl::StatusOr<InodeRef> found = Find(path);
  if (old.empty() || old.front().first != path || !found.ok() || (*found)->is_directory) {
    return false;
  }
  SetContent(found->get(), old.front().second->durable);
  scheduler_->faults().Count("disk.stale_file");
  return true;
}

bool SimDisk::Wipe(std::string_view path) {
  const absl::StatusOr<InodeRef> found = Find(path);
  if (!found.ok() || !(*found)->is_directory) return false;
  const InodeRef directory = *found;
  directory->names.clear();
  directory->durable_names.clear();
  std::erase_if(unsynced_names_, [&](const NameStep& step) {
    return std::any_of(step.begin(), step.end(),
                       [&](const NameChange& change) { return change.directory == directory; });
  });
  RecountUsed();
  scheduler_->faults().Count("disk.wipe");
  return true;
}

bool SimDisk::SwapDirectories(SimDisk* a, SimDisk* b, std::string_view path) {
  const absl::StatusOr<InodeRef> left = a->Find(path);
  const absl::StatusOr<InodeRef> right = b->Find(path);
  if (!left.ok() || !right.ok() || !(*left)->is_directory || !(*right)->is_directory) return false;
  std::swap((*left)->names, (*right)->names);
  std::swap((*left)->durable_names, (*right)->durable_names);
  a->RecountUsed();
  b->RecountUsed();
  a->scheduler_->faults().Count("disk.swap");
  return true;
}

void SimDisk::RecountUsed() {
  std::set<uint64_t> counted;
  used_bytes_ = 0;
  for (const auto& [path, inode] : FilesBelow("/")) {
    if (counted.insert(inode->id).second) used_bytes_ += inode->charged_bytes;
  }
}

void SimDisk::Heal() {
  disk_faults_.Clear();
  files_max_ = UINT64_MAX;
  slowness_ = 1;
  unevenness_max_ = absl::ZeroDuration();
  stalled_until_nanoseconds_ = 0;
  hung_ = false;
  read_only_ = false;
  forbidden_.clear();
}

}  // namespace stele::simulation
