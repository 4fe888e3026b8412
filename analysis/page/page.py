"""A page for people: written once, as Markdown and as one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

from analysis.files import write_whole

_STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --text: #1b1f24; --link: #1f5fa8; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #14171b; --text: #e8eaed; --link: #7db4f5; }
}
html { scroll-padding-top: 3.5rem; background: var(--page); color: var(--text); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
a { color: var(--link); }
/* On a narrow screen the contents are one line, which is moved sideways and stays in view. */
nav { position: sticky; top: 0; background: var(--page); z-index: 1; }
nav { border-bottom: 1px solid #8886; }
nav ul { display: flex; gap: 1.2rem; overflow-x: auto; margin: 0; padding: .6rem 0; }
nav li { list-style: none; white-space: nowrap; }
nav li.part { font-weight: 600; }
@media (min-width: 90rem) {
  html { scroll-padding-top: 1rem; }
  nav { position: fixed; left: 1rem; top: 2rem; bottom: 2rem; border: 0; }
  nav { width: calc(50vw - 37rem); }
  nav ul { display: block; height: 100%; overflow: auto; padding: 0; }
  nav li { white-space: normal; margin: .2rem 0 .2rem 1rem; }
  nav li.part { margin-left: 0; }
}
.wide { overflow-x: auto; margin: 1rem 0; }
figure .wide { margin: 0; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #8886; text-align: left; }
td[style], td code { white-space: nowrap; }  /* numbers with their intervals, addresses, commands */
code { background: #8882; padding: 0 .2em; border-radius: .2em; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: .8rem; }
figure { margin: 0; max-width: 16rem; }
figure img { min-height: 68px; max-width: 100%; image-rendering: pixelated; background: #fff; }
figcaption { font-size: .85em; overflow-wrap: anywhere; }
figure.chart { max-width: 100%; margin: 1.5rem 0; }
figure.chart img { min-height: 0; min-width: min(34rem, 150vw); image-rendering: auto; }
/* Light lines on a dark ground, each in about its own colour. */
@media screen and (prefers-color-scheme: dark) {
  figure.chart img { filter: invert(.9) hue-rotate(180deg); }
}
@media print {
  nav { display: none; }
  body { max-width: none; margin: 0; font-size: 11px; }
  table, figure { break-inside: avoid; }
  h2, h3, h4 { break-after: avoid; }
  /* Paper is not moved sideways. */
  .wide { overflow: visible; }
  td[style], td code { white-space: normal; }
}
"""

# What a heading is made of that can be read; the rest is its form.
_WORDS = ("text", "code_inline")
# The headings that the contents list.
_ORDERS = {"h2": "part", "h3": "chapter"}

# Charts stand beside the page, as PNG with their numbers, for Markdown and for whoever wants one.
_CHARTS = "figures"


@dataclass(frozen=True)
class Picture:
    """An image file's bytes, its media type, and what stands below it."""

    content: bytes
    media_type: str
    caption: str


class Drawn(NamedTuple):
    """A figure as SVG, for inside the page, and as PNG, for beside it."""

    svg: bytes
    png: bytes


@dataclass(frozen=True)
class Chart:
    """A figure that is drawn when its page is written, not before: that takes a while.

    name: of its files, unique in the page. draw: may be called more than once. alt: what it shows,
        in words, for who cannot see it. caption: Markdown. data: what is drawn, as CSV.
    """

    name: str
    draw: Callable[[], Drawn]
    alt: str
    caption: str
    data: str


