#!/usr/bin/env python3
"""Checks deploy/: what it asks of the daemon exists, and its files are whole. The standard library is enough.

Names of metrics and labels in alerts and dashboard are those of core/metrics/metrics.def; bounds on the queue are
ratios to its capacity. Where promtool or systemd-analyze is installed they have their say too.
"""

import json
import re
import shutil
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "engram.json"

# Gauges whose size depends on the configuration or on the machine; only a ratio of them means something.
CAPACITIES = ["queue_depth", "queue_memory_bytes", "link_backlog", "open_fds", "resident", "space_observations",
              "active_sessions"]
LABELS = {
    "None": [], "Worker": ["worker_id"], "Priority": ["priority"], "Stage": ["stage"], "Space": ["memory_space"],
    "SpacePriority": ["memory_space", "priority"], "SpaceReason": ["memory_space", "reason"],
    "SpaceLevel": ["memory_space", "level"], "SpaceCode": ["memory_space", "code"],
    "WorkerError": ["worker_id", "error_type"],
}


def declared_metrics():
    """name -> (type, labels)"""
    table = (ROOT / "core/metrics/metrics.def").read_text()
    rows = re.findall(r'^METRIC\(\s*\w+,\s*(\w+),\s*"([a-z_]+)",\s*(\w+)', table, re.M)
    return {name: (kind, LABELS[labels]) for kind, name, labels in rows}


METRICS = declared_metrics()


def alert_rules():
    """(alert or recorded name, expression, line) of each rule."""
    lines = ALERTS.read_text().splitlines()
    rules = []
    for n, line in enumerate(lines):
        if head := re.match(r"(\s*)- (alert|record): (\S+)$", line):
            body = []
            for later in lines[n + 1:]:
                if later.strip() and len(later) - len(later.lstrip()) <= len(head.group(1)):
                    break
                body.append(later)
            text = " ".join(b.strip() for b in body if not b.strip().startswith("#"))
            expression = re.search(r"expr: (?:>-)?\s*(.*?)(?= (?:for|labels|annotations):|$)", text)
            rules.append((head.group(3), expression.group(1), n + 1))
    return rules


def panels():
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions():
    """(where, expression) of everything that asks Prometheus for something."""
    asked = [(f"alerts.yml:{line} {name}", expression) for name, expression, line in alert_rules()]
    for panel in panels():
        asked += [(f"engram.json: {panel['title']}", target["expr"]) for target in panel["targets"]]
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            asked.append((f"engram.json: ${variable['name']}", variable["definition"]))
    return asked


class Names(unittest.TestCase):
    def test_metrics_exist(self):
        recorded = {name for name, _, _ in alert_rules() if ":" in name}
        seen = set()
        for where, expression in expressions():
            bare = re.sub(r'"[^"]*"', '""', expression)
            for name in re.findall(r"\b(?:engram|process)[a-z0-9_:]*", bare):
                metric = name
                for suffix in ("_bucket", "_sum", "_count"):
                    stem = name.removesuffix(suffix)
                    if name not in METRICS and METRICS.get(stem, [""])[0] == "Histogram":
                        metric = stem
                self.assertTrue(metric in METRICS or name in recorded,
                                f"{where}: {name} is not in core/metrics/metrics.def")
                kind = METRICS.get(metric, [""])[0]
                if kind == "Histogram":
                    self.assertNotEqual(metric, name, f"{where}: {name} is a histogram: ask for its _bucket")
                if kind == "Counter":
                    self.assertRegex(bare, rf"(rate|increase|label_values)\({name}",
                                     f"{where}: a counter without rate()")
                seen.add(metric)
        unseen = [n for n in METRICS if n.startswith("engram_streaming_") and n not in seen]
        self.assertFalse(unseen, "in no panel and no alert")

    def test_labels_exist(self):
        given = {"instance", "job", "le"}  # by the scrape, and by histograms
        for where, expression in expressions():
            for name, selector in re.findall(r"\b((?:engram|process)[a-z0-9_]*)\{([^}]*)\}", expression):
                stem = re.sub(r"_(bucket|sum|count)$", "", name)
                labels = METRICS.get(name, METRICS.get(stem, ("", [])))[1]
                for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "", selector)):
                    self.assertIn(label, given | set(labels), f"{where}: {name} has no label {label}")

    def test_bounds_on_capacity_are_ratios(self):
        for name, expression, line in alert_rules():
            relative = "/" in expression or "avg_over_time" in expression or ":ratio" in expression
            for bound in re.findall(r"[<>]=?\s*([0-9.]+)", expression):
                if float(bound) == 0 or relative:
                    continue
                asked = [c for c in CAPACITIES if f"_{c}" in expression]
                self.assertFalse(asked,
                                 f"alerts.yml:{line} {name}: compares {asked} with {bound}: divide by a capacity")
                self.assertNotRegex(expression, r"^[^(]*\b(sum.*)?rate\(|:rate\d",
                                    f"alerts.yml:{line} {name}: compares a rate with {bound}: compare it with a rate")
        for panel in panels():
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            asked = [t["expr"] for t in panel["targets"] if "/" not in t["expr"]]
            asked = [e for e in asked if any(f"_{c}" in e for c in CAPACITIES)]
            self.assertFalse(asked and any(step["value"] for step in steps),
                             f"engram.json: {panel['title']}: thresholds on {asked}: use a ratio")


