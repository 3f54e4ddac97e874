"""relay.py - stands between one client and one server, and counts round trips, however many frames there are in
each: how often the client has spoken after it had been answered. Answers come late, so that a client which is still
speaking when the first one is ready has spoken once."""
import socket
import threading
import time

LATE = 0.02  # seconds


class Relay:
    """address: for rowhouse.connect, instead of the server's."""

    def __init__(self, address):
        host, port = address[len("tcp://"):].rsplit(":", 1)
        self.server = host, int(port)
        self.round_trips, self._client_spoke, self._lock = 0, False, threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "tcp://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.server)
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source, target, is_client):
        try:
            while data := source.recv(1 << 16):
                if not is_client:
                    time.sleep(LATE)
                with self._lock:
                    self.round_trips += is_client and not self._client_spoke
                    self._client_spoke = is_client
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()
