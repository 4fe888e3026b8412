"""A port of this machine for a server of ours."""

from __future__ import annotations

import socket

from experiments.errors import UserError

HOST = "127.0.0.1"


def listening(port: int) -> socket.socket:
    """A socket that listens at this port, for this machine alone. Raises UserError."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
        made.listen()
    except OSError as error:
        made.close()
        raise UserError(f"port {port}: {error.strerror}; choose another") from error
    return made