@dataclass
class Page:
    """Parts in their order: Markdown texts, charts, and galleries of pictures."""

    title: str
    _parts: list[str | Chart | list[Picture]] = field(default_factory=list)

    def text(self, markdown: str) -> None:
        """A paragraph, heading or list in Markdown; names and labels of a user go through `code`.

        HTML in it is shown, not obeyed.
        """
        self._parts.append(markdown)

    def table(
        self, heads: list[str], rows: list[list[str]], texts: int = 1, *, plain: str = ""
    ) -> None:
        """A table; its first columns, so many, are texts, the others are numbers.

        plain: what it says, in a sentence for a reader without statistics.
        """
        rule = ["---"] * texts + ["---:"] * (len(heads) - texts)
        lines = [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]
        self._parts.append("\n".join(lines))
        if plain:
            self.text(f"In plain words: {plain[0].lower()}{plain[1:]}")

    def pictures(self, gallery: list[Picture]) -> None:
        """Images side by side; in Markdown, which holds none, their captions."""
        self._parts.append(gallery)

    def chart(self, chart: Chart) -> None:
        """A figure; in Markdown a link to its PNG. Raises ValueError where two have one name."""
        if any(isinstance(part, Chart) and part.name == chart.name for part in self._parts):
            raise ValueError(f"two charts are called {chart.name}")
        self._parts.append(chart)

    def headline(self) -> str:
        """The first text, as plain words."""
        return next((part for part in self._parts if isinstance(part, str)), "").replace("**", "")

    def markdown(self) -> str:
        """The page without its pictures; its charts are links to their files."""
        parts = [_in_markdown(part) for part in (f"# {plain(self.title)}", *self._parts)]
        return "\n\n".join(part for part in parts if part) + "\n"

    def html(self) -> str:
        """The page with its charts and pictures inside."""
        renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
        title = renderer.render(f"# {plain(self.title)}")
        contents = _Contents()
        renderer.core.ruler.push("contents", contents.add)
        body = "\n".join(_in_html(part, renderer) for part in self._parts)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head>\n"
            f"<body>\n<header>{title}</header>{contents.html()}<main>\n{body}\n</main>\n</body></html>\n"
        )

    def write(self, folder: Path, name: str) -> list[Path]:
        """Write NAME.md, NAME.html and the charts, each whole or not at all; returns the files.

        The charts come first: no page links to one that is not there.
        """
        charts = [part for part in self._parts if isinstance(part, Chart)]
        (folder / _CHARTS if charts else folder).mkdir(parents=True, exist_ok=True)
        beside: dict[Path, bytes | str] = {}
        for chart in charts:
            beside[folder / _CHARTS / f"{chart.name}.png"] = chart.draw().png
            beside[folder / _CHARTS / f"{chart.name}.csv"] = chart.data
        for file, content in beside.items():
            write_whole(file, content)
        pages = [folder / f"{name}.md", folder / f"{name}.html"]
        for file, text in zip(pages, (self.markdown(), self.html()), strict=True):
            write_whole(file, text)
        return [*pages, *beside]


class _Contents:
    """Gives every heading of the second and third order an address, and lists them."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, str, str]] = []  # tag, address, the heading in words

    def add(self, state: StateCore) -> None:
        """A rule of the renderer: see what has been parsed."""
        for opened, inline in pairwise(state.tokens):
            if opened.type == "heading_open" and opened.tag in _ORDERS:
                words = "".join(
                    child.content for child in inline.children or [] if child.type in _WORDS
                )
                address = f"part-{len(self._entries) + 1}"
                opened.attrSet("id", address)
                self._entries.append((opened.tag, address, words))

    def html(self) -> str:
        """The list of contents; empty where there are fewer than two headings."""
        if len(self._entries) < 2:
            return ""
        lines = [
            f'<li class="{_ORDERS[tag]}"><a href="#{address}">{html.escape(words)}</a></li>'
            for tag, address, words in self._entries
        ]
        return f'<nav aria-label="Contents"><ul>\n{chr(10).join(lines)}\n</ul></nav>\n'


def plain(text: str) -> str:
    """A name of a user's as Markdown that shows it as it is, in the midst of a heading."""
    return re.sub(r"([\\`*\[\]<&|])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """A text of a user's as Markdown that shows it as it is, in a table as well."""
    shown = text.replace("\n", " ").replace("|", "\\|")
    fence = "`"
    while fence in shown:
        fence += "`"
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _in_markdown(part: str | Chart | list[Picture]) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Chart):
        # In the text of a link a bracket would end it.
        alt = part.alt.replace("[", "(").replace("]", ")")
        data = f"[its numbers]({_CHARTS}/{part.name}.csv)"
        return f"![{alt}]({_CHARTS}/{part.name}.png)\n\n{part.caption} ({data})"
    return "\n".join(f"- {code(picture.caption)}" for picture in part)


def _in_html(part: str | Chart | list[Picture], renderer: MarkdownIt) -> str:
    if isinstance(part, str):
        body = str(renderer.render(part))
        body = body.replace("<table>", f"{_wide('Table')}<table>")
        return body.replace("</table>", "</table></div>")
    if isinstance(part, Chart):
        image = _image(part.draw().svg, "image/svg+xml", part.alt)
        file = html.escape(f"{_CHARTS}/{part.name}")
        links = f'<a href="{file}.png" download>PNG</a>, <a href="{file}.csv" download>CSV</a>'
        caption = f"{renderer.renderInline(part.caption)} {links}"
        return (
            f'<figure class="chart" id="{html.escape(part.name)}">{_wide("Figure")}{image}</div>'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    figures = [
        f"<figure>{_image(picture.content, picture.media_type, picture.caption)}"
        f"<figcaption>{html.escape(picture.caption)}</figcaption></figure>"
        for picture in part
    ]
    return f'<div class="pictures">\n{chr(10).join(figures)}\n</div>'


def _wide(what: str) -> str:
    """The beginning of what may be wider than the screen: the keyboard, too, moves it sideways."""
    return f'<div class="wide" tabindex="0" role="group" aria-label="{what}">'


def _image(content: bytes, media_type: str, alt: str) -> str:
    """An image inside the page: as an image, an SVG can neither run nor load anything."""
    source = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    return f'<img src="{source}" alt="{html.escape(alt, quote=True)}">'
