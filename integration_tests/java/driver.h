// A client of ledgers as a process: Apache's (LedgerDriver.java) or ours (stele_driver.cc). Both
// understand the same commands, so one test asks both.
//
//   create NAME [e= w= a= digest= password= id= adv=1 deferred=1 custom.KEY=VALUE]   LEDGER
//   open NAME LEDGER [digest= password= recover=1]      LAC open|closed
//   append NAME SIZE COUNT OUTSTANDING                  LAST ENTRY
//   append-at NAME SIZE ENTRY...                        LAC
//   load NAME SIZE OUTSTANDING FILE                     appends until load-stop; logs acknowledged
//   load-stop NAME                                      ACKNOWLEDGED LAST -|ERROR
//   read, read-unconfirmed NAME FIRST LAST              COUNT BYTES, after a look at all bytes
//   read-batch NAME FIRST COUNT BYTES                   COUNT BYTES
//   lac, read-lac, try-read-lac NAME                    LAC
//   wait NAME ENTRY MILLISECONDS                        LAC ENTRY|none
//   force, close NAME; delete LEDGER
//   metadata LEDGER                                     state= last= length= e= ... fragments=
//   list                                                LEDGER...
// Apache's only: bookie-info, list-entries BOOKIE LEDGER, admin-bookies, admin-read LEDGER,
// admin-recover BOOKIE, repair-mark LEDGER BOOKIE, repair-marks, repair-delay [SECONDS],
// repair-enable, repair-enabled, zk-get PATH (in hex), zk-create PATH
#pragma once

#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "integration_tests/child_process.h"

namespace stele::integration {

enum class ClientKind { kStele, kJavaV2, kJavaV3 };
std::string_view NameOf(ClientKind kind);

struct Answer {
  bool ok = false;
  std::string text;   // behind "ok " or "error "
  std::string error;  // its first word, when it is one: as NameOf(ErrorCode), of both kinds

  int64_t Number() const;  // the first word
  // The value of a word "key=value"; empty when there is none.
  std::string Value(const std::string& key) const;
};

class Driver {
 public:
  // Waits until it has found the cluster. `settings` are key=value lines of Apache's client
  // configuration. What it complains about goes to `log_path`.
  Driver(ClientKind kind, const std::string& metadata_uri, std::vector<std::string> settings,
         const std::string& log_path);

  // Carries one command out. Aborts the test when there is no answer in time, and tells what the
  // driver has said.
  Answer Do(const std::string& command);
  // The two halves of Do().
  void Send(const std::string& command);
  Answer Receive();
  // Does, and fails the test when the answer is an error.
  Answer Must(const std::string& command);

  void Kill() { process_->Signal(SIGKILL); }
  void Pause() { process_->Signal(SIGSTOP); }
  void Resume() { process_->Signal(SIGCONT); }

 private:
  const std::string log_path_;
  std::unique_ptr<ChildProcess> process_;
  std::string sent_;
};

// The command line of a program on Apache's class path.
std::vector<std::string> JavaCommand(const std::string& main_class,
                                     const std::vector<std::string>& arguments,
                                     const std::string& log_level = "warn");

}  // namespace stele::integration
