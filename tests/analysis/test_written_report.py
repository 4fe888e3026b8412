"""The report's files: one page that needs nothing else, its figures, its tables; in a browser."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from urllib.parse import urlsplit

import pandas as pd
import pytest

from analysis.page.arm_names import LINES, PLAIN, looks, short_names
from analysis.report import build, comparisons, csv_files, read_chapters
from tests.analysis.test_report import MANY, four_runs, results, two_runs

FIGURES = ["differences", "people", "slices", "characters", "trust", "cost", "learning"]


def history(run_ids, _):
    rows = [(r, step, step / 5) for r in run_ids for step in range(5)]
    return pd.DataFrame(rows, columns=["run_id", "step", "value"])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report of the four runs with all of its figures and one picture an image."""
    folder = tmp_path_factory.mktemp("report")
    built = replace(results(four_runs()), history=history)
    built.runs["metrics.cost.parameters"] = 600_000.0
    built.runs["metrics.cost.latency_ms"] = 1.5
    pixel = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    build(built, read_chapters(built, lambda *_: pixel)).write(folder, "report")
    return folder


def test_every_figure_is_in_the_page_and_beside_it_with_words_for_it(written):
    page, text = (written / "report.html").read_text(), (written / "report.md").read_text()
    images = re.findall(r'<img src="([^"]{30})[^"]*" alt="([^"]*)">', page)
    assert page.count("<img") == len(images)
    assert all(alt.strip() and source.startswith("data:image/") for source, alt in images)
    assert sum(source.startswith("data:image/svg+xml") for source, _ in images) == len(FIGURES)
    for kind in ("png", "csv"):
        assert sorted(p.stem for p in (written / "figures").glob(f"*.{kind}")) == sorted(FIGURES)
    assert re.findall(r"\]\(figures/(\w+)\.png\)", text) == re.findall(
        r'<figure class="chart" id="(\w+)">', page
    )


def test_the_numbers_of_a_figure_are_those_of_the_page(written):
    page, text = (written / "report.html").read_text(), (written / "report.md").read_text()
    for name in FIGURES:
        for kind in ("png", "csv"):
            assert f'<a href="figures/{name}.{kind}" download>' in page
        assert f"(figures/{name}.csv)" in text
        assert len(pd.read_csv(written / "figures" / f"{name}.csv")) > 0
    (drawn,) = pd.read_csv(written / "figures" / "differences.csv").to_dict("records")
    (pair,) = comparisons(read_chapters(results(four_runs()))).to_dict("records")
    for end, of_pair in (("estimate", "difference"), ("low", "low"), ("high", "high")):
        assert drawn[end] == pytest.approx(pair[of_pair])
    curves = pd.read_csv(written / "figures" / "learning.csv")
    assert sorted(set(curves["exact_match"])) == [step / 5 for step in range(5)]
    # At its last epoch an arm has the mean of its runs' seconds: 80 and 90, 100 and 110.
    ends = curves.loc[curves.groupby("arm")["epoch"].idxmax()].set_index("arm")["minutes"]
    assert ends.to_dict() == {
        "ce_stop slots small_cnn none": pytest.approx(85 / 60),
        "ctc columns small_cnn none": pytest.approx(105 / 60),
    }


def test_nothing_is_loaded_from_elsewhere(written):
    page = (written / "report.html").read_text()
    # A link to what stands beside it, or within the page, loads nothing.
    assert not re.search(r"src=\"(?!data:)", page)
    assert not re.search(r"href=\"(?!#|figures/)", page)
    assert "<script" not in page
    for svg in re.findall(r"data:image/svg\+xml;base64,([^\"]*)", page):
        drawn = base64.b64decode(svg).decode()
        assert not re.search(r"(href|src)=\"(?!#)", drawn)


