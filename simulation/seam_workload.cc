#include "simulation/seam_workload.h"

#include <span>
#include <utility>

#include "common/async/notification.h"
#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/seams/clock.h"

namespace stele::simulation {
namespace {

constexpr uint16_t kPort = 3181;
constexpr int kServers = 3;
constexpr int kClients = 2;

// Writes every frame into its file, syncs, then sends the frames back.
class Server : public AcceptHandler {
 public:
  Server(Env env, std::string name, std::unique_ptr<metadata::MetadataStore> store)
      : env_(env),
        name_(std::move(name)),
        store_(std::move(store)),
        arrived_(env.executor),
        tasks_(env.executor) {
    tasks_.Spawn(Serve());
    tasks_.Spawn(Register());
  }

  void OnAccept(std::unique_ptr<Connection> connection) override {
    connections_.push_back(std::make_unique<Incoming>(this, std::move(connection)));
  }

 private:
  class Incoming : public ConnectionHandler {
   public:
    Incoming(Server* server, std::unique_ptr<Connection> connection)
        : server_(server), connection_(std::move(connection)) {
      connection_->Start(this);
    }
    void OnFrames(std::span<Buffer> frames) override {
      for (const Buffer& frame : frames) server_->waiting_.push_back({this, frame});
      server_->arrived_.NotifyAll();
    }
    void OnPeerFinished() override { connection_->CloseAfterSending(); }
    void OnClosed(absl::Status) override {}
    void Reply(const Buffer& frame) { connection_->Send("", frame); }

   private:
    Server* server_;
    std::unique_ptr<Connection> connection_;
  };

  Task<void> Serve() {
    const absl::Status made = co_await env_.files->MakeDirectories("/data");
    const absl::Status synced = co_await env_.files->SyncDirectory("/");
    if (!made.ok() || !synced.ok()) co_return;
    absl::StatusOr<std::unique_ptr<File>> file = co_await env_.files->Open(
        "/data/" + name_,
        {.access = OpenOptions::Access::kReadWrite, .create = OpenOptions::Create::kIfMissing});
    if (!file.ok()) co_return;
    absl::StatusOr<uint64_t> end = co_await (*file)->Size();
    if (!end.ok()) co_return;
    absl::StatusOr<std::unique_ptr<Listener>> listener =
        env_.transport->Listen({"", kPort}, {}, this);
    if (!listener.ok()) co_return;
    for (uint64_t offset = *end;;) {
      while (waiting_.empty()) co_await arrived_.Wait();
      std::vector<std::pair<Incoming*, Buffer>> batch = std::move(waiting_);
      waiting_.clear();
      std::string bytes;
      for (const auto& [from, frame] : batch) bytes += frame.view();
      const uint64_t at = offset;
      offset += bytes.size();
      const absl::Status written =
          co_await (*file)->WriteAt(at, Buffer::FromString(std::move(bytes)));
      const absl::Status durable = co_await (*file)->Sync();
      if (!written.ok() || !durable.ok()) co_return;
      for (const auto& [from, frame] : batch) from->Reply(frame);
    }
  }

  // Announces the server, and counts in a node that all servers share.
  Task<void> Register() {
    for (;;) {
      co_await SleepFor(env_.executor, env_.clock, absl::Milliseconds(env_.random->Below(500)));
      const absl::Status created =
          co_await store_->Create("/available/" + name_, name_, metadata::NodeKind::kEphemeral);
      const absl::StatusOr<metadata::Node> count = co_await store_->Get("/count");
      if (!count.ok()) {
        created.IgnoreError();  // it exists, or the next round tries again
        (co_await store_->Create("/count", "", metadata::NodeKind::kPersistent)).IgnoreError();
        continue;
      }
      const absl::StatusOr<metadata::Version> put =
          co_await store_->Put("/count", StrCat(name_, count->version), count->version);
      put.status().IgnoreError();  // another server was faster
    }
  }

  Env env_;
  std::string name_;
  std::unique_ptr<metadata::MetadataStore> store_;
  Notification arrived_;
  std::vector<std::pair<Incoming*, Buffer>> waiting_;
  std::vector<std::unique_ptr<Incoming>> connections_;
  TaskScope tasks_;
};

// Keeps some frames on their way to every server; a few bytes to a KiB each.
class Client {
 public:
  Client(Env env, std::unique_ptr<metadata::MetadataStore> store, absl::Duration think_time,
         uint64_t* replies)
      : env_(env),
        store_(std::move(store)),
        think_time_(think_time),
        replies_(replies),
        watch_(store_->WatchChildren("/available", [] {})),
        tasks_(env.executor) {
    for (int i = 0; i < kServers; ++i) tasks_.Spawn(Talk(StrCat("server-", i)));
  }

