"""Trunks against the untouched torchvision models."""

import urllib.error

import pytest
import torch
import torchvision
from torch import nn

import models
from models import BackboneError, Outputs
from models.backbones import build_trunk
from models.meta import run_on_meta
from models.trunks import TRUNKS
from models.width_stride import set_width_stride

# The width stride that each has as published; the height stride is never changed.
OWN_WIDTH_STRIDE = {"small_cnn": 8, "resnet18": 32, "resnet50": 32, "mobilenet_v3_small": 32}
OWN_HEIGHT_STRIDE = {"small_cnn": 16, "resnet18": 32, "resnet50": 32, "mobilenet_v3_small": 32}


@pytest.mark.parametrize(
    ("backbone", "stride"),
    [(b, s) for b, own in OWN_WIDTH_STRIDE.items() for s in (2, 4, 8, 16) if s <= own],
)
def test_columns_are_image_width_over_width_stride(backbone, stride):
    trunk = build_trunk(backbone, stride, "none").eval()
    for height, width in ((32, 64), (64, 96)):
        with torch.no_grad():
            features = trunk(torch.zeros(2, 1, height, width))
        rows = height // OWN_HEIGHT_STRIDE[backbone]
        assert features.shape == (2, trunk.channels, rows, width // stride)


def test_crnn_is_that_of_the_paper():
    trunk = build_trunk("crnn", 4, "none").eval()
    # Table 1, from the input on: convolutions as (maps, window, normalised), pools as (h, w).
    found = []
    for module in trunk.layers:
        if isinstance(module, nn.Conv2d):
            found.append((module.out_channels, module.kernel_size[0], False))
            assert module.stride == (1, 1)
        elif isinstance(module, nn.BatchNorm2d):
            found[-1] = (*found[-1][:2], True)
        elif isinstance(module, nn.MaxPool2d):
            size = module.kernel_size
            found.append(size if isinstance(size, tuple) else (size, size))
    plain, normalised = [(n, 3, False) for n in (64, 128, 256, 256)], (512, 3, True)
    assert found == [
        *(plain[0], (2, 2), plain[1], (2, 2), plain[2], plain[3], (2, 1)),
        *(normalised, normalised, (2, 1), (512, 2, False)),
    ]
    with torch.no_grad():
        assert trunk(torch.zeros(2, 1, 32, 100)).shape == (2, 512, 1, 25)
        assert trunk(torch.zeros(2, 1, 64, 100)).shape == (2, 512, 3, 25)
        assert build_trunk("crnn", 2, "none").eval()(torch.zeros(1, 1, 32, 100)).shape[-1] == 50
    weights = sum(
        inside * outside * window**2 + outside
        for inside, outside, window in [
            *((1, 64, 3), (64, 128, 3), (128, 256, 3), (256, 256, 3)),
            *((256, 512, 3), (512, 512, 3), (512, 512, 2)),
        ]
    )
    assert sum(p.numel() for p in trunk.parameters()) == weights + 2 * 2 * 512


@pytest.mark.parametrize(("stride", "steps"), [(32, 7), (16, 14), (8, 28)])
def test_published_geometry_has_seven_columns_and_twice_as_many_a_halving(stride, steps):
    reader = models.build("resnet50", stride, "columns", Outputs(13))
    assert run_on_meta(reader.trunk, (3, 224, 224)).shape == (1, 2048, 7, steps)
    assert run_on_meta(reader, (3, 224, 224)).steps.shape == (1, steps, 13)


@pytest.mark.parametrize(("stride", "steps"), [(8, 7), (4, 15), (2, 30)])
def test_small_cnn_has_the_published_steps_at_the_cells_own_width(stride, steps):
    reader = models.build("small_cnn", stride, "columns", Outputs(13))
    assert models.count_steps(reader, (1, 40, 60)) == (steps, 0)


@pytest.mark.parametrize(
    ("stride", "left"),  # the width strides of stem, pool and the last three stages
    [(32, [2, 2, 2, 2, 2]), (16, [2, 2, 2, 2, 1]), (8, [2, 2, 2, 1, 1]), (2, [2, 1, 1, 1, 1])],
)
def test_the_deepest_layers_lose_their_width_stride_first(stride, left):
    trunk = build_trunk("resnet18", stride, "none")
    convolution, pool = trunk.layers.conv1, trunk.layers.maxpool
    stages = [trunk.layers.get_submodule(f"layer{i}.0") for i in (2, 3, 4)]
    pool_stride = pool.stride if isinstance(pool.stride, tuple) else (pool.stride, pool.stride)
    strides = [convolution.stride, pool_stride, *(block.conv1.stride for block in stages)]
    assert strides == [(2, width) for width in left]
    # A shortcut goes the way of the block that it is added to.
    shortcuts = [block.get_submodule("downsample.0") for block in stages]
    assert [shortcut.stride for shortcut in shortcuts] == strides[2:]


def test_a_grey_image_is_read_as_its_rgb_copy_where_the_trunk_is_torchvisions():
    trunk = build_trunk("mobilenet_v3_small", 4, "none").eval()
    grey = torch.rand(2, 1, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(trunk(grey), trunk(grey.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("name", TRUNKS)
def test_our_own_trunks_do_not_pay_for_channels_that_the_images_lack(name):
    grey, colour = (build_trunk(name, 4, "none", channels).eval() for channels in (1, 3))
    first = [next(m for m in t.modules() if isinstance(m, nn.Conv2d)) for t in (grey, colour)]
    assert [convolution.in_channels for convolution in first] == [1, 3]
    with torch.no_grad():
        assert grey(torch.rand(2, 1, 32, 64)).shape == colour(torch.rand(2, 3, 32, 64)).shape
        # A layer that normalises warns first; warnings are errors here.
        with pytest.raises((RuntimeError, UserWarning), match=r"channels|num_features"):
            grey(torch.rand(2, 3, 32, 64))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_of_imagenets_mean_is_zero_to_the_layers(channels):
    trunk = build_trunk("small_cnn", 4, "none", channels).eval()
    seen = []
    trunk.layers.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    image = (mean if channels == 3 else mean.mean(dim=1, keepdim=True)).expand(1, -1, 32, 64)
    with torch.no_grad():
        trunk(image)
        trunk(image + 0.1)
    assert seen[0].abs().max() < 1e-6
    assert seen[1].shape == (1, channels, 32, 64)
    assert seen[1].mean().item() == pytest.approx(0.1 / 0.2260, rel=0.01)


@pytest.mark.parametrize("name", ["mnasnet0_5", "mobilenet_v3_small", "resnet18"])
def test_without_pretraining_batch_statistics_settle_at_the_usual_pace(name, monkeypatch):
    norms = [m for m in build_trunk(name, 4, "none").modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert {norm.momentum for norm in norms} == {0.1}
    # Pretrained weights came with statistics and momenta of their own.
    plain = torchvision.models.get_model(name)
    own = {m.momentum for m in plain.modules() if isinstance(m, nn.BatchNorm2d)}
    monkeypatch.setattr(torchvision.models, "get_model", lambda *_, **__: plain)
    kept = build_trunk(name, 4, "imagenet")
    assert {m.momentum for m in kept.modules() if isinstance(m, nn.BatchNorm2d)} == own


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_shift_by_the_width_stride_is_a_shift_by_one_column(stride):
    torch.manual_seed(0)
    trunk = build_trunk("small_cnn", stride, "none").eval()
    # A mark on even ground, far enough from the sides for their padding not to be seen.
    image = torch.full((1, 1, 32, 256), 0.5)
    image[..., 8:24, 120:136] = torch.rand(16, 16)
    with torch.no_grad():
        here, there = trunk(image), trunk(image.roll(stride, dims=-1))
    inner = slice(64 // stride, -64 // stride)
    moved, expected = there[..., inner], here.roll(1, dims=-1)[..., inner]
    assert expected.std(dim=-1).max() > 1e-3
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-6)


def test_a_window_that_misses_columns_is_padded_on_both_sides():
    layers = nn.Sequential(nn.Conv2d(3, 1, 4, stride=4, bias=False), nn.MaxPool2d(3, stride=1))
    nn.init.ones_(layers[0].weight)
    set_width_stride(layers, 2)
    assert layers[0].stride == (4, 2)
    with torch.no_grad():
        # Windows of 4 pixels every 2 of 8: the first and the last hang over by one.
        columns = layers[0](torch.ones(1, 3, 4, 8))[0, 0, 0] / 12
        assert columns.tolist() == [3, 4, 4, 3]
        # A pool is widened by what is less than anything.
        pooled = layers[1](torch.tensor([-1.0, -2, -3, -4]).expand(1, 1, 3, 4))
    assert pooled[0, 0, 0].tolist() == [-1, -1, -2, -3]


@pytest.mark.parametrize("backbone", ["small_cnn", "mobilenet_v3_small"])
def test_building_leaves_batch_statistics_and_training_mode_alone(backbone):
    trunk = build_trunk(backbone, 4, "none")
    norms = [m for m in trunk.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert all(module.training for module in trunk.modules())
    for norm in norms:
        assert norm.num_batches_tracked == 0
        assert norm.running_mean.abs().max() == 0


def test_every_backbone_name_is_either_ours_or_torchvisions():
    names = models.backbone_names()
    assert len(names) == len(set(names))
    assert set(OWN_WIDTH_STRIDE) <= set(names)
    for name in set(names) - set(TRUNKS):
        assert callable(torchvision.models.get_model_builder(name))


@pytest.mark.parametrize("name", ["vit_b_16", "swin_t", "swin_v2_t", "maxvit_t"])
def test_a_transformer_is_refused_by_name_in_one_line(name):
    with pytest.raises(BackboneError, match=f"{name} is a transformer") as caught:
        models.build(name, 4, "columns", Outputs(13))
    assert "\n" not in str(caught.value)
    assert name in torchvision.models.list_models()
    assert name not in models.backbone_names()


@pytest.mark.parametrize("name", ["resnet19", "", "resnet18 ", "fasterrcnn_resnet50_fpn"])
def test_an_unknown_backbone_is_refused_by_name(name):
    with pytest.raises(BackboneError, match=f"no backbone '{name}'"):
        models.build(name, 4, "columns", Outputs(13))


@pytest.mark.parametrize(
    ("backbone", "stride"),
    [
        ("small_cnn", 16),
        ("small_cnn", 3),
        ("small_cnn", 0),
        ("crnn", 8),
        ("resnet18", 64),
        ("resnet18", 6),
        ("mobilenet_v3_small", 5),
    ],
)
def test_an_impossible_stride_is_refused(backbone, stride):
    with pytest.raises(BackboneError, match=f"width stride of {stride} cannot be had"):
        models.build(backbone, stride, "columns", Outputs(13))


def test_weights_out_of_reach_are_an_error_that_says_what_to_set(monkeypatch):
    asked = []

    def unreachable(name, weights=None):
        asked.append((name, weights))
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torchvision.models, "get_model", unreachable)
    with pytest.raises(BackboneError, match=r"resnet18 .*no route to host.* pretrained=none") as e:
        models.build("resnet18", 4, "columns", Outputs(13), pretrained="imagenet")
    assert f"{torch.hub.get_dir()}/checkpoints" in str(e.value)
    assert asked == [("resnet18", "DEFAULT")]


@pytest.mark.parametrize("name", TRUNKS)
def test_our_own_have_no_pretrained_weights(name):
    with pytest.raises(BackboneError, match=f"{name} .*pretrained=none"):
        models.build(name, 4, "columns", Outputs(13), pretrained="imagenet")


def test_without_pretraining_no_weights_are_asked_for(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torchvision.models._api.WeightsEnum, "get_state_dict", refuse)
    build_trunk("mobilenet_v3_small", 8, "none")
    with pytest.raises(AssertionError, match="download"):  # the trap does catch one
        build_trunk("mobilenet_v3_small", 8, "imagenet")
