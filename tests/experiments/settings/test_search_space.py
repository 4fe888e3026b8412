"""Whatever a search draws is a run that can be made; the ends of its cycles are where rates end."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import losses
from experiments.data.augmentation import AUGMENTATIONS
from experiments.errors import UserError
from experiments.settings.config import run_config
from experiments.settings.presets import load_preset
from experiments.settings.search_space import Search, Space, cycle_ends
from experiments.settings.search_space import settings as meant
from losses import Range

CYCLIC = {"name": "sgd_cyclic"}


def arm(loss="ce_stop", epochs=8, **others):
    return run_config({"loss": loss, "epochs": epochs, "optimizer": CYCLIC, **others}, {})


def drawn_from(parameters):
    """Any draw, the ends of every range among them."""
    return st.fixed_dictionaries(
        {
            key: st.floats(values.low, values.high)
            if isinstance(values, Range)
            else st.sampled_from(values)
            for key, values in parameters.items()
        }
    )


@pytest.mark.parametrize("loss", losses.OBJECTIVES)
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@settings(max_examples=40)
@given(data=st.data())
def test_every_draw_is_a_run_whose_lower_bounds_are_below(loss, augmentation, data):
    given_arm = arm(loss, data.draw(st.integers(1, 12)), augmentation=augmentation)
    space = Space(augmentation=True)
    drawn = data.draw(drawn_from(space.parameters(given_arm)))
    made = run_config(given_arm.model_dump(), meant(drawn, given_arm))
    assert 0 < made.optimizer.base_lr < made.optimizer.max_lr
    assert made.optimizer.base_lr == pytest.approx(drawn["max_lr"] * drawn["base_ratio"], rel=0.011)
    assert 0 <= made.optimizer.base_momentum <= made.optimizer.max_momentum < 1
    assert (made.optimizer.base_momentum == made.optimizer.max_momentum) == (
        not drawn["cycle_momentum"]
    )
    assert made.epochs == made.optimizer.cycles * drawn["cycle_epochs"]
    assert (made.optimizer.gamma < 1) == (drawn["mode"] == "exp_range")
    # Nothing but what was drawn is another setting.
    flat, before = made.flat(), given_arm.flat()
    changed = {key for key in flat if flat[key] != before[key]}
    assert changed <= {k for k in drawn if "." in k} | {k for k in flat if "optimizer" in k}


def test_what_is_tried_of_an_arm_is_told_by_its_loss_and_its_augmentation():
    both = Space(augmentation=True).parameters(arm("ctc"))
    assert "loss_options.shortcut_weight" in both
    assert "augmentation.degrees" in both
    assert not [key for key in Space(loss=False).parameters(arm("ctc")) if "." in key]
    assert "loss_options.length_weight" in Space().parameters(arm("ce_stop"))


@pytest.mark.parametrize("loss", losses.OBJECTIVES)
def test_both_ends_of_every_option_of_a_loss_are_allowed(loss):
    objective = losses.OBJECTIVES[loss]
    for key, values in objective.ranges.items():
        for end in (values.low, values.high):
            assert arm(loss, loss_options={key: end}).loss_options[key] == end


def test_cycles_are_tried_that_end_with_the_run():
    assert Space().parameters(arm(epochs=12))["cycle_epochs"] == (1, 2, 3, 4, 6, 12)
    assert Space(cycle_epochs=(2,)).parameters(arm(epochs=8))["cycle_epochs"] == (2,)
    with pytest.raises(ValueError, match="3 does not divide the 8 epochs"):
        Space(cycle_epochs=(3,)).parameters(arm(epochs=8))


@pytest.mark.parametrize(("epochs", "cycles"), [(8, 1), (8, 2), (8, 8), (6, 4), (9, 3)])
def test_cycles_end_where_the_rate_is_at_its_lowest(epochs, cycles):
    config = arm(epochs=epochs, optimizer=CYCLIC | {"cycles": cycles})
    batches = 4 * cycles  # of an epoch: half a cycle is whole batches then
    optimizer, schedule = config.optimizer.build(torch.nn.Linear(1, 1), batches * epochs)
    rates = []
    for _ in range(epochs):
        for _ in range(batches):
            optimizer.step()
            schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    lowest = [n for n, rate in enumerate(rates, 1) if rate == pytest.approx(0.001)]
    assert cycle_ends(config) == lowest
    assert lowest[-1] == epochs


@pytest.mark.parametrize(
    ("given_space", "said"),
    [
        ({"max_lr": {"low": 0.1, "high": 0.01}}, "goes up"),
        ({"max_lr": {"low": 0.0, "high": 0.1, "log": True}}, "begins above 0"),
        ({"max_lr": {"low": 0.01, "high": 1.0, "lgo": True}}, "lgo"),
        ({"base_ratio": {"low": 0.1, "high": 1.5}}, "below the upper"),
        ({"momentum_span": {"low": 0.1, "high": 0.9}}, "below 0"),
        ({"fall": {"low": 0.5, "high": 1.0}}, "between 0 and 1"),
        ({"mode": []}, "mode"),
        ({"mode": ["square"]}, "mode"),
    ],
)
def test_a_space_that_cannot_be_searched_is_one_line(tmp_path, given_space, said):
    text = "\n".join(f"{key} = {toml(value)}" for key, value in given_space.items())
    (tmp_path / "mine.toml").write_text(f"[search.space]\n{text}\n")
    with pytest.raises(UserError) as error:
        load_preset(str(tmp_path / "mine.toml"))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    return str(value).replace("True", "true").replace("'", '"')


def test_the_seed_of_trials_is_not_among_the_fresh_ones():
    with pytest.raises(ValueError, match="one of the fresh seeds"):
        Search(seed=2, fresh_seeds=3)
    assert Search(seed=3, fresh_seeds=3).seed == 3
