"""A real engramd on ports of its own, for tests. It ends with the test, whatever happens."""

import pathlib
import re
import signal
import subprocess
import tempfile
import time


class Daemon:
    """Use with `with`; `address` is where it answers."""

    def __init__(self, program, *settings, configuration=""):
        self._storage = tempfile.TemporaryDirectory(prefix="engram-test-")
        self._log = pathlib.Path(self._storage.name, "log")
        self._configuration = pathlib.Path(self._storage.name, "engram.yaml")
        self._configuration.write_text(configuration)
        command = [program, "--config", str(self._configuration), "--set", "server.address=127.0.0.1:0", "--set", "metrics.address=127.0.0.1:0",
                   "--set", "storage.directory=" + self._storage.name + "/data"]
        for setting in settings:
            command += ["--set", setting]
        self._command = command
        self._start()

    def _start(self):
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self._process.stdout.readline()
        ready = re.match(r"engramd ready grpc=(\S+)", line)
        if ready is None:
            self.close()
            raise RuntimeError(f"engramd is not ready: {line!r}")
        self.address = ready.group(1)

    def damage(self, text):
        """Changes the one place of the journal where `text` is."""
        places = [(segment, segment.read_bytes().find(text.encode()))
                  for segment in pathlib.Path(self._storage.name, "data").glob("*.journal")]
        [(segment, at)] = [place for place in places if place[1] >= 0]
        with segment.open("r+b") as file:
            file.seek(at)
            file.write(bytes([text.encode()[0] ^ 1]))

    def reconfigure(self, configuration):
        """Puts another configuration in force while the daemon runs."""
        before = self._log.read_text().count("configuration reloaded")
        self._configuration.write_text(configuration)
        self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while self._log.read_text().count("configuration reloaded") == before:
            if time.monotonic() > deadline:
                raise RuntimeError("the configuration is not in force:\n" + self._log.read_text())
            time.sleep(0.01)

    def restart(self, configuration=""):
        """On the same address and data, after `kill`."""
        self._configuration.write_text(configuration)
        self._process.stdout.close()
        self._command += ["--set", "server.address=" + self.address]
        self._start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def kill(self):
        """As a crash would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self):
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process.stdout.close()
        self._storage.cleanup()
