#include "metadata/contract/metadata_store_contract.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/async/notification.h"
#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/seams/contract/co_assert.h"

namespace stele::metadata {

void MetadataStoreContract::Run(Body body) {
  const std::unique_ptr<MetadataWorld> world = GetParam().make();
  world->RunToEnd(body(world.get()));
}

namespace {

using Store = std::unique_ptr<MetadataStore>;
using Names = std::vector<std::string>;
using Deletions = std::vector<Deletion>;

constexpr NodeKind kPersistent = NodeKind::kPersistent;
constexpr NodeKind kEphemeral = NodeKind::kEphemeral;

// Counts calls of watches.
class Bell {
 public:
  explicit Bell(Executor* executor) : changed_(executor) {}
  WatchCallback Ring() {
    return [this] {
      ++rings_;
      changed_.NotifyAll();
    };
  }
  int rings() const { return rings_; }
  // Completes when it has rung more than `seen` times.
  Task<void> WaitBeyond(int seen) {
    while (rings_ <= seen) co_await changed_.Wait();
  }

 private:
  Notification changed_;
  int rings_ = 0;
};

// The value, or the error's name.
Task<std::string> ValueAt(MetadataStore* store, std::string path) {
  absl::StatusOr<Node> node = co_await store->Get(std::move(path));
  co_return node.ok() ? node->value : StrCat("<", NameOf(CodeOf(node.status())), ">");
}

// Waits until a Get of `path` gives `value`, looking again at each ring.
Task<void> WaitForValue(MetadataStore* store, Bell* bell, std::string path, std::string value) {
  for (;;) {
    const int seen = bell->rings();
    if (co_await ValueAt(store, path) == value) co_return;
    co_await bell->WaitBeyond(seen);
  }
}

// ---- Nodes

Task<void> Nodes(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string path = world->root() + "/node";
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await store->Get(path));
  STELE_CO_ASSERT_OK(co_await store->Create(path, "one", kPersistent));
  STELE_CO_ASSIGN(const Node node, co_await store->Get(path));
  EXPECT_EQ(node.value, "one");
  EXPECT_EQ(node.version, 0);
  EXPECT_EQ(node.owner, EphemeralOwner::kNone);
  STELE_CO_EXPECT_CODE(ErrorCode::kKeyExists, co_await store->Create(path, "two", kPersistent));
  STELE_CO_EXPECT_CODE(ErrorCode::kKeyExists, co_await store->Create(path, "two", kEphemeral));
  EXPECT_EQ(co_await ValueAt(store.get(), path), "one");
  co_await store->Close();
}
TEST_P(MetadataStoreContract, CreateMakesANodeOnce) { Run(Nodes); }

Task<void> Values(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  std::string bytes;
  for (int i = 0; i < 512; ++i) bytes += static_cast<char>(i);
  const Names values = {"", bytes, std::string(100'000, 'x'), std::string("\0", 1)};
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string path = StrCat(world->root(), "/value-", i);
    STELE_CO_ASSERT_OK(co_await store->Create(path, values[i], kPersistent));
    EXPECT_TRUE(co_await ValueAt(store.get(), path) == values[i]) << i;
    STELE_CO_ASSERT_OK(co_await store->Put(path, values[values.size() - 1 - i], 0));
    EXPECT_TRUE(co_await ValueAt(store.get(), path) == values[values.size() - 1 - i]) << i;
  }
  co_await store->Close();
}
TEST_P(MetadataStoreContract, ValuesAreAnyBytes) { Run(Values); }

Task<void> CompareAndSwap(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string path = world->root() + "/node";
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await store->Put(path, "x", kAnyVersion));
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await store->Put(path, "x", 0));
  STELE_CO_ASSERT_OK(co_await store->Create(path, "v0", kPersistent));
  STELE_CO_EXPECT_CODE(ErrorCode::kMetadataConflict, co_await store->Put(path, "x", 1));
  STELE_CO_ASSIGN(const Version first, co_await store->Put(path, "v1", 0));
  EXPECT_EQ(first, 1);
  STELE_CO_EXPECT_CODE(ErrorCode::kMetadataConflict, co_await store->Put(path, "x", 0));
  // An equal value is a change too.
  STELE_CO_ASSIGN(const Version second, co_await store->Put(path, "v1", 1));
  EXPECT_EQ(second, 2);
  STELE_CO_ASSIGN(const Version third, co_await store->Put(path, "v3", kAnyVersion));
  EXPECT_EQ(third, 3);
  STELE_CO_ASSIGN(const Node node, co_await store->Get(path));
  EXPECT_EQ(node.value, "v3");
  EXPECT_EQ(node.version, 3);
  co_await store->Close();
}
TEST_P(MetadataStoreContract, PutComparesVersions) { Run(CompareAndSwap); }

