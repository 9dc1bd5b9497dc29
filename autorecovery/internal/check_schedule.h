// When an auditor makes a long check: one interval after it last ended, and at once when somebody
// takes that date back.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/observe/log.h"
#include "common/seams/env.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/metadata_store.h"
#include "metadata/underreplication_format.h"

namespace stele::autorecovery {

// Given the date that stood there when the check began. False: it was broken off, and is called
// again before long, as after an error.
using LongCheck = absl::AnyInvocable<Task<absl::StatusOr<bool>>(metadata::CheckDate since)>;

// Makes the check now and then, as long as the task lives. Its date is written at its end; when it
// was taken back since the beginning, the check is made once more. What `env` points to, `store`
// and `settings` outlive it.
//   interval   infinite: never
//   log        may be null
Task<void> CheckNowAndThen(Env env, metadata::MetadataStore* store,
                           metadata::AutorecoverySettings* settings, metadata::CheckKind kind,
                           absl::Duration interval, observe::Log* log, LongCheck check);

}  // namespace stele::autorecovery
