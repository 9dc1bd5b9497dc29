"""A header that is parsed once per configuration: it takes a third to two thirds off the time to compile a file."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "CPP_COMPILE_ACTION_NAME")
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

def _precompiled_header_impl(ctx):
    toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    out = ctx.actions.declare_file(ctx.label.name + ".pch")
    variables = cc_common.create_compile_variables(
        feature_configuration = features,
        cc_toolchain = toolchain,
        # From standard input, without the lines that name a file of the tree: what is read by name is noted with the path of
        # this checkout, and the result is shared by all of them.
        source_file = "-",
        output_file = out.path,
        quote_include_directories = depset([".", ctx.bin_dir.path]),
        # Without times the same header gives the same file in every checkout.
        user_compile_flags = ctx.fragments.cpp.copts + ctx.fragments.cpp.cxxopts + ctx.attr.copts +
                             ["-Xclang", "-fno-pch-timestamp", "-xc++-header"],
        # As Bazel compiles the files that include it: what is optimized is linked into programs only.
        use_pic = ctx.var["COMPILATION_MODE"] != "opt",
    )
    compiler = cc_common.get_tool_for_action(
        feature_configuration = features,
        action_name = CPP_COMPILE_ACTION_NAME,
    )
    headers = ctx.files.includes + ctx.files.hdr
    ctx.actions.run_shell(
        command = "cat %s | grep -v -e '^#pragma once' -e '#include \"tools/' | \"$@\"" % " ".join([h.path for h in headers]),
        arguments = [compiler] + cc_common.get_memory_inefficient_command_line(
            feature_configuration = features,
            action_name = CPP_COMPILE_ACTION_NAME,
            variables = variables,
        ),
        env = cc_common.get_environment_variables(
            feature_configuration = features,
            action_name = CPP_COMPILE_ACTION_NAME,
            variables = variables,
        ),
        inputs = depset(ctx.files.hdr + ctx.files.includes, transitive = [toolchain.all_files]),
        outputs = [out],
        mnemonic = "CppPrecompile",
        progress_message = "Precompiling %s" % ctx.file.hdr.short_path,
    )
    # As headers, so that whoever depends on this waits for it and may include what went into it.
    context = cc_common.create_compilation_context(
        headers = depset([out] + ctx.files.hdr + ctx.files.includes),
    )
    return [DefaultInfo(files = depset([out])), CcInfo(compilation_context = context)]

precompiled_header = rule(
    implementation = _precompiled_header_impl,
    attrs = {
        "copts": attr.string_list(),
        "hdr": attr.label(allow_single_file = True, mandatory = True),
        "includes": attr.label_list(allow_files = True),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
    incompatible_use_toolchain_transition = True,
)
