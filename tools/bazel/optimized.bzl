"""A program that is built optimised whatever the rest of the build is."""

def _optimized_impl(settings, attr):
    # Assertions stay on: what runs faster must check as much.
    return {
        "//command_line_option:compilation_mode": "opt",
        "//command_line_option:copt": settings["//command_line_option:copt"] +
                                      ["-O2", "-UNDEBUG", "-g1"],
    }

_optimized = transition(
    implementation = _optimized_impl,
    inputs = ["//command_line_option:copt"],
    outputs = [
        "//command_line_option:compilation_mode",
        "//command_line_option:copt",
    ],
)

def _optimized_binary_impl(ctx):
    binary = ctx.attr.binary[0][DefaultInfo]
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = program,
        target_file = binary.files_to_run.executable,
        is_executable = True,
    )
    return [DefaultInfo(executable = program, runfiles = binary.default_runfiles)]

optimized_binary = rule(
    implementation = _optimized_binary_impl,
    attrs = {
        "binary": attr.label(cfg = _optimized, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    executable = True,
)
