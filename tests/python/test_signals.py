"""test_signals.py - Ctrl-C while a call waits for servers that do not answer, and other handlers."""
import os
import signal
import threading
import time
import unittest

import rowhouse
from servers import Servers


def interrupt_in(seconds):
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


class Signals(unittest.TestCase):
    def interrupted(self, function, *arguments):
        began = time.monotonic()
        interrupt_in(0.2)
        with self.assertRaises(KeyboardInterrupt):
            function(*arguments)
        self.assertLess(time.monotonic() - began, 5)  # timeouts are 60 s

    def test_ctrl_c_ends_every_wait(self):
        self.interrupted(rowhouse.connect, "tcp://127.0.0.1:9")
        with Servers(1) as servers:
            client = rowhouse.connect(servers.addresses)
            table = client.table("t", 10, 2)
            servers.processes[0].send_signal(signal.SIGSTOP)
            for function, *arguments in ((table.pull, 1), (table.push, 1, [1, 1]), (client.tick,),
                                         (table.write, 1, [1, 2]), (table.info,), (client.barrier,)):
                self.interrupted(function, *arguments)
            servers.processes[0].send_signal(signal.SIGCONT)
            client.tick()  # what was owed has arrived, once
            client.tick()
            self.assertEqual(table.info().steps, 1)
            servers.processes[0].send_signal(signal.SIGSTOP)
            self.interrupted(lambda: (table.push(1, [1, 1]), client.close()))
            servers.processes[0].send_signal(signal.SIGCONT)
            client.close()

    def test_a_handler_that_raises_nothing_runs_and_the_wait_goes_on(self):
        with Servers(1) as servers, rowhouse.connect(servers.addresses) as client:
            table = client.table("t", 10, 2, init=rowhouse.init.ones())
            seen = []
            before = signal.signal(signal.SIGINT, lambda *_: seen.append(time.monotonic()))
            self.addCleanup(signal.signal, signal.SIGINT, before)
            servers.processes[0].send_signal(signal.SIGSTOP)
            interrupt_in(0.2)

            def go_on_behind_it():
                while not seen:
                    time.sleep(0.1)
                time.sleep(0.5)
                servers.processes[0].send_signal(signal.SIGCONT)
            threading.Thread(target=go_on_behind_it, daemon=True).start()
            self.assertEqual(table.pull(1).tolist(), [1, 1])
            self.assertEqual(len(seen), 1)
            self.assertGreater(time.monotonic() - seen[0], 0.3)

    def test_a_thread_of_its_own_waits_on(self):
        with Servers(1) as servers, rowhouse.connect(servers.addresses) as client:
            table = client.table("t", 10, 2, init=rowhouse.init.ones())
            servers.processes[0].send_signal(signal.SIGSTOP)
            rows = []
            thread = threading.Thread(target=lambda: rows.append(table.pull(1).tolist()))
            thread.start()
            interrupt_in(0.2)
            with self.assertRaises(KeyboardInterrupt):
                time.sleep(5)
            servers.processes[0].send_signal(signal.SIGCONT)
            thread.join()
            self.assertEqual(rows, [[1, 1]])
