"""Debian's libraries as cc_library targets: link flags from pkg-config, headers from /usr/include."""

def _impl(ctx):
    rules = ["package(default_visibility = [\"//visibility:public\"])"]
    for name, modules in ctx.attr.packages.items():
        result = ctx.execute(["pkg-config", "--libs"] + modules)
        if result.return_code != 0:
            fail("pkg-config does not know %s; run tools/setup first.\n%s" % (modules, result.stderr))
        flags = [flag for flag in result.stdout.strip().split(" ") if flag]
        rules.append("cc_library(name = \"%s\", linkopts = %s)" % (name, repr(flags)))
    for name, flags in ctx.attr.plain.items():
        rules.append("cc_library(name = \"%s\", linkopts = %s)" % (name, repr(flags)))
    ctx.file("BUILD", "\n".join(rules) + "\n")

pkg_config_repository = repository_rule(
    implementation = _impl,
    attrs = {
        "packages": attr.string_list_dict(doc = "target name -> pkg-config modules"),
        "plain": attr.string_list_dict(doc = "target name -> link flags, for libraries without a .pc file"),
    },
    local = True,
)
