"""The terms of the report, for a reader without statistics."""

from __future__ import annotations

from analysis.page.page import Page

_TERMS = {
    "Arm": "one way of training, with a run for each seed and fold",
    "Seed": "the number that decides all that is random in a run; another one gives another run",
    "Fold": "a part of the images, read by runs that learnt from the others",
    "Exact match": "the share of images whose whole number is read right",
    "CER": "character error rate: edits from the label to the reading, a character of the label",
    "95% interval": "made in this way again and again, with other seeds and images, 95 of 100 "
    "such intervals hold the true value; a wide one says that little is known",
    "p": "how often chance alone would give a difference at least this large; below 5% it is "
    "called shown, and a large p is no proof that there is none",
    "Corrected (Holm)": "of many comparisons some look good by luck; their p-values are raised so "
    "that the chance of even one wrong claim among them stays below 5%",
    "Equivalent": "shown to differ by less than the margin",
    "Leak-free": "test images without an identical image among those that were learnt from",
    "Confidence": "how sure a run is of its reading, from 0 to 1",
}


def write_glossary(page: Page) -> None:
    """A line a term."""
    page.text("### Terms")
    page.text("\n".join(f"- **{term}**: {meaning}." for term, meaning in _TERMS.items()))
