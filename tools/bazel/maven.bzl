"""The jars of a pom.xml and all that they need, fetched by the machine's own Maven into lib/ of a repository."""

def _impl(ctx):
    command = ["mvn", "-q", "-B", "-f", str(ctx.path(ctx.attr.pom)), "dependency:copy-dependencies"]
    command.append("-DoutputDirectory=" + str(ctx.path("lib")))
    version = ctx.os.environ.get(ctx.attr.version_variable)
    if version:
        command.append("-D%s=%s" % (ctx.attr.version_property, version))
    result = ctx.execute(command, timeout = 1800)
    if result.return_code != 0:
        fail("Maven cannot fetch what %s names; run tools/setup first.\n%s%s" %
             (ctx.attr.pom, result.stdout, result.stderr))
    ctx.file("BUILD", """filegroup(
    name = "jars",
    srcs = glob(["lib/*.jar"]),
    visibility = ["//visibility:public"],
)
""")

maven_repository = repository_rule(
    implementation = _impl,
    attrs = {
        "pom": attr.label(mandatory = True, allow_single_file = True),
        "version_property": attr.string(doc = "the property of the pom that --repo_env may set"),
        "version_variable": attr.string(doc = "the variable, BOOKKEEPER_VERSION"),
    },
    environ = ["BOOKKEEPER_VERSION"],
)
