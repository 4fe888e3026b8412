"""How much of a part a reader reads right: every character counts, and memory holds one batch."""

import numpy as np

from experiments.deploy.export.part import Part


def test_a_part_is_read_batch_by_batch_and_judged_in_order():
    sizes = []

    class Reader:
        def read(self, pixels):
            sizes.append(len(pixels))
            return [(str(image.flat[0]), 1.0, ()) for image in pixels]

    labels = [str(number) for number in range(600)]
    labels[0], labels[300], labels[599] = "0.", "3000", ""
    part = Part(np.arange(600, dtype=np.int64).reshape(600, 1, 1, 1), labels)
    assert np.flatnonzero(~part.right(Reader())).tolist() == [0, 300, 599]
    assert sizes == [256, 256, 88]