Task<void> Deletes(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string parent = world->root() + "/parent";
  const std::string child = parent + "/child";
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await store->Delete(child, kAnyVersion));
  STELE_CO_ASSERT_OK(co_await store->Create(child, "v0", kPersistent));
  STELE_CO_ASSERT_OK(co_await store->Put(child, "v1", 0));
  STELE_CO_EXPECT_CODE(ErrorCode::kMetadataConflict, co_await store->Delete(child, 0));
  STELE_CO_EXPECT_CODE(ErrorCode::kKeyNotEmpty, co_await store->Delete(parent, kAnyVersion));
  STELE_CO_EXPECT_CODE(ErrorCode::kKeyNotEmpty, co_await store->Delete(parent, 0));
  STELE_CO_EXPECT_OK(co_await store->Delete(child, 1));
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await store->Get(child));
  STELE_CO_EXPECT_OK(co_await store->Delete(parent, kAnyVersion));
  // A new node of that name starts again.
  STELE_CO_ASSERT_OK(co_await store->Create(child, "again", kPersistent));
  STELE_CO_ASSIGN(const Node node, co_await store->Get(child));
  EXPECT_EQ(node.version, 0);
  co_await store->Close();
}
TEST_P(MetadataStoreContract, DeleteComparesVersionsAndKeepsParents) { Run(Deletes); }

Task<void> DeletesTogether(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string parent = world->root() + "/parent";
  const std::string child = parent + "/child";
  const std::string lock = world->root() + "/lock";
  STELE_CO_ASSERT_OK(co_await store->Create(child, "v0", kPersistent));
  STELE_CO_ASSERT_OK(co_await store->Put(child, "v1", 0));
  STELE_CO_ASSERT_OK(co_await store->Create(lock, "", kEphemeral));
  const std::string other = parent + "/other";
  const Deletions all = {{child, 1}, {parent, kAnyVersion}, {lock, kAnyVersion}};
  const std::vector<std::pair<Deletions, ErrorCode>> refused = {
      {{{lock, kAnyVersion}, {child, 0}}, ErrorCode::kMetadataConflict},
      {{{child, 1}, {other, kAnyVersion}}, ErrorCode::kNoSuchKey},
      {{{child, 1}, {child, 1}}, ErrorCode::kNoSuchKey},
      {{{lock, kAnyVersion}, {parent, kAnyVersion}, {child, 1}}, ErrorCode::kKeyNotEmpty},
      {{{child, 1}, {parent + "/", kAnyVersion}}, ErrorCode::kInvalidArgument}};
  for (const auto& [nodes, code] : refused) {
    STELE_CO_EXPECT_CODE(code, co_await store->DeleteTogether(nodes));
  }
  STELE_CO_ASSERT_OK(co_await store->Create(other, "", kPersistent));
  STELE_CO_EXPECT_CODE(ErrorCode::kKeyNotEmpty, co_await store->DeleteTogether(all));
  STELE_CO_EXPECT_OK(co_await store->Delete(other, kAnyVersion));
  // None of these has taken anything away.
  EXPECT_EQ(co_await ValueAt(store.get(), child), "v1");
  STELE_CO_EXPECT_OK(co_await store->Get(lock));

  Bell bell(world->executor());
  const auto watch = store->WatchNode(child, bell.Ring());
  co_await bell.WaitBeyond(0);
  const int seen = bell.rings();
  STELE_CO_EXPECT_OK(co_await store->DeleteTogether(all));
  co_await bell.WaitBeyond(seen);
  for (const std::string& path : {child, parent, lock}) {
    STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await store->Get(path));
  }
  STELE_CO_ASSIGN(const Names names, co_await store->Children(world->root()));
  EXPECT_EQ(names, Names{});
  co_await store->Close();
}
TEST_P(MetadataStoreContract, SeveralNodesAreDeletedTogetherOrNot) { Run(DeletesTogether); }

