#include "autorecovery/peer_copies.h"

#include <optional>
#include <string>
#include <utility>

#include "autorecovery/internal/bookie_answers.h"
#include "client/internal/client_core.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/entry_packet.h"

namespace stele::autorecovery {

class PeerCopies::Parts {
 public:
  Parts(Env env, metadata::MetadataStore* store, const metadata::Cluster& cluster, BookieId self,
        client::ClientOptions options)
      : self_(std::move(self)), core_(env, store, cluster, std::move(options)) {}

  Task<absl::StatusOr<Buffer>> Fetch(LedgerId ledger, EntryId entry) {
    if (!is_started_) STELE_CO_TRY_OK(co_await core_.Start());
    is_started_ = true;
    if (!known_.has_value() || known_->ledger != ledger) STELE_CO_TRY_OK(co_await Learn(ledger));
    absl::StatusOr<Buffer> copy = co_await Ask(entry);
    // The ensemble may have changed since.
    if (!copy.ok()) known_.reset();
    co_return copy;
  }

  Task<void> Stop() {
    // What a client has to say about its end helps nobody.
    (co_await core_.Close()).IgnoreError();
  }

 private:
  struct Known {
    LedgerId ledger;
    metadata::LedgerMetadata metadata;
    wire::Digester digester;
  };

  Task<absl::Status> Learn(LedgerId ledger) {
    known_.reset();
    STELE_CO_TRY(auto read, co_await core_.ReadMetadata(ledger));
    const std::optional<std::string>& password = read.value.password();
    if (!password.has_value()) {
      co_return MakeError(ErrorCode::kUnsupported, StrCat("the metadata of ledger ", ledger.value(),
                                                          " have no password: a copy from ",
                                                          "another bookie could not be verified"));
    }
    wire::Digester digester(read.value.digest_type(), *password);
    known_ = Known{ledger, std::move(read.value), std::move(digester)};
    co_return absl::OkStatus();
  }

  Task<absl::StatusOr<Buffer>> Ask(EntryId entry) {
    const metadata::LedgerMetadata& metadata = known_->metadata;
    const quorum::WriteSet write_set(entry, metadata.replication());
    const std::vector<BookieId>& ensemble = metadata.FragmentOf(entry).ensemble;
    std::string answers;
    for (int i = 0; i < write_set.size(); ++i) {
      const BookieId& peer = ensemble[static_cast<size_t>(write_set[i])];
      if (peer == self_) continue;
      absl::StatusOr<Buffer> packet =
          co_await ReadPacket(&core_.context(), peer, known_->ledger, entry);
      absl::Status status = packet.status();
      if (status.ok()) {
        status = wire::VerifyEntry(*packet, known_->digester, known_->ledger, entry).status();
      }
      if (status.ok()) co_return packet;
      answers += StrCat(answers.empty() ? "" : ", ", peer.value(), ": ", NameOf(CodeOf(status)));
    }
    co_return MakeError(
        ErrorCode::kReadFailed,
        StrCat("no other bookie gives a good copy of entry ", entry.value(), " of ledger ",
               known_->ledger.value(), " now (", answers.empty() ? "there is none" : answers, ")"));
  }

  const BookieId self_;
  client::ClientCore core_;
  bool is_started_ = false;
  std::optional<Known> known_;  // of the last ledger; damage comes in runs
};

PeerCopies::PeerCopies(Env env, metadata::MetadataStore* store, metadata::Cluster cluster,
                       BookieId self, client::ClientOptions options)
    : parts_(std::make_unique<Parts>(env, store, std::move(cluster), std::move(self),
                                     std::move(options))) {}
PeerCopies::~PeerCopies() = default;

Task<absl::StatusOr<Buffer>> PeerCopies::Fetch(LedgerId ledger, EntryId entry) {
  co_return co_await parts_->Fetch(ledger, entry);
}

Task<void> PeerCopies::Stop() { co_await parts_->Stop(); }

}  // namespace stele::autorecovery
