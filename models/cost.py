"""What a model costs: parameters, multiply-adds, time."""

from __future__ import annotations

import time
from statistics import median
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.decoders.base import Reader
from models.meta import run_on_meta


class Cost(NamedTuple):
    """Of one image, read without a teacher; auxiliary heads are in all of it.

    parameters: numbers that training can change.
    multiply_adds: in convolutions, linear layers, LSTMs and products of matrices. Normalisation,
        activations, pooling and softmax are not counted.
    latency_ms: milliseconds from pixels to scores, an image at a time.
    latency_ms_batch32: milliseconds an image, 32 at a time.
    threads: those that torch had on the CPU.
    """

    parameters: int
    multiply_adds: int
    latency_ms: float
    latency_ms_batch32: float
    threads: int


def measure(model: Reader, image_shape: tuple[int, int, int], seconds: float = 0.5) -> Cost:
    """The cost of images (C, H, W), on the device where the model is.

    Times are medians, and those of the moment: whatever else runs slows them.

    seconds: about how long each of the two times is taken.
    """
    return Cost(
        parameters=count_parameters(model),
        multiply_adds=count_multiply_adds(model, image_shape),
        latency_ms=_milliseconds(model, (1, *image_shape), seconds),
        latency_ms_batch32=_milliseconds(model, (32, *image_shape), seconds) / 32,
        threads=torch.get_num_threads(),
    )


def count_parameters(model: Reader) -> int:
    """How many numbers training can change."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_multiply_adds(model: Reader, image_shape: tuple[int, int, int]) -> int:
    """Of one image (C, H, W)."""
    # On the meta device an LSTM falls apart into products of matrices, which the counter knows; on
    # a CPU or a GPU it is one operation, which it does not.
    with FlopCounterMode(display=False) as counter:
        run_on_meta(model, image_shape)
    return int(counter.get_total_flops()) // 2


def _milliseconds(model: Reader, shape: tuple[int, ...], seconds: float) -> float:
    """The median of at least five passes, after one to warm up."""
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    images = images.to(next(model.parameters()).device)
    was_training = model.training
    model.eval()
    times: list[float] = []
    with torch.inference_mode():
        while len(times) < 6 or sum(times) < seconds:
            started = time.perf_counter()
            model(images).cpu()  # waits for a GPU
            times.append(time.perf_counter() - started)
    model.train(was_training)
    return 1000 * median(times[1:])