Task<void> Parents(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string root = world->root();
  STELE_CO_ASSERT_OK(co_await store->Create(root + "/a/b/c/d", "deep", kEphemeral));
  STELE_CO_ASSIGN(const Node parent, co_await store->Get(root + "/a/b"));
  EXPECT_EQ(parent.value, "");
  EXPECT_EQ(parent.version, 0);
  EXPECT_EQ(parent.owner, EphemeralOwner::kNone);
  STELE_CO_ASSIGN(const Names names, co_await store->Children(root + "/a/b/c"));
  EXPECT_EQ(names, Names{"d"});
  // An existing parent stays as it is.
  STELE_CO_ASSERT_OK(co_await store->Put(root + "/a", "mine", 0));
  STELE_CO_ASSERT_OK(co_await store->Create(root + "/a/e/f", "", kPersistent));
  STELE_CO_ASSERT_OK(co_await store->Create(root + "/a/g/h", "", kPersistent));
  STELE_CO_ASSERT_OK(co_await store->Create(root + "/a/e/i", "", kPersistent));
  STELE_CO_ASSIGN(const Node made, co_await store->Get(root + "/a/g"));
  EXPECT_EQ(made.value, "");
  EXPECT_EQ(made.version, 0);
  EXPECT_EQ(made.owner, EphemeralOwner::kNone);
  STELE_CO_ASSIGN(const Names both, co_await store->Children(root + "/a/e"));
  EXPECT_EQ(both, (Names{"f", "i"}));
  STELE_CO_ASSIGN(const Node changed, co_await store->Get(root + "/a"));
  EXPECT_EQ(changed.value, "mine");
  EXPECT_EQ(changed.version, 1);
  co_await store->Close();
}
TEST_P(MetadataStoreContract, CreateMakesMissingParents) { Run(Parents); }

Task<void> ListChildren(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string parent = world->root() + "/parent";
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await store->Children(parent));
  STELE_CO_ASSERT_OK(co_await store->Create(parent, "", kPersistent));
  STELE_CO_ASSIGN(const Names none, co_await store->Children(parent));
  EXPECT_EQ(none, Names{});
  for (const char* name : {"b", "10", "9", "Z", "b-c", "a:3181"}) {
    STELE_CO_ASSERT_OK(co_await store->Create(parent + "/" + name, "", kPersistent));
  }
  STELE_CO_ASSERT_OK(co_await store->Create(parent + "/b/grandchild", "", kPersistent));
  STELE_CO_ASSERT_OK(co_await store->Create(world->root() + "/parent-2/x", "", kPersistent));
  STELE_CO_ASSIGN(const Names names, co_await store->Children(parent));
  EXPECT_EQ(names, (Names{"10", "9", "Z", "a:3181", "b", "b-c"}));
  co_await store->Close();
}
TEST_P(MetadataStoreContract, ChildrenAreNamesSortedByBytes) { Run(ListChildren); }

