"""Images beside what was read, where the images are at hand."""

from __future__ import annotations

import pandas as pd

from analysis.page.formats import count
from analysis.page.page import Page, Picture, code
from analysis.sections.chapter import Chapter


def write_gallery(page: Page, chapter: Chapter, images: pd.DataFrame, note: str) -> None:
    """A picture a row, or its caption alone where there is none, and why.

    images: part, filename, and what `note`, a format, says of a row.
    """
    shown, unseen = [], []
    picture_of = chapter.picture_of
    for image in images.to_dict("records"):
        part, filename = str(image["part"]), str(image["filename"])
        caption = f"{part} {filename}: {note.format_map({str(k): v for k, v in image.items()})}"
        content = picture_of(chapter.section.digest, part, filename) if picture_of else None
        if content is None:
            unseen.append(caption)
        else:
            shown.append(Picture(content, "image/png", caption))
    if unseen:
        why = (
            "the data set that was given is another one, or lacks them"
            if picture_of
            else "no data set was given (`make report DATA=folder`)"
        )
        page.text(f"Without {count(len(unseen), 'picture')}: {why}.")
        page.text("\n".join(f"- {code(caption)}" for caption in unseen))
    if shown:
        page.pictures(shown)
