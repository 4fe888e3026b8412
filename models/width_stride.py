"""Any convolutional trunk with a chosen width stride, and no column lost on the way."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.meta import run_on_meta

_Windowed = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d

# Large enough for every classifier, and a power of two wide, so that widths distinguish stages.
SIZE = (128, 256)


class WidthStrideError(ValueError):
    """A width stride that cannot be had by taking strides away."""


def set_width_stride(layers: nn.Module, wanted: int, channels: int = 3) -> None:
    """Take width strides out of the deepest layers until `wanted` is left. Raises WidthStrideError.

    channels: of the images that the layers see.

    Layers that see the same width are branches of one stage (a block and its shortcut) and are
    changed together. This needs no knowledge of the family; the height keeps its strides and
    pretrained weights still fit. From then on a window gives at least its input's width over its
    stride, rounded down: see `_widen`.
    """
    windowed = [m for m in layers.modules() if isinstance(m, _Windowed)]
    for module in windowed:
        if _pair(module.kernel_size)[1] > 1:
            module.register_forward_pre_hook(_widen)
    stages: dict[int, list[_Windowed]] = {}

    def note(module: _Windowed, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.shape[-1] > 1 and _pair(module.stride)[1] > 1:
            stages.setdefault(inputs[0].shape[-1], []).append(module)

    hooks = [module.register_forward_hook(note) for module in windowed]
    stride = round(SIZE[-1] / run_on_meta(layers, (channels, *SIZE)).shape[-1])
    for hook in hooks:
        hook.remove()
    while stride > wanted and stages:
        stage = stages.pop(min(stages))
        old = max(_pair(module.stride)[1] for module in stage)
        new = max(1, old * wanted // stride)
        for module in stage:
            module.stride = (_pair(module.stride)[0], new)
            if not isinstance(module, nn.Conv2d) and _pair(module.kernel_size)[1] == 2:
                # A pool over two that no longer halves has nothing left to do.
                module.kernel_size = (_pair(module.kernel_size)[0], 1)
        stride = stride * new // old
    if stride != wanted:
        raise WidthStrideError(
            f"a width stride of {wanted} cannot be had here (closest: {stride}): choose a power "
            "of two up to the backbone's own stride"
        )


def _widen(module: _Windowed, inputs: tuple[Tensor, ...]) -> Tensor | None:
    """Pad a layer's input evenly on both sides if its windows would miss columns at the end.

    A pooling window is widened by what it ignores. Networks whose windows cover their input, as
    those of ResNet do, are left as they are.
    """
    width = inputs[0].shape[-1]
    stride, kernel = _pair(module.stride)[1], _pair(module.kernel_size)[1]
    dilation = 1 if isinstance(module, nn.AvgPool2d) else _pair(module.dilation)[1]
    span = dilation * (kernel - 1) + 1
    padded = width + 2 * _pair(module.padding)[1]
    rest = padded - span + (stride - 1 if getattr(module, "ceil_mode", False) else 0)
    columns = max(1, width // stride)
    if rest >= 0 and rest // stride + 1 >= columns:
        return None
    missing = (columns - 1) * stride + span - padded
    value = float("-inf") if isinstance(module, nn.MaxPool2d) else 0.0
    return F.pad(inputs[0], (missing // 2, missing - missing // 2), value=value)


def _pair(value: int | str | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(value, str):
        raise WidthStrideError(f"a padding of {value!r} has no width to reckon with")
    return (value, value) if isinstance(value, int) else (value[0], value[1])
