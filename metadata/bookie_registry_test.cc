#include "metadata/bookie_registry.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/bookie_service_info.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

std::vector<BookieId> Ids(std::initializer_list<const char*> names) {
  std::vector<BookieId> ids;
  for (const char* name : names) ids.emplace_back(name);
  return ids;
}

std::string PayloadAt(std::string host) {
  return SerializeBookieServiceInfo(
      {.endpoints = {
           {.id = "bookie", .port = 3181, .host = std::move(host), .protocol = "bookie-rpc"}}});
}

class BookieRegistryTest : public MetadataTest {
 protected:
  BookieRegistryTest() { Put("/ledgers/available/readonly"); }

  void Join(const std::string& name, std::string payload = "") {
    EXPECT_TRUE(Run(rival_session_->Create(StrCat("/ledgers/available/", name), std::move(payload),
                                           NodeKind::kEphemeral))
                    .ok());
  }
  void Leave(const std::string& name) {
    EXPECT_TRUE(Run(rival_session_->Delete(StrCat("/ledgers/available/", name), kAnyVersion)).ok());
  }

  BookieRegistry registry_{env_, &store_, ClusterPaths("/ledgers")};
};

TEST_F(BookieRegistryTest, ListsAndFollowsBothModes) {
  Join("b:1");
  Join("readonly/c:1");
  EXPECT_TRUE(Run(registry_.Start()).ok());
  EXPECT_EQ(registry_.bookies().writable, Ids({"b:1"}));
  EXPECT_EQ(registry_.bookies().read_only, Ids({"c:1"}));
  const uint64_t seen = registry_.bookies().generation;
  const auto waiting = Start([](BookieRegistry* registry, uint64_t generation) -> Task<bool> {
    co_await registry->WaitForChange(generation);
    co_return true;
  }(&registry_, seen));
  Settle();
  EXPECT_FALSE(waiting->has_value());
  Join("a:1");
  Settle();
  EXPECT_TRUE(waiting->has_value());
  EXPECT_EQ(registry_.bookies().writable, Ids({"a:1", "b:1"}));
  Leave("readonly/c:1");
  Settle();
  EXPECT_TRUE(registry_.bookies().read_only.empty());
  EXPECT_TRUE(registry_.bookies().IsUp(BookieId("a:1")));
  EXPECT_FALSE(registry_.bookies().IsUp(BookieId("c:1")));
}

TEST_F(BookieRegistryTest, ABookieInBothModesCountsAsReadOnly) {
  Join("b:1");
  Join("readonly/b:1");
  EXPECT_TRUE(Run(registry_.Start()).ok());
  EXPECT_TRUE(registry_.bookies().writable.empty());
  EXPECT_EQ(registry_.bookies().read_only, Ids({"b:1"}));
}

TEST_F(BookieRegistryTest, ABookieThatSwitchesWhileWeListIsNotDown) {
  const auto switch_modes = [this](std::string from, std::string to) {
    return [](MetadataStore* store, std::string old_path, std::string new_path) -> Task<void> {
      (co_await store->Create(new_path, "", NodeKind::kEphemeral)).IgnoreError();
      (co_await store->Delete(old_path, kAnyVersion)).IgnoreError();
    }(rival_session_.get(), "/ledgers/available/" + from, "/ledgers/available/" + to);
  };
  // Whatever the moment between our listings, it is up.
  for (const int moment : {0, 1, 2}) {
    for (const bool to_read_only : {true, false}) {
      const std::string from = to_read_only ? "b:1" : "readonly/b:1";
      const std::string to = to_read_only ? "readonly/b:1" : "b:1";
      Join(from);
      ScriptedStore store(session_.get());
      BookieRegistry registry(env_, &store, ClusterPaths("/ledgers"));
      store.Before(Op::kChildren, "available", [&] { return switch_modes(from, to); }, moment);
      EXPECT_TRUE(Run(registry.Start()).ok());
      EXPECT_TRUE(registry.bookies().IsUp(BookieId("b:1"))) << moment << to_read_only;
      Leave(to);
    }
  }
}

TEST_F(BookieRegistryTest, InvalidNamesAreReportedAndNotBelieved) {
  Join("b:1");
  Join("not an id");
  Join("readonly/ReadOnly");
  EXPECT_TRUE(Run(registry_.Start()).ok());
  EXPECT_EQ(registry_.bookies().writable, Ids({"b:1"}));
  EXPECT_EQ(registry_.bookies().invalid_names, (std::vector<std::string>{"ReadOnly", "not an id"}));
}

TEST_F(BookieRegistryTest, AClusterThatIsNotInitialisedIsAnError) {
  BookieRegistry registry(env_, &store_, ClusterPaths("/other"));
  EXPECT_EQ(CodeOf(Run(registry.Start())), ErrorCode::kConfig);
}

