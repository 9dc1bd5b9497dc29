#!/usr/bin/env python3
"""The image's file and the Kubernetes manifests, as far as that can be checked without a registry and a cluster: their form,
that their parts fit each other, and that the program takes what they give it and answers what they ask.

Usage: deploy_test.py STELE DEPLOY       DEPLOY is the directory `deploy`
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import yaml

WAIT_SECONDS = 60
problems = []


def check(good, what):
    if not good:
        problems.append(what)


# --- Form: which fields there are. A misspelt one is dropped in silence by some servers, and refused by others.
ANY = None  # not looked into
NAMES = {"*": ANY}
SELECTOR = {"matchLabels": NAMES}
SECURITY = {"runAsNonRoot": ANY, "runAsUser": ANY, "runAsGroup": ANY, "fsGroup": ANY, "fsGroupChangePolicy": ANY,
            "seccompProfile": {"type": ANY}}
PROBE = {"httpGet": {"path": ANY, "port": ANY}, "periodSeconds": ANY, "timeoutSeconds": ANY, "failureThreshold": ANY}
POD_TERM = {"topologyKey": ANY, "labelSelector": SELECTOR}
CONTAINER = {"name": ANY, "image": ANY, "args": ANY, "command": ANY,
             "env": [{"name": ANY, "value": ANY, "valueFrom": {"configMapKeyRef": {"name": ANY, "key": ANY},
                                                               "fieldRef": {"fieldPath": ANY}}}],
             "ports": [{"name": ANY, "containerPort": ANY}],
             "startupProbe": PROBE, "livenessProbe": PROBE, "readinessProbe": PROBE,
             "lifecycle": {"preStop": {"exec": {"command": ANY}}},
             "securityContext": {"allowPrivilegeEscalation": ANY, "readOnlyRootFilesystem": ANY, "capabilities": {"drop": ANY}},
             "resources": {"requests": {"cpu": ANY, "memory": ANY}, "limits": {"memory": ANY}},
             "volumeMounts": [{"name": ANY, "mountPath": ANY, "readOnly": ANY}]}
POD = {"metadata": {"labels": NAMES},
       "spec": {"terminationGracePeriodSeconds": ANY, "automountServiceAccountToken": ANY, "enableServiceLinks": ANY,
                "restartPolicy": ANY, "securityContext": SECURITY,
                "topologySpreadConstraints": [{"maxSkew": ANY, "topologyKey": ANY, "whenUnsatisfiable": ANY,
                                               "labelSelector": SELECTOR}],
                "affinity": {"podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [POD_TERM],
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": ANY, "podAffinityTerm": POD_TERM}]}},
                "containers": [CONTAINER],
                "volumes": [{"name": ANY, "configMap": {"name": ANY, "items": [{"key": ANY, "path": ANY}]},
                             "secret": {"secretName": ANY, "defaultMode": ANY, "items": [{"key": ANY, "path": ANY}]}}]}}
COMMON = {"apiVersion": ANY, "kind": ANY, "metadata": {"name": ANY, "labels": NAMES}}
KINDS = {
    ("v1", "ConfigMap"): {"data": NAMES},
    ("v1", "Service"): {"spec": {"clusterIP": ANY, "publishNotReadyAddresses": ANY, "selector": NAMES,
                                 "ports": [{"name": ANY, "port": ANY, "targetPort": ANY}]}},
    ("batch/v1", "Job"): {"spec": {"backoffLimit": ANY, "template": POD}},
    ("apps/v1", "Deployment"): {"spec": {"replicas": ANY, "selector": SELECTOR, "template": POD}},
    ("apps/v1", "StatefulSet"): {"spec": {
        "serviceName": ANY, "replicas": ANY, "podManagementPolicy": ANY, "updateStrategy": {"type": ANY},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": ANY, "whenScaled": ANY}, "selector": SELECTOR, "template": POD,
        "volumeClaimTemplates": [{"metadata": {"name": ANY},
                                  "spec": {"accessModes": ANY, "resources": {"requests": {"storage": ANY}}}}]}},
    ("policy/v1", "PodDisruptionBudget"): {"spec": {"maxUnavailable": ANY, "unhealthyPodEvictionPolicy": ANY,
                                                    "selector": SELECTOR}},
    ("networking.k8s.io/v1", "NetworkPolicy"): {"spec": {
        "podSelector": SELECTOR, "policyTypes": ANY,
        "ingress": [{"from": [{"podSelector": SELECTOR}], "ports": [{"port": ANY}]}]}},
}


def check_form(value, form, where):
    if form is ANY:
        return
    if isinstance(form, list):
        check(isinstance(value, list) and value, f"{where}: not a list, or empty")
        for i, item in enumerate(value if isinstance(value, list) else []):
            check_form(item, form[0], f"{where}[{i}]")
        return
    if not isinstance(value, dict):
        return check(False, f"{where}: not a mapping")
    for key, inner in value.items():
        known = key in form or "*" in form
        check(known, f"{where}: no such field: {key}")
        if known:
            check_form(inner, form.get(key, ANY), f"{where}.{key}")


class Unique(yaml.SafeLoader):
    """YAML in which no key comes twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        check(len(keys) == len(set(keys)), f"a key twice in {keys}")
        return super().construct_mapping(node, deep)


