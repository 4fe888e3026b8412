"""Ways to damage a data set, each under a kind of experiments/data/DAMAGE.md."""

from tests.experiments.data.damage import files, lists, names, parts

__all__ = ["files", "lists", "names", "parts"]
