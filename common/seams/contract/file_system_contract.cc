#include "common/seams/contract/file_system_contract.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/seams/contract/co_assert.h"

namespace stele {

void FileSystemContract::Run(Body body) {
  const std::unique_ptr<SeamWorld> world = GetParam().make();
  world->RunToEnd(body(world->env(), world->scratch_directory()));
}

namespace {

constexpr OpenOptions kNewFile{.access = OpenOptions::Access::kReadWrite,
                               .create = OpenOptions::Create::kMustBeNew};
constexpr OpenOptions kNewDirectFile{.access = OpenOptions::Access::kReadWrite,
                                     .create = OpenOptions::Create::kMustBeNew,
                                     .sync = OpenOptions::Sync::kEachWrite};
constexpr OpenOptions kExisting{.access = OpenOptions::Access::kReadWrite};

// Bytes that differ at every place: a shifted or lost block shows.
std::string Pattern(size_t size, uint32_t salt = 0) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>((i + salt) * 2654435761u >> 13);
  }
  return bytes;
}

Buffer Aligned(std::string_view bytes) {
  MutableBuffer buffer(bytes.size(), kDirectAlignmentBytes);
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return std::move(buffer).Freeze();
}

Task<absl::Status> WriteNew(FileSystem* files, std::string path, std::string content) {
  absl::StatusOr<std::unique_ptr<File>> file = co_await files->Open(path, kNewFile);
  if (!file.ok()) co_return file.status();
  co_return co_await (*file)->WriteAt(0, Buffer::FromString(std::move(content)));
}

// The content, or the error as text: for comparing in one line.
Task<std::string> Content(FileSystem* files, std::string path) {
  absl::StatusOr<Buffer> content = co_await ReadFile(files, std::move(path), 1 << 24);
  co_return content.ok() ? content->ToString() : StrCat("<", content.status().ToString(), ">");
}

// ---- Content

Task<void> ReadPastTheEnd(Env env, std::string directory) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewFile));
  STELE_CO_ASSIGN(const Buffer of_empty, co_await file->ReadAt(0, 10));
  EXPECT_EQ(of_empty.size(), 0u);
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf("0123456789")));
  STELE_CO_ASSIGN(const Buffer all, co_await file->ReadAt(0, 10));
  EXPECT_EQ(all.view(), "0123456789");
  STELE_CO_ASSIGN(const Buffer across, co_await file->ReadAt(7, 100));
  EXPECT_EQ(across.view(), "789");
  STELE_CO_ASSIGN(const Buffer at_end, co_await file->ReadAt(10, 1));
  EXPECT_EQ(at_end.size(), 0u);
  STELE_CO_ASSIGN(const Buffer behind, co_await file->ReadAt(1'000'000, 1));
  EXPECT_EQ(behind.size(), 0u);
  STELE_CO_ASSIGN(const Buffer nothing, co_await file->ReadAt(3, 0));
  EXPECT_EQ(nothing.size(), 0u);
}
TEST_P(FileSystemContract, ReadsAreShortOnlyAtTheEnd) { Run(ReadPastTheEnd); }

