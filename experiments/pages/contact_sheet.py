"""A picture of what each augmentation does to a data set's own cells."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import seaborn as sns
import torch
from matplotlib.figure import Figure

from experiments.data.augmentation import AUGMENTATIONS
from experiments.data.cells import read_cells
from experiments.data.images import load_images
from experiments.files import whole
from experiments.seeding import generator
from experiments.settings.config import RunConfig
from experiments.training.inference import to_input

CELLS = 12


def write_augmentations(config: RunConfig, folder: Path, file: Path) -> None:
    """Cells that may be learnt from (rows, under their label) by augmentation (columns), as PNG.

    Which cells, and what is drawn for them, the seed decides. The config's own augmentation is as
    strong as there, the others are as they come. Raises UserError.
    """
    cells = read_cells(folder, config.charset)
    train = [row for row in cells.rows if row.part in ("train", "labelled")]
    order = torch.randperm(len(train), generator=generator(config.seed, "contact sheet"))
    chosen = tuple(train[i] for i in order[:CELLS].tolist())
    size = config.image
    loaded = load_images(
        replace(cells, rows=chosen), size.height, size.width, size.channels, pad=size.pad
    )
    images = to_input(loaded.pixels, torch.device("cpu"))
    stream = partial(generator, config.seed, "augmentation", 0)

    with sns.plotting_context("paper"), sns.axes_style("white"):
        inches = (8, 2 * len(images) * size.height / size.width)
        figure = Figure(figsize=inches, layout="constrained")
        axes = figure.subplots(len(images), len(AUGMENTATIONS), squeeze=False)
        for column, (name, kind) in enumerate(AUGMENTATIONS.items()):
            axes[0, column].set_title(name)
            own = config.augmentation
            augmentation = own if own.name == name else kind.model_validate({})
            draws = augmentation.draw(len(images), stream)
            shown = augmentation.augment(images, draws).clamp(0, 1).permute(0, 2, 3, 1).numpy()
            for row, image in enumerate(shown):
                at = axes[row, column]
                at.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                at.set(xticks=[], yticks=[])
        for row, of in zip(axes, chosen, strict=True):
            row[0].set_ylabel(of.label, rotation=0, ha="right", va="center")
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as making:
        figure.savefig(making, format="png", dpi=150)
