"""A small run to take steps of."""

import pytest
import torch

from experiments.data.splits import learning_split
from experiments.settings.config import run_config
from experiments.training.build import build
from experiments.training.epochs import Epochs
from experiments.training.run import load_data


@pytest.fixture(scope="session")
def small_run():
    """Settings of a small run, other than these where a dotted key says so."""
    small = {"batch_size": 8, "width_stride": 8, "hidden": 16, "augmentation": "none"}
    size = {"image.height": 16, "image.width": 80}
    return lambda changes=(): run_config(small, size | dict(changes))


@pytest.fixture(scope="session")
def training_set(small_run, make_cells, tmp_path_factory):
    """Settings, and the images and labels to learn from."""
    config = small_run()
    images = load_data(config, make_cells(train=28, val=8), tmp_path_factory.mktemp("out"))
    return config, images, learning_split(images, config)


@pytest.fixture(scope="session")
def epoch_batches():
    """All batches of an epoch."""

    def of_epoch(config, images, split, epoch=0):
        epochs = Epochs(config, images, split.train, *build(config), torch.device("cpu"))
        return list(epochs.batches(epoch))

    return of_epoch
