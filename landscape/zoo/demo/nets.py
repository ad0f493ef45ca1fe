"""The two networks of the demo, and their settings."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["N_THREADS", "Net", "Settings"]

# Of trainings, whose weights depend on it and are to be the same on every machine; and of sweeps, whose operations are so small
# that threads wait for each other more than they compute, without end where other programs want the cores too.
N_THREADS = 1


@dataclass(frozen=True)
class Settings:
    """One depth, one recipe and one set of grids for both networks.

    `path`, `ray` and `plane` are axes (start, stop, n): from initialization to solution, along random directions, and both axes of
    the plane. The path ends at its models: beyond them, running variances that move along the line become negative, and the loss
    NaN. `n_draws` random directions make the 1-D picture; `n_examples` are drawn from each split for every sweep.
    """

    depth: int = 32
    epochs: int = 25
    n_examples: int = 300
    path: tuple[float, float, int] = (0.0, 1.0, 51)
    ray: tuple[float, float, int] = (-1.0, 1.0, 25)
    n_draws: int = 5
    plane: tuple[float, float, int] = (-1.0, 1.0, 25)


@dataclass(frozen=True)
class Net:
    """One of the two networks: its problem in the zoo, and what files and figures call it."""

    problem: str
    name: str
    title: str

    @classmethod
    def both(cls, depth: int) -> tuple[Net, Net]:
        """With shortcuts, and without.

        >>> [net.problem for net in Net.both(26)]
        ['digits-resnet26', 'digits-resnet26-noshort']
        """
        return (
            cls(f"digits-resnet{depth}", "short", "with shortcuts"),
            cls(f"digits-resnet{depth}-noshort", "noshort", "without shortcuts"),
        )
