"""What a preset may name as its primary comparison."""

import pytest
from pydantic import ValidationError

from experiments.errors import UserError
from experiments.settings.presets import Preset, load_preset

ARMS = {"first": {"loss": "ctc"}, "second": {"loss": "ce_stop"}}


@pytest.mark.parametrize(
    ("primary", "words"),
    [
        ({"looks": [5, 2]}, "rising"),
        ({"looks": [2, 2]}, "rising"),
        ({"looks": [1, 2]}, "one seed says nothing about others"),
        ({"looks": [3, 5]}, "the preset's seeds, is none of them"),
        ({"looks": list(range(2, 20))}, "at most 10"),
        ({"margin": 0}, "greater than 0"),
        ({"first": {"seed": 3}}, "seed is no key of it"),
        ({"margins": 0.1}, "Extra inputs"),
    ],
)
def test_what_it_cannot_be(primary, words):
    with pytest.raises(ValidationError, match=words):
        Preset.model_validate({"seeds": 2, "primary": ARMS | primary})


def test_a_mistyped_key_is_one_line_with_the_file_and_the_nearest(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[primary]\nfirst = {}\nsecond = {}\nlook = [2]\n")
    with pytest.raises(
        UserError, match=r"mine.toml: .*'primary.look'; did you mean 'primary.looks'"
    ):
        load_preset(str(file))