Task<void> Grow(Env env, std::string directory) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewFile));
  STELE_CO_ASSIGN(const uint64_t size_of_new, co_await file->Size());
  EXPECT_EQ(size_of_new, 0u);
  STELE_CO_ASSERT_OK(co_await file->WriteAt(10'000, Buffer::CopyOf("end")));
  STELE_CO_ASSIGN(const uint64_t size, co_await file->Size());
  EXPECT_EQ(size, 10'003u);
  STELE_CO_ASSIGN(const Buffer content, co_await file->ReadAt(0, 20'000));
  EXPECT_EQ(content.view(), std::string(10'000, '\0') + "end");
}
TEST_P(FileSystemContract, WritesBehindTheEndGrowTheFileWithZeroes) { Run(Grow); }

Task<void> Overwrite(Env env, std::string directory) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewFile));
  std::string expected = Pattern(3'000'001);
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf(expected)));
  const std::string patch = Pattern(9'999, 77);
  STELE_CO_ASSERT_OK(co_await file->WriteAt(511, Buffer::CopyOf(patch)));
  expected.replace(511, patch.size(), patch);
  STELE_CO_ASSERT_OK(co_await file->Sync());
  STELE_CO_ASSIGN(const Buffer content, co_await file->ReadAt(0, expected.size() + 1));
  EXPECT_TRUE(content.view() == expected);
  STELE_CO_ASSIGN(const Buffer middle, co_await file->ReadAt(1'234'567, 89'012));
  EXPECT_TRUE(middle.view() == expected.substr(1'234'567, 89'012));
}
TEST_P(FileSystemContract, LargeAndUnalignedWritesReadBack) { Run(Overwrite); }

Task<void> TruncateFile(Env env, std::string directory) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewFile));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf(std::string(9'000, 'x'))));
  STELE_CO_ASSERT_OK(co_await file->Truncate(5'000));
  STELE_CO_ASSERT_OK(co_await file->Truncate(9'000));
  STELE_CO_ASSIGN(const Buffer content, co_await file->ReadAt(0, 10'000));
  EXPECT_TRUE(content.view() == std::string(5'000, 'x') + std::string(4'000, '\0'));
  STELE_CO_ASSERT_OK(co_await file->Truncate(0));
  STELE_CO_ASSIGN(const uint64_t size, co_await file->Size());
  EXPECT_EQ(size, 0u);
  STELE_CO_EXPECT_OK(co_await file->Sync());
}
TEST_P(FileSystemContract, TruncateShrinksAndGrowsWithZeroes) { Run(TruncateFile); }

Task<void> WriteOne(File* file, uint64_t offset, std::string bytes, int* done) {
  STELE_CO_EXPECT_OK(co_await file->WriteAt(offset, Buffer::FromString(std::move(bytes))));
  ++*done;
}

Task<void> ManyInFlight(Env env, std::string directory) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewFile));
  const std::string expected = Pattern(64 * 1'000);
  int done = 0;
  {
    TaskScope scope(env.executor);
    for (size_t i = 0; i < 64; ++i) {
      scope.Spawn(WriteOne(file.get(), i * 1'000, expected.substr(i * 1'000, 1'000), &done));
    }
    co_await scope.Join();
  }
  EXPECT_EQ(done, 64);
  EXPECT_TRUE(co_await Content(env.files, directory + "/f") == expected);
}
TEST_P(FileSystemContract, ManyOperationsMayBeInFlight) { Run(ManyInFlight); }

Task<void> ReadOne(File* file, size_t size) { STELE_CO_EXPECT_OK(co_await file->ReadAt(0, size)); }

Task<void> Abandon(Env env, std::string directory) {
  for (int round = 0; round < 20; ++round) {
    const std::string path = StrCat(directory, "/f", round);
    int done = 0;
    STELE_CO_ASSIGN(std::unique_ptr<File> file, co_await env.files->Open(path, kNewFile));
    {
      TaskScope scope(env.executor);
      for (size_t i = 0; i < 8; ++i) {
        scope.Spawn(WriteOne(file.get(), i * 10'000, Pattern(10'000), &done));
        scope.Spawn(ReadOne(file.get(), 10'000));
      }
      if (round % 2 == 1) file.reset();  // closed with operations in flight
    }
    EXPECT_EQ(done, 0);
    STELE_CO_EXPECT_OK(co_await env.files->Stat(path));
  }
}
TEST_P(FileSystemContract, OperationsMayBeAbandonedAndFilesClosedMeanwhile) { Run(Abandon); }

Task<void> Direct(Env env, std::string directory) {
  const std::string expected = Pattern(5 * 4'096);
  {
    STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                    co_await env.files->Open(directory + "/f", kNewDirectFile));
    STELE_CO_ASSERT_OK(
        co_await file->WriteAt(0, Aligned(std::string_view(expected).substr(0, 8'192))));
    STELE_CO_ASSERT_OK(
        co_await file->WriteAt(8'192, Aligned(std::string_view(expected).substr(8'192))));
    STELE_CO_ASSIGN(const Buffer unaligned, co_await file->ReadAt(4'095, 4'099));
    EXPECT_TRUE(unaligned.view() == expected.substr(4'095, 4'099));
    STELE_CO_ASSIGN(const Buffer across_end, co_await file->ReadAt(20'000, 10'000));
    EXPECT_TRUE(across_end.view() == expected.substr(20'000));
    STELE_CO_ASSIGN(const Buffer at_end, co_await file->ReadAt(20'480, 4'096));
    EXPECT_EQ(at_end.size(), 0u);
    STELE_CO_EXPECT_OK(co_await file->Sync());
  }
  EXPECT_TRUE(co_await Content(env.files, directory + "/f") == expected);
}
TEST_P(FileSystemContract, DirectFilesTakeAlignedWritesAndAnyRead) { Run(Direct); }

Task<void> Misaligned(Env env, std::string directory) {
  const std::string block = Pattern(8'192);
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewDirectFile));
  STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument, co_await file->WriteAt(512, Aligned(block)));
  STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument,
                       co_await file->WriteAt(0, Aligned(block.substr(0, 4'095))));
  STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument,
                       co_await file->WriteAt(0, Aligned(block).Slice(8, 4'096)));
  STELE_CO_ASSIGN(const uint64_t size, co_await file->Size());
  EXPECT_EQ(size, 0u);
  // The file is not poisoned: nothing was tried.
  STELE_CO_EXPECT_OK(co_await file->WriteAt(4'096, Aligned(block)));
}
TEST_P(FileSystemContract, DirectFilesRefuseMisalignedWrites) { Run(Misaligned); }

Task<void> ReadOnly(Env env, std::string directory) {
  STELE_CO_ASSERT_OK(co_await WriteNew(env.files, directory + "/f", "abc"));
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", OpenOptions{}));
  EXPECT_FALSE((co_await file->WriteAt(0, Buffer::CopyOf("x"))).ok());
  EXPECT_FALSE((co_await file->Truncate(0)).ok());
  EXPECT_EQ(co_await Content(env.files, directory + "/f"), "abc");
}
TEST_P(FileSystemContract, FilesOpenedForReadingCannotBeChanged) { Run(ReadOnly); }

// ---- Names

Task<void> OpenModes(Env env, std::string directory) {
  const std::string path = directory + "/f";
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Open(path, OpenOptions{}));
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile,
                       co_await env.files->Open(directory + "/no/f", kNewFile));
  STELE_CO_ASSERT_OK(co_await WriteNew(env.files, path, "abc"));
  STELE_CO_EXPECT_CODE(ErrorCode::kFileExists, co_await env.files->Open(path, kNewFile));
  OpenOptions if_missing = kExisting;
  if_missing.create = OpenOptions::Create::kIfMissing;
  STELE_CO_ASSIGN(std::unique_ptr<File> file, co_await env.files->Open(path, if_missing));
  STELE_CO_ASSIGN(const uint64_t size, co_await file->Size());
  EXPECT_EQ(size, 3u);
  STELE_CO_ASSIGN(file, co_await env.files->Open(directory + "/g", if_missing));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf("new")));
  EXPECT_EQ(co_await Content(env.files, directory + "/g"), "new");
}
TEST_P(FileSystemContract, OpenCreatesAsAsked) { Run(OpenModes); }

Task<void> StatPaths(Env env, std::string directory) {
  STELE_CO_ASSERT_OK(co_await WriteNew(env.files, directory + "/f", "12345"));
  STELE_CO_ASSIGN(const FileInfo file, co_await env.files->Stat(directory + "/f"));
  EXPECT_FALSE(file.is_directory);
  EXPECT_EQ(file.size_bytes, 5u);
  STELE_CO_ASSIGN(const FileInfo parent, co_await env.files->Stat(directory));
  EXPECT_TRUE(parent.is_directory);
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Stat(directory + "/g"));
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Stat(directory + "/no/g"));
}
TEST_P(FileSystemContract, StatTellsFilesFromDirectories) { Run(StatPaths); }

Task<void> ListNames(Env env, std::string directory) {
  STELE_CO_ASSIGN(const std::vector<std::string> none, co_await env.files->List(directory));
  EXPECT_TRUE(none.empty());
  for (const char* name : {"b", "10", "9", "Z", ".hidden", "a b", "\xc3\xa9"}) {
    STELE_CO_ASSERT_OK(co_await WriteNew(env.files, directory + "/" + name, ""));
  }
  STELE_CO_ASSERT_OK(co_await env.files->MakeDirectories(directory + "/c/d"));
  STELE_CO_ASSIGN(const std::vector<std::string> names, co_await env.files->List(directory));
  EXPECT_EQ(names,
            (std::vector<std::string>{".hidden", "10", "9", "Z", "a b", "b", "c", "\xc3\xa9"}));
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->List(directory + "/no"));
  EXPECT_FALSE((co_await env.files->List(directory + "/b")).ok());
}
TEST_P(FileSystemContract, ListIsSortedByBytes) { Run(ListNames); }

Task<void> Directories(Env env, std::string directory) {
  STELE_CO_EXPECT_OK(co_await env.files->MakeDirectories(directory + "/a/b/c"));
  STELE_CO_EXPECT_OK(co_await env.files->MakeDirectories(directory + "/a/b/c"));
  STELE_CO_EXPECT_OK(co_await env.files->MakeDirectories(directory + "/a/b/d"));
  STELE_CO_ASSIGN(const std::vector<std::string> names,
                  co_await env.files->List(directory + "/a/b"));
  EXPECT_EQ(names, (std::vector<std::string>{"c", "d"}));
  STELE_CO_ASSERT_OK(co_await WriteNew(env.files, directory + "/file", ""));
  EXPECT_FALSE((co_await env.files->MakeDirectories(directory + "/file")).ok());
  EXPECT_FALSE((co_await env.files->MakeDirectories(directory + "/file/x")).ok());
  STELE_CO_EXPECT_OK(co_await env.files->SyncDirectory(directory + "/a/b"));
  EXPECT_FALSE((co_await env.files->SyncDirectory(directory + "/no")).ok());
}
TEST_P(FileSystemContract, MakeDirectoriesMakesParentsAndIsIdempotent) { Run(Directories); }

Task<void> RenameFiles(Env env, std::string directory) {
  const std::string from = directory + "/from";
  const std::string to = directory + "/to";
  STELE_CO_ASSERT_OK(co_await WriteNew(env.files, from, "new"));
  STELE_CO_ASSERT_OK(co_await WriteNew(env.files, to, "old"));
  STELE_CO_ASSIGN(const std::unique_ptr<File> old, co_await env.files->Open(to, OpenOptions{}));
  STELE_CO_ASSERT_OK(co_await env.files->Rename(from, to));
  EXPECT_EQ(co_await Content(env.files, to), "new");
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Stat(from));
  STELE_CO_ASSIGN(const Buffer still_there, co_await old->ReadAt(0, 10));
  EXPECT_EQ(still_there.view(), "old");
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Rename(from, to));
  STELE_CO_ASSERT_OK(co_await env.files->MakeDirectories(directory + "/sub"));
  STELE_CO_ASSERT_OK(co_await env.files->Rename(to, directory + "/sub/moved"));
  EXPECT_EQ(co_await Content(env.files, directory + "/sub/moved"), "new");
  STELE_CO_ASSERT_OK(co_await env.files->Rename(directory + "/sub", directory + "/sub2"));
  EXPECT_EQ(co_await Content(env.files, directory + "/sub2/moved"), "new");
}
TEST_P(FileSystemContract, RenameReplacesItsTarget) { Run(RenameFiles); }

Task<void> LinkFiles(Env env, std::string directory) {
  const std::string from = directory + "/from";
  const std::string to = directory + "/to";
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Link(from, to));
  STELE_CO_ASSERT_OK(co_await WriteNew(env.files, from, "abc"));
  STELE_CO_ASSERT_OK(co_await env.files->Link(from, to));
  STELE_CO_EXPECT_CODE(ErrorCode::kFileExists, co_await env.files->Link(from, to));
  {
    STELE_CO_ASSIGN(const std::unique_ptr<File> file, co_await env.files->Open(to, kExisting));
    STELE_CO_ASSERT_OK(co_await file->WriteAt(1, Buffer::CopyOf("X")));
  }
  EXPECT_EQ(co_await Content(env.files, from), "aXc");
  // POSIX: a rename between two names of one file does nothing.
  STELE_CO_ASSERT_OK(co_await env.files->Rename(from, to));
  EXPECT_EQ(co_await Content(env.files, from), "aXc");
  STELE_CO_ASSERT_OK(co_await env.files->Remove(from));
  EXPECT_EQ(co_await Content(env.files, to), "aXc");
}
TEST_P(FileSystemContract, LinkGivesASecondNameAndNeverReplaces) { Run(LinkFiles); }

Task<void> RemoveNames(Env env, std::string directory) {
  const std::string path = directory + "/a/f";
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Remove(path));
  STELE_CO_ASSERT_OK(co_await env.files->MakeDirectories(directory + "/a"));
  STELE_CO_ASSERT_OK(co_await WriteNew(env.files, path, "abc"));
  STELE_CO_ASSIGN(const std::unique_ptr<File> file, co_await env.files->Open(path, kExisting));
  EXPECT_FALSE((co_await env.files->Remove(directory + "/a")).ok());
  STELE_CO_EXPECT_OK(co_await env.files->Remove(path));
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Stat(path));
  STELE_CO_ASSIGN(const Buffer still_there, co_await file->ReadAt(0, 10));
  EXPECT_EQ(still_there.view(), "abc");
  STELE_CO_EXPECT_OK(co_await env.files->Remove(directory + "/a"));
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Stat(directory + "/a"));
}
TEST_P(FileSystemContract, RemoveTakesFilesAndEmptyDirectories) { Run(RemoveNames); }

Task<void> Lock(Env env, std::string directory) {
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile,
                       co_await env.files->LockDirectory(directory + "/no"));
  STELE_CO_ASSIGN(std::unique_ptr<DirectoryLock> lock,
                  co_await env.files->LockDirectory(directory));
  STELE_CO_EXPECT_CODE(ErrorCode::kOverloaded, co_await env.files->LockDirectory(directory));
  lock.reset();
  STELE_CO_ASSIGN(lock, co_await env.files->LockDirectory(directory));
  STELE_CO_EXPECT_CODE(ErrorCode::kOverloaded, co_await env.files->LockDirectory(directory));
}
TEST_P(FileSystemContract, DirectoryLockIsExclusiveUntilDestroyed) { Run(Lock); }

Task<void> SpaceOfDisk(Env env, std::string directory) {
  STELE_CO_ASSERT_OK(co_await env.files->MakeDirectories(directory + "/a"));
  STELE_CO_ASSIGN(const DiskSpace space, co_await env.files->Space(directory));
  EXPECT_GT(space.total_bytes, 0u);
  EXPECT_GT(space.free_bytes, 0u);
  EXPECT_LE(space.free_bytes, space.total_bytes);
  STELE_CO_ASSIGN(const DiskSpace below, co_await env.files->Space(directory + "/a"));
  EXPECT_EQ(below.device, space.device);
  EXPECT_EQ(below.total_bytes, space.total_bytes);
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchFile, co_await env.files->Space(directory + "/no"));
}
TEST_P(FileSystemContract, SpaceIsThatOfTheDevice) { Run(SpaceOfDisk); }

// ---- The helpers on top

Task<void> Replace(Env env, std::string directory) {
  // A leftover of a crash is in the way.
  STELE_CO_ASSERT_OK(co_await WriteNew(env.files, directory + "/mark.tmp", "half"));
  for (const char* content : {"one", "three", ""}) {
    STELE_CO_ASSERT_OK(co_await ReplaceFile(env.files, directory, "mark", Buffer::CopyOf(content)));
    EXPECT_EQ(co_await Content(env.files, directory + "/mark"), content);
  }
  STELE_CO_ASSIGN(const std::vector<std::string> names, co_await env.files->List(directory));
  EXPECT_EQ(names, std::vector<std::string>{"mark"});
  STELE_CO_ASSERT_OK(co_await ReplaceFile(env.files, directory, "mark", Buffer::CopyOf("abc")));
  STELE_CO_EXPECT_CODE(ErrorCode::kCorruptData,
                       co_await ReadFile(env.files, directory + "/mark", 2));
}
TEST_P(FileSystemContract, ReplaceFileAndReadFile) { Run(Replace); }

}  // namespace
}  // namespace stele
