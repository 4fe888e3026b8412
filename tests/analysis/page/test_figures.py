"""What a figure shows can be seen: nothing is cut off, every number stands out from its ground."""

import pandas as pd
from matplotlib.colors import to_hex

from analysis.page.arm_names import looks
from analysis.page.figures import by_slice, confusions
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
