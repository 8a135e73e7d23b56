"""A server that answers as it is told, over plain sockets: cut, late, or not at all."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

#: what is done with one connection after a request; True keeps it open
Behaviour = Callable[[socket.socket], bool]


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    #: which of the server's connections it came on, from 0
    connection: int


@dataclass
class SocketServer:
    url: str
    behaviours: list[Behaviour]
    received: list[Received] = field(default_factory=list)
    #: set when the client has closed the connection of this number
    closed: list[threading.Event] = field(default_factory=list)


def answer(status: int, body: Any = None, keep: bool = True, **headers: str) -> Behaviour:
    """A whole answer; ``keep=False`` closes the connection after it, without a word of it before."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())

    def behave(connection: socket.socket) -> bool:
        connection.sendall(f"HTTP/1.1 {status} So\r\n{head}\r\n".encode() + content)
        return keep

    return behave


def hang_up(connection: socket.socket) -> bool:
    """Close without an answer."""
    return False


def cut_off(connection: socket.socket) -> bool:
    """Close in the middle of the answer."""
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"id": ')
    return False


def babble(connection: socket.socket) -> bool:
    """Answer in another protocol."""
    connection.sendall(b"220 mail.example ESMTP\r\n")
    return False


def say_nothing(connection: socket.socket) -> bool:
    """Leave the client waiting, until it gives up."""
    connection.settimeout(30)
    return bool(connection.recv(1))


@contextmanager
def socket_server(*behaviours: Behaviour) -> Iterator[SocketServer]:
    """Each request gets the next behaviour; all of them must have been used at the end."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        server = SocketServer(f"http://127.0.0.1:{listener.getsockname()[1]}/api/", list(behaviours))
        threads: list[threading.Thread] = []
        connections: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                number = len(server.closed)
                connections.append(connection)
                server.closed.append(threading.Event())
                threads.append(threading.Thread(target=_serve, args=(server, connection, number)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in connections:
                with suppress(OSError):  # closed already
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
    assert server.behaviours == []


def _serve(server: SocketServer, connection: socket.socket, number: int) -> None:
    with suppress(ConnectionError):  # the client hangs up when it has had enough
        _answer(server, connection, number)
    server.closed[number].set()


def _answer(server: SocketServer, connection: socket.socket, number: int) -> None:
    with connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            method, path, _ = line.decode().split()
            headers = {}
            while (line := stream.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            content = stream.read(int(headers.get("content-length", 0)))
            body = json.loads(content) if content else None
            server.received.append(Received(method, re.sub(r"^/api/", "", path), headers, body, number))
            if not server.behaviours.pop(0)(connection):
                break
