"""A study: which settings a search tries next, and what became of those it tried. By Optuna.

Several processes may share a study, and where it is in a database several machines; see Storage.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, TrialState, create_trial

from experiments.search import samplers
from experiments.search.storages.storage import Storage
from experiments.seeding import derive
from experiments.settings.search_space import Parameters, Sampler
from experiments.training.selection import Score, best

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


class Study:
    """One arm under one sampler.

    `ask`, `adopt` and `end` are decided together with other workers: within `Storage.together`.
    The other methods may be called at any time by any process.
    """

    def __init__(
        self, storage: Storage, name: str, sampler: Sampler, seed: int, parameters: Parameters
    ) -> None:
        """Open it, or begin it. seed: decides, with a trial's number, what is drawn."""
        self.name, self.sampler, self._seed = name, sampler, seed
        self._store, self._storage = storage, storage.optuna
        self._distributions = {
            key: samplers.distribution(values) for key, values in parameters.items()
        }
        self._study = storage.together(
            lambda: optuna.create_study(
                storage=storage.optuna,
                study_name=name,
                direction="maximize",
                # Random search trains all of its trials to the end: by their curves pruning is
                # judged.
                pruner=NopPruner() if sampler == "random" else samplers.pruner(),
                load_if_exists=True,
            )
        )
        self._id = storage.patient(lambda: self._storage.get_study_id_from_name(name))

    def ask(self, owner: str, first: dict[str, Any] | None = None) -> Tried:
        """Begin a trial. first: what the first trial tries.

        It is drawn beside the trials so far, in memory, and then written at once: a process that
        is killed, or a database that stops, leaves no trial with half of its settings.
        """
        trials = self._trials()
        seed = derive(self._seed, self.sampler, len(trials)) % 2**32
        beside = optuna.create_study(
            direction="maximize", sampler=samplers.sampler(self.sampler, seed)
        )
        beside.add_trials(trials)
        if first is not None and not trials:
            beside.enqueue_trial(first)
        with _quiet():
            drawn = beside.ask(self._distributions)
        begun = create_trial(
            state=TrialState.RUNNING,
            params=drawn.params,
            distributions=drawn.distributions,
            user_attrs={"owner": owner},
        )
        self._store.confirm()
        trial_id = self._storage.create_new_trial(self._id, begun)
        return _tried(self._storage.get_trial(trial_id))

    def adopt(self, number: int, owner: str) -> None:
        """Take over a running trial, whose owner is dead."""
        self._store.confirm()
        self._storage.set_trial_user_attr(self._trial_id(number), "owner", owner)

    def is_dead(self, trial: Tried) -> bool:
        """Whether the owner of a running trial is gone."""
        return self._store.is_dead(self._trial_id(trial.number), trial.owner)

    def beat(self, number: int, owner: str) -> bool:
        """Say that the owner of a trial lives; False where the trial is no longer its own."""
        trial = self._storage.get_trial(self._trial_id(number))
        if not _is_running_for(owner, trial):
            return False
        self._store.beat(trial._trial_id)
        return True

    def tried(self) -> list[Tried]:
        """All trials so far, by number."""
        return [_tried(trial) for trial in self._trials()]

    def report(self, number: int, epochs: int, value: float) -> bool:
        """Note a score at the end of a cycle; whether the trial is to be pruned there."""

        def note() -> bool:
            trial_id = self._trial_id(number)
            trial = self._storage.get_trial(trial_id)
            # One that another worker took over and settled meanwhile is as it is.
            if trial.state == TrialState.RUNNING and epochs not in trial.intermediate_values:
                self._storage.set_trial_intermediate_value(trial_id, epochs, value)
            return self._study.pruner.prune(self._study, self._storage.get_trial(trial_id))

        return self._store.patient(note)

    def end(
        self,
        number: int,
        owner: str,
        state: Literal["complete", "pruned", "failed"],
        about: dict[str, Any],
    ) -> None:
        """Settle a running trial, once; nothing is done to one that is another worker's by now.

        about: notes; a complete one has its `value` and its `loss` in them.
        """
        trial_id = self._trial_id(number)
        if not _is_running_for(owner, self._storage.get_trial(trial_id)):
            return
        for key, note in about.items():
            self._storage.set_trial_user_attr(trial_id, key, note)
        value = about["value"] if state == "complete" else None
        self._study.tell(number, value, _STATES[state])

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
            found = self._store.patient(
                lambda: optuna.importance.get_param_importances(
                    self._study, evaluator=self._forest()
                )
            )
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
                self._store.patient(partial(plot, self._study))
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

    def _trials(self) -> list[FrozenTrial]:
        trials = self._store.patient(lambda: self._study.get_trials(deepcopy=False))
        # Version 0.1 began a trial in steps: one that was killed between them left a first trial
        # that waits for ever.
        return [trial for trial in trials if trial.state != TrialState.WAITING]

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


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


def _is_running_for(owner: str, trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING and trial.user_attrs.get("owner") == owner


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's notices that a part of it is experimental, or an axis a single point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Attempting to set identical low and high xlims")
        yield
