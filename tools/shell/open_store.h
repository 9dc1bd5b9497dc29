// The metadata store that a service URI names.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "metadata/metadata_store.h"
#include "metadata/service_uri.h"

namespace stele::shell {

//   timeout   of one operation
//   errors    those of the driver; kUnsupported: this build has no driver for the URI
Task<absl::StatusOr<std::unique_ptr<metadata::MetadataStore>>> OpenStore(metadata::ServiceUri uri,
                                                                         Env env,
                                                                         absl::Duration timeout);

}  // namespace stele::shell
