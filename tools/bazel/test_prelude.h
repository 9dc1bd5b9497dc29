// The same for tests.
#pragma once

#include <gtest/gtest.h>

#include "tools/bazel/prelude.h"
