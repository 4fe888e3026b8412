"""A lack of memory is nobody's bug: one line with the way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from experiments.errors import UserError

# What torch's allocators for the CPU say, on Linux and on Windows; they have no class of their own.
_OF_THE_CPU = ("can't allocate memory", "not enough memory")


@contextmanager
def memory_errors_named() -> Iterator[None]:
    """Within, a lack of memory becomes a UserError; also as a decorator."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _lack() from error
    except RuntimeError as error:
        if not any(words in str(error) for words in _OF_THE_CPU):
            raise
        raise _lack() from error


def _lack() -> UserError:
    return UserError(
        "out of memory: set a smaller batch_size, image or hidden, or fewer runs side by side "
        "(JOBS, --jobs)"
    )
