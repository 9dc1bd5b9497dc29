// Router: which function answers which path. Changes, and looks at secrets, pass the guard first
// and are written to the log, those that are refused too.
#pragma once

#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "common/async/task.h"
#include "common/http/http.h"
#include "common/observe/log.h"

namespace stele::http {

class Router final : public Handler {
 public:
  using Answerer = absl::AnyInvocable<Task<Response>(Request)>;

  //   token   as for AdmitChange
  Router(std::string token, observe::Log* log) : token_(std::move(token)), log_(log) {}

  // What only looks, by GET.
  void Get(std::string path, Answerer answerer);
  // What only looks, by GET, at what not everybody may see: the guard asks as for a change.
  void GetSecret(std::string path, Answerer answerer);
  // What changes something, by PUT.
  void Put(std::string path, Answerer answerer);
  // What removes something, by DELETE.
  void Delete(std::string path, Answerer answerer);
  // The paths by which a process says that it lives: that it answers at all is what they say.
  void AddLifeProbes();

  Task<Response> Answer(Request request) override;

 private:
  struct Method {
    Answerer answerer;
    bool is_guarded = true;
  };
  using Route = absl::btree_map<std::string, Method>;  // by the method's name

  void Add(std::string path, std::string method, Method answer);

  const std::string token_;
  observe::Log* const log_;
  absl::btree_map<std::string, Route> routes_;
};

}  // namespace stele::http
