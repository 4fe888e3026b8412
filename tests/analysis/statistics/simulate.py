"""How intervals do in worlds whose truth is known; as a command, the tables of the README here.

python -m tests.analysis.statistics.simulate WORLDS
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tests.analysis.statistics.rivals import METHODS, images_alone, pairs_of
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


def measure(world: World, methods: Iterable[str], worlds: int, seed: int) -> dict[str, Measured]:
    """Every method on the same worlds."""
    rng = np.random.default_rng(seed)
    truth = np.tile(world.difference, world.arms // 2)
    ends = {name: [] for name in methods}
    by_images, apart = [], []
    for right, groups in world.draw(rng, worlds):
        for name, drawn in ends.items():
            drawn.append(METHODS[name](right, groups))
        by_images.append(images_alone(right, groups))
        apart.append(pairs_of(right.mean(axis=2, keepdims=True)).std(axis=(1, 2)))
    agree = np.concatenate(apart)
    nearest = agree <= np.quantile(agree, 0.25)
    of_images = np.concatenate(by_images)
    images = (of_images[:, 1] - of_images[:, 0]) / 2
    found = {}
    for name, drawn in ends.items():
        low, high = np.concatenate(drawn).T
        held = (low <= np.tile(truth, worlds)) & (np.tile(truth, worlds) <= high)
        half = (high - low) / 2
        found[name] = Measured(
            100 * held.mean(),
            100 * held[nearest].mean(),
            # But for rounding.
            100 * (half < 0.9999 * images).mean(),
            100 * float(np.median(half)),
            100 * float(np.median(images)),
        )
    return found


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


def main(worlds: int) -> None:
    """Print the tables."""
    two_pairs()
    print("| world | method | coverage | agree | narrower | half-width | from images alone |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    base = ("shared over all arms", "as before")
    for luck in (0.0, 0.1):
        for runs in (2, 3, 5, 8):
            world = World(runs=runs, seeds=luck)
            for name, m in measure(world, base, worlds, runs).items():
                print(_line(f"8 arms, seeds {luck:g}, {runs} seeds", name, m), flush=True)
    for arms in (2, 4, 6, 16):
        for runs in (2, 5):
            for luck in (0.0, 0.1):
                world = World(arms=arms, runs=runs, seeds=luck)
                for name, m in measure(world, base[:1], worlds * 8 // arms, runs).items():
                    print(_line(f"{arms} arms, seeds {luck:g}, {runs} seeds", name, m), flush=True)
    others = {
        "arms correlated 0.6": World(together=0.6),
        "500 groups": World(groups=500),
        "seeds 0.2": World(seeds=0.2),
        "one arm unstable (1.0)": World(unstable=1.0),
        "5 points": World(difference=0.05, accuracy=0.9),
        "accuracy 0.97": World(difference=0.01, accuracy=0.97),
    }
    for what, world in others.items():
        methods = ("shared over all arms", "moderated (Smyth)")
        for name, m in measure(world, methods, worlds, 3).items():
            print(_line(f"8 arms, 2 seeds, {what}", name, m), flush=True)
    for runs in (2, 5):
        peers = [name for name in METHODS if name not in base]
        world = World(runs=runs)
        for name, m in measure(world, peers, worlds // 4, 5).items():
            print(_line(f"8 arms, seeds 0.1, {runs} seeds, peers", name, m), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
