"""How intervals do in worlds whose truth is known; as a command, the tables of the README here.

python -m tests.analysis.statistics.simulate TABLE WORLDS
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.statistics.intervals import paired_difference
from analysis.statistics.looks import levels
from analysis.statistics.seed_spread import of_differences, squares
from analysis.statistics.significance import ALPHA, exact_mcnemar, holm
from tests.analysis.statistics.rivals import METHODS, images_alone, pairs_of, per_group
from tests.analysis.statistics.worlds import World


class Measured(NamedTuple):
    """Shares of all intervals, in percent, and median half-widths, in points.

    agreeing: coverage in the quarter of the pairs whose own seeds agree most. narrower: than the
        interval from images alone for the same readings; images: its median half-width.
    """

    coverage: float
    agreeing: float
    narrower: float
    half: float
    images: float


def in_folds(world: World, worlds: int, seed: int) -> Measured:
    """One seed in as many folds as the world has runs: each reads images of its own."""
    rng = np.random.default_rng(seed)
    ends, by_images, apart = [], [], []
    for read, groups in world.draw(rng, worlds):
        folds = groups % world.runs
        right = np.stack([arm[folds, np.arange(len(groups))] for arm in read])[:, None]
        values, of_group = per_group(right, groups), np.arange(world.groups) % world.runs
        total = of_differences(values, of_group)
        for place, gain in enumerate(pairs_of(values)):
            others = total.without(squares(gain / np.sqrt(2), folds=of_group)).spread
            pair = right[2 * place], right[2 * place + 1]
            found = paired_difference(*pair, groups, others, folds)
            alone = paired_difference(*pair, groups)
            ends.append((found.low, found.high))
            by_images.append((alone.high - alone.low) / 2)
            apart.append(np.std([gain[0][of_group == fold].mean() for fold in range(world.runs)]))
    return _measured(np.array(ends), np.array(by_images), np.array(apart), world.difference)


def _measured(
    ends: npt.NDArray[np.float64],
    by_images: npt.NDArray[np.float64],
    apart: npt.NDArray[np.float64],
    truth: float,
) -> Measured:
    """Of intervals (n, 2) for one truth; by_images: half-widths from images alone; apart: (n,)."""
    low, high = ends.T
    held = (low <= truth) & (truth <= high)
    half = (high - low) / 2
    return Measured(
        100 * held.mean(),
        100 * held[apart <= np.quantile(apart, 0.25)].mean(),
        # But for rounding.
        100 * (half < 0.9999 * by_images).mean(),
        100 * float(np.median(half)),
        100 * float(np.median(by_images)),
    )


def measure(world: World, methods: Iterable[str], worlds: int, seed: int) -> dict[str, Measured]:
    """Every method on the same worlds."""
    rng = np.random.default_rng(seed)
    ends = {name: [] for name in methods}
    by_images, apart = [], []
    for right, groups in world.draw(rng, worlds):
        for name, drawn in ends.items():
            drawn.append(METHODS[name](right, groups))
        by_images.append(images_alone(right, groups))
        apart.append(pairs_of(right.mean(axis=2, keepdims=True)).std(axis=(1, 2)))
    images = np.diff(np.concatenate(by_images), axis=1)[:, 0] / 2
    agree = np.concatenate(apart)
    return {
        name: _measured(np.concatenate(drawn), images, agree, world.difference)
        for name, drawn in ends.items()
    }


def _line(what: str, name: str, m: Measured) -> str:
    return (
        f"| {what} | {name} | {m.coverage:.1f} | {m.agreeing:.1f} | {m.narrower:.1f} | {m.half:.2f}"
        f" | {m.images:.2f} |"
    )


def two_pairs() -> None:
    """Two pairs at two seeds, one whose seeds agree and one whose seeds do not, on 1,200 images.

    By seed the first differs by -1.75 and -2.42 points, the second by +1.33 and -4.42.
    """
    rng = np.random.default_rng(4)
    images, ease = 1200, rng.normal(size=1200)
    arms = []
    for shares in ((0.8525, 0.8458), (0.87, 0.87), (0.8633, 0.8258), (0.85, 0.87)):
        own = ease + rng.normal(0, 0.15, images)
        order = [np.argsort(-(own + rng.normal(0, 0.35, images))) for _ in shares]
        places = [np.argsort(one) for one in order]
        arms.append([place < round(p * images) for place, p in zip(places, shares, strict=True)])
    methods = METHODS | {"images alone": images_alone}
    for name, method in methods.items():
        ends = method(np.array(arms), np.arange(images))
        cells = [f"{100 * low:+.1f} to {100 * high:+.1f}" for low, high in ends]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


class Errors(NamedTuple):
    """How often something is shown where there is nothing, in percent of the worlds.

    planned: the planned pair at any of its looks, by their levels. unplanned: the same at 5% each.
    family: any of the other pairs at the last look, corrected for each other (Holm).
    everything: any pair at the last look, all of them corrected together, none planned.
    """

    planned: float
    unplanned: float
    family: float
    everything: float


def errors(world: World, looks: tuple[int, ...], worlds: int, seed: int) -> Errors:
    """In worlds without a difference; the first pair is the planned one."""
    rng = np.random.default_rng(seed)
    bounds = levels(looks, ALPHA)
    shown = []
    for right, groups in world.draw(rng, worlds):
        planned = [p_values(right[:, :n], groups, 1)[0] for n in looks]
        last = p_values(right, groups, world.arms // 2)
        shown.append(
            (
                any(p < bound for p, bound in zip(planned, bounds, strict=True)),
                any(p < ALPHA for p in planned),
                min(holm(last[1:])) < ALPHA,
                min(holm(last)) < ALPHA,
            )
        )
    return Errors(*(100 * np.array(shown).mean(axis=0)))


def p_values(right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_], pairs: int) -> list[float]:
    """Those of the report, of the first so many pairs; 1 where they are above 5% at sight."""
    values = per_group(right, groups)
    total, found = of_differences(values), []
    for place, gain in enumerate(pairs_of(values)[:pairs]):
        first, second = right[2 * place], right[2 * place + 1]
        others = total.without(squares(gain / np.sqrt(2))).spread
        difference = paired_difference(first, second, groups, others)
        if difference.low <= 0 <= difference.high:
            found.append(1.0)
        else:
            found.append(max(difference.p_different(), exact_mcnemar(first, second, groups)))
    return found


OWN = "shared over all arms"
# All worlds that the intervals are to hold in; without an effect of seeds arms share none.
GOALS = [
    World(runs=runs, seeds=luck, together=together, groups=groups)
    for runs in (2, 3, 5, 8)
    for luck, together in ((0.0, 0.0), (0.1, 0.0), (0.1, 0.6))
    for groups in (500, 1200)
]


def _compared(named: Iterable[tuple[str, World]], methods: Iterable[str], worlds: int) -> None:
    print("| world | method | coverage | agree | narrower | half-width | from images alone |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for what, world in named:
        for name, m in measure(world, methods, worlds, world.runs).items():
            print(_line(what, name, m), flush=True)


def _named(world: World) -> tuple[str, World]:
    words = [f"{world.runs} seeds", f"effect {world.seeds:g}"]
    words += [f"correlated {world.together:g}"] * bool(world.together)
    words += [f"{world.groups} groups"] * (world.groups != World.groups)
    words += [f"{world.arms} arms"] * (world.arms != World.arms)
    return ", ".join(words), world


def goals(worlds: int) -> None:
    """Every world that the intervals are to hold in."""
    _compared(map(_named, GOALS), [OWN], worlds)


def before(worlds: int) -> None:
    """What the project had first beside what it has."""
    found = [World(runs=runs, seeds=luck) for luck in (0.0, 0.1) for runs in (2, 3, 5, 8)]
    _compared(map(_named, found), ["as before", OWN], worlds)


def harder(worlds: int) -> None:
    """Few arms, unlike arms, large effects: what the intervals were not made for."""
    found = [_named(World(arms=arms, runs=runs)) for arms in (2, 4, 16) for runs in (2, 5)]
    found += [
        ("2 seeds, effect 0.2", World(seeds=0.2)),
        ("2 seeds, one arm of effect 1", World(unstable=1.0)),
        ("2 seeds, accuracy 0.97", World(difference=0.01, accuracy=0.97)),
    ]
    _compared(found, [OWN, "moderated (Smyth)"], worlds)


def peers(worlds: int) -> None:
    """What others use, in the same worlds."""
    found = [World(runs=runs, seeds=luck) for luck in (0.0, 0.1) for runs in (2, 5)]
    _compared(
        map(_named, found), [OWN, "bootstrap over both", "mixed model, Wald", "evalci"], worlds
    )


def folds(worlds: int) -> None:
    """One seed in folds, where the folds stand for seeds."""
    print("| world | coverage | agree | narrower | half-width | from images alone |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for arms in (2, 8):
        for runs in (5, 10, 20):
            for luck in (0.0, 0.1, 0.2):
                world = World(arms=arms, runs=runs, seeds=luck, groups=5000)
                m = in_folds(world, worlds * (4 if arms == 2 else 1), runs)
                print(
                    f"| {runs} folds, {arms} arms, effect {luck:g} | {m.coverage:.1f} | "
                    f"{m.agreeing:.1f} | {m.narrower:.1f} | {m.half:.2f} | {m.images:.2f} |",
                    flush=True,
                )


def families(worlds: int) -> None:
    """How often something is shown where there is nothing."""
    print("| world | looks | planned | the same, 5% each | the others (Holm) | all, none planned |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for luck in (0.0, 0.1):
        for looks in ((5,), (2, 5), (2, 5, 8)):
            world = World(runs=looks[-1], seeds=luck, difference=0.0, groups=500)
            found = errors(world, looks, worlds, 7)
            at = ", ".join(map(str, looks))
            cells = " | ".join(f"{one:.1f}" for one in found)
            print(f"| effect {luck:g} | {at} | {cells} |", flush=True)


def pairs(worlds: int) -> None:  # noqa: ARG001
    """Two pairs like those of the quick ablation."""
    two_pairs()


TABLES = {one.__name__: one for one in (goals, before, harder, peers, folds, families, pairs)}

if __name__ == "__main__":
    TABLES[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 300)
