"""What a figure shows can be seen: nothing is cut off, every number stands out from its ground."""

from itertools import pairwise

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from analysis.page.arm_names import looks
from analysis.page.figures import by_slice, confusions, costs, differences
from tests.contrast import contrast


def test_the_numbers_of_a_confusion_can_be_read_on_their_colours():
    digits = "012345"
    rows = [(truth, read, 1 + 6 * int(truth) + int(read)) for truth in digits for read in digits]
    edits = pd.DataFrame(rows, columns=["truth", "read", "count"])
    figure = confusions({"an arm": edits}, digits)
    figure.draw_without_rendering()
    (axis,) = [axis for axis in figure.axes if axis.texts]
    colours = axis.collections[0].get_facecolors().reshape(len(digits) + 1, len(digits) + 1, 4)
    numbers = [text for text in axis.texts if text.get_text()]
    assert len(numbers) == len(digits) ** 2
    for number in numbers:
        column, row = (int(place) for place in number.get_position())
        ground = to_hex(colours[row, column])
        assert contrast(to_hex(number.get_color()), ground) >= 4.5, (number.get_text(), ground)


def test_a_mark_at_100_percent_is_whole():
    row = {"arm": "a", "slice": "length", "value": 1, "images": 9, "estimate": 1.0}
    slices = pd.DataFrame([row | {"low": 0.0, "high": 1.0}])
    figure = by_slice(slices, looks(["a"]), {"a": "a"})
    figure.draw_without_rendering()
    (axis,) = figure.axes
    (mark,) = axis.lines
    highest = axis.transData.transform((0, 100))[1] + mark.get_markersize() / 2 * figure.dpi / 72
    assert highest <= axis.get_window_extent().y1


@pytest.mark.parametrize("words", [1, 12])
@pytest.mark.parametrize("figure", ["differences", "costs"])
def test_no_name_of_a_row_runs_into_the_next(words, figure):
    names = [" ".join([f"arm{row}", *["setting=value"] * words]) for row in range(8)]
    if figure == "differences":
        same = {"estimate": 0.0, "low": -0.1, "high": 0.1, "shown": False, "one_seed": False}
        drawn = differences(pd.DataFrame([same | {"first": n, "second": n} for n in names]), None)
    else:
        table = pd.DataFrame({"arm": names, "exact_match": 0.5, "parameters": 1.0})
        drawn = costs(table, looks(names), {name: name for name in names})
    drawn.draw_without_rendering()
    boxes = [label.get_window_extent() for label in drawn.axes[0].get_yticklabels()]
    assert len(boxes) == len(names)
    # From the top down.
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))
