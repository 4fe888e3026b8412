"""A study: which settings a search tries next, and what became of those it tried. By Optuna.

The only place that knows Optuna. Its journal is a file below `out`; every operation is a line that
is forced to disk, under a lock that the system frees when its holder dies. Several processes may
share a study.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from experiments.search.journal import JournalLock, mend
from experiments.seeding import derive
from experiments.settings.search_space import Parameters, Sampler
from experiments.training.selection import Score, best
from losses import Range

# Trials that a sampler draws at random, and that are never pruned, before it learns from them.
STARTUP = 6
_LEAST_FOR_IMPORTANCE = 5

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Tried:
    """A trial: what was drawn, and what became of it.

    state: running, complete, pruned, or failed. value: exact match on validation of the epoch that
        is kept; of a complete one. reported: at the ends of cycles, by number of epochs.
    owner: the process that makes it. about: what else its maker noted; of a complete one its
        `loss` on validation.
    """

    number: int
    state: str
    drawn: dict[str, Any]
    value: float | None = None
    reported: dict[int, float] = field(default_factory=dict)
    owner: str = ""
    about: dict[str, Any] = field(default_factory=dict)


class Replay(NamedTuple):
    """What the pruner would have done to curves that are there whole.

    of: curves. pruned: of these. saved: the share of all epochs that would not have been trained.
    best: the best final score, best_kept: the best that would have been left; both in 0..1.
    """

    of: int
    pruned: int
    saved: float
    best: float
    best_kept: float


class Study:
    """One arm under one sampler. All methods but `ask` may be called at any time by any process."""

    def __init__(
        self, journal: Path, name: str, sampler: Sampler, seed: int, parameters: Parameters
    ) -> None:
        """Open it, or begin it. seed: decides, with a trial's number, what is drawn."""
        journal.parent.mkdir(parents=True, exist_ok=True)
        backend = JournalFileBackend(str(journal), lock_obj=JournalLock(journal))  # type: ignore[arg-type]
        mend(journal)
        self.name, self.sampler, self._seed = name, sampler, seed
        self._storage = JournalStorage(backend)
        self._distributions = {key: _distribution(values) for key, values in parameters.items()}
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=name,
            direction="maximize",
            # Random search trains all of its trials to the end: by their curves pruning is judged.
            pruner=NopPruner() if sampler == "random" else _pruner(),
            load_if_exists=True,
        )
        self._id = self._storage.get_study_id_from_name(name)

    def ask(self, owner: str, first: dict[str, Any] | None = None) -> Tried:
        """Begin a trial. The caller holds a lock, so that owner and trial appear together.

        first: what the first trial tries.
        """
        number = len(self._study.get_trials(deepcopy=False))
        if first is not None and number == 0:
            self._study.enqueue_trial(first)
        self._study.sampler = _sampler(
            self.sampler, derive(self._seed, self.sampler, number) % 2**32
        )
        with _quiet():
            trial = self._study.ask(self._distributions)
        trial.set_user_attr("owner", owner)
        return _tried(self._storage.get_trial(self._trial_id(trial.number)))

    def adopt(self, number: int, owner: str) -> None:
        """Take over a running trial, whose owner is dead."""
        self._storage.set_trial_user_attr(self._trial_id(number), "owner", owner)

    def tried(self) -> list[Tried]:
        """All trials so far, by number."""
        return [
            _tried(trial)
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state != TrialState.WAITING
        ]

    def report(self, number: int, epochs: int, value: float) -> bool:
        """Note a score at the end of a cycle; whether the trial is to be pruned there."""
        trial_id = self._trial_id(number)
        if epochs not in self._storage.get_trial(trial_id).intermediate_values:
            self._storage.set_trial_intermediate_value(trial_id, epochs, value)
        return self._study.pruner.prune(self._study, self._storage.get_trial(trial_id))

    def end(
        self, number: int, state: Literal["complete", "pruned", "failed"], about: dict[str, Any]
    ) -> None:
        """Settle a running trial, once.

        about: notes; a complete one has its `value` and its `loss` in them.
        """
        trial_id = self._trial_id(number)
        for key, note in about.items():
            self._storage.set_trial_user_attr(trial_id, key, note)
        value = about["value"] if state == "complete" else None
        self._study.tell(number, value, _STATES[state], skip_if_finished=True)

    def best(self) -> Tried | None:
        """The complete trial that is best on validation; None without any."""
        complete = [trial for trial in self.tried() if trial.value is not None]
        scores = [Score(t.value or 0.0, t.about.get("loss", math.inf)) for t in complete]
        return None if (place := best(scores)) is None else complete[place]

    def importance(self) -> dict[str, float]:
        """How much of the scores' variance each parameter explains (fANOVA, Hutter et al. 2014).

        Empty where too few trials are complete for that, or all scored the same.
        """
        if not self._can_tell_importance():
            return {}
        with _quiet():
            found = optuna.importance.get_param_importances(self._study, evaluator=self._forest())
        return {key: float(share) for key, share in found.items()}

    def figures(self, folder: Path, prefix: str) -> list[Path]:
        """Optuna's own plots as PNG; those that the trials are too few for are left out."""
        from matplotlib import pyplot as plt
        from optuna.visualization import matplotlib as plots

        drawn: dict[str, Callable[..., Any]] = {
            "history": plots.plot_optimization_history,
            "slice": plots.plot_slice,
        }
        if self._can_tell_importance():
            drawn |= {
                "importance": partial(plots.plot_param_importances, evaluator=self._forest()),
                "parallel": plots.plot_parallel_coordinate,
            }
        if self.best() is None:
            return []
        files = []
        for name, plot in drawn.items():
            with _quiet():
                plot(self._study)
            file = folder / f"{prefix}-{name}.png"
            plt.gcf().set_size_inches(24 if name == "slice" else 10, 6)
            plt.savefig(file, dpi=80, bbox_inches="tight")
            plt.close("all")
            files.append(file)
        return files

    def _can_tell_importance(self) -> bool:
        scores = {trial.value for trial in self.tried() if trial.state == "complete"}
        return len(scores) >= _LEAST_FOR_IMPORTANCE

    def _forest(self) -> optuna.importance.FanovaImportanceEvaluator:
        # So many trees that another seed gives nearly the same; the usual 64 are too few for that.
        return optuna.importance.FanovaImportanceEvaluator(n_trees=256, seed=self._seed)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