def load(directory):
    objects = []
    for name in sorted(os.listdir(directory)):
        if name.endswith(".yaml"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                objects += [(name, each) for each in yaml.load_all(file, Unique)]
    return objects


# --- Fit.
def check_fit(objects):
    found = {}
    for _, each in objects:
        found.setdefault(each["kind"], []).append(each)
    maps = {each["metadata"]["name"]: each["data"] for each in found["ConfigMap"]}
    workloads = found["StatefulSet"] + found["Deployment"]
    selects = lambda wanted, labels: wanted.items() <= labels.items()
    images = set()
    for each in workloads + found["Job"]:
        name, pod = each["metadata"]["name"], each["spec"]["template"]
        labels, spec = pod["metadata"]["labels"], pod["spec"]
        security = spec["securityContext"]
        check(security["runAsNonRoot"] is True and security["runAsUser"] == 10000, f"{name}: root")
        claims = [claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", [])]
        volumes = [volume["name"] for volume in spec.get("volumes", [])] + claims
        for volume in spec.get("volumes", []):
            for item in volume.get("configMap", {}).get("items", []):
                check(item["key"] in maps[volume["configMap"]["name"]], f"{name}: no {item['key']} in its ConfigMap")
            check(volume.get("secret", {}).get("defaultMode", 0o400) == 0o400, f"{name}: others may read a Secret")
            check("secret" not in volume or "fsGroup" in security, f"{name}: nobody but root can read a Secret")
        if each["kind"] != "Job":
            check(selects(each["spec"]["selector"]["matchLabels"], labels), f"{name}: does not select its own pods")
            budgets = [b for b in found["PodDisruptionBudget"] if selects(b["spec"]["selector"]["matchLabels"], labels)]
            check(len(budgets) == 1 and budgets[0]["spec"]["maxUnavailable"] == 1, f"{name}: not exactly one budget")
        for container in spec["containers"]:
            images.add(container["image"])
            own = container["securityContext"]
            check(own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] and own["capabilities"]["drop"] == ["ALL"],
                  f"{name}: may do too much")
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in container:
                    check(container[probe]["httpGet"]["port"] in ports, f"{name}: {probe} asks an unknown port")
            for variable in container.get("env", []):
                if "configMapKeyRef" in variable.get("valueFrom", {}):
                    reference = variable["valueFrom"]["configMapKeyRef"]
                    check(reference["key"] in maps.get(reference["name"], {}), f"{name}: no {reference}")
            check({mount["name"] for mount in container.get("volumeMounts", [])} == set(volumes), f"{name}: mounts are not its volumes")
        for term in json.dumps(spec.get("affinity", {}), sort_keys=True), json.dumps(spec.get("topologySpreadConstraints", []), sort_keys=True):
            check("matchLabels" not in term or json.dumps(labels, sort_keys=True) in term, f"{name}: keeps apart from others than its like")
    check(len(images) == 1, f"images differ: {images}")
    for service in found["Service"]:
        matching = [w for w in workloads if selects(service["spec"]["selector"], w["spec"]["template"]["metadata"]["labels"])]
        check(len(matching) == 1, f"{service['metadata']['name']}: not exactly one workload")
        ports = {p["name"]: p["containerPort"] for w in matching for p in w["spec"]["template"]["spec"]["containers"][0]["ports"]}
        for port in service["spec"]["ports"]:
            check(ports.get(port["targetPort"]) == port["port"], f"{service['metadata']['name']}: port {port}")
    bookies = found["StatefulSet"][0]
    service = next(s for s in found["Service"] if s["metadata"]["name"] == bookies["spec"]["serviceName"])
    check(service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"] is True,
          "the names of bookies are not published before they are ready")
    for policy in found["NetworkPolicy"]:
        check(selects(policy["spec"]["podSelector"]["matchLabels"], bookies["spec"]["template"]["metadata"]["labels"]), "policy of nobody")
    grace = bookies["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    container = bookies["spec"]["template"]["spec"]["containers"][0]
    hook = container["lifecycle"]["preStop"]["exec"]["command"][2]
    waits = sum(int(seconds) for seconds in re.findall(r"(?:wait-for-gate \S+|--timeout) (\d+)", hook))
    check(360 == waits <= grace - 120, "preStop leaves no time for the flush")
    settings = dict(line.split("=", 1) for line in maps["stele"]["bk_server.conf"].splitlines() if line and not line.startswith("#"))
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    check(settings["bookiePort"] == ports["bookie"] and settings["httpServerPort"] == ports["admin"], "ports of the configuration differ")
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    check({settings["journalDirectories"], settings["ledgerDirectories"]} <= mounts, "directories are not on volumes")
    token = settings["stele.httpTokenFile"]
    check(os.path.dirname(token) in mounts and f"--token-file {token} " in hook, "preStop has not the token of the bookie")
    return maps["stele"]["bk_server.conf"], bookies, found["Deployment"][0]


# --- What the program says to it.
def wait_for(what, look):
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if look():
            return
        time.sleep(0.05)
    raise AssertionError(f"waited too long for {what}")


def expand(container, values):
    """The container's variables and arguments, as the kubelet makes them."""
    def fill(text):
        return re.sub(r"\$\((\w+)\)", lambda match: values.get(match.group(1), match.group(0)), text)

    for variable in container["env"]:
        if "value" in variable:
            values[variable["name"]] = fill(variable["value"])
    return [fill(argument) for argument in container["args"]]


class Started:
    def __init__(self, work, name, argv, env):
        self.path = os.path.join(work, f"log-{name}")
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)

    def log(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def admin_port(self):
        wait_for("the admin port", lambda: re.search(r'"admin port".*"port":\s*"?(\d+)', self.log()) or self.process.poll() is not None)
        found = re.search(r'"admin port".*"port":\s*"?(\d+)', self.log())
        assert found, self.log()
        return found.group(1)

    def end(self):
        self.process.terminate()
        check(self.process.wait(WAIT_SECONDS) == 0, f"SIGTERM does not end it well:\n{self.log()}")


def check_program(stele, deploy, configuration, bookies, autorecovery):
    work = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
    scripts = os.path.join(deploy, "container")
    os.mkdir(f"{work}/bin")
    os.symlink(stele, f"{work}/bin/stele")
    env = dict(os.environ, STELE_METADATA=f"sqlite://{work}/metadata.db", PATH=f"{work}/bin:{os.environ['PATH']}")
    with open(f"{work}/bk_server.conf", "w", encoding="utf-8") as file:
        file.write(configuration.replace("/var/lib/stele", work).replace("/etc/stele-admin", work))
    write_token(f"{work}/token", 0o600)
    started = []

    def probe(path, port):
        return subprocess.run([f"{scripts}/probe", path, "127.0.0.1", port], env=env, check=False).returncode == 0

    def probes_of(container):
        return [container[p]["httpGet"]["path"] for p in ("startupProbe", "livenessProbe", "readinessProbe") if p in container]

    try:
        subprocess.run([stele, "cluster", "init"], env=env, check=True)
        container = bookies["spec"]["template"]["spec"]["containers"][0]
        values = {"POD_NAME": "stele-bookie-0", "POD_NAMESPACE": "ns"}
        arguments = [a.replace("/etc/stele", work) for a in expand(container, values)]
        # On any free port, and found where it is.
        arguments += ["--port", "0", "--set", "httpServerPort=0", "--set", "advertisedAddress=127.0.0.1"]
        bookie = Started(work, "bookie", [stele, *arguments], env)
        started.append(bookie)
        port = bookie.admin_port()
        for path in probes_of(container):
            wait_for(path, lambda path=path: probe(path, port))
        check(not probe("/nowhere", port), "probe takes everything for good")
        listed = subprocess.run([stele, "bookies", "list"], env=env, check=True, capture_output=True, text=True).stdout
        check("stele-bookie-0.stele-bookies.ns.svc:3181" == values["BOOKIE_ID"] and values["BOOKIE_ID"] in listed, f"ids: {listed}")
        hook = container["lifecycle"]["preStop"]["exec"]["command"][2].replace("/usr/lib/stele", scripts).replace(" 300", " 1")
        hook = hook.replace("/etc/stele-admin", work)
        stopped = subprocess.run(["/bin/sh", "-c", hook], env=dict(env, BOOKIE_ID=values["BOOKIE_ID"]), check=False, capture_output=True)
        check(stopped.returncode == 0 and b"granted" in stopped.stdout, f"preStop: {stopped}")
        listed = subprocess.run([stele, "bookies", "list"], env=env, check=True, capture_output=True, text=True).stdout
        check("read-only" in listed, f"preStop has not made it quiet: {listed}")

        container = autorecovery["spec"]["template"]["spec"]["containers"][0]
        arguments = [re.sub(r"^0\.0\.0\.0:\d+$", "127.0.0.1:0", a) for a in expand(container, {"POD_NAME": "ar-0"})]
        recovery = Started(work, "autorecovery", [stele, *arguments], env)
        started.append(recovery)
        port = recovery.admin_port()
        for path in [*probes_of(container), "/", "/metrics"]:
            wait_for(path, lambda path=path: probe(path, port))
        for each in reversed(started):
            each.end()
        check(subprocess.run([f"{scripts}/wait-for-gate", "nobody:1", "0"], env=env, check=False, capture_output=True).returncode == 0,
              "wait-for-gate holds up an end for ever")
    finally:
        for each in started:
            each.process.kill()
            each.process.wait()
        shutil.rmtree(work, ignore_errors=True)


def write_token(path, mode):
    with open(path, "w", encoding="utf-8") as file:
        file.write("0123456789abcdef\n")
    os.chmod(path, mode)


def check_token(stele):
    """The Secret's file as the kubelet makes it: root's, and the group's to read. Needs root to make one, and a place that others reach."""
    if os.geteuid() != 0:
        print("not root: a token file of root's was not tried")
        return
    work = tempfile.mkdtemp(dir="/tmp")
    try:
        os.chmod(work, 0o755)
        program, token = shutil.copy(stele, work), f"{work}/token"
        subprocess.run([stele, "cluster", "init", "--metadata", f"sqlite://{work}/metadata.db"], check=True, capture_output=True)
        os.chown(work, 10000, 10000)
        for name in os.listdir(work):
            if name.startswith("metadata"):
                os.chown(f"{work}/{name}", 10000, 10000)
        for group, mode, code in ((10000, 0o440, 3), (10000, 0o444, 2), (10000, 0o460, 2)):  # 3: taken, and no such bookie
            write_token(token, mode)
            os.chown(token, 0, group)
            got = subprocess.run(["setpriv", "--reuid=10000", "--regid=10000", "--clear-groups", program, "node", "quiesce", "nobody:1",
                                  "--token-file", token, "--metadata", f"sqlite://{work}/metadata.db"], check=False, capture_output=True)
            check(got.returncode == code, f"a token file of mode {mode:o}: {got}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


# --- The image.
def check_image(stele, deploy):
    directory = os.path.join(deploy, "container")
    with open(os.path.join(directory, "Containerfile"), encoding="utf-8") as file:
        text = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", file.read()))
    steps = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    known = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD", "HEALTHCHECK"}
    check({step for step, _ in steps} <= known, f"Containerfile: {steps}")
    last = dict(steps)
    check(last["FROM"] == "debian:12-slim", "not from Debian 12")
    check(last["USER"] == "10000:10000", "the image runs as root")
    check(last["STOPSIGNAL"] == "SIGTERM", "not stopped by SIGTERM")
    order = [step for step, _ in steps]
    check(order.index("USER") > max(i for i, step in enumerate(order) if step in ("RUN", "COPY")), "built as a user who may not")
    for step, rest in steps:
        if step == "COPY":
            for source in [word for word in rest.split()[:-1] if not word.startswith("--")]:
                check(source == "stele_*.deb" or os.access(os.path.join(directory, source), os.X_OK), f"COPY: no {source}")
        if step == "RUN" and "apt-get install" in rest:
            check("--no-install-recommends" in rest and "rm -rf" in rest and "/var/lib/apt/lists" in rest, "apt's lists stay in the image")
    command = json.loads(last["ENTRYPOINT"]) + json.loads(last["CMD"])
    check(command[0] == "/usr/bin/stele", "another program than ours")
    help_text = subprocess.run([stele, command[1], "--help"], check=True, capture_output=True, text=True).stdout
    for flag in [word for word in command[2:] if word.startswith("--")]:
        check(flag in help_text, f"CMD: stele {command[1]} has no {flag}")
    health = json.loads(last["HEALTHCHECK"].split("CMD", 1)[1])
    check(health == ["/usr/lib/stele/probe", "/livez"], "HEALTHCHECK asks something else")


def main():
    stele, deploy = os.path.realpath(sys.argv[1]), sys.argv[2]
    objects = load(os.path.join(deploy, "kubernetes"))
    for name, each in objects:
        kind = (each.get("apiVersion"), each.get("kind"))
        where = f"{name} {each.get('kind')}"
        check(kind in KINDS, f"{where}: unknown")
        check_form(each, {**COMMON, **KINDS.get(kind, {"*": ANY})}, where)
    try:
        configuration, bookies, autorecovery = check_fit(objects)
        check_image(stele, deploy)
        check_token(stele)
        check_program(stele, deploy, configuration, bookies, autorecovery)
    finally:
        print("\n".join(problems))
    print(f"{len(objects)} objects, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
