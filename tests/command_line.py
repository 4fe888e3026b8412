"""What a user sees of the command line."""

from __future__ import annotations


def one_line(result: tuple[int, str, str], *names: object) -> None:
    """The user's own error: exit code 2, and one line that says all of these."""
    code, _, err = result
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for name in names:
        assert str(name) in err
