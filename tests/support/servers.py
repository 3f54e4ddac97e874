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
        self.processes, self.addresses, self.extra = [], [], extra
        for i in range(shards):
            shard = f"{i}/{shards}"
            listen = {"tcp": "tcp://127.0.0.1:*", "ipc": f"ipc://{os.environ.get('TMPDIR', '/tmp')}/"
                      f"rh-py-{os.getpid()}-{id(self)}-{shard.replace('/', '-')}.sock"}[scheme]
            process, address = self._start(shard, listen, extra)
            self.processes.append(process)
            self.addresses.append(address)

    def replace(self, i):
        """Kills one, and starts another in its place, in a job whose folder was empty when it began."""
        self.processes[i].kill()
        self.processes[i].wait(20)
        self.processes[i], _ = self._start(f"{i}/{len(self.processes)}", self.addresses[i],
                                           [*self.extra, "--rejoin", "0"])

    def _start(self, shard, listen, extra):
        read, write = os.pipe()
        program = os.path.join(os.environ.get("RH_BIN", "build/bin"), "rowhouse-server")
        process = subprocess.Popen(
            [program, "--listen", listen, "--shard", shard, "--report-fd", str(write), *extra],
            pass_fds=[write], preexec_fn=_die_with_parent, stdin=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as report:
            address = report.readline().split(" ")[0].strip()
        if not address:
            process.wait(20)
            self.stop()
            raise RuntimeError(f"{program} did not start")
        return process, address

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
