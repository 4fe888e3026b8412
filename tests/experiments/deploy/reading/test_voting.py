"""Reading together against a brute force, and what must not change anything."""

import math
from itertools import groupby, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from experiments.data.augmentation.affine import Affine
from experiments.deploy.reading.voting import Member, read_together
from experiments.settings.config import run_config
from experiments.training.inference import read
from losses.ce_stop import CrossEntropyStop
from losses.ctc import CTC
from losses.number_format import AllowedValues
from models import Outputs, Scores
from models.decoders.latent_lstm import LatentLSTMReader
from tests.arms import DEFAULT_ARMS, LABELS, drawn
from tests.models.decoders.test_latent_lstm import Given, unrolled_by_hand

STILL = Affine(degrees=0, translate=0, scale=(1, 1), shear=0)
ctc = CTC(charset="73", max_length=3)
ce_stop = CrossEntropyStop(charset="73", max_length=3)


class Told(nn.Module):
    """Stands where a model would: gives the image that is all i / 255 the i-th scores."""

    autoregressive = False

    def __init__(self, steps):
        super().__init__()
        self.steps = nn.Parameter(steps, requires_grad=False)

    def forward(self, images, teacher=None):  # noqa: ARG002
        return Scores(self.steps[(images[:, 0, 0, 0] * 255).round().long()])


def told(objective, steps, seed=0):
    return Member(Told(steps), objective, run_config({}, {"seed": seed}))


def numbered(count):
    """The images that Told knows."""
    return torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)


def texts_of(member, images):
    return [reading.text for reading in read(member.model, member.objective, images)]


# --- the brute force: every path of classes, and the text that it is


def of_ctc(steps):
    """Each text's probability, and the text of the best path. steps: (T, 3), the blank last."""
    totals, best = {}, (0.0, "")
    for path in product(range(3), repeat=len(steps)):
        p = math.prod(row[c] for row, c in zip(steps, path, strict=True))
        text = "".join("73"[c] for c, _ in groupby(path) if c != 2)
        totals[text] = totals.get(text, 0.0) + p
        best = max(best, (p, text))
    return totals, best[1]


def of_ce(steps):
    """The same for characters and a stop."""
    totals, best = {}, (0.0, "")
    for path in product(range(3), repeat=len(steps)):
        p = math.prod(row[c] for row, c in zip(steps, path, strict=True))
        text = "".join("73"[c] for c in path[: path.index(2) if 2 in path else None])
        totals[text] = totals.get(text, 0.0) + p
        best = max(best, (p, text))
    return totals, best[1]


@settings(max_examples=30)
@given(
    st.integers(0, 10_000), st.sets(st.sampled_from(["7", "37", "73", "733", "7373"]), min_size=1)
)
def test_in_a_format_the_candidates_are_the_texts_that_fit(seed, allowed):
    stream = torch.Generator().manual_seed(seed)
    kinds = [(ctc, of_ctc, 4), (ce_stop, of_ce, 3)]
    steps = [2 * torch.randn(5, size, 3, generator=stream) for *_, size in kinds]
    members = [told(kind[0], scores) for kind, scores in zip(kinds, steps, strict=True)]
    grammar = AllowedValues(frozenset(allowed))
    found = read_together(members, [numbered(5)] * 2, grammar=grammar).readings
    for i, reading in enumerate(found):
        said = [
            by_hand(scores[i].double().softmax(dim=-1).tolist())[0]
            for (_, by_hand, _), scores in zip(kinds, steps, strict=True)
        ]
        # Of what each finds the likeliest that fits, if it can emit any of it.
        possible = [{t: p for t, p in of.items() if t in allowed and p > 0} for of in said]
        likeliest = {max(of, key=of.get) for of in possible if of}
        if not likeliest:
            assert reading == ("", 0.0, ())
            continue
        together = {
            text: sum(max(math.log(of[text]), -700) if text in of else -700 for of in said) / 2
            for text in likeliest
        }
        best = max(together, key=together.get)
        assert math.log(reading.confidence) == pytest.approx(together[best], abs=1e-4)
        assert together[reading.text] == pytest.approx(together[best], abs=1e-4)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_the_reading_is_the_candidate_of_the_highest_mean_log_probability(seed):
    stream = torch.Generator().manual_seed(seed)
    kinds = [(ctc, of_ctc, 4), (ce_stop, of_ce, 3), (ctc, of_ctc, 3)]
    steps = [2 * torch.randn(6, size, 3, generator=stream) for *_, size in kinds]
    members = [told(kind[0], scores) for kind, scores in zip(kinds, steps, strict=True)]
    found = read_together(members, [numbered(6)] * 3).readings
    for i, reading in enumerate(found):
        said = [
            by_hand(scores[i].double().softmax(dim=-1).tolist())
            for (_, by_hand, _), scores in zip(kinds, steps, strict=True)
        ]
        candidates = {own for _, own in said}
        means = {
            text: sum(math.log(totals[text]) if text in totals else -700 for totals, _ in said) / 3
            for text in candidates
        }
        assert means[reading.text] == pytest.approx(max(means.values()), abs=1e-4)
        assert reading.confidence == pytest.approx(math.exp(means[reading.text]), rel=1e-3)


