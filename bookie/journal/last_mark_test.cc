#include "bookie/journal/last_mark.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/buffer.h"
#include "common/base/errors.h"
#include "common/seams/contract/co_assert.h"
#include "simulation/world.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using simulation::FileRequest;

const std::vector<std::string> kDirectories = {"/a/current", "/b/current"};

class FailWrites : public simulation::FileFaults {
 public:
  absl::Status BeforeOperation(const FileRequest& request) override {
    if (request.operation == FileOperation::kWrite && request.path.starts_with(prefix)) {
      return MakeError(ErrorCode::kIoError, "EIO");
    }
    return absl::OkStatus();
  }
  std::string prefix = "none";
};

class LastMarkTest : public testing::Test {
 protected:
  LastMarkTest() {
    machine_->disk().set_faults(&faults_);
    Run(Prepare(env_));
  }

  static Task<void> Prepare(Env env) {
    for (const std::string& directory : kDirectories) {
      STELE_CO_ASSERT_OK(co_await env.files->MakeDirectories(directory));
      STELE_CO_ASSERT_OK(co_await env.files->SyncDirectory(directory.substr(0, 2)));
    }
    STELE_CO_ASSERT_OK(co_await env.files->SyncDirectory("/"));
  }

  void Run(Task<void> task) {
    const absl::Status status = world_.RunToEnd(process_, std::move(task));
    ASSERT_TRUE(status.ok()) << status;
  }

  void Put(std::string directory, std::string name, std::string content) {
    Run(PutInto(env_, std::move(directory), std::move(name), std::move(content)));
  }
  static Task<void> PutInto(Env env, std::string directory, std::string name, std::string content) {
    STELE_CO_ASSERT_OK(
        co_await ReplaceFile(env.files, directory, name, Buffer::FromString(std::move(content))));
  }

  JournalMark Read(std::vector<std::string> names = {"lastMark"}) {
    LastMark last_mark(env_.files, kDirectories, std::move(names));
    JournalMark mark;
    Run(ReadInto(&last_mark, &mark));
    return mark;
  }
  static Task<void> ReadInto(LastMark* last_mark, JournalMark* to) {
    *to = co_await last_mark->Read();
  }
  absl::Status Write(LastMark* last_mark, JournalMark mark) {
    absl::Status status;
    Run(WriteInto(last_mark, mark, &status));
    return status;
  }
  static Task<void> WriteInto(LastMark* last_mark, JournalMark mark, absl::Status* to) {
    *to = co_await last_mark->Write(mark);
  }

  simulation::World world_{{.seed = 1}};
  simulation::SimMachine* machine_ = world_.AddMachine("machine");
  simulation::SimProcess* process_ = world_.AddProcess(machine_, "bookie");
  Env env_ = world_.env(process_);
  FailWrites faults_;
};

TEST(LastMarkFormatTest, ByteForByte) {
  const std::string bytes("\x00\x00\x01\x87\x95\xc6\xb5\x8c\x00\x00\x00\x00\x00\x00\x10\x00", 16);
  EXPECT_EQ(EncodeMark({0x18795c6b58c, 4096}), bytes);
  EXPECT_EQ(ParseMark(bytes), (JournalMark{0x18795c6b58c, 4096}));
  EXPECT_EQ(ParseMark(bytes.substr(1)), std::nullopt);
  EXPECT_EQ(ParseMark(bytes + "x"), std::nullopt);
  EXPECT_EQ(ParseMark(std::string(16, '\xff')), std::nullopt);
  EXPECT_EQ(LastMarkFileName(0, 1), "lastMark");
  EXPECT_EQ(LastMarkFileName(1, 2), "lastMark.1");
}

TEST_F(LastMarkTest, F10TheGreatestCounts) {
  EXPECT_EQ(Read(), JournalMark{});
  Put(kDirectories[0], "lastMark", EncodeMark({5, 100}));
  Put(kDirectories[1], "lastMark", EncodeMark({5, 200}));
  EXPECT_EQ(Read(), (JournalMark{5, 200}));
}

TEST_F(LastMarkTest, F9DamagedFilesAreAbsent) {
  Put(kDirectories[0], "lastMark", EncodeMark({5, 100}));
  Put(kDirectories[1], "lastMark", "");
  EXPECT_EQ(Read(), (JournalMark{5, 100}));
  Put(kDirectories[1], "lastMark", std::string(1 << 20, 't'));
  EXPECT_EQ(Read(), (JournalMark{5, 100}));
  Put(kDirectories[0], "lastMark", EncodeMark({5, 100}).substr(0, 15));
  EXPECT_EQ(Read(), JournalMark{});
}

TEST_F(LastMarkTest, F46MarksUnderOtherNamesAreRead) {
  Put(kDirectories[0], "lastMark", EncodeMark({5, 100}));
  Put(kDirectories[0], "lastMark.0", EncodeMark({7, 100}));
  EXPECT_EQ(Read({"lastMark", "lastMark.0"}), (JournalMark{7, 100}));
}

TEST_F(LastMarkTest, I5AMarkNeverGoesBack) {
  LastMark last_mark(env_.files, kDirectories, {"lastMark"});
  EXPECT_TRUE(Write(&last_mark, {5, 200}).ok());
  EXPECT_TRUE(Write(&last_mark, {5, 100}).ok());
  EXPECT_EQ(Read(), (JournalMark{5, 200}));
  // Nor behind one that an earlier process has written.
  LastMark next(env_.files, kDirectories, {"lastMark"});
  JournalMark read;
  Run(ReadInto(&next, &read));
  EXPECT_TRUE(Write(&next, {4, 900}).ok());
  EXPECT_EQ(Read(), (JournalMark{5, 200}));
}

TEST_F(LastMarkTest, OneDirectoryIsEnough) {
  LastMark last_mark(env_.files, kDirectories, {"lastMark"});
  faults_.prefix = "/a";
  EXPECT_TRUE(Write(&last_mark, {5, 200}).ok());
  EXPECT_EQ(Read(), (JournalMark{5, 200}));
  faults_.prefix = "/";
  EXPECT_EQ(CodeOf(Write(&last_mark, {6, 200})), ErrorCode::kIoError);
  EXPECT_EQ(Read(), (JournalMark{5, 200}));
  faults_.prefix = "none";
  EXPECT_TRUE(Write(&last_mark, {6, 200}).ok());
}

TEST_F(LastMarkTest, SurvivesAPowerCutWhole) {
  for (int64_t i = 1; i <= 20; ++i) {
    {
      LastMark last_mark(env_.files, kDirectories, {"lastMark"});
      EXPECT_TRUE(Write(&last_mark, {i, i}).ok());
    }
    // Another one is cut somewhere on its way.
    LastMark cut(env_.files, kDirectories, {"lastMark"});
    absl::Status status;
    process_->Spawn(WriteInto(&cut, {i, i + 1}, &status));
    EXPECT_TRUE(world_.scheduler().RunFor(absl::Microseconds(100 * i)).ok());
    world_.PowerCut(machine_);
    process_->Restart();
    env_ = world_.env(process_);
    const JournalMark mark = Read();
    EXPECT_TRUE(mark == (JournalMark{i, i}) || mark == (JournalMark{i, i + 1}));
  }
}

}  // namespace
}  // namespace stele::bookie
