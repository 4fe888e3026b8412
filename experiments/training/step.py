"""A step of training: what the weights learn from a batch.

Training and the learning-rate range test take the same steps, on whatever device there is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.profiler import record_function
from torch.optim import Optimizer

from experiments.errors import UserError
from experiments.settings.config import RunConfig
from experiments.training.epochs import Batch
from losses import Objective
from models import Reader

# The parts of a step, under whose names a profiler sees their time.
PARTS = ("augmentation", "forward", "loss", "backward", "clipping", "optimiser")


def device_of_runs() -> torch.device:
    """Where a run trains on this machine."""
    from lightning_fabric import Fabric

    return Fabric(accelerator="auto", devices=1).device


class DivergedError(UserError):
    """The loss is no finite number any more; the way out is the learning rate."""


class Step:
    """Turns batches into changes of a model's weights, on the device and in the precision given."""

    def __init__(
        self, config: RunConfig, model: Reader, objective: Objective, optimizer: Optimizer
    ) -> None:
        """Move the model to its device. The optimiser is the model's own."""
        self._config, self._objective = config, objective
        # Not with the module: a command that trains nothing itself shall not wait for it.
        from lightning_fabric import Fabric

        self._fabric = Fabric(accelerator="auto", devices=1, precision=config.precision)
        model.to(memory_format=torch.channels_last)
        self._model, self._optimizer = self._fabric.setup(model, optimizer)

    @property
    def device(self) -> torch.device:
        """Where batches are to be."""
        return self._fabric.device

    def train_mode(self) -> None:
        """With dropout, and with BatchNorm's statistics from the batch."""
        self._model.train()

    def __call__(self, batch: Batch) -> dict[str, float]:
        """Learn from a batch; returns its loss and the parts of it, before the change.

        Raises DivergedError, with the weights as they were, for a loss or a gradient that is no
        finite number.
        """
        with record_function("forward"):
            scores = self._model(batch.inputs, batch.targets.classes.to(self.device))
        with record_function("loss"):
            parts = self._objective.loss(scores, batch.targets)
            if weight := self._config.consistency:
                parts["consistency"] = disagreement(scores.steps)
                parts["total"] = parts["total"] + weight * parts["consistency"]
        values = {name: part.item() for name, part in parts.items()}
        if not math.isfinite(values["total"]):
            raise diverged(self._config, f"the training loss is {values['total']}")
        self._optimizer.zero_grad()
        with record_function("backward"):
            self._fabric.backward(parts["total"])
        with record_function("clipping"):
            # An infinite norm scales nothing.
            norm = self._fabric.clip_gradients(
                self._model,
                self._optimizer,
                max_norm=self._config.clip_norm or math.inf,
                error_if_nonfinite=False,
            )
        if not torch.as_tensor(norm).isfinite():
            raise diverged(self._config, f"the gradient's norm is {float(torch.as_tensor(norm))}")
        with record_function("optimiser"):
            self._optimizer.step()
        return values


def disagreement(steps: Tensor) -> Tensor:
    """How far the scores of two views of the same images are apart, a scalar.

    The Kullback-Leibler divergence from each view to the other, which stands still, summed over the
    steps; a mean over images and views (CR-CTC, arXiv:2410.05101).
    steps: (2N, steps, classes), not normalised, the second views behind the first.
    """
    logs = steps.float().log_softmax(dim=-1)
    others = logs.detach().roll(len(logs) // 2, dims=0)
    return F.kl_div(logs, others, log_target=True, reduction="sum") / len(logs)


def diverged(config: RunConfig, what: str) -> DivergedError:
    """The error for a training that came to this."""
    settings = config.optimizer.model_dump()
    rates = [f"optimizer.{key}={value:g}" for key, value in settings.items() if key.endswith("lr")]
    return DivergedError(f"training diverged: {what}; lower the learning rate ({', '.join(rates)})")
