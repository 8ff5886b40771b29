"""`engram bench` and `engram tune` against the real daemon, each for a few seconds, and the HTML page in a browser.

Usage: bench_end_to_end_test.py ENGRAM ENGRAMD
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ENGRAM, ENGRAMD = sys.argv[1:3]
SMALL = ["--engramd", ENGRAMD, "--dimension", "32", "--preload", "500",
         "--set", "storage.segment_bytes=4MiB", "--set", "storage.spare_segments=1", "--set", "index.flat_threshold=200"]
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]

# Asks the browser what it drew: the size of each plot, and of what is in it.
PROBE = """<script>
const drawn = [...document.querySelectorAll('figure')].map(f => ({
  title: f.querySelector('figcaption').textContent,
  width: f.querySelector('svg').getBoundingClientRect().width,
  lines: [...f.querySelectorAll('path.line')].map(p => p.getTotalLength()),
  bars: [...f.querySelectorAll('rect.bar, rect.pair')].map(r => r.getBBox().height * r.getBBox().width),
  outside: [...f.querySelectorAll('path.line, rect.bar, rect.pair')].filter(e => {
    const box = e.getBBox(), view = f.querySelector('svg').viewBox.baseVal;
    return box.x < 0 || box.y < 0 || box.x + box.width > view.width || box.y + box.height > view.height;
  }).length,
}));
document.title = 'probed';
const pre = document.createElement('pre');
pre.id = 'drawn';
pre.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(drawn))));
document.body.append(pre);
</script>"""


def run(*words, timeout=60, environment=None):
    return subprocess.run([ENGRAM, *words], capture_output=True, text=True, timeout=timeout, check=False,
                          env={**os.environ, **(environment or {})})


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Not below /tmp, which many machines keep in memory: the disk is measured too.
        cls.place = tempfile.TemporaryDirectory(prefix="bench-test-", dir=Path(ENGRAM).resolve().parent)
        cls.home = os.getcwd()
        os.chdir(cls.place.name)
        cls.first = run("bench", "--duration", "1500ms", "--warmup", "500ms", "--baseline", "first", "--format", "json",
                        *SMALL)

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.home)
        cls.place.cleanup()

    def setUp(self):
        self.assertEqual(self.first.returncode, 0, self.first.stderr)
        self.report = json.loads(self.first.stdout)

    def test_every_promised_figure_is_there(self):
        report = self.report
        self.assertGreater(report["throughput"]["observations_per_second"], 0)
        self.assertGreater(report["throughput"]["bytes_per_second"], 0)
        for kind in ("observe", "durable", "indexed", "recall"):
            values = [report["latency"][kind][f"{q}_seconds"] for q in ("p50", "p90", "p95", "p99", "p999", "max")]
            self.assertEqual(values, sorted(values), kind)
            self.assertGreater(values[0], 0, kind)
        for stage in ("admit", "queue", "encode", "journal", "publish", "link", "walk", "rerank",
                      "sync", "durable", "searchable", "acknowledge", "recall"):
            self.assertGreaterEqual(report["stages"][stage]["p50_seconds"], 0, stage)
            self.assertGreater(report["stages"][stage]["count"], 0, stage)
        # All that a steady part brings is linked, some of it behind the part, unless the machine is too busy for that.
        if "has not finished" not in self.first.stderr:
            self.assertEqual(report["stages"]["link"]["count"], report["stages"]["publish"]["count"])
        self.assertGreater(report["recall"]["at_10"], 0.9)
        self.assertLessEqual(report["recall"]["min_at_10"], report["recall"]["at_10"])
        for limit in ("grpc_sink", "disk_sync", "memory_scan"):
            self.assertGreater(report["limits"][limit]["observations_per_second"], 0, limit)
        self.assertGreater(report["limits"]["grpc_sink"]["share"], 0)
        for figure in ("daemon_cpu_cores", "client_cpu_cores", "peak_memory_bytes", "pool_reuse_rate", "allocations",
                       "copies_per_observation"):
            self.assertIn(figure, report["resources"])
        for figure in ("wakeups", "batches", "batch_size_p50", "stolen_share", "pressure_events", "queue_peak",
                       "queue_capacity"):
            self.assertIn(figure, report["scheduling"])
        for side in ("client", "daemon"):
            for fact in ("machine", "system", "cpu", "cores", "memory_bytes", "commit", "build"):
                self.assertTrue(report["environment"][side][fact], side + fact)
                self.assertNotEqual(report["environment"][side][fact], "unknown", side + fact)
        self.assertTrue(report["environment"]["daemon"]["version"])
        self.assertTrue(report["environment"]["daemon"]["crc32c"])
        # Out of the transport, into the journal's group, into the kernel; and what frames them.
        self.assertGreater(report["resources"]["copies_per_observation"], 3)
        self.assertLess(report["resources"]["copies_per_observation"], 4.5)
        self.assertEqual(report["config"]["profile"], "balanced")
        self.assertEqual(report["config"]["in_force"]["storage"]["segment_bytes"], 4 << 20)
        self.assertEqual(report["config"]["arguments"]["seed"], 1)
        self.assertTrue(report["diagnosis"]["bottleneck"])
        self.assertTrue(report["diagnosis"]["evidence"])

    def test_the_report_is_kept_and_printed_again_in_every_form(self):
        self.assertEqual(json.loads(Path(".engram/bench/first.json").read_text()), self.report)
        shown = {form: run("bench", "--stored", "first", "--format", form) for form in
                 ("pretty", "json", "csv", "markdown", "html")}
        for form, done in shown.items():
            self.assertEqual(done.returncode, 0, form + done.stderr)
        self.assertIn("Latency, from the instant each thing was due", shown["pretty"].stdout)
        self.assertNotIn("\x1b", shown["pretty"].stdout)
        self.assertEqual(json.loads(shown["json"].stdout), self.report)
        self.assertRegex(shown["csv"].stdout, r"(?m)^throughput\.observations_per_second,\d")
        self.assertIn("## Throughput", shown["markdown"].stdout)
        self.assertTrue(shown["html"].stdout.startswith("<!doctype html>"))

    def slower(self):
        """The first report, with a throughput that was twice as high."""
        report = json.loads(json.dumps(self.report))
        report["throughput"]["observations_per_second"] *= 2
        rounds = report["rounds"]["throughput.observations_per_second"]
        report["rounds"]["throughput.observations_per_second"] = [2 * max(rounds)] * len(rounds)
        self.report["rounds"]["throughput.observations_per_second"] = [max(rounds)] * len(rounds)
        Path("now.json").write_text(json.dumps(self.report))
        Path("before.json").write_text(json.dumps(report))

    def test_a_regression_ends_with_3_and_names_the_figure(self):
        self.slower()
        done = run("bench", "--stored", "now.json", "--compare", "before.json", "--format", "json")
        self.assertEqual(done.returncode, 3, done.stderr)
        comparison = json.loads(done.stdout)["comparison"]
        worse = [f["figure"] for f in comparison["figures"] if f["verdict"] == "worse"]
        self.assertEqual(worse, ["throughput.observations_per_second"])
        self.assertEqual(run("bench", "--stored", "now.json", "--compare", "now.json").returncode, 0)
        self.assertEqual(run("bench", "--stored", "now.json", "--compare", "before.json", "--threshold", "120%").returncode,
                         0)
        self.assertEqual(run("bench", "--stored", "nothing").returncode, 66)

    def test_another_machine_ends_with_4_and_says_so(self):
        other = json.loads(json.dumps(self.report))
        for limit in ("grpc_sink", "disk_sync", "memory_scan"):
            other["limits"][limit]["observations_per_second"] *= 2
        Path("same.json").write_text(json.dumps(self.report))
        Path("other.json").write_text(json.dumps(other))
        done = run("bench", "--stored", "same.json", "--compare", "other.json")
        self.assertEqual(done.returncode, 4, done.stdout)
        self.assertIn("differ too much", done.stderr)
        self.assertIn("the machines differ too much", done.stdout)

    def test_a_comparison_takes_the_load_of_the_report_and_the_rest_of_the_command_line(self):
        done = run("bench", "--duration", "600ms", "--warmup", "200ms", "--compare", "first", "--batch", "100",
                   "--engramd", ENGRAMD, "--format", "json", "--threshold", "1000%", "--no-limits")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        for argument in ("dimension", "preload", "streams", "seed", "rate"):
            self.assertEqual(report["config"]["arguments"][argument], self.report["config"]["arguments"][argument])
        self.assertEqual(report["config"]["arguments"]["batch"], 100)
        self.assertEqual(report["config"]["settings"], self.report["config"]["settings"])
        self.assertIn("batch: 256 before, 100 now", done.stderr)

    def test_more_than_a_daemon_should_be_left_with_is_refused(self):
        done = run("bench", "--duration", "1h", "--rate", "100000", "--dimension", "768", "--engramd", ENGRAMD, timeout=10)
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertRegex(done.stderr, r"100 000 observations/s of 768-d for 3605 s .* more than 8 GB .* at most 1 203/s")

    def test_what_cannot_be_kept_is_refused_before_it_is_measured(self):
        self.assertEqual(run("bench", "--baseline", "a/b", timeout=5).returncode, 2)
        self.assertEqual(run("bench", "--report", "not/there.html", timeout=5).returncode, 73)
        self.assertEqual(run("tune", "--write", "not/there.yaml", "--engramd", ENGRAMD, timeout=5).returncode, 73)

    def test_two_daemons_take_turns(self):
        done = run("bench", "--duration", "1s", "--warmup", "500ms", "--against", ENGRAMD, "--threshold", "1000%",
                   "--no-limits", "--format", "json", *SMALL)
        self.assertEqual(done.returncode, 0, done.stderr)
        comparison = json.loads(done.stdout)["comparison"]
        self.assertTrue(comparison["alternating"])
        throughput = comparison["figures"][0]
        self.assertEqual(throughput["figure"], "throughput.observations_per_second")
        self.assertLessEqual(throughput["ratio_least"], throughput["ratio"])
        self.assertLessEqual(throughput["ratio"], throughput["ratio_most"])

    def test_a_daemon_that_runs_is_measured_and_left_as_it_was(self):
        with tempfile.TemporaryDirectory() as data:
            daemon = subprocess.Popen([ENGRAMD, "--set", "server.address=127.0.0.1:0", "--set",
                                       "metrics.address=127.0.0.1:0", "--set", "storage.directory=" + data + "/data"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                address = re.search(r"grpc=(\S+)", daemon.stdout.readline()).group(1)
                done = run("--address", address, "bench", "--duration", "600ms", "--warmup", "500ms", "--no-limits",
                           "--dimension", "32", "--preload", "500", "--format", "json")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("queue", json.loads(done.stdout)["stages"])
                self.assertEqual(run("--address", address, "spaces", "--output", "json").stdout, "")
            finally:
                daemon.terminate()
                daemon.wait(20)
                daemon.stdout.close()

    def test_the_page_is_drawn_by_a_browser_without_an_error(self):
        browser = next(filter(None, map(shutil.which, BROWSERS)), None)
        if browser is None:
            why = f"none of {', '.join(BROWSERS)} is installed"
            print(f"skipped: {why}", file=sys.stderr)
            self.skipTest(why)
        self.slower()
        done = run("bench", "--stored", "now.json", "--compare", "before.json", "--format", "html", "--report", "r.html")
        self.assertEqual(done.returncode, 3, done.stderr)
        page = Path("r.html").read_text()
        Path("probed.html").write_text(page.replace("</body>", PROBE + "</body>"))
        shown = subprocess.run(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
             f"--user-data-dir={self.place.name}/browser", "--virtual-time-budget=2000", "--dump-dom",
             Path("probed.html").resolve().as_uri()],
            capture_output=True, text=True, timeout=60, check=False)
        self.assertNotRegex(shown.stderr, r"CONSOLE", "the page wrote to the console")
        found = re.search(r'<pre id="drawn">([A-Za-z0-9+/=]+)</pre>', shown.stdout)
        self.assertIsNotNone(found, shown.stderr[-2000:])
        drawn = {plot["title"]: plot for plot in json.loads(base64.b64decode(found.group(1)))}
        self.assertEqual(len(drawn), 7, list(drawn))
        for title, plot in drawn.items():
            self.assertGreater(plot["width"], 300, title)
            self.assertEqual(plot["outside"], 0, title)
            self.assertTrue(any(length > 20 for length in plot["lines"]) or any(area > 100 for area in plot["bars"]),
                            plot)
        for title in ("Latency to the durable acknowledgement over time", "Recall latency over time"):
            self.assertEqual(len(drawn[title]["lines"]), 2, title)
            self.assertGreater(min(drawn[title]["lines"]), 20, title)

    def test_tune_writes_a_configuration_that_the_daemon_loads(self):
        done = run("tune", "--p99", "10s", "--min-throughput", "100", "--budget", "5s", "--write", "tuned.yaml", *SMALL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^Config\s+P50\s+P99\s+Throughput\s+CPU %$")
        self.assertRegex(done.stdout, r"(?m)^baseline\s")
        text = Path("tuned.yaml").read_text()
        self.assertIn("# Found by `engram tune`", text)
        self.assertIn("# baseline", text)
        checked = subprocess.run([ENGRAMD, "--config", "tuned.yaml", "--print-config", "--output", "json"],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertEqual(json.loads(checked.stdout)["settings"]["storage"]["segment_bytes"], 4 << 20)
        missed = run("tune", "--p99", "10us", "--min-throughput", "1k", "--budget", "2s", "--write", "missed.yaml", *SMALL)
        self.assertEqual(missed.returncode, 1, missed.stderr)
        self.assertIn("misses the goal", missed.stdout)
        self.assertTrue(Path("missed.yaml").exists())
        self.assertEqual(run("tune", "--set", "no_such_setting=1", "--engramd", ENGRAMD).returncode, 65)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
