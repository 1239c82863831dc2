"""No code of ours may reach the network unasked: attempts to connect beyond this machine are refused and remembered."""

from __future__ import annotations

import sys
from typing import Any

attempts: list[str] = []
_LOCAL = ("127.", "::1", "localhost", "0.0.0.0", "::", "")


def refuse_connections() -> None:
    """From now on; Python cannot take an audit hook away again. It does not see connections that libraries make without Python."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):  # a socket in the file system has a name instead
        host = arguments[1][0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host or ""
    if not host.startswith(_LOCAL[:1]) and host not in _LOCAL and host != _own_name():
        attempts.append(f"{event} {arguments[-1] if event == 'socket.connect' else host}")
        raise PermissionError(f"a test must not connect to {host}")


def _own_name() -> str:
    import socket

    return socket.gethostname()
