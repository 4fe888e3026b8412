"""What tuning changed, and how much of it was luck."""

from __future__ import annotations

import pandas as pd

from analysis.findings.search import SearchResult, Study, search_results
from analysis.page import curves
from analysis.page.formats import amount, count, p_value, percent, points, signed
from analysis.page.page import Page, code
from analysis.sections.base import register
from analysis.sections.chapter import Chapter
from analysis.statistics.comparison import Comparison
from analysis.statistics.significance import Verdict

_IMPORTANT = 5


@register("search", place=80)
def write_search(page: Page, chapter: Chapter) -> None:
    """A part for each search whose best settings were trained on fresh seeds."""
    for number, tuning in enumerate(search_results(chapter.results, chapter.section)):
        page.text(f"### What tuning changed: search {code(tuning.name)}")
        _gains(page, tuning)
        _budget(page, chapter, tuning, number)
        _duels(page, tuning)
        _settings(page, tuning)
        _importance(page, tuning)
        page.text(_pruning(tuning))
        page.text(f"MLflow run {code(tuning.run_id)}: {code(tuning.command)}.")


def _gains(page: Page, tuning: SearchResult) -> None:
    epochs = " or ".join(sorted({str(study.epochs) for study in tuning.studies}))
    page.text(
        f"Every arm was tuned with the same number of trials of {epochs} epochs, on the same "
        "images, selected on validation alone. **Selected**: the score on validation by which the "
        "best trial was selected. **Fresh**: that of the same settings on seeds, and validation "
        "parts, that had no say; **luck** is the difference. **Gain**: the tuned arm minus the arm "
        "as it is, same epochs and fresh seeds, on the leak-free test images, in points with its "
        "95% interval; `p` is corrected for all comparisons of the search."
    )
    rows = []
    for study in tuning.studies:
        untuned = tuning.untuned[study.arm]
        rows.append(
            [
                *(study.arm, study.sampler, _states(study), str(study.trained)),
                *(percent(study.selected), _mean(study.fresh), signed(study.luck)),
                _mean(untuned),
                *_compared(study.gain),
            ]
        )
    page.table(
        [
            *("arm", "sampler", "trials", "epochs trained", "selected", "fresh", "luck"),
            *("fresh, as it is", "seeds", "gain", "95% interval", "p", "judgement"),
        ],
        rows,
        texts=3,
        plain=(
            "What tuning brought, on cells and repetitions that had no say in it; a large "
            "luck means that the best trial looked better than it is."
        ),
    )
    for study in tuning.studies:
        for reason, number in study.reasons.items():
            failed = count(number, "failed trial")
            page.text(f"{study.arm}, {study.sampler}: {failed}: {code(reason)}.")


def _budget(page: Page, chapter: Chapter, tuning: SearchResult, number: int) -> None:
    names = [f"{study.arm}, {study.sampler}" for study in tuning.studies]
    table = pd.DataFrame(
        [
            {"study": name, "epochs": epochs, "best": best}
            for name, study in zip(names, tuning.studies, strict=True)
            for epochs, best in study.budget
        ]
    )
    ends = "; ".join(
        f"{name} {percent(study.selected)}"
        for name, study in zip(names, tuning.studies, strict=True)
    )
    page.chart(
        chapter.chart(
            lambda: curves.budget(table),
            table,
            f"search{number or ''}-budget",
            f"Best selected exact match on validation against the epochs trained so far. At the "
            f"end: {ends}.",
            "The best score on validation so far against what it cost: the epochs of all trials "
            "of the study, pruned ones as far as they were trained. Scores by which trials were "
            "selected: they are too high by what the table calls luck.",
        )
    )


def _duels(page: Page, tuning: SearchResult) -> None:
    if not tuning.duels:
        return
    page.text("The two arms beside each other, each as it is and each tuned by the same budget:")
    page.table(
        ["both", "first", "second", "seeds", "first - second", "95% interval", "p", "judgement"],
        [[how, *pair.losses, *_compared(pair)] for how, pair in tuning.duels.items()],
        texts=3,
        plain=("Whether one loss is ahead of the other once both had the same help."),
    )


def _settings(page: Page, tuning: SearchResult) -> None:
    keys = list(dict.fromkeys(key for study in tuning.studies for key in study.settings))
    page.text(
        "Settings of the best trials. `fall` is 1 - gamma and matters in the mode exp_range only, "
        "`momentum_span` with a cycled momentum only; `range test` is the interval of rates in "
        "which the loss fell, where TPE began."
    )
    page.table(
        ["setting", *(f"{study.arm}, {study.sampler}" for study in tuning.studies)],
        [[key, *(_value(study.settings.get(key)) for study in tuning.studies)] for key in keys]
        + [
            [
                "range test",
                *(" to ".join(map(amount, study.range_test)) for study in tuning.studies),
            ]
        ],
        plain=("The settings to copy for this data."),
    )


def _importance(page: Page, tuning: SearchResult) -> None:
    known = [study for study in tuning.studies if study.importance]
    if not known:
        page.text("Too few trials are complete to say which setting mattered.")
        return
    page.text(
        "How much of the scores' variance over complete trials each setting explains (fANOVA), in "
        "percent, the bounds of the cyclic rate (`max_lr`, `base_ratio`) and the most important "
        "others. With so few trials this is rough."
    )
    mean = pd.DataFrame([study.importance for study in known]).mean()
    others = mean.drop(["max_lr", "base_ratio"], errors="ignore")
    keys = ["max_lr", "base_ratio", *others.nlargest(_IMPORTANT).index]
    page.table(
        ["setting", *(f"{study.arm}, {study.sampler}" for study in known)],
        [
            [key, *(percent(study.importance.get(key, float("nan")), 0) for study in known)]
            for key in keys
        ],
        plain=("The larger the number, the more it matters to set this one well."),
    )


def _pruning(tuning: SearchResult) -> str:
    parts = []
    for study in tuning.studies:
        trials = sum(study.states.values())
        saved = 1 - study.trained / (trials * study.epochs)
        text = f"{study.arm}, {study.sampler}: {percent(saved, 0)}% of the epochs were not trained"
        if study.replay.of:
            r = study.replay
            text += (
                f"; on its {count(r.of, 'whole curve')}, replayed, the pruner stops {r.pruned} and "
                f"saves {percent(r.saved, 0)}%, and of the best score of {percent(r.best)} "
                f"{percent(r.best_kept)} is left"
            )
        parts.append(text)
    return (
        "Pruning: a trial is stopped at the end of a cycle where it is below the median of those "
        "that were complete at the same epoch. Random search prunes nothing, so its curves show "
        f"what pruning would have thrown away. {'. '.join(parts)}."
    )


def _compared(pair: Comparison | None) -> list[str]:
    """seeds, difference, interval, p, judgement."""
    if pair is None:
        return ["", "", "", "", "not compared"]
    judged = str(pair.judgement.verdict)
    if pair.judgement.verdict is Verdict.SHOWN:
        judged += ": first" if pair.judgement.direction > 0 else ": second"
    d = pair.difference
    return [str(pair.seeds), signed(d.estimate), points(d), p_value(pair.p_adjusted), judged]


def _states(study: Study) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(study.states.items()))


def _mean(scores: list[float]) -> str:
    return percent(sum(scores) / len(scores)) if scores else ""


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
