"""Made-up worlds in which the true difference of two arms is known: arms x seeds x images.

A reading is right with the logistic of: the arm's skill, how easy the image is, what the arm makes
of the image, and the luck of the seed. All but the skill are normal with mean 0. The truth is about
all images and all seeds there could be, so that it is known from the skills alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

# Where the spread of a normal distribution is looked up; fine enough for a millionth.
_NODES = norm.ppf((np.arange(4000) + 0.5) / 4000)


@dataclass(frozen=True)
class World:
    """What a world is like; standard deviations are on the scale of the logistic.

    arms: an even number, two and two make a pair, the first of each with `accuracy` + `difference`
        right and the second with `accuracy`, over all seeds and images.
    groups: different images; `copies` of them stand there twice, with the same readings.
    images, arm_by_image, seeds: of the image, of the arm and image, of the arm and seed.
    together: the correlation of the arms' luck under one seed; arms of one seed share much.
    unstable: the standard deviation of the first arm's luck in place of `seeds`, where it is given.
    """

    arms: int = 8
    runs: int = 2
    groups: int = 1200
    accuracy: float = 0.84
    difference: float = 0.024
    images: float = 1.2
    arm_by_image: float = 0.5
    seeds: float = 0.1
    together: float = 0.0
    copies: float = 0.1
    unstable: float | None = None

    def skills(self) -> npt.NDArray[np.float64]:
        """(arms,) what gives each arm its share of right readings."""
        luck = np.full(self.arms, self.seeds)
        if self.unstable is not None:
            luck[0] = self.unstable
        wanted = np.tile([self.accuracy + self.difference, self.accuracy], self.arms // 2)
        spread = np.sqrt(self.images**2 + self.arm_by_image**2 + luck**2)
        return np.array([_skill(share, own) for share, own in zip(wanted, spread, strict=True)])

    def draw(
        self, rng: np.random.Generator, worlds: int
    ) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.int_]]]:
        """Readings (arms, runs, images), right or wrong, and the images' groups."""
        skills = self.skills()[:, None, None]
        luck = np.full((self.arms, 1), self.seeds)
        if self.unstable is not None:
            luck[0] = self.unstable
        for _ in range(worlds):
            easy = rng.normal(0, self.images, self.groups)
            easy = easy + rng.normal(0, self.arm_by_image, (self.arms, 1, self.groups))
            shared = np.sqrt(self.together) * rng.normal(size=self.runs)
            own = np.sqrt(1 - self.together) * rng.normal(size=(self.arms, self.runs))
            chance = expit(skills + easy + (luck * (shared + own))[:, :, None])
            right = rng.random(chance.shape) < chance
            member = np.repeat(
                np.arange(self.groups), 1 + (rng.random(self.groups) < self.copies).astype(int)
            )
            yield right[:, :, member], member


def _skill(share: float, spread: float) -> float:
    return float(brentq(lambda skill: float(expit(skill + spread * _NODES).mean()) - share, -9, 9))
