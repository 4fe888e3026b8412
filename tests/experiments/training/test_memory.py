"""A lack of memory is one line; every other error stays what it is."""

import pytest
import torch

from experiments.errors import UserError
from experiments.training.memory import memory_errors_named


@memory_errors_named()
def fails(error):
    raise error


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory.")])
def test_a_lack_of_memory_names_the_way_out(error):
    with pytest.raises(UserError, match=r"out of memory: .*batch_size"):
        fails(error)


def test_torch_itself_says_it_so():
    # More than any machine's address space.
    with pytest.raises(UserError, match="out of memory"), memory_errors_named():
        torch.empty(2**58)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("memory")])
def test_another_error_is_left_alone(error):
    with pytest.raises(type(error), match=str(error)):
        fails(error)
