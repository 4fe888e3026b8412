"""Readings that fit what the user says about them."""

import math

import pytest
import torch

from experiments.deploy.reading.formats import in_format, parse_format
from experiments.errors import UserError
from losses import OBJECTIVES
from losses.number_format import AllowedValues, NumberFormat
from models import Scores
from tests.command_line import one_line

CHARSET = "0123456789.-"


def test_what_a_format_says(tmp_path):
    values = tmp_path / "values.txt"
    values.write_text("﻿0.5\n\n 1.5 \r\n2\n", encoding="utf-8")
    for text, expected in {
        "number": NumberFormat(),
        "decimals=1": NumberFormat(decimals=(1, 1)),
        "decimals = 0-2 , sign=never": NumberFormat(decimals=(0, 2), sign="never"),
        "min=-5,max=12.5": NumberFormat(low=-5, high=12.5),
        f"values={values}": AllowedValues(frozenset({"0.5", "1.5", "2"})),
    }.items():
        assert parse_format(text, CHARSET) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    {
        "": "decimals=1",
        "numbers": "decimals=1",
        "decimal=1": "decimal",
        "decimals=2-1": "decimals go up",
        "decimals=1,decimals=2": "decimals=1",
        "decimals=x": "'x'",
        "decimals=0-99999999999": "decimals go up",
        "sign=no": "never, optional, always",
        "min=nan": "nan is no bound",
        "min=2,max=1": "nothing lies between",
        "values=,min=1": "values=FILE",
        "values=nowhere.txt": "nowhere.txt",
    }.items(),
)
def test_what_is_no_format_is_said_with_what_is(text, names):
    with pytest.raises(UserError, match="--format") as raised:
        parse_format(text, CHARSET)
    assert names in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_format_that_the_reader_cannot_write_is_refused(tmp_path):
    (tmp_path / "values.txt").write_text("12\n3 €\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    (tmp_path / "long.txt").write_text("1" * 101, encoding="utf-8")
    for text, charset, lacking in (
        (f"values={tmp_path / 'values.txt'}", CHARSET, "' '"),
        (f"values={tmp_path / 'empty.txt'}", CHARSET, "no value"),
        (f"values={tmp_path / 'long.txt'}", CHARSET, "more than 100"),
        ("sign=always", "0123456789", "'-'"),
        ("decimals=2", "0123456789-", "'.'"),
    ):
        with pytest.raises(UserError, match=lacking):
            parse_format(text, charset)
    assert parse_format("decimals=2", "0123456789,")


def of_text(objective, text, doubt):
    """Scores of CTC that read `text`, and `doubt` in place of its last character nearly as well."""
    steps = torch.zeros(1, 2 * len(text), objective.num_classes)
    for i, character in enumerate(text):
        steps[0, 2 * i, objective.charset.index(character)] = 9.0
        steps[0, 2 * i + 1, objective.blank] = 9.0
    steps[0, -2, objective.charset.index(doubt)] = 8.0
    return Scores(steps)


def test_what_fits_stays_and_what_does_not_becomes_the_most_probable_that_does():
    ctc = OBJECTIVES["ctc"](charset=CHARSET, max_length=8)
    scores = of_text(ctc, "12.5", doubt="4")
    (free,) = ctc.decode(scores)
    assert free.text == "12.5"
    assert in_format(ctc, scores, parse_format("decimals=1", CHARSET)) == [free]
    (low,) = in_format(ctc, scores, parse_format("max=12.4", CHARSET))
    assert (low.text, low.characters) == ("12.4", ())
    # The probability among all texts, not among those that fit.
    assert math.log(low.confidence) == pytest.approx(ctc.log_probability(scores, ["12.4"]).item())
    assert low.confidence < free.confidence


def test_a_best_path_that_is_not_the_best_text_is_no_answer():
    ctc = OBJECTIVES["ctc"](charset=CHARSET, max_length=8)
    steps = torch.full((1, 3, ctc.num_classes), -50.0)
    steps[0, 0, 1] = 0
    steps[0, 1:, ctc.blank] = math.log(0.6)
    steps[0, 1:, 2] = math.log(0.4)
    assert ctc.decode(Scores(steps))[0].text == "1"
    (found,) = in_format(ctc, Scores(steps), NumberFormat())
    assert found.text == "12"
    assert found.confidence == pytest.approx(1 - 0.6 * 0.6)


def test_where_nothing_fits_the_reading_is_empty():
    ctc = OBJECTIVES["ctc"](charset=CHARSET, max_length=8)
    scores = of_text(ctc, "12", doubt="4")  # four columns
    (found,) = in_format(ctc, scores, AllowedValues(frozenset({"123456"})))
    assert found == ("", 0.0, ())


def test_from_the_command_line(cli, store, tmp_path):
    (tmp_path / "values.txt").write_text("17\n3.5\n")
    command = ("predict", store.images, "--run", store.runs["columns"], "--out", store.out)
    code, table, _ = cli(*command, "--format", f"values={tmp_path / 'values.txt'}")
    assert code == 0
    assert {line.split()[1] for line in table.splitlines()[1:]} <= {"17", "3.5"}
    one_line(cli(*command, "--format", "x=1"), "--format", "x", "decimals=1")


def test_where_nothing_fits_an_empty_reading_is_unsure_as_well():
    ctc = OBJECTIVES["ctc"](charset=CHARSET, max_length=8)
    steps = torch.zeros(1, 4, ctc.num_classes)
    steps[:, :, ctc.blank] = 9.0
    (free,) = ctc.decode(Scores(steps))
    assert (free.text, free.confidence > 0.9) == ("", True)
    (found,) = in_format(ctc, Scores(steps), AllowedValues(frozenset({"123456"})))
    assert found == ("", 0.0, ())
