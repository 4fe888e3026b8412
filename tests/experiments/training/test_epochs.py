"""What an epoch shows."""

import torch

from experiments.data.joined import joined
from experiments.seeding import generator
from experiments.training.build import build, learnable
from experiments.training.epochs import count_batches, labelled


def test_an_epoch_shows_each_image_at_most_once_in_an_order_of_its_own(training_set, epoch_batches):
    config, images, split = training_set
    epoch, again, other = (epoch_batches(*training_set, epoch=number) for number in (0, 0, 1))
    assert len(epoch) == count_batches(config, len(split.train)) == len(split.train) // 8
    shown = torch.cat([batch.inputs for batch in epoch])
    assert torch.equal(shown, torch.cat([batch.inputs for batch in again]))
    assert not torch.equal(shown, torch.cat([batch.inputs for batch in other]))
    known = [image.numpy().tobytes() for image in images.pixels[list(split.train)].float() / 255]
    seen = [image.numpy().tobytes() for image in shown]
    assert all(seen.count(image) <= known.count(image) for image in seen)
    # Each image comes with its own label.
    texts = {pixels: set() for pixels in known}
    for pixels, index in zip(known, split.train, strict=True):
        texts[pixels].add(images.rows[index].label)
    objective = config.objective()
    for batch in epoch:
        for number, image in enumerate(batch.inputs):
            classes = batch.targets.classes[number, : batch.targets.lengths[number]]
            own = [objective.encode([t]).classes[0] for t in texts[image.numpy().tobytes()]]
            assert any(torch.equal(classes, one) for one in own)


def test_two_views_are_moved_alike_and_are_else_of_their_own(
    training_set, epoch_batches, small_run
):
    config, images, split = training_set
    still = {"degrees": 0, "translate": 0, "scale": (1, 1), "shear": 0, "elastic": 0}
    greys = {"contrast": 0, "noise": 0, "erasing": 0}

    def views(strengths):
        settings = {"consistency": 0.2, "augmentation": {"name": "strong"} | strengths}
        chosen = small_run(settings)
        return epoch_batches(chosen, images, split)

    for batch in views(greys):  # only moved
        first, second = batch.inputs.chunk(2)
        torch.testing.assert_close(first, second)
    for batch in views(still):  # only with other greys
        first, second = batch.inputs.chunk(2)
        assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
    for batch in views({}):
        assert len(batch.inputs) == 2 * config.batch_size
        for part in batch.targets:
            assert torch.equal(*part.chunk(2))


def test_a_second_view_leaves_the_first_as_it_is(training_set, epoch_batches, small_run):
    _, images, split = training_set
    strong = {"augmentation": "strong"}
    one = epoch_batches(small_run(strong), images, split)
    two = epoch_batches(small_run(strong | {"consistency": 0.2}), images, split)
    for alone, both in zip(one, two, strict=True):
        assert torch.equal(alone.inputs, both.inputs.chunk(2)[0])


def test_the_share_that_is_joined_comes_with_both_labels(training_set, epoch_batches, small_run):
    _, images, split = training_set
    config = small_run({"joined": 0.5, "epochs": 2})
    pixels, texts = labelled(images, split.train)
    model, objective = build(config)
    fits = learnable(config, model, objective)
    expected = {}
    for number in (0, 1):
        stream = generator(config.seed, "joined", number)
        both, labels = joined(pixels, texts, config.joined, fits, stream)
        expected[number] = {
            (image.numpy().tobytes(), tuple(objective.encode([text]).classes[0].tolist()))
            for image, text in zip(both.float() / 255, labels, strict=True)
        }
        assert sum(a != b for a, b in zip(texts, labels, strict=True)) >= 3
    assert expected[0] != expected[1]
    for number, pairs in expected.items():
        seen = epoch_batches(config, images, split, epoch=number)
        for batch in seen:
            for at, image in enumerate(batch.inputs):
                classes = batch.targets.classes[at, : batch.targets.lengths[at]]
                assert (image.numpy().tobytes(), tuple(classes.tolist())) in pairs
