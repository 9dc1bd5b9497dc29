#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/shell/cookie_commands.h"
#include "tools/shell/flags.h"

namespace stele::shell {
namespace {

void AddBookie(CLI::App& command, std::string& bookie) {
  command.add_option("BOOKIE", bookie, "Its id")->required();
}

void AddWrite(CLI::App& cookie, Run& run, bool replaces) {
  CLI::App* command = cookie.add_subcommand(
      replaces ? "update" : "create",
      replaces ? "Write a bookie's cookie anew" : "Write a bookie's cookie, when it has none");
  auto options = std::make_shared<CookieWriteCommand>();
  options->replaces = replaces;
  AddCommonFlags(*command, options->common);
  AddBookie(*command, options->bookie);
  command
      ->add_option("--file", options->path,
                   "VERSION of one of its directories, or what stele cookie generate wrote")
      ->required();
  command->add_flag("--dry-run", options->dry_run, "Show both, and write nothing");
  command->footer(std::string("A bookie starts only over directories that have the same cookie.\n"
                              "Example:\n  stele cookie ") +
                  (replaces ? "update" : "create") +
                  " bookie-3:3181 --file /var/lib/stele/ledgers/current/VERSION");
  command->callback([=, &run] { run = [=] { return RunCookieWrite(*options); }; });
}

void AddGenerate(CLI::App& cookie, Run& run) {
  CLI::App* command = cookie.add_subcommand(
      "generate", "Print the cookie that a bookie with these directories has in this cluster");
  auto options = std::make_shared<CookieGenerateCommand>();
  AddCommonFlags(*command, options->common);
  AddBookie(*command, options->bookie);
  command
      ->add_option("--journal-directory", options->journal_directories,
                   "As configured, in this order; repeatable")
      ->delimiter(',')
      ->required();
  command->add_option("--ledger-directory", options->ledger_directories, "The same")
      ->delimiter(',')
      ->required();
  command
      ->add_option("--index-directory", options->index_directories,
                   "The same, when they lie elsewhere")
      ->delimiter(',');
  command->add_option("--output", options->path, "Write it here instead");
  command->footer(
      "Example:\n  stele cookie generate bookie-3:3181 --journal-directory /data/journal "
      "--ledger-directory /data/ledgers --output VERSION");
  command->callback([=, &run] { run = [=] { return RunCookieGenerate(*options); }; });
}

}  // namespace

void AddCookieCommands(CLI::App& app, Run& run) {
  CLI::App* cookie = app.add_subcommand("cookie", "The cookies of bookies in the metadata store");
  cookie->require_subcommand(1);

  CLI::App* list = cookie->add_subcommand("list", "All bookies that ever joined");
  auto list_common = std::make_shared<CommonOptions>();
  AddCommonFlags(*list, *list_common);
  list->footer("Example:\n  stele cookie list");
  list->callback([=, &run] { run = [=] { return RunCookieList(*list_common); }; });

  CLI::App* show = cookie->add_subcommand("show", "The cookie of a bookie");
  auto show_common = std::make_shared<CommonOptions>();
  auto shown = std::make_shared<std::string>();
  AddCommonFlags(*show, *show_common);
  AddBookie(*show, *shown);
  show->footer("Example:\n  stele cookie show bookie-3:3181");
  show->callback([=, &run] { run = [=] { return RunCookieShow(*show_common, *shown); }; });

  AddGenerate(*cookie, run);
  AddWrite(*cookie, run, /*replaces=*/false);
  AddWrite(*cookie, run, /*replaces=*/true);

  CLI::App* erase = cookie->add_subcommand(
      "delete", "Take a bookie out of the cluster for good, when nothing names it any more");
  auto options = std::make_shared<CookieDeleteCommand>();
  AddCommonFlags(*erase, options->common);
  erase->add_option("BOOKIE", options->bookie, "Its id")->required();
  erase->add_flag("--dry-run", options->dry_run, "Say what stands against it, and do nothing");
  erase->add_flag("--force", options->force, "Although it is up, or ledgers name it");
  erase->footer("Example:\n  stele cookie delete bookie-3:3181 --dry-run");
  erase->callback([=, &run] { run = [=] { return RunCookieDelete(*options); }; });
}

}  // namespace stele::shell
