"""One table a kind: names are taken once, and a new file is found without being named."""

import sys

import pytest

from losses.plugins import Plugins


def test_what_is_registered_is_known_by_its_name_and_stays_what_it_is():
    letters = Plugins[type]("letters")

    @letters.register("a")
    class First:
        pass

    assert letters == {"a": First}
    assert isinstance(First(), First)


def test_a_name_is_taken_once():
    numbers = Plugins[int]("numbers")
    numbers.register("one")(1)
    with pytest.raises(ValueError, match="two numbers are called 'one'"):
        numbers.register("one")(2)
    assert numbers == {"one": 1}


def test_what_does_not_pass_the_check_is_not_known():
    def even(name, number):
        if number % 2:
            raise ValueError(f"{name} is odd")

    numbers = Plugins[int]("numbers", check=even)
    with pytest.raises(ValueError, match="three is odd"):
        numbers.register("three")(3)
    numbers.register("four")(4)
    assert numbers == {"four": 4}


def test_every_file_of_a_folder_is_found_in_the_order_of_their_names(tmp_path, monkeypatch):
    folder = tmp_path / "some_birds"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from losses.plugins import Plugins\nBIRDS = Plugins('birds')\n"
    )
    for name in ("wren", "crow"):
        (folder / f"{name}.py").write_text(
            f"from some_birds import BIRDS\nBIRDS.register('{name}')('{name}'.upper())\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    try:
        import some_birds

        some_birds.BIRDS.fill_from("some_birds")
        assert list(some_birds.BIRDS.items()) == [("crow", "CROW"), ("wren", "WREN")]
        # Once more changes nothing: a module is imported once.
        some_birds.BIRDS.fill_from("some_birds")
        assert len(some_birds.BIRDS) == 2
    finally:
        for name in set(sys.modules) - before:
            del sys.modules[name]