class Files(unittest.TestCase):
    def test_alerts_are_whole(self):
        rules = alert_rules()
        self.assertGreater(len(rules), 12)
        names = [name for name, _, _ in rules]
        self.assertEqual(len(set(names)), len(names), "two rules of one name")
        text = ALERTS.read_text()
        self.assertEqual(text.count("severity: "), text.count("- alert: "), "an alert without a severity")
        self.assertEqual(text.count("summary: "), text.count("- alert: "), "an alert without a summary")
        for name, expression, line in rules:
            self.assertEqual(expression.count("("), expression.count(")"), f"alerts.yml:{line} {name}: parentheses")

    def test_yaml_is_well_formed(self):
        """Enough of YAML to notice a slip: tabs, odd indentation, open quotes and brackets, a key twice in a block."""
        for path in sorted(DEPLOY.rglob("*.y*ml")):
            keys = {}
            folded = None
            for n, line in enumerate(path.read_text().splitlines(), 1):
                where = f"{path.name}:{n}"
                self.assertNotIn("\t", line, where)
                indent = len(line) - len(line.lstrip())
                if not line.strip() or line.strip().startswith("#") or (folded is not None and indent > folded):
                    continue
                self.assertEqual(indent % 2, 0, f"{where}: odd indentation")
                folded = indent if re.search(r": [>|]-?$", line) else None
                bare = re.sub(r"\"(\\.|[^\"\\])*\"|'[^']*'", "", line)
                if not re.search(r"expr: ", line):
                    self.assertEqual(re.findall(r"[\"]", bare), [], f"{where}: an open quote")
                    opened, closed = re.findall(r"[{[]", bare), re.findall(r"[]}]", bare)
                    self.assertEqual(len(opened), len(closed), f"{where}: brackets")
                keys = {level: found for level, found in keys.items() if level <= indent}
                dash = re.match(r"\s*- ", line)
                if dash:
                    keys = {level: found for level, found in keys.items() if level <= indent}
                    indent += 2
                    keys[indent] = set()
                if key := re.match(r"\s*(?:- )?([\w.-]+):(?:\s|$)", line):
                    self.assertNotIn(key.group(1), keys.setdefault(indent, set()), f"{where}: the key is there twice")
                    keys[indent].add(key.group(1))

    def test_dashboard_is_whole(self):
        dashboard = json.loads(DASHBOARD.read_text())
        self.assertEqual([v["name"] for v in dashboard["templating"]["list"]],
                         ["datasource", "instance", "memory_space", "worker_id"])
        ids = [p["id"] for p in panels()]
        self.assertEqual(len(set(ids)), len(ids))
        cells = set()
        for panel in panels():
            self.assertTrue(panel["description"] and panel["targets"], panel["title"])
            g = panel["gridPos"]
            mine = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
            self.assertFalse(mine & cells, f"{panel['title']} lies over another panel")
            cells |= mine
            self.assertLessEqual(g["x"] + g["w"], 24, panel["title"])

    def test_scripts_parse(self):
        for path in ("deploy/install-build-dependencies", ".ci/run"):
            self.assertEqual(subprocess.run(["bash", "-n", ROOT / path]).returncode, 0, path)
            self.assertTrue((ROOT / path).stat().st_mode & 0o111, f"{path} is not executable")

    @unittest.skipUnless(shutil.which("promtool"), "no promtool here")
    def test_promtool(self):
        for command in (["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"],
                        ["test", "rules", "alerts_test.yml"]):
            done = subprocess.run(["promtool", *command], cwd=ALERTS.parent, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze here")
    def test_unit(self):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", DEPLOY / "systemd" / "engramd.service"],
                              capture_output=True, text=True)
        lines = (done.stdout + done.stderr).splitlines()
        # Only what is wrong with this unit; and neither the daemon nor man need be installed here.
        self.assertFalse([line for line in lines if "engramd" in line and "not executable" not in line])


if __name__ == "__main__":
    unittest.main()
