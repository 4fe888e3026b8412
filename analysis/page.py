"""A page for people: written once, as Markdown and as one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #8886; text-align: left; }
code { background: #8882; padding: 0 .2em; border-radius: .2em; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: .8rem; }
figure { margin: 0; max-width: 16rem; }
figure img { min-height: 68px; max-width: 100%; image-rendering: pixelated; background: #fff; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Picture:
    """An image file's bytes, its media type, and what stands below it."""

    content: bytes
    media_type: str
    caption: str


@dataclass
class Page:
    """Parts in their order: Markdown texts, and galleries of pictures."""

    title: str
    _parts: list[str | list[Picture]] = field(default_factory=list)

    def text(self, markdown: str) -> None:
        """A paragraph, heading or list in Markdown; names and labels of a user go through `code`.

        HTML in it is shown, not obeyed.
        """
        self._parts.append(markdown)

    def table(self, heads: list[str], rows: list[list[str]]) -> None:
        """A table; its first column reads from the left, the others are numbers."""
        rule = ["---"] + ["---:"] * (len(heads) - 1)
        lines = [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]
        self._parts.append("\n".join(lines))

    def pictures(self, gallery: list[Picture]) -> None:
        """Images side by side; in Markdown, which holds none, their captions."""
        self._parts.append(gallery)

    def headline(self) -> str:
        """The first text, as plain words."""
        return next((part for part in self._parts if isinstance(part, str)), "").replace("**", "")

    def markdown(self) -> str:
        """The page without its pictures."""
        parts = [
            part if isinstance(part, str) else "\n".join(f"- {code(p.caption)}" for p in part)
            for part in (f"# {self.title}", *self._parts)
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def html(self) -> str:
        """The page with its pictures inside."""
        renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
        body = "\n".join(
            renderer.render(part) if isinstance(part, str) else _gallery(part)
            for part in (f"# {self.title}", *self._parts)
        )
        body = body.replace("<table>", '<div class="wide"><table>')
        body = body.replace("</table>", "</table></div>")
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head>\n"
            f"<body>\n{body}\n</body></html>\n"
        )

    def write(self, folder: Path, name: str) -> list[Path]:
        """Write NAME.md and NAME.html, each whole or not at all; returns the files."""
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{name}.md", folder / f"{name}.html"]
        for file, text in zip(files, (self.markdown(), self.html()), strict=True):
            replace_file(file, text)
        return files


def code(text: str) -> str:
    """A text of a user's as Markdown that shows it as it is, in a table as well."""
    shown = text.replace("\n", " ").replace("|", "\\|")
    fence = "`"
    while fence in shown:
        fence += "`"
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def replace_file(file: Path, text: str) -> None:
    """Write a file of ours, whole or not at all."""
    making = file.with_name(f"{file.name}.making")
    making.write_text(text, encoding="utf-8", errors="replace")
    making.replace(file)


def _gallery(pictures: list[Picture]) -> str:
    figures = []
    for picture in pictures:
        source = f"data:{picture.media_type};base64,{base64.b64encode(picture.content).decode()}"
        caption = html.escape(picture.caption)
        figures.append(
            f'<figure><img src="{source}" alt="{html.escape(picture.caption, quote=True)}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return f'<div class="pictures">\n{chr(10).join(figures)}\n</div>'
