"""How many images each part has."""

from __future__ import annotations

from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import Chapter


@register("template_chapter", place=115)
def write_template(page: Page, chapter: Chapter) -> None:
    """A sentence; see the other chapters for tables, figures and pictures."""
    parts = chapter.predictions.groupby("split", observed=True)["filename"].nunique()
    page.text("### Template chapter")
    page.text(", ".join(f"{part}: {count} images" for part, count in parts.items()) + ".")