 private:
  class Conversation : public ConnectionHandler {
   public:
    Conversation(Env env, std::unique_ptr<Connection> connection, uint64_t* replies)
        : env_(env), changed_(env.executor), connection_(std::move(connection)), replies_(replies) {
      connection_->Start(this);
    }
    void OnFrames(std::span<Buffer> frames) override {
      outstanding_ -= frames.size();
      *replies_ += frames.size();
      changed_.NotifyAll();
    }
    void OnPeerFinished() override { connection_->CloseAfterSending(); }
    void OnClosed(absl::Status) override {
      closed_ = true;
      changed_.NotifyAll();
    }
    Task<void> Run(absl::Duration think_time) {
      while (!closed_) {
        const bool resting = outstanding_ > 0 && think_time > absl::ZeroDuration();
        while (!resting && outstanding_ < 8 && env_.random->Below(4) != 0) {
          ++outstanding_;
          connection_->Send(StrCat(env_.random->Below(1'000'000)),
                            Buffer::FromString(std::string(env_.random->Below(1'024), 'x')));
        }
        if (outstanding_ > 0) {
          co_await changed_.Wait();
        } else {
          co_await SleepFor(env_.executor, env_.clock, think_time);
        }
      }
    }

   private:
    Env env_;
    Notification changed_;
    std::unique_ptr<Connection> connection_;
    uint64_t* replies_;
    uint64_t outstanding_ = 0;
    bool closed_ = false;
  };

  Task<void> Talk(std::string server) {
    for (;;) {
      absl::StatusOr<std::unique_ptr<Connection>> connection =
          co_await env_.transport->Connect({server, kPort}, {}, absl::Seconds(1));
      if (!connection.ok()) {
        co_await SleepFor(env_.executor, env_.clock, absl::Milliseconds(100));
        continue;
      }
      Conversation conversation(env_, *std::move(connection), replies_);
      co_await conversation.Run(think_time_);
    }
  }

  Env env_;
  std::unique_ptr<metadata::MetadataStore> store_;
  absl::Duration think_time_;
  uint64_t* replies_;
  std::unique_ptr<metadata::Watch> watch_;
  TaskScope tasks_;
};

}  // namespace

SeamWorkload::SeamWorkload(uint64_t seed, SeamWorkloadOptions options)
    : options_(options),
      world_({.seed = seed}),
      random_(world_.scheduler().random().Child("faults")) {
  for (int i = 0; i < kServers; ++i) {
    machines_.push_back(world_.AddMachine(StrCat("server-", i)));
    servers_.push_back(world_.AddProcess(machines_.back(), StrCat("server-", i)));
    StartServer(servers_.back());
  }
  for (int i = 0; i < kClients; ++i) {
    machines_.push_back(world_.AddMachine(StrCat("client-", i)));
    clients_.push_back(world_.AddProcess(machines_.back(), StrCat("client-", i)));
    StartClient(clients_.back());
  }
  if (options.faults == SeamWorkloadOptions::Faults::kMany) ScheduleFault();
}

SeamWorkload::~SeamWorkload() = default;

absl::Status SeamWorkload::Run(absl::Duration duration) {
  return world_.scheduler().RunFor(duration);
}

void SeamWorkload::StartServer(SimProcess* process) {
  process->executor()->PostFromAnyThread([this, process] {
    process->Own(std::make_unique<Server>(world_.env(process), process->name(),
                                          world_.NewMetadataStore(process)));
  });
}

void SeamWorkload::StartClient(SimProcess* process) {
  process->executor()->PostFromAnyThread([this, process] {
    process->Own(std::make_unique<Client>(world_.env(process), world_.NewMetadataStore(process),
                                          options_.think_time, &replies_));
  });
}

void SeamWorkload::ScheduleFault() {
  world_.scheduler().CallAfter(world_.scheduler().world(),
                               absl::Milliseconds(50 + random_.Below(300)), [this] {
                                 StrikeOnce();
                                 ScheduleFault();
                               });
}

void SeamWorkload::StrikeOnce() {
  const std::string server = machines_[random_.Below(kServers)]->host();
  const std::string client = machines_[kServers + random_.Below(kClients)]->host();
  SimProcess* process = servers_[random_.Below(kServers)];
  switch (random_.Below(7)) {
    case 0: CrashAndRestart(); break;
    case 1: world_.network().Partition(server, client); break;
    case 2: world_.network().HealAll(); break;
    case 3: world_.network().ResetConnections(server, client); break;
    case 4: world_.metadata().Expire(process); break;
    case 5: world_.metadata().Disconnect(process); break;
    case 6: world_.metadata().Reconnect(process); break;
  }
}

void SeamWorkload::CrashAndRestart() {
  const size_t index = random_.Below(kServers);
  SimProcess* process = servers_[index];
  if (!process->alive()) return;
  if (random_.Chance(1, 2)) {
    process->Crash();
  } else {
    world_.PowerCut(machines_[index]);
  }
  world_.scheduler().CallAfter(world_.scheduler().world(), absl::Milliseconds(random_.Below(1'000)),
                               [this, process] {
                                 process->Restart();
                                 StartServer(process);
                               });
}

}  // namespace stele::simulation
