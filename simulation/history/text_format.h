// The file format of a history: text, one event a line, fields separated by one space. Easy to
// write from any program; lines of several programs are merged by sorting on the first field
// (stable, by number). Empty lines and lines that begin with # are skipped.
//
//   TIME PROCESS CALL invoke OPERATION KEY=VALUE...
//   TIME PROCESS CALL ok KEY=VALUE... ENTRY=TAG...
//   TIME PROCESS CALL error CODE none|unknown
//   TIME PROCESS - crash                 the process is gone, its calls never end
//   TIME - - reckoning                   from here on all that must be readable is read
//   TIME - - end                         every call of a living process has ended
//   TIME PROCESS - note FREE TEXT        for people
//   TIME PROCESS - override LEDGER       its writer closed it over a recovery
//   TIME - - late-ack LEDGER ENTRY       acknowledged by a bookie that forgot its fence
//
//   TIME       nanoseconds of one clock
//   PROCESS    a name without spaces
//   CALL       a number, unique in the file; it pairs a call with its end
//   CODE       NameOf(ErrorCode): LedgerFenced, NotEnoughBookies, ...
//   TAG        what a payload says of itself (payload.h): LEDGER/ENTRY/WRITER/ATTEMPT/LENGTH of a
//              payload that names itself and is undamaged, raw/HASH/LENGTH of any other
//
//   OPERATION          invoke                                     ok
//   create             replication=E/QW/QA [ledger=] [deferred=1] ledger= handle=  (*)
//                      [caller-ids=1] handle=
//   open               ledger= handle= [recover=1]                lac= [state=closed last= length=]
//   append             ledger= handle= entry= payload=TAG         entry= [lac=]
//   force              ledger= handle=
//   read               ledger= handle= first= last=               ENTRY=TAG...
//   read-batch         ledger= handle= first=                     ENTRY=TAG...
//   read-unconfirmed   ledger= handle= first= last=               ENTRY=TAG...
//   read-lac           ledger= handle=                            lac=
//   wait               ledger= handle= entry=                     lac= [ENTRY=TAG]
//   tail               ledger= handle= entry=                     ENTRY=TAG, or state=closed last=
//   close              ledger= handle=                            last= [length=]
//   delete             ledger=
//   metadata           ledger=                                    state=open|in-recovery|closed
//                                                                 [last= length=]
//   bookie-fence       ledger= bookie=
//   bookie-add         ledger= bookie= entry= payload=TAG
//   bookie-lac         ledger= bookie=                            lac=
//   bookie-write-lac   ledger= bookie= last=
//
//   (*) handle numbers are the program's: one for each create and each open, unique in the file. A
//   read of several entries names what it got; an append names the id that its entry will have.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "simulation/history/history.h"

namespace stele::history {

// One line each, with its end, for programs that write as they go.
std::string InvokeLine(const Call& call);
std::string EndLine(const Call& call);
std::string MarkLine(const Mark& mark);

// The whole history, in the order of its events.
std::string ToText(const History& history);

//   errors   kInvalidArgument, with the number of the line
absl::StatusOr<History> ParseHistory(std::string_view text);

}  // namespace stele::history