TEST_F(BookieRegistryTest, ListsSurviveAnOutageAndCatchUp) {
  Join("b:1");
  EXPECT_TRUE(Run(registry_.Start()).ok());
  Settle();
  store_.Fail(Op::kChildren, "", Fault::kNotSent, 8);
  Join("c:1");
  RunFor(absl::Milliseconds(20));
  EXPECT_EQ(registry_.bookies().writable, Ids({"b:1"}));
  RunFor(absl::Minutes(1));
  EXPECT_EQ(registry_.bookies().writable, Ids({"b:1", "c:1"}));
}

TEST_F(BookieRegistryTest, ResolvesFromEitherModeAndFromMemory) {
  Join("b1", PayloadAt("10.0.0.1"));
  Join("readonly/b2", PayloadAt("10.0.0.2"));
  Join("host:7");
  EXPECT_TRUE(Run(registry_.Start()).ok());
  EXPECT_EQ(*Run(registry_.Resolve(BookieId("b1"))), (Endpoint{"10.0.0.1", 3181}));
  EXPECT_EQ(*Run(registry_.Resolve(BookieId("b2"))), (Endpoint{"10.0.0.2", 3181}));
  EXPECT_EQ(*Run(registry_.Resolve(BookieId("host:7"))), (Endpoint{"host", 7}));
  Settle();
  EXPECT_TRUE(Run(registry_.Resolve(BookieId("b1"))).ok());
  const int reads = store_.CountOf(Op::kGet);
  EXPECT_TRUE(Run(registry_.Resolve(BookieId("b1"))).ok());
  EXPECT_EQ(store_.CountOf(Op::kGet), reads);
  registry_.Forget(BookieId("b1"));
  EXPECT_TRUE(Run(registry_.Resolve(BookieId("b1"))).ok());
  EXPECT_EQ(store_.CountOf(Op::kGet), reads + 1);
}

TEST_F(BookieRegistryTest, AnAddressThatChangedIsReadAgainAlsoWhenNobodySawTheBookieLeave) {
  Join("b1", PayloadAt("10.0.0.1"));
  EXPECT_TRUE(Run(registry_.Start()).ok());
  EXPECT_TRUE(Run(registry_.Resolve(BookieId("b1"))).ok());
  Settle();
  Leave("b1");
  Join("b1", PayloadAt("10.0.0.9"));
  Settle();
  EXPECT_EQ(*Run(registry_.Resolve(BookieId("b1"))), (Endpoint{"10.0.0.9", 3181}));
}

TEST_F(BookieRegistryTest, AnAddressIsKeptInAnOutageButNotWhenTheBookieIsGone) {
  Join("b1", PayloadAt("10.0.0.1"));
  EXPECT_TRUE(Run(registry_.Start()).ok());
  EXPECT_TRUE(Run(registry_.Resolve(BookieId("b1"))).ok());
  Settle();
  store_.Fail(Op::kGet, "b1", Fault::kNotSent, 1);
  EXPECT_TRUE(Run(registry_.Resolve(BookieId("b1"))).ok());
  Leave("b1");
  EXPECT_EQ(CodeOf(Run(registry_.Resolve(BookieId("b1"))).status()), ErrorCode::kConnectionLost);
  EXPECT_EQ(EffectOf(Run(registry_.Resolve(BookieId("b1"))).status()), Effect::kNone);
  store_.Fail(Op::kGet, "b7", Fault::kNotSent, 1);
  EXPECT_EQ(CodeOf(Run(registry_.Resolve(BookieId("b7"))).status()),
            ErrorCode::kMetadataUnavailable);
}

TEST_F(BookieRegistryTest, AnAddressThatWasFoundGoneIsNotUsedInALaterOutage) {
  Join("b1", PayloadAt("10.0.0.1"));  // and nobody lists it
  EXPECT_TRUE(Run(registry_.Resolve(BookieId("b1"))).ok());
  Leave("b1");
  Settle();
  EXPECT_EQ(CodeOf(Run(registry_.Resolve(BookieId("b1"))).status()), ErrorCode::kConnectionLost);
  store_.Fail(Op::kGet, "b1", Fault::kNotSent);
  EXPECT_EQ(CodeOf(Run(registry_.Resolve(BookieId("b1"))).status()),
            ErrorCode::kMetadataUnavailable);
}

TEST_F(BookieRegistryTest, UnusableRegistrationsAndIdsHaveNoAddress) {
  Join("b1", "rubbish");
  EXPECT_TRUE(Run(registry_.Start()).ok());
  EXPECT_EQ(CodeOf(Run(registry_.Resolve(BookieId("b1"))).status()), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOf(Run(registry_.Resolve(BookieId("a/b"))).status()), ErrorCode::kConnectionLost);
}

TEST_F(BookieRegistryTest, AllBookiesAreThoseWithACookie) {
  EXPECT_TRUE(Run(registry_.AllBookies())->empty());
  Put("/ledgers/cookies/b2");
  Put("/ledgers/cookies/b1");
  Put("/ledgers/cookies/not an id");
  EXPECT_EQ(*Run(registry_.AllBookies()), Ids({"b1", "b2"}));
}

}  // namespace
}  // namespace stele::metadata
