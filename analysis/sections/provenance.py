"""Which runs the numbers come from, and which do not count."""

from __future__ import annotations

import pandas as pd

from analysis.page.formats import count, percent
from analysis.page.page import Page, code
from analysis.sections.base import register
from analysis.sections.chapter import Chapter
from analysis.tables.arms import Section
from analysis.tables.load import Results

# Beyond these the page refers to runs.csv.
_LISTED = 60


def run_page(run: pd.Series, run_id: str) -> str:
    """Where MLflow's own pages show a run, behind the address of `make ui`."""
    return f"#/experiments/{run.get('experiment_id', '')}/runs/{run_id}"


@register("provenance", place=120)
def write_provenance(page: Page, chapter: Chapter) -> None:
    """The data, the split, the machine, and a row a run."""
    runs = chapter.section.runs
    machines = ", ".join(sorted(set(runs["tags.machine"])))
    versions = ", ".join(sorted(set(runs["tags.torch"])))
    digests = _told(runs, "tags.split_digest")
    page.text("### Where the numbers come from")
    page.text(
        f"Data digest `{chapter.section.digest}`; {len(runs)} runs (runs.csv); torch {versions}; "
        f"{machines}."
    )
    page.text(
        f"Split `{chapter.section.split}`"
        + (f", digest {', '.join(map(code, digests))}" if digests else "")
        + ". Every number of an arm is a mean over its runs here, on the part that its table "
        "names. A run's page: start `make ui`, and put the path behind its address. Pairs with "
        "the runs of either side stand in comparisons.csv, all tags (the command that made a run "
        "among them), settings and metrics in runs.csv, what each read right in right.csv."
    )
    shown = runs.sort_values(["label", "config.seed", "config.fold"])
    order = {label: i for i, label in enumerate(chapter.arms["label"])}
    shown = shown.sort_values("label", key=lambda labels: labels.map(order), kind="stable")
    folds = runs["config.fold"].nunique() > 1
    rows = []
    for run_id, run in shown.head(_LISTED).iterrows():
        rows.append(
            [
                chapter.names[run["label"]],
                run["config.seed"],
                *([run["config.fold"]] if folds else []),
                percent(run.get("metrics.test_clean.exact_match", float("nan"))),
                code(run_page(run, str(run_id))),
                code(str(run.get("tags.command", ""))),
            ]
        )
    heads = ["arm", "seed", *(["fold"] if folds else []), "leak-free test", "page", "command"]
    page.table(
        heads, rows, len(heads), plain="Each row is one training; its command makes it again."
    )
    if len(shown) > _LISTED:
        page.text(f"{len(shown) - _LISTED} more runs stand in runs.csv only.")
    if chapter.left_out:
        page.table(
            ["arm", "in full"],
            [[chapter.names[a], code(a)] for a in chapter.arms["label"]],
            texts=2,
            plain="The whole names of the arms, for the short ones above.",
        )


def write_uncounted(page: Page, results: Results, sections: list[Section]) -> None:
    """Runs that are in no number above, and why."""
    counted = {run_id for section in sections for run_id in section.runs.index}
    older = results.runs[~results.runs.index.isin(counted)]
    if results.unfinished.empty and older.empty:
        return
    page.text("## Runs that do not count")
    lines = [
        f"- {row['tags.mlflow.runName']} ({row['run_id']}): {row['status']}"
        for _, row in results.unfinished.head(_LISTED).iterrows()
    ]
    lines += [
        f"- {run.get('tags.mlflow.runName', '')} ({run_id}): of an older recipe, or made again "
        "since"
        for run_id, run in older.head(_LISTED).iterrows()
    ]
    page.text("\n".join(lines))
    all_of_them = len(results.unfinished) + len(older)
    if all_of_them > len(lines):
        page.text(f"And {count(all_of_them - len(lines), 'more run', 'more runs')}.")


def _told(runs: pd.DataFrame, column: str) -> list[str]:
    return sorted(set(runs[column].dropna().astype(str))) if column in runs else []
