#include "metadata/bookie_registry.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/backoff.h"
#include "metadata/bookie_id.h"
#include "metadata/bookie_service_info.h"

namespace stele::metadata {
namespace {

bool Contains(const std::vector<BookieId>& sorted, const BookieId& bookie) {
  return std::binary_search(sorted.begin(), sorted.end(), bookie);
}

// The valid ids of `names`; the others go to `invalid`.
std::set<BookieId> BookiesOf(const std::vector<std::string>& names,
                             std::set<std::string>* invalid) {
  std::set<BookieId> bookies;
  for (const std::string& name : names) {
    if (name == kReadOnlyChild) continue;
    if (IsValidBookieId(name)) {
      bookies.insert(BookieId(name));
    } else {
      invalid->insert(name);
    }
  }
  return bookies;
}

}  // namespace

bool BookieSet::IsUp(const BookieId& bookie) const {
  return Contains(writable, bookie) || Contains(read_only, bookie);
}

BookieRegistry::BookieRegistry(Env env, MetadataStore* store, ClusterPaths paths)
    : env_(env),
      store_(store),
      paths_(std::move(paths)),
      accepted_(env.executor),
      changed_(env.executor),
      tasks_(env.executor) {}

Task<absl::Status> BookieRegistry::Start() {
  writable_watch_ = store_->WatchChildren(paths_.available(), [this] { changed_.Raise(); });
  read_only_watch_ = store_->WatchChildren(paths_.read_only(), [this] { changed_.Raise(); });
  const absl::Status listed = co_await List();
  if (CodeOf(listed) == ErrorCode::kNoSuchKey) {
    co_return MakeError(ErrorCode::kConfig, StrCat("the cluster at ", paths_.root(),
                                                   " is not initialised; run stele cluster init"));
  }
  STELE_CO_TRY_OK(listed);
  tasks_.Spawn(Follow());
  co_return absl::OkStatus();
}

Task<void> BookieRegistry::WaitForChange(uint64_t seen) {
  while (bookies_.generation == seen) co_await accepted_.Wait();
}

Task<void> BookieRegistry::Follow() {
  std::optional<Backoff> backoff;
  for (;;) {
    co_await changed_.Wait();
    const absl::Status listed = co_await List();
    if (listed.ok()) {
      backoff.reset();
      continue;
    }
    if (CodeOf(listed) == ErrorCode::kStopped) co_return;
    if (!backoff.has_value()) backoff.emplace(env_.random, RetryOptions());
    co_await SleepFor(env_.executor, env_.clock, backoff->Next());
    changed_.Raise();
  }
}

Task<absl::Status> BookieRegistry::List() {
  // A bookie that switches makes its new registration before it removes the old one. Looking for
  // read-only ones before and after, we see one of the two in either direction: it never seems to
  // be down.
  STELE_CO_TRY(const std::vector<std::string> before, co_await ChildrenOrNone(paths_.read_only()));
  STELE_CO_TRY(const std::vector<std::string> available,
               co_await store_->Children(paths_.available()));
  STELE_CO_TRY(const std::vector<std::string> after, co_await ChildrenOrNone(paths_.read_only()));
  std::set<std::string> invalid;
  std::set<BookieId> writable = BookiesOf(available, &invalid);
  std::set<BookieId> read_only = BookiesOf(after, &invalid);
  for (const BookieId& bookie : BookiesOf(before, &invalid)) {
    if (writable.count(bookie) == 0) read_only.insert(bookie);
  }
  for (const BookieId& bookie : read_only) writable.erase(bookie);
  Accept({.writable = {writable.begin(), writable.end()},
          .read_only = {read_only.begin(), read_only.end()},
          .invalid_names = {invalid.begin(), invalid.end()}});
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::vector<std::string>>> BookieRegistry::ChildrenOrNone(std::string path) {
  absl::StatusOr<std::vector<std::string>> names = co_await store_->Children(std::move(path));
  if (CodeOf(names.status()) == ErrorCode::kNoSuchKey) co_return std::vector<std::string>();
  co_return names;
}

void BookieRegistry::Accept(BookieSet bookies) {
  if (bookies_.generation > 0 && bookies.writable == bookies_.writable &&
      bookies.read_only == bookies_.read_only && bookies.invalid_names == bookies_.invalid_names) {
    return;
  }
  bookies.generation = bookies_.generation + 1;
  bookies_ = std::move(bookies);
  std::erase_if(addresses_, [this](const auto& entry) { return !bookies_.IsUp(entry.first); });
  accepted_.NotifyAll();
}

Task<absl::StatusOr<Endpoint>> BookieRegistry::Resolve(BookieId bookie) {
  if (!IsValidBookieId(bookie.value())) {
    co_return MakeError(ErrorCode::kConnectionLost, "this is no bookie id");
  }
  const std::shared_ptr<Address> address = AddressOf(bookie);
  if (address->endpoint.has_value() && address->read_at == address->changes) {
    co_return *address->endpoint;
  }
  const uint64_t read_at = address->changes;
  const absl::StatusOr<Node> node = co_await ReadRegistration(bookie);
  if (node.ok()) {
    STELE_CO_TRY(Endpoint endpoint, BookieEndpointOf(bookie, node->value));
    address->endpoint = endpoint;
    address->read_at = read_at;
    co_return endpoint;
  }
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) {
    // The old address is not tried: another bookie may answer there by now, and "no such entry"
    // from the wrong bookie is a vote.
    address->endpoint.reset();
    co_return MakeError(ErrorCode::kConnectionLost,
                        StrCat("bookie ", bookie.value(), " is not registered"));
  }
  if (address->endpoint.has_value()) co_return *address->endpoint;
  co_return WithContext(node.status(), StrCat("bookie ", bookie.value()));
}

std::shared_ptr<BookieRegistry::Address> BookieRegistry::AddressOf(const BookieId& bookie) {
  std::shared_ptr<Address>& address = addresses_[bookie];
  if (address == nullptr) {
    address = std::make_shared<Address>();
    Address* const raw = address.get();  // owns the watches, so it outlives their callbacks
    raw->writable_watch = store_->WatchNode(paths_.Writable(bookie), [raw] { ++raw->changes; });
    raw->read_only_watch = store_->WatchNode(paths_.ReadOnly(bookie), [raw] { ++raw->changes; });
  }
  return address;
}

Task<absl::StatusOr<Node>> BookieRegistry::ReadRegistration(BookieId bookie) {
  absl::StatusOr<Node> node = co_await store_->Get(paths_.Writable(bookie));
  if (CodeOf(node.status()) != ErrorCode::kNoSuchKey) co_return node;
  node = co_await store_->Get(paths_.ReadOnly(bookie));
  if (CodeOf(node.status()) != ErrorCode::kNoSuchKey) co_return node;
  // It may have turned writable between the two.
  co_return co_await store_->Get(paths_.Writable(bookie));
}

Task<absl::StatusOr<std::vector<BookieId>>> BookieRegistry::AllBookies() {
  STELE_CO_TRY(const std::vector<std::string> names, co_await ChildrenOrNone(paths_.cookies()));
  std::set<std::string> invalid;
  const std::set<BookieId> bookies = BookiesOf(names, &invalid);
  co_return std::vector<BookieId>(bookies.begin(), bookies.end());
}

}  // namespace stele::metadata
