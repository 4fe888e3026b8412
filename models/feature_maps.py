"""A torchvision classifier -> the part of it that ends in its last feature map."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, fx, nn

from models.meta import run_on_meta

# What classifiers call the part that makes classes.
_CLASSIFIER_PARTS = {"classifier", "fc", "head"}


class _Tracer(fx.Tracer):
    """Follows a model into its own modules; torchvision's building blocks stay whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        of_torchvision = type(m).__module__.startswith("torchvision.ops")
        return of_torchvision or super().is_leaf_module(m, module_qualified_name)


def without_classifier(model: nn.Module) -> fx.GraphModule:
    """Images (N, 3, H, W) -> the last feature map (N, channels, H', W'), by the model's own layers.

    That is the last value before the classifier that has four dimensions and a width that grows
    with the image's: behind it comes the pooling to one fixed size. It is found by following the
    model's forward, so the model may branch; parameters keep their names, and those behind the map
    are dropped.
    """
    graph = _Tracer().trace(model.eval())
    layers = fx.GraphModule(model, graph)
    _pool_by_modules(layers)
    (end,) = (node for node in graph.nodes if node.op == "output")
    before = []
    for node in graph.nodes:
        if str(node.target).partition(".")[0] in _CLASSIFIER_PARTS:
            break
        if node.op not in ("placeholder", "output"):
            before.append(node)
    end.args = ({node.name: node for node in before},)
    layers.recompile()
    narrow, wide = (run_on_meta(layers, (3, 128, width)) for width in (256, 512))
    maps = [node for node in before if _grows(narrow[node.name], wide[node.name])]
    end.args = (maps[-1],)
    graph.eliminate_dead_code()
    layers.delete_all_unused_submodules()
    layers.recompile()
    return layers.train()


def _grows(narrow: object, wide: object) -> bool:
    """Whether the two are feature maps, the second wider than the first."""
    if not isinstance(narrow, Tensor) or not isinstance(wide, Tensor) or narrow.dim() != 4:
        return False
    return wide.shape[-1] > narrow.shape[-1] > 1


def _pool_by_modules(layers: fx.GraphModule) -> None:
    """Pooling that is called as a function becomes a module, whose stride can be set."""
    for node in list(layers.graph.nodes):
        if node.target is F.max_pool2d:
            layers.add_submodule(node.name, nn.MaxPool2d(*node.args[1:], **node.kwargs))
            with layers.graph.inserting_before(node):
                node.replace_all_uses_with(layers.graph.call_module(node.name, node.args[:1]))
            layers.graph.erase_node(node)
