"""A page says the same as Markdown and as HTML, and shows what users wrote as it is."""

import base64
import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analysis.page.page import Chart, Drawn, Page, Picture, code, plain
from tests.contrast import contrast, palettes


def made():
    page = Page("A <title>")
    page.text("**Nothing** leaks.")
    page.table(["part", "images"], [["train", "5"], [code("a|b"), "6"]])
    page.pictures([Picture(b"png", "image/png", 'say "8" & <7>')])
    return page


def test_the_page_as_markdown():
    assert made().markdown() == (
        "# A \\<title>\n\n**Nothing** leaks.\n\n"
        "| part | images |\n| --- | ---: |\n| train | 5 |\n| `a\\|b` | 6 |\n\n"
        '- `say "8" & <7>`\n'
    )


@given(st.text(min_size=1, alphabet=st.characters(codec="ascii", categories=["L", "N", "P", "S"])))
def test_a_name_in_a_heading_is_shown_as_it_is(name):
    renderer = MarkdownIt("commonmark", {"html": True})
    shown = renderer.render(f"## a {plain(name)} z")
    # Underscores within words, entities of HTML: whatever it is, it is a text.
    assert html.unescape(re.sub("</?(h2|em|strong)>", "", shown)).replace("_", "").strip() == (
        f"a {name} z".replace("_", "")
    )
    assert not re.findall("<(?!/?(h2|em|strong)>)", shown)


def test_the_page_as_html():
    text = made().html()
    assert "<title>A &lt;title&gt;</title>" in text
    assert "<strong>Nothing</strong> leaks." in text
    assert re.search(r"<td><code>a\|b</code></td>", text)
    assert f"data:image/png;base64,{base64.b64encode(b'png').decode()}" in text
    assert 'alt="say &quot;8&quot; &amp; &lt;7&gt;"' in text
    assert 'src="http' not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_words_stand_out_from_the_page(scheme):
    colours = palettes(made().html())[scheme]
    for what in ("text", "link"):
        assert contrast(colours[what], colours["page"]) >= 4.5


def test_what_is_wider_than_a_screen_can_be_moved_by_the_keyboard():
    page = made()
    drawn = Drawn(b"<svg/>", b"png")
    page.chart(Chart("chart", lambda: drawn, "a chart", "what it shows", "a\n1\n"))
    moved = re.findall(r'<div class="wide"([^>]*)>\s*<(\w+)', page.html())
    assert [inside for _, inside in moved] == ["table", "img"]
    for attributes, _ in moved:
        assert 'tabindex="0"' in attributes
        assert re.search('role="group" aria-label="[^"]+"', attributes)
    assert page.html().count("<table>") == 1


def test_all_that_it_says_is_in_a_landmark():
    body = re.search("<body>(.*)</body>", made().html(), re.DOTALL)[1]
    assert not re.sub(r"<(header|nav|main)\b.*?</\1>", "", body, flags=re.DOTALL).strip()


def test_the_contents_lead_to_every_heading_and_show_names_as_they_are():
    page = Page("title")
    for text in ("## One `code` & two", "### a\\*b", "words\n\n### One more", "#### small"):
        page.text(text)
    text = page.html()
    links = re.findall(r'<li class="(?:part|chapter)"><a href="#([^"]+)">(.*?)</a></li>', text)
    assert [html.unescape(words) for _, words in links] == ["One code & two", "a*b", "One more"]
    for address, _ in links:
        assert len(re.findall(f'<h[23] id="{address}">', text)) == 1
    assert text.index("<h1>") < text.index("<nav") < text.index("<main>")


def test_a_page_without_parts_has_no_contents():
    assert "<nav" not in made().html()


def test_the_headline_is_the_first_text():
    assert made().headline() == "Nothing leaks."
    assert Page("empty").headline() == ""


def test_files_are_written_whole(tmp_path):
    files = made().write(tmp_path / "new", "page")
    assert [file.name for file in files] == ["page.md", "page.html"]
    assert files[0].read_text() == made().markdown()
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["page.html", "page.md"]


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20))
def test_code_shows_any_text_as_it_is(text):
    shown = MarkdownIt().enable("table").render(f"| a |\n| --- |\n| {code(text)} |")
    (cell,) = re.findall(r"<td><code>(.*?)</code></td>", shown)
    assert html.unescape(cell) == text
