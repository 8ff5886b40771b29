"""A real engramd on ports of its own, for tests. It ends with the test, whatever happens."""

import pathlib
import re
import signal
import subprocess
import tempfile


class Daemon:
    """Use with `with`; `address` is where it answers."""

    def __init__(self, program, *settings):
        self._storage = tempfile.TemporaryDirectory(prefix="engram-test-")
        command = [program, "--set", "server.address=127.0.0.1:0", "--set", "metrics.address=127.0.0.1:0",
                   "--set", "storage.directory=" + self._storage.name + "/data"]
        for setting in settings:
            command += ["--set", setting]
        self._command = command
        self._start()

    def _start(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
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

    def restart(self):
        """On the same address and data, after `kill`."""
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