Task<void> Sequence(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string parent = world->root() + "/queue";
  std::string last;
  for (int i = 0; i < 12; ++i) {
    const std::string prefix = StrCat(parent, i % 3 == 0 ? "/a-" : i % 3 == 1 ? "/b" : "/");
    const std::string value = StrCat("v", i);
    STELE_CO_ASSIGN(const std::string path,
                    co_await store->CreateSequential(prefix, value, kPersistent));
    STELE_CO_ASSERT(path.size() == prefix.size() + 10);
    EXPECT_EQ(path.substr(0, prefix.size()), prefix);
    const std::string digits = path.substr(prefix.size());
    EXPECT_EQ(digits.find_first_not_of("0123456789"), std::string::npos) << path;
    EXPECT_GT(digits, last) << "numbers of one parent grow, whatever the prefix";
    last = digits;
    EXPECT_EQ(co_await ValueAt(store.get(), path), value);
    // A number is not given again when its node is gone.
    if (i % 2 == 0) STELE_CO_ASSERT_OK(co_await store->Delete(path, 0));
  }
  co_await store->Close();
}
TEST_P(MetadataStoreContract, SequentialNumbersGrowPerParent) { Run(Sequence); }

Task<void> BadArguments(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string root = world->root();
  for (const std::string& path : {std::string(), std::string("a"), root + "/", root + "//a",
                                  root + "/./a", root + "/../a", root + std::string("/a\0", 3)}) {
    STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument, co_await store->Get(path));
    STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument,
                         co_await store->Create(path, "", kPersistent));
    STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument, co_await store->Put(path, "", 0));
    STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument, co_await store->Delete(path, 0));
    STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument, co_await store->Children(path));
  }
  const std::string large((1 << 20) - 8192, 'x');
  STELE_CO_EXPECT_OK(co_await store->Create(root + "/large", large, kPersistent));
  STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument,
                       co_await store->Create(root + "/larger", large + "x", kPersistent));
  STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument,
                       co_await store->Put(root + "/large", large + "x", 0));
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await store->Get(root + "/larger"));
  co_await store->Close();
}
TEST_P(MetadataStoreContract, BadPathsAndLargeValuesAreRefused) { Run(BadArguments); }

// ---- Several sessions

Task<void> SeenByOthers(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store a, co_await world->Open());
  STELE_CO_ASSIGN(const Store b, co_await world->Open());
  const std::string path = world->root() + "/node";
  STELE_CO_ASSERT_OK(co_await a->Create(path, "v0", kPersistent));
  for (int i = 0; i < 20; ++i) {
    MetadataStore* writer = i % 2 == 0 ? a.get() : b.get();
    MetadataStore* reader = i % 2 == 0 ? b.get() : a.get();
    STELE_CO_ASSERT_OK(co_await writer->Put(path, StrCat("v", i + 1), i));
    EXPECT_EQ(co_await ValueAt(reader, path), StrCat("v", i + 1));
  }
  co_await a->Close();
  co_await b->Close();
}
TEST_P(MetadataStoreContract, AWriteIsSeenByEveryLaterRead) { Run(SeenByOthers); }

Task<void> Increment(MetadataStore* store, std::string path, int times) {
  for (int done = 0; done < times;) {
    STELE_CO_ASSIGN(const Node node, co_await store->Get(path));
    const absl::StatusOr<Version> put =
        co_await store->Put(path, StrCat(std::stoi(node.value) + 1), node.version);
    if (put.ok()) {
      ++done;
    } else {
      STELE_CO_EXPECT_CODE(ErrorCode::kMetadataConflict, put);
    }
  }
}

Task<void> RaceOnAVersion(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store a, co_await world->Open());
  STELE_CO_ASSIGN(const Store b, co_await world->Open());
  const std::string path = world->root() + "/counter";
  STELE_CO_ASSERT_OK(co_await a->Create(path, "0", kPersistent));
  {
    TaskScope scope(world->executor());
    for (int i = 0; i < 4; ++i) scope.Spawn(Increment(i % 2 == 0 ? a.get() : b.get(), path, 10));
    co_await scope.Join();
  }
  EXPECT_EQ(co_await ValueAt(a.get(), path), "40");
  co_await a->Close();
  co_await b->Close();
}
TEST_P(MetadataStoreContract, NoIncrementIsLostInARace) { Run(RaceOnAVersion); }