@pytest.mark.slow
def test_without_a_data_set_the_page_says_so_and_lists_the_images():
    built = results(four_runs())
    text = build(built, read_chapters(built)).markdown()
    assert "no data set was given (`make report DATA=folder`)" in text
    other = build(built, read_chapters(built, lambda *_: None)).markdown()
    assert "the data set that was given is another one, or lacks them" in other
    assert "`dev t1:" not in text  # every run reads it right
    assert "`dev t2: label 7, read 1; 2 of 4 wrong`" in text


def test_a_name_from_elsewhere_is_neither_markup_nor_a_formula():
    found = results(two_runs(["12"] * 60, ["-"] * 60, images=MANY))
    found.runs["tags.dataset"] = "=1+1<b>cells</b>"
    chapters = read_chapters(found)
    page = build(found, chapters)
    assert "\n## =1+1\\<b>cells\\</b>, published split\n" in page.markdown()
    assert "<b>" not in page.html()
    for name, text in csv_files(found, chapters).items():
        named = re.search(r"(^|,)'=1\+1<b>cells</b>,", text, re.MULTILINE)
        assert bool(named) == (name != "right.csv")  # which has the digest alone
        assert not re.search("(^|,)=", text, re.MULTILINE)


def test_comparisons_name_the_runs_of_either_side():
    (row,) = comparisons(read_chapters(results(four_runs()))).to_dict("records")
    ids = {run["run_id"] for run, _ in four_runs()}
    assert {*row["first_runs"].split(), *row["second_runs"].split()} == ids
    assert row["headline"]
    assert row["difference"] == pytest.approx(-0.2)


@pytest.mark.slow
def test_arms_that_lack_a_seed_are_named():
    three = results(four_runs()[:3])
    text = build(three, read_chapters(three)).markdown()
    assert "**Not all arms have the same runs**" in text
    assert "`ctc columns` lacks seed 1" in text
    whole = results(four_runs())
    assert "Not all arms" not in build(whole, read_chapters(whole)).markdown()


def test_an_arm_looks_the_same_whatever_else_is_drawn():
    labels = [f"arm {i}" for i in range(LINES + 3)]
    found = looks(labels)
    assert len({look.colour for look in found.values()} - {PLAIN.colour}) == LINES
    assert looks(labels[:2]) == {label: found[label] for label in labels[:2]}
    built = results(two_runs(["12"] * 60, ["13"] * 60, images=MANY))
    (chapter,) = read_chapters(built)
    assert set(chapter.looks) == set(chapter.names)


def test_short_names_leave_out_what_all_share_and_what_is_usual():
    labels = [
        "ctc columns cnn none a=1",
        "ctc columns cnn none a=2",
        "ctc columns cnn none a=1 b=3",
    ]
    labels += ["ce_stop slots cnn none start=digits columns > digits slots"]
    names, told = short_names(labels)
    assert len(set(names.values())) == 4
    assert names[labels[1]] == "ctc columns a=2"
    assert names[labels[3]] == "ce_stop slots start=digits columns > digits slots"
    assert "all arms are `cnn none`" in told


# --- in a browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


def browse(file, tmp_path, width, *options):
    log = tmp_path / "net.json"
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}",
            f"--window-size={width},900", *options, f"file://{file}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done, json.loads(log.read_text())


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium to open the page with")
@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_it_without_an_error_a_request_or_a_scroll_bar(written, tmp_path, width):
    # A copy that tells its width: the page itself has no script.
    told = tmp_path / "told.html"
    measure = "<script>document.title = document.documentElement.scrollWidth</script></body>"
    told.write_text((written / "report.html").read_text().replace("</body>", measure))
    done, network = browse(told, tmp_path, width, "--dump-dom")
    assert "CONSOLE" not in done.stderr
    assert int(re.search("<title>(.*?)</title>", done.stdout)[1]) <= width
    asked = {urlsplit(str(e.get("params", {}).get("url", ""))) for e in network["events"]}
    # The browser asks its maker for updates, whatever page it shows.
    own = ("google.com", "googleapis.com", "gvt1.com")
    assert not [url for url in asked if url.netloc and not url.netloc.endswith(own)]
