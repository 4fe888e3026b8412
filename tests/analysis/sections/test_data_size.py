"""The chapter on the number of training images, by hand."""

from analysis.report import markdown
from tests.analysis.test_report import (
    CE,
    CE_0,
    CTC,
    CTC_0,
    CTC_1,
    RIGHT,
    report_of_four_runs,
    results,
    rows_of,
    run,
    scores,
)


def learnt_from(settings, images, read, clean):
    """A run on so many training images; clean: its leak-free share right."""
    about = scores(clean, clean, clean, 0.1, 10) | {"train__images": images}
    return run(settings | {"train_images": str(images)}, 0, read, **about)


def test_a_row_for_each_number_of_images_and_what_the_losses_differ_by_there():
    report = markdown(
        results(
            [
                learnt_from(CTC, 50, CTC_1, 3 / 5),
                learnt_from(CTC, 1000, RIGHT, 1),
                learnt_from(CE, 50, CE_0, 2 / 5),
                learnt_from(CE, 1000, CTC_0, 4 / 5),
            ]
        )
    )
    chapter = report[report.index("### How many images?") :]
    rows = [[row[0], row[1], row[-1]] for row in rows_of(chapter, "arm")]
    assert rows == [
        ["ctc columns", "50", "60.0"],
        ["ctc columns", "1,000", "100.0"],
        ["ce_stop slots", "50", "40.0"],
        ["ce_stop slots", "1,000", "80.0"],
    ]
    apart = [row[:4] for row in rows_of(chapter, "images")]
    assert apart == [
        ["50", "ce_stop slots", "ctc columns", "-20.0"],
        ["1,000", "ce_stop slots", "ctc columns", "-20.0"],
    ]


def test_there_is_none_where_all_learnt_from_as_many():
    assert "How many images?" not in report_of_four_runs()