Task<void> TryCreate(MetadataStore* store, std::string path, std::string value, int* created) {
  const absl::Status status = co_await store->Create(path, value, kPersistent);
  if (status.ok()) {
    ++*created;
  } else {
    STELE_CO_EXPECT_CODE(ErrorCode::kKeyExists, status);
  }
}

Task<void> TrySequential(MetadataStore* store, std::string prefix, Names* paths) {
  STELE_CO_ASSIGN(std::string path, co_await store->CreateSequential(prefix, "", kEphemeral));
  paths->push_back(std::move(path));
}

Task<void> RaceToCreate(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store a, co_await world->Open());
  STELE_CO_ASSIGN(const Store b, co_await world->Open());
  int created = 0;
  Names paths;
  {
    TaskScope scope(world->executor());
    for (int i = 0; i < 6; ++i) {
      MetadataStore* store = i % 2 == 0 ? a.get() : b.get();
      scope.Spawn(TryCreate(store, world->root() + "/deep/down/node", StrCat(i), &created));
      scope.Spawn(TrySequential(store, world->root() + "/other/deep/n", &paths));
    }
    co_await scope.Join();
  }
  EXPECT_EQ(created, 1);
  STELE_CO_ASSERT(paths.size() == 6);
  std::sort(paths.begin(), paths.end());
  EXPECT_EQ(std::unique(paths.begin(), paths.end()), paths.end());
  co_await a->Close();
  co_await b->Close();
}
TEST_P(MetadataStoreContract, OneOfManyCreatesWinsAndSequentialNamesDiffer) { Run(RaceToCreate); }

Task<void> Ephemerals(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store a, co_await world->Open());
  STELE_CO_ASSIGN(const Store b, co_await world->Open());
  const std::string parent = world->root() + "/available";
  Bell bell(world->executor());
  const auto watch = b->WatchChildren(parent, bell.Ring());
  STELE_CO_ASSERT_OK(co_await a->Create(parent + "/mine", "", kEphemeral));
  STELE_CO_ASSIGN(const std::string numbered,
                  co_await a->CreateSequential(parent + "/n", "", kEphemeral));
  STELE_CO_ASSERT_OK(co_await a->Create(parent + "/stays", "", kPersistent));
  STELE_CO_ASSERT_OK(co_await b->Create(parent + "/yours", "", kEphemeral));
  STELE_CO_ASSIGN(const Node seen_by_a, co_await a->Get(parent + "/mine"));
  EXPECT_EQ(seen_by_a.owner, EphemeralOwner::kThisSession);
  STELE_CO_ASSIGN(const Node seen_by_b, co_await b->Get(parent + "/mine"));
  EXPECT_EQ(seen_by_b.owner, EphemeralOwner::kOther);
  STELE_CO_ASSIGN(const Node persistent, co_await b->Get(parent + "/stays"));
  EXPECT_EQ(persistent.owner, EphemeralOwner::kNone);
  // A change keeps the owner.
  STELE_CO_ASSERT_OK(co_await b->Put(parent + "/mine", "changed", 0));
  STELE_CO_ASSIGN(const Node changed, co_await a->Get(parent + "/mine"));
  EXPECT_EQ(changed.owner, EphemeralOwner::kThisSession);

  co_await a->Close();
  for (;;) {
    const int rings = bell.rings();
    STELE_CO_ASSIGN(const Names names, co_await b->Children(parent));
    if (names == Names{"stays", "yours"}) break;
    co_await bell.WaitBeyond(rings);
  }
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await b->Get(parent + "/mine"));
  STELE_CO_EXPECT_CODE(ErrorCode::kNoSuchKey, co_await b->Get(numbered));
  co_await b->Close();
}
TEST_P(MetadataStoreContract, EphemeralNodesBelongToTheirSessionAndEndWithIt) { Run(Ephemerals); }

// ---- Watches

