"""Laws of chance, each with its mean. Pure: the generator of numbers is an argument."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol


class Law(Protocol):
    """Something that numbers are drawn from."""

    @property
    def mean(self) -> float:
        """What the drawn numbers come to on the average."""

    def draw(self, chance: random.Random) -> float:
        """The next number."""


@dataclass(frozen=True)
class Exponential:
    """Times between what happens independently of each other: a Poisson process."""

    mean: float

    def draw(self, chance: random.Random) -> float:
        return chance.expovariate(1 / self.mean)

    def __str__(self) -> str:
        return f"exponential, mean {self.mean:g}"


@dataclass(frozen=True)
class Lognormal:
    """Its logarithm is normal: half of the numbers are below `median`; `sigma` is the length of the tail.

    `most` cuts the tail: what is drawn above it counts as it. `mean` is that without the cut.
    """

    median: float
    sigma: float
    most: float = math.inf

    @property
    def mean(self) -> float:
        return self.median * math.exp(self.sigma**2 / 2)

    def draw(self, chance: random.Random) -> float:
        return min(self.median * math.exp(chance.gauss(0, self.sigma)), self.most)

    def draw_left(self, chance: random.Random) -> float:
        """What is left of one that is under way when somebody looks: long ones are met more often, at any point."""
        longer = Lognormal(self.median * math.exp(self.sigma**2), self.sigma, self.most)
        return chance.random() * longer.draw(chance)

    def __str__(self) -> str:
        most = "" if math.isinf(self.most) else f", at most {self.most:g}"
        return f"lognormal, median {self.median:g}, σ {self.sigma:g}{most} (mean {self.mean:.0f})"


@dataclass(frozen=True)
class Geometric:
    """How many, at least 1, when after each the same share stops."""

    mean: float

    def draw(self, chance: random.Random) -> float:
        if self.mean <= 1:
            return 1.0
        return 1.0 + math.floor(math.log(1 - chance.random()) / math.log(1 - 1 / self.mean))

    def __str__(self) -> str:
        return f"geometric, mean {self.mean:g}"


@dataclass(frozen=True)
class Zipf:
    """Whole numbers from `least` to `most`, each as likely as number^-exponent: few are large, and they weigh much."""

    exponent: float
    least: int
    most: int

    @property
    def mean(self) -> float:
        numbers = range(self.least, self.most + 1)
        return float(sum(n ** (1 - self.exponent) for n in numbers) / sum(n**-self.exponent for n in numbers))

    def draw(self, chance: random.Random) -> float:
        weights = [n**-self.exponent for n in range(self.least, self.most + 1)]
        return self.least + chance.choices(range(len(weights)), cum_weights=list(accumulate(weights)))[0]

    def __str__(self) -> str:
        return f"Zipf, exponent {self.exponent:g}, {self.least} to {self.most} (mean {self.mean:.1f})"


@dataclass(frozen=True)
class Share:
    """Yes (1) with this probability, else no (0)."""

    mean: float

    def draw(self, chance: random.Random) -> float:
        return float(chance.random() < self.mean)

    def __str__(self) -> str:
        return f"{self.mean * 100:g} %"


@dataclass(frozen=True)
class Fixed:
    """Always the same."""

    mean: float

    def draw(self, chance: random.Random) -> float:  # noqa: ARG002
        return self.mean

    def __str__(self) -> str:
        return f"{self.mean:g}"
