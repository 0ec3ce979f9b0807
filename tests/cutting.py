"""A TCP proxy before a server that cuts the connection on which a COMMIT, or else, is sent."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MARK = b"CREATE TABLE alembic_version"
"""What only the connection sends that migrates."""


class Cut:
    """Let everything through until the COMMIT of a number, and then cut.

    Another `word` may stand for COMMIT, and another `mark` for what its connection sent before.

    `when` is `before` the COMMIT reaches the server, or `after` the server has answered it. With
    `closes` nobody gets through afterwards.
    """

    def __init__(
        self,
        target: tuple[str, int],
        *,
        when: str,
        number: int,
        closes: bool,
        mark: bytes = MARK,
        word: bytes = b"COMMIT",
    ) -> None:
        self.target = target
        self.mark = mark
        self.word = word
        self.when = when
        self.number = number
        self.closes = closes
        self.cut = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.sockets: list[socket.socket] = []

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.cut and self.closes:
                    client.close()
                    continue
                server = socket.create_connection(self.target)
                self.sockets += [client, server]
                pair = _Pair(self, client, server)
                for work in (pair.forward, pair.back):
                    threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        """End all."""
        self.listener.close()
        for one in self.sockets:
            one.close()


class _Pair:
    """Pass on what one client and its server say."""

    def __init__(self, cut: Cut, client: socket.socket, server: socket.socket) -> None:
        self.cut = cut
        self.client = client
        self.server = server
        self.marked = False
        self.waits = False

    def forward(self) -> None:
        """Pass on what the client sends."""
        with suppress(OSError):
            while data := self.client.recv(1 << 16):
                self.marked |= self.cut.mark in data
                if self.marked and self.cut.word in data and not self.cut.cut:
                    self.cut.number -= 1
                    if self.cut.number == 0:
                        self.cut.cut = True
                        if self.cut.when == "before":
                            break
                        self.waits = True
                self.server.sendall(data)
        self._end()

    def back(self) -> None:
        """Pass on what the server sends."""
        with suppress(OSError):
            while data := self.server.recv(1 << 16):
                if self.waits:
                    break
                self.client.sendall(data)
        self._end()

    def _end(self) -> None:
        for one in (self.client, self.server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting(
    target: tuple[str, int],
    *,
    when: str,
    number: int = 1,
    closes: bool = False,
    mark: bytes = MARK,
    word: bytes = b"COMMIT",
) -> Iterator[Cut]:
    """Run the proxy while the block runs."""
    cut = Cut(target, when=when, number=number, closes=closes, mark=mark, word=word)
    thread = threading.Thread(target=cut.serve, daemon=True)
    thread.start()
    try:
        yield cut
    finally:
        cut.close()