Task<void> NodeWatch(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store a, co_await world->Open());
  STELE_CO_ASSIGN(const Store b, co_await world->Open());
  const std::string path = world->root() + "/node";
  Bell bell(world->executor());
  const auto watch = b->WatchNode(path, bell.Ring());
  EXPECT_EQ(bell.rings(), 0) << "never inside the call";
  co_await bell.WaitBeyond(0);  // armed, without a node
  STELE_CO_ASSERT_OK(co_await a->Create(path, "v0", kPersistent));
  co_await WaitForValue(b.get(), &bell, path, "v0");
  for (int i = 0; i < 5; ++i) {
    STELE_CO_ASSERT_OK(co_await a->Put(path, StrCat("v", i + 1), i));
    co_await WaitForValue(b.get(), &bell, path, StrCat("v", i + 1));
  }
  STELE_CO_ASSERT_OK(co_await a->Delete(path, kAnyVersion));
  co_await WaitForValue(b.get(), &bell, path, "<NoSuchKey>");
  STELE_CO_ASSERT_OK(co_await a->Create(path, "again", kPersistent));
  co_await WaitForValue(b.get(), &bell, path, "again");
  co_await a->Close();
  co_await b->Close();
}
TEST_P(MetadataStoreContract, WatchNodeTellsOfCreationChangesAndDeletion) { Run(NodeWatch); }

Task<void> PutMany(MetadataStore* store, std::string path, int times) {
  for (int i = 1; i <= times; ++i) {
    STELE_CO_ASSERT_OK(co_await store->Put(path, StrCat("v", i), kAnyVersion));
  }
}

Task<void> NoMiss(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store a, co_await world->Open());
  STELE_CO_ASSIGN(const Store b, co_await world->Open());
  const std::string path = world->root() + "/node";
  STELE_CO_ASSERT_OK(co_await a->Create(path, "v0", kPersistent));
  for (int round = 0; round < 5; ++round) {
    Bell bell(world->executor());
    const auto watch = b->WatchNode(path, bell.Ring());
    TaskScope scope(world->executor());
    scope.Spawn(PutMany(a.get(), path, 10));
    // Only what the watch says makes it look again: a missed change would hang here.
    co_await WaitForValue(b.get(), &bell, path, "v10");
    co_await scope.Join();
    STELE_CO_ASSERT_OK(co_await a->Put(path, "v0", kAnyVersion));
  }
  co_await a->Close();
  co_await b->Close();
}
TEST_P(MetadataStoreContract, NoChangeIsMissedBetweenTwoLooks) { Run(NoMiss); }

Task<void> OwnChanges(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string path = world->root() + "/node";
  Bell node(world->executor());
  Bell children(world->executor());
  const auto watch_node = store->WatchNode(path, node.Ring());
  const auto watch_children = store->WatchChildren(world->root(), children.Ring());
  co_await node.WaitBeyond(0);
  co_await children.WaitBeyond(0);
  STELE_CO_ASSERT_OK(co_await store->Create(path, "v0", kPersistent));
  co_await node.WaitBeyond(1);
  co_await children.WaitBeyond(1);
  co_await store->Close();
}
TEST_P(MetadataStoreContract, OurOwnChangesAreToldToo) { Run(OwnChanges); }

Task<void> ChildrenWatch(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store a, co_await world->Open());
  STELE_CO_ASSIGN(const Store b, co_await world->Open());
  const std::string parent = world->root() + "/parent";
  Bell bell(world->executor());
  const auto watch = b->WatchChildren(parent, bell.Ring());
  co_await bell.WaitBeyond(0);  // armed, without the parent
  Names expected;
  for (const char* name : {"a", "b", "c"}) {
    STELE_CO_ASSERT_OK(co_await a->Create(parent + "/" + name, "", kPersistent));
    expected.push_back(name);
    for (;;) {
      const int rings = bell.rings();
      const absl::StatusOr<Names> names = co_await b->Children(parent);
      if (names.ok() && *names == expected) break;
      co_await bell.WaitBeyond(rings);
    }
  }
  STELE_CO_ASSERT_OK(co_await a->Delete(parent + "/b", kAnyVersion));
  for (;;) {
    const int rings = bell.rings();
    STELE_CO_ASSIGN(const Names names, co_await b->Children(parent));
    if (names == Names{"a", "c"}) break;
    co_await bell.WaitBeyond(rings);
  }
  co_await a->Close();
  co_await b->Close();
}
TEST_P(MetadataStoreContract, WatchChildrenTellsOfNamesThatComeAndGo) { Run(ChildrenWatch); }

