// BookieOperator: what happens to a bookie's files and to its ledgers' metadata from outside, for
// tests: files that rot or get lost, ledgers that are created, closed and deleted.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "bookie/testing/bookie_world.h"
#include "metadata/ledger_metadata.h"
#include "metadata/metadata_store.h"

namespace stele::bookie {

class BookieOperator {
 public:
  // `world` must outlive it, and have started its bookie once.
  explicit BookieOperator(BookieWorld* world);

  // Runs a task on the bookie's machine, outside of the bookie.
  void Run(absl::FunctionRef<Task<void>(Env)> make_task) {
    RunOnMachine(make_task(world_->world().env(process_)));
  }

  // On the bookie's machine; not while it runs, unless the test means it.
  void RemoveFile(std::string path);
  bool Exists(std::string path);
  std::vector<std::string> List(std::string directory);
  std::string ReadFile(std::string path);
  void Overwrite(std::string path, uint64_t offset, std::string bytes);
  // Of this one, which exists, nothing is left but the cookie.
  void EmptyBelowCookie(std::string current);

  // One copy, on this world's bookie alone; with kCrc32c and the password "secret".
  void CreateLedger(LedgerId ledger);
  // A second fragment, on the same bookie, begins with this entry.
  void BeginFragment(LedgerId ledger, EntryId first);
  void CloseLedger(LedgerId ledger, EntryId last);
  void DeleteLedger(LedgerId ledger);
  void PutNode(std::string path, std::string value);
  std::string ReadNode(std::string path);

 private:
  void RunOnMachine(Task<void> task);

  BookieWorld* world_;
  simulation::SimProcess* process_;
  std::unique_ptr<metadata::MetadataStore> store_;
};

}  // namespace stele::bookie
