"""A port is taken, or is named as taken."""

import socket

import pytest

from experiments.errors import UserError
from experiments.ports import HOST, listening


def test_it_listens_for_this_machine_alone():
    with listening(0) as sock:
        host, port = sock.getsockname()
        assert host == "127.0.0.1"
        socket.create_connection((HOST, port)).close()


def test_a_taken_port_is_one_line():
    with listening(0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(UserError, match=rf"^port {port}: .*; choose another$"):
            listening(port)
    # Free again.
    listening(port).close()
