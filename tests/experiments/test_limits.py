"""Limits on what is read: their values, and how a user changes them."""

import pytest

from experiments.errors import UserError
from experiments.limits import PIXELS, TEXT, Limit, refuse_long

FEW = Limit("HEAD_TO_HEAD_TEST", 3000, "sheep")


def test_the_default_holds_until_the_variable_is_set(monkeypatch):
    assert FEW.exceeded(3000) == ""
    message = FEW.exceeded(3001)
    assert "3,001 sheep" in message
    assert "3,000" in message
    assert FEW.variable in message
    monkeypatch.setenv(FEW.variable, "4000")
    assert FEW.exceeded(4000) == ""
    assert FEW.exceeded(4001)
    monkeypatch.setenv(FEW.variable, "")
    assert FEW.value() == 3000


@pytest.mark.parametrize("text", ["x", "-1", "1e9", "²", "1" * 30, " 5"])
def test_a_limit_that_is_no_number_is_refused_by_name(monkeypatch, text):
    monkeypatch.setenv(FEW.variable, text)
    with pytest.raises(UserError, match=f"{FEW.variable}=.*number of sheep"):
        FEW.value()


def test_a_long_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    file = tmp_path / "list.csv"
    with file.open("wb") as handle:
        handle.truncate(TEXT.default + 1)
    with pytest.raises(UserError, match=f"list.csv: .*{TEXT.variable}"):
        refuse_long(file)
    monkeypatch.setenv(TEXT.variable, str(TEXT.default + 1))
    refuse_long(file)


def test_a_photo_of_a_telephone_is_below_the_limit():
    assert PIXELS.exceeded(4000 * 3000) == ""
