"""`engram trace` against a real engramd: cli_trace_test.py ENGRAMD ENGRAM [unittest arguments]."""

import json
import os
import subprocess
import sys
import unittest

from daemon_process import Daemon

ENGRAMD = ENGRAM = ""

STAGES = ["admit", "queue", "encode", "journal", "publish", "acknowledge"]


def lines(*records):
    return "".join(json.dumps(one) + "\n" for one in records)


def observations(count):
    return lines(*({"id": f"o{i}", "embedding": [1, i / count]} for i in range(count)))


class CliTraceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The slow disk is there to make some observations slow.
        cls.daemon = Daemon(ENGRAMD, "trace.sample_rate=1", "trace.slow=300ms", "admin.fault_injection=true")
        cls.addClassCleanup(cls.daemon.close)

    def setUp(self):
        self.space = self.id().rsplit(".", 1)[1].lower()

    def run_engram(self, *arguments, stdin="", code=0):
        done = subprocess.run([ENGRAM, *arguments], input=stdin, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "ENGRAM_ADDRESS": self.daemon.address})
        self.assertEqual(done.returncode, code, f"engram {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        return done

    def traces(self, *arguments):
        done = self.run_engram("trace", "--space", self.space, "--format", "json", *arguments)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check_tree(self, span, slack=0.001):
        """Children lie within their parent, in order, and sum up to no more than it; microseconds have three places."""
        at = span["start_us"]
        for child in span.get("children", []):
            self.assertGreaterEqual(child["start_us"], at - slack, f"{child} in {span['name']}")
            at = child["start_us"] + child["duration_us"]
            self.check_tree(child)
        self.assertLessEqual(at, span["start_us"] + span["duration_us"] + slack, span["name"])

    def test_every_observation_is_a_tree_of_its_stages(self):
        self.run_engram("observe", self.space, "--batch", "16", stdin=observations(48))
        traces = self.traces("--show-buffers")
        self.assertEqual(sorted(trace["id"] for trace in traces), sorted(f"o{i}" for i in range(48)))
        frames = {}
        for trace in traces:
            root = trace["spans"][0]
            self.assertEqual(root["name"], "observe")
            self.assertEqual([child["name"] for child in root["children"]], STAGES)
            self.assertEqual(root["duration_us"], trace["total_us"])
            self.assertGreater(trace["total_us"], 0)
            self.check_tree(root)
            # What a daemon on a disk does takes its time.
            journal = root["children"][STAGES.index("journal")]
            self.assertGreater({child["name"]: child["duration_us"] for child in journal["children"]}["sync"], 0)
            self.assertGreater(root["children"][0]["children"][0]["duration_us"], 0, "decoding")
            buffers = trace["buffers"]
            in_frame = buffers["frame"]["observations"]
            frames[in_frame] = frames.get(in_frame, 0) + 1
            self.assertGreater(buffers["frame"]["bytes"], in_frame * 8)
            self.assertGreater(buffers["group"]["bytes"], buffers["record"]["bytes"])
        # A frame is sent with fewer than --batch when the rest of the input is slow to come.
        for in_frame, count in frames.items():
            self.assertLessEqual(in_frame, 16)
            self.assertEqual(count % in_frame, 0, frames)
        self.assertEqual(self.traces("--limit", "5"), [{k: v for k, v in one.items() if k != "buffers"} for one in traces[-5:]])

    def test_slow_ones_are_told_apart_and_kept(self):
        self.run_engram("observe", self.space, stdin=observations(3))
        self.run_engram("fault", "slow-disk", "--delay", "400ms")
        self.run_engram("observe", self.space, stdin=lines({"id": "slow", "embedding": [1, 0]}))
        self.run_engram("fault", "heal")
        # What it did stays told after its end.
        status = json.loads(self.run_engram("status", "--output", "json").stdout)
        self.assertGreaterEqual(status["fault_effects"]["slow-disk"], 1)
        self.assertIn("slow-disk", self.run_engram("status").stdout)
        # More than trace.capacity.
        self.run_engram("observe", self.space, stdin=observations(1500))
        slow = self.traces("--slow", "300ms", "--limit", "100000")
        self.assertIn("slow", [trace["id"] for trace in slow])
        for trace in slow:
            self.assertGreaterEqual(trace["total_us"], 300_000)
        self.assertLess(len(slow), len(self.traces("--limit", "100000")))

    def test_a_recall_is_traced_too(self):
        self.run_engram("observe", self.space, stdin=observations(10))
        self.run_engram("recall", self.space, "--vector", "[1, 0]", "-k", "4")
        self.assertEqual({trace["kind"] for trace in self.traces()}, {"observation"})
        recalls = self.traces("--kind", "recalls")
        self.assertEqual([(trace["kind"], trace["k"], trace["hits"]) for trace in recalls], [("recall", 4, 4)])
        self.check_tree(recalls[0]["spans"][0])
        self.assertEqual({trace["kind"] for trace in self.traces("--kind", "both")}, {"observation", "recall"})

    def test_chrome_events_are_complete_and_nest_on_their_threads(self):
        self.run_engram("observe", self.space, "--batch", "8", stdin=observations(40))
        self.run_engram("recall", self.space, "--vector", "[1, 0]", "-k", "4")
        done = self.run_engram("trace", "--space", self.space, "--kind", "both", "--format", "chrome")
        document = json.loads(done.stdout)
        names = {(event["pid"], event["tid"]): event["args"]["name"]
                 for event in document["traceEvents"] if event["ph"] == "M" and event["name"] == "thread_name"}
        spans = [event for event in document["traceEvents"] if event["ph"] == "X"]
        self.assertEqual(len(spans) + len(names), len([e for e in document["traceEvents"] if e["name"] != "process_name"]))
        self.assertEqual(sum(event["name"] == "observe" for event in spans), 40)
        self.assertEqual(sum(event["name"] == "recall" for event in spans), 1)
        threads = {}
        for event in spans:
            self.assertIn((event["pid"], event["tid"]), names)
            self.assertGreaterEqual(event["ts"], 0)
            self.assertGreaterEqual(event["dur"], 0)
            threads.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
        for events in threads.values():
            # As a viewer reads them: of two that overlap, one holds the other.
            open_spans = []
            for begin, end in sorted(events, key=lambda one: (one[0], -one[1])):
                while open_spans and open_spans[-1] <= begin + 0.002:
                    open_spans.pop()
                if open_spans:
                    self.assertLessEqual(end, open_spans[-1] + 0.002)
                open_spans.append(end)

    def test_people_get_trees_and_a_summary(self):
        self.run_engram("observe", self.space, stdin=observations(4))
        out = self.run_engram("trace", "--space", self.space, "--show-buffers").stdout
        self.assertNotIn("\x1b", out)
        self.assertIn(f"observation {self.space} o3", out)
        self.assertRegex(out, r"├─ journal +\d")
        self.assertRegex(out, r"│  └─ sync +\d")
        self.assertRegex(out, r"frame \d+ B \((pooled|allocated), [1-4] observations\)")
        self.assertRegex(out, r"journal +4 +\d")
        self.assertIn("one of every 1 sampled, 300ms and slower kept apart", out)
        self.assertRegex(out, r"frames from the pool: \d+ of \d+")

    def test_an_empty_answer_says_why(self):
        done = self.run_engram("trace", "--space", "nowhere")
        self.assertEqual(done.stdout, "")
        self.assertIn("no traces", done.stderr)
        with Daemon(ENGRAMD, "trace.sample_rate=0") as off:
            self.run_engram("--address", off.address, "observe", "s", stdin=observations(4))
            done = self.run_engram("--address", off.address, "trace")
            self.assertIn("tracing is off", done.stderr)

    def test_what_no_query_is_is_refused(self):
        self.run_engram("trace", "--limit", "0", code=2)
        self.run_engram("trace", "--slow", "soon", code=2)
        self.run_engram("trace", "--format", "xml", code=2)


if __name__ == "__main__":
    ENGRAMD, ENGRAM = sys.argv.pop(1), os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
