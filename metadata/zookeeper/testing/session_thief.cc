#include "metadata/zookeeper/testing/session_thief.h"

#include <future>
#include <utility>

#include <zookeeper/zookeeper.h>

#include "common/base/check.h"

namespace stele::metadata {
namespace {

// A server gives a session the first 16 bytes of a java.util.Random that is seeded with its id and
// a constant.
clientid_t ClientIdOf(int64_t session) {
  constexpr uint64_t kServersConstant = 0xB3415C00;
  constexpr uint64_t kMultiplier = 0x5DEECE66D;
  constexpr uint64_t kMask = (uint64_t{1} << 48) - 1;
  clientid_t result = {.client_id = session, .passwd = {}};
  uint64_t state = (static_cast<uint64_t>(session) ^ kServersConstant ^ kMultiplier) & kMask;
  for (int i = 0; i < 16; i += 4) {
    state = (state * kMultiplier + 0xB) & kMask;
    const auto word = static_cast<uint32_t>(state >> 16);
    for (int byte = 0; byte < 4; ++byte) {
      result.passwd[i + byte] = static_cast<char>(word >> (8 * byte));
    }
  }
  return result;
}

// The first state that is not a step on the way.
struct FirstState {
  std::promise<int> state;
  bool known = false;  // the client's thread's
};

void OnEvent(zhandle_t*, int type, int state, const char*, void* context) {
  auto* first = static_cast<FirstState*>(context);
  const bool settled = state == ZOO_CONNECTED_STATE || state == ZOO_EXPIRED_SESSION_STATE;
  if (type != ZOO_SESSION_EVENT || !settled || std::exchange(first->known, true)) return;
  first->state.set_value(state);
}

void Drop(const char*) {}

}  // namespace

void EndSessionAtServer(const std::string& connect_string, int64_t session) {
  const clientid_t id = ClientIdOf(session);
  int state = ZOO_CONNECTED_STATE;
  // Its owner may win the connection back before we close it; until the server says that there is
  // no such session.
  while (state != ZOO_EXPIRED_SESSION_STATE) {
    FirstState first;
    zhandle_t* handle = zookeeper_init2(connect_string.c_str(), &OnEvent, 10'000, &id, &first,
                                        ZOO_NO_LOG_CLIENTENV, &Drop);
    STELE_CHECK(handle != nullptr);
    state = first.state.get_future().get();
    zookeeper_close(handle);
  }
}

}  // namespace stele::metadata