Task<void> EndedWatches(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string path = world->root() + "/node";
  Bell ended(world->executor());
  Bell other(world->executor());
  auto ended_node = store->WatchNode(path, ended.Ring());
  auto ended_children = store->WatchChildren(world->root(), ended.Ring());
  auto ended_session = store->WatchSession([](SessionState) {});
  // Ends itself in its first call.
  std::unique_ptr<Watch> suicidal;
  int calls = 0;
  suicidal = store->WatchNode(path, [&suicidal, &calls] {
    ++calls;
    suicidal.reset();
  });
  const auto watch = store->WatchNode(path, other.Ring());
  co_await other.WaitBeyond(0);
  co_await ended.WaitBeyond(1);
  ended_node.reset();
  ended_children.reset();
  ended_session.reset();
  const int rings = ended.rings();
  for (int i = 0; i < 5; ++i) {
    const int seen = other.rings();
    STELE_CO_ASSERT_OK(i == 0 ? co_await store->Create(path, "", kPersistent)
                              : (co_await store->Put(path, "", i - 1)).status());
    co_await other.WaitBeyond(seen);
  }
  EXPECT_EQ(ended.rings(), rings);
  EXPECT_EQ(calls, 1);
  co_await store->Close();
}
TEST_P(MetadataStoreContract, AnEndedWatchIsSilent) { Run(EndedWatches); }

// ---- Closing

Task<void> GetAfterClose(MetadataStore* store, std::string path, int* ended) {
  const absl::StatusOr<Node> node = co_await store->Get(path);
  if (!node.ok()) STELE_CO_EXPECT_CODE(ErrorCode::kStopped, node);
  ++*ended;
}

Task<void> Closing(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string path = world->root() + "/node";
  STELE_CO_ASSERT_OK(co_await store->Create(path, "", kPersistent));
  int ended = 0;
  TaskScope scope(world->executor());
  for (int i = 0; i < 5; ++i) scope.Spawn(GetAfterClose(store.get(), path, &ended));
  co_await store->Close();
  co_await scope.Join();
  EXPECT_EQ(ended, 5);
  STELE_CO_EXPECT_CODE(ErrorCode::kStopped, co_await store->Get(path));
  STELE_CO_EXPECT_CODE(ErrorCode::kStopped, co_await store->Put(path, "", 0));
  STELE_CO_EXPECT_CODE(ErrorCode::kStopped, co_await store->Create(path, "", kPersistent));
  STELE_CO_EXPECT_CODE(ErrorCode::kStopped, co_await store->Delete(path, 0));
  STELE_CO_EXPECT_CODE(ErrorCode::kStopped, co_await store->DeleteTogether(Deletions{{path, 0}}));
  STELE_CO_EXPECT_CODE(ErrorCode::kStopped, co_await store->Children(path));
}
TEST_P(MetadataStoreContract, OperationsEndWithStoppedAfterClose) { Run(Closing); }

Task<void> Abandoned(MetadataWorld* world) {
  STELE_CO_ASSIGN(const Store store, co_await world->Open());
  const std::string path = world->root() + "/node";
  STELE_CO_ASSERT_OK(co_await store->Create(path, "0", kPersistent));
  for (int round = 0; round < 5; ++round) {
    int ended = 0;
    TaskScope scope(world->executor());
    for (int i = 0; i < 5; ++i) {
      scope.Spawn(GetAfterClose(store.get(), path, &ended));
      scope.Spawn(PutMany(store.get(), path, 1));
    }
  }
  EXPECT_TRUE((co_await store->Get(path)).ok());
  co_await store->Close();
}
TEST_P(MetadataStoreContract, OperationsMayBeAbandoned) { Run(Abandoned); }

}  // namespace
}  // namespace stele::metadata
