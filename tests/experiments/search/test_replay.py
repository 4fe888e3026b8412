"""What pruning would have done to trials that are there whole."""

from __future__ import annotations

import pytest

from experiments.search.replay import replay


def test_pruning_replayed_by_hand():
    # Six curves of eight epochs that nothing is compared with yet; the seventh is below the median
    # of 0.3 at epoch 4 and would have become the best; the eighth is above.
    curves = [{4: value, 8: value} for value in (0.1, 0.2, 0.3, 0.3, 0.4, 0.5)]
    told = replay([*curves, {4: 0.25, 8: 0.9}, {4: 0.35, 8: 0.6}], [*[0.5] * 6, 0.9, 0.6], 8)
    assert (told.of, told.pruned) == (8, 1)
    assert told.saved == pytest.approx(4 / 64)
    assert (told.best, told.best_kept) == (0.9, 0.6)
