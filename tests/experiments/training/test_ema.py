"""The moving average of the weights against its recursion, written out."""

import re

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from experiments.data.splits import make_split
from experiments.data.synthetic.strings import ensure_strings
from experiments.settings.config import run_config
from experiments.training import loop
from experiments.training.average import moving_average, remaining
from experiments.training.epochs import labelled
from experiments.training.inference import validate
from experiments.training.run import load_data


def recursion(states, decay):
    """What the average of these state dicts is, one after the other."""
    average = {name: value.double() for name, value in states[0].items()}
    for state in states[1:]:
        for name, value in state.items():
            average[name] = decay * average[name] + (1 - decay) * value.double()
    return average


def weights(model):
    """Everything but the batch counters of BatchNorm, which nothing reads."""
    return {k: v.clone() for k, v in model.state_dict().items() if v.is_floating_point()}


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_weights_and_running_statistics_follow_the_recursion(decay):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    average = moving_average(model, decay)
    states = []
    for _ in range(6):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape))
        model(torch.randn(8, 3))  # moves the running statistics
        average.update_parameters(model)
        states.append(weights(model))
    expected = recursion(states, decay)
    found = weights(average.module)
    assert {"1.running_mean", "1.running_var", "0.weight"} <= set(found)
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value, rtol=1e-5, atol=1e-6)


def test_without_decay_there_is_no_average():
    assert moving_average(nn.Linear(2, 2), 0.0) is None


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    counts = {"train": 160, "val": 40, "dev": 40}
    return ensure_strings(tmp_path_factory.mktemp("strings"), counts=counts)


def fitted(data, out, monkeypatch, **settings):
    """A trained model, the data, its split, and the weights after every batch."""
    small = {"width_stride": 8, "hidden": 16, "epochs": 1}
    config = run_config(small, settings)
    images = load_data(config, data, out)
    split = make_split(images, config)
    models, states = [], []

    def build(*given):
        models.append(made(*given))
        return models[-1]

    made = loop.build_for
    with monkeypatch.context() as patch:
        patch.setattr(loop, "build_for", build)
        done = loop.fit(
            config, images, split, out / f"{settings['ema']}.safetensors",
            lambda *_: states.append(weights(models[0][0])), lambda *_: None,
        )  # fmt: skip
    return done, images, split, states


def test_the_average_is_validated_and_kept_and_training_goes_on_as_without(
    data, tmp_path, monkeypatch
):
    plain, *_, without = fitted(data, tmp_path, monkeypatch, ema=0.0)
    done, images, split, states = fitted(data, tmp_path, monkeypatch, ema=0.8)
    assert len(states) == 160 // 32
    for mine, other in zip(states, without, strict=True):
        assert all(torch.equal(mine[name], other[name]) for name in mine)
    assert done.progress.history[0]["train.loss"] == plain.progress.history[0]["train.loss"]

    kept = weights(done.model)
    for name, value in recursion(states, 0.8).items():
        torch.testing.assert_close(kept[name].double(), value, rtol=1e-4, atol=1e-6)
    assert not torch.equal(kept["characters.weight"], states[-1]["characters.weight"])
    for name, value in weights(plain.model).items():
        assert torch.equal(value, without[-1][name])

    validated = done.progress.history[0]
    assert validated["val.loss"] != plain.progress.history[0]["val.loss"]
    read_again = validate(done.model, done.objective, *labelled(images, split.val))
    assert read_again["val.loss"] == pytest.approx(validated["val.loss"], rel=1e-6)


@pytest.mark.parametrize(("ema", "said"), [(0.0, False), (0.5, False), (0.998, True)])
def test_an_average_that_hardly_leaves_the_first_weights_is_said(
    data, tmp_path, monkeypatch, capsys, ema, said
):
    done, _, _, states = fitted(data, tmp_path, monkeypatch, ema=ema)
    warned = re.search(r"^ema=0.998 is long for 5 batches: (\d+)% .*", capsys.readouterr().out)
    assert bool(warned) == said
    if warned:
        # In the average every weight's own share of the first is the same.
        first, last, kept = (
            w["characters.weight"].double() for w in (states[0], states[-1], weights(done.model))
        )
        share = ((kept - last) / (first - last)).median()
        assert int(warned[1]) == pytest.approx(100 * float(share), abs=2)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_with_its_average_bit_for_bit(data, tmp_path):
    settings = {"width_stride": 8, "hidden": 16, "epochs": 3, "ema": 0.8}
    config = run_config(settings, {})
    images = load_data(config, data, tmp_path)
    split = make_split(images, config)

    def fit(name, on_batch):
        file = tmp_path / f"{name}.safetensors"
        return loop.fit(config, images, split, file, on_batch, lambda *_: None)

    def stop(epoch, done, _):
        if (epoch, done) == (1, 3):
            raise InterruptedError

    whole = fit("whole", lambda *_: None)
    with pytest.raises(InterruptedError):
        fit("broken", stop)
    epochs = []
    resumed = fit("broken", lambda epoch, *_: epochs.append(epoch))
    assert epochs[0] == 1
    assert resumed.progress.history == whole.progress.history
    last = [load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "broken")]
    assert sum(name.startswith("average.") for name in last[0]) > 10
    assert last[0].keys() == last[1].keys()
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])


def test_without_an_average_nothing_remains_in_it():
    assert remaining(0, 1) == remaining(0, 100) == 0
    assert remaining(0.5, 1) == 1
    assert remaining(0.5, 3) == 0.25
