"""What monitoring_test.sh needs: asking an admin port, and comparing names.

Usage: monitoring_check.py get HOST:PORT PATH             prints the status and the body
       monitoring_check.py fetch HOST:PORT                prints /metrics
       monitoring_check.py names ALERTS DASHBOARD PAGE METRICS...
           every name that the alerts and the dashboard use is in one of the metrics, with labels that it has; PAGE lists all
           names of the metrics and no others
"""
import http.client
import json
import re
import sys

import yaml

FUNCTIONS = {"rate", "increase", "sum", "min", "max", "by", "and", "or", "absent", "predict_linear"}
OF_PROMETHEUS = {"up"}  # what it says of whom it asks


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def labels_of(text):
    """{metric: {label: {values}}}, with what summaries are made of under their own names."""
    metrics = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, inside = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ", line).groups()
        labels = metrics.setdefault(name, {})
        for label, value in re.findall(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"', inside or ""):
            labels.setdefault(label, set()).add(value)
    return metrics


def selectors(expression):
    """The (name, {label: value}, grouping labels) that a PromQL expression asks for."""
    groups = re.findall(r"\bby \(([^)]*)\)", expression)
    grouped = [label.strip() for group in groups for label in group.split(",")]
    expression = re.sub(r"\bby \([^)]*\)", "", expression)
    expression = re.sub(r"\[[0-9a-z]+\]", "", expression)
    found = []
    for name, _, inside in re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([^}]*)\})?", expression):
        if name in FUNCTIONS:
            continue
        found.append((name, dict(re.findall(r'(\w+)="([^"]*)"', inside))))
    return found, grouped


def expressions_of(alerts_path, dashboard_path):
    with open(alerts_path, encoding="utf-8") as file:
        alerts = yaml.safe_load(file)
    for group in alerts["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
            assert rule["labels"]["severity"] in ("page", "ticket"), rule
            used = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
            yield rule["alert"], rule["expr"], used
    with open(dashboard_path, encoding="utf-8") as file:
        dashboard = json.load(file)
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"], re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])


def check_names(alerts_path, dashboard_path, page_path, metric_paths):
    metrics = {}
    for path in metric_paths:
        with open(path, encoding="utf-8") as file:
            metrics.update(labels_of(file.read()))
    problems, count = [], 0
    for title, expression, shown in expressions_of(alerts_path, dashboard_path):
        count += 1
        asked, grouped = selectors(expression)
        if not asked:
            problems.append(f"{title}: asks for nothing: {expression}")
        known = {"instance", "job"}
        for name, labels in asked:
            known |= set(metrics.get(name, {}))
            if name in OF_PROMETHEUS:
                continue
            if name not in metrics:
                problems.append(f"{title}: nobody says {name}")
            for label, value in labels.items():
                if name in metrics and value not in metrics[name].get(label, set()):
                    problems.append(f'{title}: {name} has no {label}="{value}"')
        problems += [f"{title}: no label {label}" for label in shown + grouped if label not in known]
    families = {re.sub(r"_(count|sum)$", "", name) if re.sub(r"_(count|sum)$", "", name) in metrics else name
                for name in metrics}
    families = {"bookie_ledger_dir_PATH_usage" if name.startswith("bookie_ledger_dir_") else name for name in families}
    with open(page_path, encoding="utf-8") as file:
        rows = [line.split("|")[1] for line in file if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    problems += [f"{name} is not on the page" for name in sorted(families - listed)]
    problems += [f"{name} is on the page, and nobody says it" for name in sorted(listed - families)]
    print("\n".join(problems))
    print(f"{count} expressions, {len(families)} names, {len(problems)} problems")
    return 1 if problems else 0


def main():
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "get":
        status, body = get(*arguments)
        print(status, body, end="")
        return 0
    if command == "fetch":
        status, body = get(arguments[0], "/metrics")
        print(body, end="")
        return 0 if status == 200 else 1
    return check_names(arguments[0], arguments[1], arguments[2], arguments[3:])


sys.exit(main())
