"""servers.py - real rowhouse-server processes for tests in Python, as servers.h is for those in C."""
import ctypes
import os
import signal
import subprocess

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Servers:
    """A process per shard, each at a free port. addresses: for rowhouse.connect."""

    def __init__(self, shards, *extra, scheme="tcp"):
        self.processes, self.addresses = [], []
        for i in range(shards):
            self._start(f"{i}/{shards}", scheme, extra)

    def _start(self, shard, scheme, extra):
        listen = {"tcp": "tcp://127.0.0.1:*", "ipc": f"ipc://{os.environ.get('TMPDIR', '/tmp')}/"
                  f"rh-py-{os.getpid()}-{id(self)}-{shard.replace('/', '-')}.sock"}[scheme]
        read, write = os.pipe()
        program = os.path.join(os.environ.get("RH_BIN", "build/bin"), "rowhouse-server")
        self.processes.append(subprocess.Popen(
            [program, "--listen", listen, "--shard", shard, "--report-fd", str(write), *extra],
            pass_fds=[write], preexec_fn=_die_with_parent, stdin=subprocess.DEVNULL))
        os.close(write)
        with os.fdopen(read) as report:
            address = report.readline().split(" ")[0].strip()
        if not address:
            self.stop()
            raise RuntimeError(f"{program} did not start")
        self.addresses.append(address)

    def wait(self, timeout):
        """Until all have ended by themselves: their exit statuses."""
        return [process.wait(timeout) for process in self.processes]

    def stop(self):
        """Ends them: their exit statuses, 0 each for an orderly end."""
        for process in self.processes:
            process.terminate()
        return self.wait(20)

    def kill(self):
        """As a machine that loses its power does."""
        for process in self.processes:
            process.kill()
        self.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
