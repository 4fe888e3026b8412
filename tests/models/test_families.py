"""Every family of torchvision's convolutional classifiers as a trunk, by its name alone."""

import copy

import pytest
import torch
import torchvision
import torchvision.transforms.functional as vision
from torch import nn

import models
from models import BackboneError, Outputs
from models.backbones import Trunk, build_trunk
from models.feature_maps import without_classifier

# The layer whose output a family's own forward pools; found by reading each, not by our search.
LAST_LAYER = {
    "alexnet": "features",
    "convnext_tiny": "features",
    "densenet121": "features",  # a ReLU follows
    "efficientnet_b0": "features",
    "googlenet": "inception5b",
    "inception_v3": "Mixed_7c",
    "mnasnet0_5": "layers",
    "mobilenet_v3_large": "features",
    "mobilenet_v3_small": "features",
    "regnet_y_400mf": "trunk_output",
    "resnet18": "layer4",
    "resnet34": "layer4",
    "resnet50": "layer4",
    "shufflenet_v2_x0_5": "conv5",
    "squeezenet1_1": "features",
    "vgg11_bn": "features",
}
# Small enough to be computed with.
COMPUTED = [
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3"),
    *("mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5"),
    *("squeezenet1_1",),
]
# Built in a moment; the others are slow.
LIGHT = {"mobilenet_v3_small", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1"}
# Their windows miss the last columns of some widths, at which a trunk therefore adds some.
WIDENED = {"alexnet", "inception_v3", "squeezenet1_1"}
OWN_STRIDE = {"squeezenet1_1": 16}
# Its windows, unpadded, leave nothing of a lower image.
HEIGHT = {"inception_v3": 96, "alexnet": 64}


def families(names):
    """A parameter each."""
    return pytest.mark.parametrize(
        "name",
        [pytest.param(name, marks=[] if name in LIGHT else pytest.mark.slow) for name in names],
    )


def untouched(name):
    """torchvision's own model, as it comes."""
    torch.manual_seed(1)
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, **options)


def shapes_of_untouched(name):
    """The same as shapes alone, where the family can be built so."""
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        return untouched(name)


def own_features(model, name, images):
    """The last feature map of the untouched model."""
    seen = []
    hook = model.get_submodule(LAST_LAYER[name]).register_forward_hook(
        lambda _module, _inputs, output: seen.append(output)
    )
    with torch.no_grad():
        model.eval()(images)
    hook.remove()
    return seen[0].relu() if name == "densenet121" else seen[0]


def shape_of(trunk, height, width):
    with torch.no_grad():
        return trunk.eval()(torch.zeros(1, 1, height, width)).shape


@families(LAST_LAYER)
def test_columns_are_the_width_over_every_stride(name):
    layers = without_classifier(untouched(name))
    own = OWN_STRIDE.get(name, 32)
    height = HEIGHT.get(name, 32)
    for stride in (32, 8, 4, 2):
        if stride > own:
            with pytest.raises(BackboneError, match=f"{name}: .* of {stride} .*closest: {own}"):
                build_trunk(name, stride, "none")
            continue
        trunk = Trunk(copy.deepcopy(layers), stride)
        assert shape_of(trunk, height, 64)[1:] == (trunk.channels, 1, 64 // stride)
        for width in (65, 100):
            columns = shape_of(trunk, height, width)[-1]
            assert columns in (width // stride, -(-width // stride)), (stride, width)


@families(COMPUTED)
def test_the_part_before_the_classifier_computes_what_the_untouched_model_does(name):
    model = untouched(name)
    images = torch.rand(2, 3, 80, 96)
    expected = own_features(model, name, images)
    with torch.no_grad():
        found = without_classifier(untouched(name)).eval()(images)
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@families([name for name in COMPUTED if name not in WIDENED])
def test_at_its_own_stride_a_trunk_computes_what_the_untouched_model_does(name):
    images = torch.rand(2, 3, 64, 96)
    normal = vision.normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    expected = own_features(untouched(name), name, normal)
    trunk = Trunk(without_classifier(untouched(name)), 32).eval()
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), expected, rtol=1e-3, atol=1e-4)


@families(LAST_LAYER)
def test_the_weights_of_the_untouched_model_load_under_their_own_names(name):
    model = shapes_of_untouched(name)
    trunk = Trunk(without_classifier(shapes_of_untouched(name)), 4)
    behind = ("fc.", "classifier.", "aux1.", "aux2.", "AuxLogits.")
    weights = {
        key: torch.empty_like(tensor)
        for key, tensor in model.state_dict().items()
        if not key.startswith(behind)
    }
    trunk.layers.load_state_dict(weights)
    assert list(trunk.layers.state_dict()) == list(weights)


@families(["squeezenet1_1", "inception_v3", "convnext_tiny", "googlenet"])
def test_training_follows_the_mode_and_reaches_every_weight(name):
    torch.manual_seed(3)
    trunk = build_trunk(name, 4, "none")
    assert all(module.training for module in trunk.modules())
    trunk(torch.rand(2, 1, HEIGHT.get(name, 32), 64)).square().mean().backward()
    for key, parameter in trunk.named_parameters():
        assert parameter.grad is not None, key
    norms = [m for m in trunk.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 1 for norm in norms)
    with torch.no_grad():
        trunk.eval()(torch.rand(2, 1, HEIGHT.get(name, 32), 64))
    assert all(norm.num_batches_tracked == 1 for norm in norms)


@families(["convnext_tiny", "squeezenet1_1"])
def test_a_widened_trunk_still_moves_with_its_image(name):
    torch.manual_seed(0)
    trunk = build_trunk(name, 4, "none").eval()
    image = torch.full((1, 1, 32, 256), 0.5)
    image[..., 8:24, 120:136] = torch.rand(16, 16)
    with torch.no_grad():
        here, there = trunk(image), trunk(image.roll(4, dims=-1))
    moved, expected = there[..., 24:-24], here.roll(1, dims=-1)[..., 24:-24]
    assert expected.std(dim=-1).max() > 1e-3
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("name", models.backbone_names())
def test_every_backbone_there_is_can_be_a_trunk(name):
    if name.startswith("regnet_") and not name.endswith(("mf", "_1_6gf", "_3_2gf")):
        pytest.skip("hundreds of millions of weights")
    trunk = build_trunk(name, 4, "none")
    assert shape_of(trunk, HEIGHT.get(name, 32), 64)[-1] == 16
    outputs = Outputs(13)
    reader = models.DECODERS["columns"](trunk, outputs, 16, 1)
    assert reader.encoder.lstm.input_size == trunk.channels