def replay(curves: Sequence[dict[int, float]], finals: Sequence[float], epochs: int) -> Replay:
    """The pruner on curves that are there whole, in their order.

    curves: the scores at the ends of cycles, by number of epochs; finals: the scores kept.
    """
    study = optuna.create_study(direction="maximize", pruner=_pruner(), sampler=RandomSampler(0))
    kept: list[float] = []
    trained = 0
    for curve, final in zip(curves, finals, strict=True):
        trial = study.ask()
        for done, value in sorted(curve.items()):
            trial.report(value, done)
            if done < epochs and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                trained += done
                break
        else:
            study.tell(trial, final)
            kept.append(final)
            trained += epochs
    whole = max(1, epochs * len(curves))
    best, best_kept = max(finals, default=float("nan")), max(kept, default=float("nan"))
    return Replay(len(curves), len(curves) - len(kept), 1 - trained / whole, best, best_kept)


_STATES = {
    "running": TrialState.RUNNING,
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_NAMES = {state: name for name, state in _STATES.items()}


def _tried(trial: FrozenTrial) -> Tried:
    about = dict(trial.user_attrs)
    return Tried(
        trial.number,
        _NAMES[trial.state],
        dict(trial.params),
        trial.value if trial.state == TrialState.COMPLETE else None,
        dict(trial.intermediate_values),
        about.pop("owner", ""),
        about,
    )


def _sampler(name: Sampler, seed: int) -> BaseSampler:
    # One that is new for each trial: what it draws depends on the trials so far and on nothing
    # that a killed process took with it.
    if name == "random":
        return RandomSampler(seed)
    return TPESampler(seed=seed, n_startup_trials=STARTUP)


def _pruner() -> BasePruner:
    """Below the median at the end of a cycle; only such ends are ever reported."""
    return MedianPruner(n_startup_trials=STARTUP, n_min_trials=3)


def _distribution(values: Range | tuple[Any, ...]) -> BaseDistribution:
    if isinstance(values, Range):
        return FloatDistribution(values.low, values.high, log=values.log)
    return CategoricalDistribution(values)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's notices that a part of it is experimental, or an axis a single point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Attempting to set identical low and high xlims")
        yield
