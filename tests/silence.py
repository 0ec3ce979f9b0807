"""Servers that accept a connection, and stop at a point of what they say."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HALVES = {
    "postgresql": b"N",  # the answer to SSLRequest
    "mariadb": b"\x4a\x00\x00\x00\x0a5.5.5-10.11",  # of the greeting
}
LAST = {"postgresql": b"Z\x00\x00\x00\x05I", "mariadb": b"\x00\x00\x02\x00\x00"}
"""What the server ends its handshake with: ReadyForQuery, and OK."""


@contextmanager
def silent(kind: str, server: tuple[str, int], *, stops: str) -> Iterator[int]:
    """Run a server on the port that is yielded, which `stops` at once, half, or authenticated."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []
        ended = threading.Event()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    held.append(client)
                    if stops == "half":
                        client.sendall(HALVES[kind])
                    elif stops == "authenticated":
                        behind = socket.create_connection(server)
                        held.append(behind)
                        _pass(client, behind, LAST[kind], ended)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            for one in held:
                one.close()


def _pass(
    client: socket.socket, server: socket.socket, last: bytes, ended: threading.Event
) -> None:
    """Pass on what both say, until the server has said its last."""

    def forward() -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)

    def back() -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)
                if last in data:
                    ended.wait()
                    return

    for work in (forward, back):
        threading.Thread(target=work, daemon=True).start()