def test_the_text_of_another_is_told_to_a_decoder_that_reads_its_own_output():
    torch.manual_seed(6)
    reader = LatentLSTMReader(Given(3), Outputs(3, 0, 3), hidden=4, layers=1).eval()
    with torch.no_grad():
        for name, parameter in reader.named_parameters():
            parameter.mul_(1.0 if name.startswith("latent") else 6.0)
    pixels = torch.randint(0, 256, (40, 3, 2, 4), dtype=torch.uint8)
    alone = Member(reader, ce_stop, run_config({}, {}))
    own = texts_of(alone, pixels)
    # The other one is sure of a text of its own, whatever the image.
    for text in ("737", "3", ""):
        classes = [*("73".index(c) for c in text), 2, 0, 0][:3]
        steps = 20 * torch.eye(3)[classes]
        sure = told(ce_stop, steps.expand(256, 3, 3))
        found = read_together([alone, sure], [pixels, pixels]).readings
        assert {reading.text for reading in found} == {text}
        teacher = torch.tensor(classes).expand(40, 3)
        double = reader.double()
        said, _ = unrolled_by_hand(double, pixels.double() / 255, teacher)
        reader.float()
        p = torch.tensor(said).softmax(dim=-1)[:, range(3), classes][:, : len(text) + 1].prod(dim=1)
        for i, reading in enumerate(found):
            assert reading.confidence == pytest.approx(math.sqrt(p[i]), rel=1e-3)
        assert text == "" or own != [text] * 40  # else nothing was told


@pytest.mark.parametrize("arm", DEFAULT_ARMS, ids=str)
@pytest.mark.parametrize("views", [1, 3])
def test_a_model_with_itself_or_with_views_that_do_not_move_reads_as_alone(arm, views):
    objective, model = arm.make()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)  # else every reading is the same
    pixels = (drawn(LABELS) * 255).round().byte()
    alone = read(model, objective, pixels)
    member = Member(model, objective, run_config({}, {}))
    for count in (1, 2):
        found = read_together([member] * count, [pixels] * count, views, STILL).readings
        assert [reading.text for reading in found] == [reading.text for reading in alone]
        confidences = [reading.confidence for reading in alone]
        assert [reading.confidence for reading in found] == pytest.approx(confidences, rel=1e-3)


@pytest.mark.parametrize("arm", DEFAULT_ARMS, ids=str)
def test_an_untrained_member_does_not_spoil_a_good_one(arm):
    objective, model = arm.make()
    untrained = Member(model, objective, run_config({}, {}))
    pixels = (drawn(LABELS) * 255).round().byte()
    # Which image it is stands in the first pixel, for the good one.
    pixels[:, 0, 0, 0] = torch.arange(len(LABELS))
    good_objective = CrossEntropyStop(charset=objective.charset, max_length=objective.max_length)
    classes = good_objective.encode(LABELS).classes
    good = told(good_objective, 12 * torch.eye(good_objective.num_classes)[classes])
    assert texts_of(untrained, pixels) != LABELS
    found = read_together([untrained, good], [pixels, pixels]).readings
    assert [reading.text for reading in found] == LABELS


def test_what_a_member_can_never_emit_yields_to_what_all_can():
    # Two steps of CTC have no room for '77'; the other is nearly sure of it.
    columns = told(ctc, torch.tensor([[[0.4, 0.0, 0.0], [0.0, 0.0, 0.4]]]))
    slots = told(ce_stop, 15 * torch.eye(3)[torch.tensor([[0, 0, 2]])])
    assert texts_of(columns, numbered(1)) == ["7"]
    assert texts_of(slots, numbered(1)) == ["77"]
    (reading,) = read_together([slots, columns], [numbered(1)] * 2).readings
    assert reading.text == "7"


def test_a_view_is_the_same_for_every_image_and_another_for_every_seed(monkeypatch):
    seen = []
    moved = Affine.augment
    monkeypatch.setattr(Affine, "augment", lambda *given: seen.append(moved(*given)) or seen[-1])
    steps = torch.zeros(256, 3, 3)
    pixels = (drawn(LABELS) * 255).round().byte()
    read_together([told(ce_stop, steps, seed=1)], [pixels], 3)
    read_together([told(ce_stop, steps, seed=1)], [pixels[2:3]], 2)
    read_together([told(ce_stop, steps, seed=2)], [pixels], 2)
    first, second, alone, other = seen
    torch.testing.assert_close(first[2:3], alone)
    assert not torch.allclose(first, second, atol=0.05)
    assert not torch.allclose(first, other, atol=0.05)
    assert not torch.allclose(first, pixels / 255, atol=0.05)


def test_each_member_has_its_time_and_all_take_longer():
    steps = torch.zeros(256, 3, 3)
    batches = []
    done = read_together(
        [told(ctc, steps), told(ce_stop, steps)],
        [numbered(200).repeat(3, 1, 1, 1)] * 2, 2, on_batch=lambda: batches.append(1),
    )  # fmt: skip
    assert len(done.readings) == 600
    assert len(batches) == 3
    assert all(taken > 0 for taken in done.alone)
    assert sum(done.alone) < done.seconds
