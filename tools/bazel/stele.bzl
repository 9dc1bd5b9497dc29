"""The project's own rules: one warning level, one test framework, one way to make protobuf code."""

load("//tools/bazel:pch.bzl", "precompiled_header")

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Wshadow",
    "-Wthread-safety",
    "-Wno-unused-parameter",
    # What an aggregate does not name has its default member initialiser.
    "-Wno-missing-field-initializers",
    # Debian's absl marks some of its own headers deprecated; ours are not.
    "-Wno-deprecated-declarations",
]

_PRELUDE = ["//tools/bazel:prelude"]
_PRELUDE_FLAGS = ["-include-pch", "$(BINDIR)/tools/bazel/prelude.pch"]
_TEST_PRELUDE = ["//tools/bazel:test_prelude"]
_TEST_PRELUDE_FLAGS = ["-include-pch", "$(BINDIR)/tools/bazel/test_prelude.pch"]

def stele_prelude(name, hdr, **kwargs):
    """A header that all libraries, or all tests, get precompiled."""
    precompiled_header(name = name, hdr = hdr, copts = _WARNINGS, **kwargs)

def stele_library(name, copts = [], deps = [], **kwargs):
    native.cc_library(
        name = name,
        copts = _WARNINGS + _PRELUDE_FLAGS + copts,
        deps = deps + _PRELUDE,
        **kwargs
    )

def stele_binary(name, copts = [], deps = [], **kwargs):
    native.cc_binary(
        name = name,
        copts = _WARNINGS + _PRELUDE_FLAGS + copts,
        deps = deps + _PRELUDE,
        **kwargs
    )

def stele_test(name, srcs = None, deps = [], copts = [], size = "small", **kwargs):
    """A GoogleTest binary; srcs default to <name>.cc."""
    native.cc_test(
        name = name,
        srcs = srcs or [name + ".cc"],
        copts = _WARNINGS + _TEST_PRELUDE_FLAGS + copts,
        size = size,
        deps = deps + ["//tools/bazel:gtest_main"] + _TEST_PRELUDE,
        **kwargs
    )

def stele_benchmark(name, srcs = None, deps = [], **kwargs):
    """A Google Benchmark binary; srcs default to <name>.cc. Build it with --config=release."""
    native.cc_binary(
        name = name,
        srcs = srcs or [name + ".cc"],
        copts = _WARNINGS,
        testonly = True,
        deps = deps + ["//tools/bazel:benchmark_main"],
        **kwargs
    )

def stele_fuzz(name, srcs = None, deps = [], **kwargs):
    """A libFuzzer target; srcs default to <name>.cc. Only --config=fuzz can link it; tools/test runs each for some seconds."""
    native.cc_binary(
        name = name,
        srcs = srcs or [name + ".cc"],
        copts = _WARNINGS,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["fuzz", "manual"],
        testonly = True,
        deps = deps,
        **kwargs
    )

def stele_proto(name, src, visibility = None):
    """C++ messages of one .proto file, included by their rooted path."""
    base = src[:-len(".proto")]
    native.genrule(
        name = name + "_gen",
        srcs = [src],
        outs = [base + ".pb.h", base + ".pb.cc"],
        cmd = "/usr/bin/protoc --proto_path=. --cpp_out=$(GENDIR) $(SRCS)",
    )
    native.cc_library(
        name = name,
        srcs = [base + ".pb.cc"],
        hdrs = [base + ".pb.h"],
        copts = ["-w"],
        visibility = visibility,
        deps = ["@system//:protobuf"],
    )

def stele_grpc_client(name, src, messages, **kwargs):
    """C++ stubs of the services in one .proto file, for tests that call them: the servers have none (common/rpc)."""
    base = src[:-len(".proto")]
    native.genrule(
        name = name + "_gen",
        srcs = [src],
        outs = [base + ".grpc.pb.h", base + ".grpc.pb.cc"],
        cmd = "/usr/bin/protoc --proto_path=. --grpc_out=$(GENDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin $(SRCS)",
    )
    native.cc_library(
        name = name,
        testonly = True,
        srcs = [base + ".grpc.pb.cc"],
        hdrs = [base + ".grpc.pb.h"],
        copts = ["-w"],
        deps = [
            messages,
            "@system//:grpc",
        ],
        **kwargs
    )

def stele_forbidden(name, dep):
    """A dependency that the layers forbid: it must not build. tools/tidy/layering.sh holds Bazel to that."""
    native.cc_library(
        name = name,
        tags = ["forbidden", "manual"],
        deps = [dep],
    )
