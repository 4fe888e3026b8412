"""What was decided before the runs, and how often their test part was looked at."""

from __future__ import annotations

from datetime import UTC

from analysis.page.formats import count
from analysis.page.page import code
from analysis.sections.chapter import Chapter
from analysis.statistics.comparison import Comparison
from analysis.statistics.named import once_whole


def planned(chapter: Chapter, pair: Comparison) -> str:
    """Whether the comparison of the answer was named before its runs, and how it is tested."""
    named = chapter.named
    others = "is one of the family of all pairs, corrected together"
    if named is None:
        return (
            "**Planned?** No comparison was named before the runs, so that this one, chosen by "
            f"validation, {others}."
        )
    looks, preset = named.primary.looks, code(named.primary.preset)
    when = f"{named.primary.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if not named.in_time:
        labels = chapter.section.runs.drop_duplicates("arm").set_index("arm")["label"]
        first, second = (code(chapter.names[labels[arm]]) for arm in named.arms)
        return (
            f"**Planned?** No: the preset {preset} named {first} and {second}, but on {when}, when "
            f"a run of theirs had finished, so that this pair, too, {others}."
        )
    if {*named.arms} != {*pair.arms}:
        return (
            f"**Planned?** No: the preset {preset} named two others in time, on {when}, which have "
            f"no seed in common yet; this pair, chosen by validation, {others}."
        )
    at = " and ".join(str(n) for n in looks)
    text = (
        f"**Planned?** Yes: the preset {preset} named it on {when}, before any run of the two had "
        f"finished, to be judged at {at} {'seed' if looks == (1,) else 'seeds'}."
    )
    if pair.level is None and pair.lacking:
        text += f" As {count(pair.lacking, 'fold')} of it are not there yet, it {others}."
    elif pair.level is None:
        text += f" With {count(pair.seeds, 'seed')} it {others}."
    else:
        text += " It is tested by itself; all other pairs are a family, corrected together."
    if pair.level is not None and len(looks) > 1:
        text += (
            f" This is look {looks.index(pair.seeds) + 1} of {len(looks)}. So that all of them "
            f"together are wrong in 5% of cases at most, p has to be below "
            f"{100 * pair.level:.2g}% at this one (alpha spending)."
        )
    for again in named.changed:
        text += (
            f" On {again.astimezone(UTC):%Y-%m-%d %H:%M} UTC the preset named it otherwise, after "
            "such a run; that does not count."
        )
    return text


def looked_at(chapter: Chapter) -> str:
    """How often the test part was looked at, as far as the store knows."""
    digest = chapter.section.digest
    results = chapter.results
    tables = (results.runs, results.ensembles, once_whole(results))
    read = sum(int((t["tags.data_digest"] == digest).sum()) for t in tables if len(t))
    return (
        f"**Looked at**: {count(read, 'run')} read the test part of this data set, and "
        f"{count(results.reports, 'report was', 'reports were')} written before this one. "
        "What is chosen after such a look is not chosen blindly."
    )
