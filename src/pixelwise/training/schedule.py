"""Learning-rate schedules: pure functions of the step, so that a resumed run needs no scheduler's state.

With ``t = step / total`` in [0, 1), the factor on the recipe's learning rate is

=========== =========================================================== ==========================================
constant    1
step        the factor of the last milestone passed (1 before the       the usual "divided by ten at ..." of papers
            first)
exponential f ** floor(step / d), with f = ``decay_factor`` and d the   TensorFlow's ``exponential_decay`` with
            steps of ``decay_epochs``                                   ``staircase``, as the Inception papers use it
cosine      (1 + cos(pi t)) / 2                                         Loshchilov & Hutter, arXiv 1608.03983, eq. 5
polynomial  (1 - t) ** 0.9                                              DeepLab, arXiv 1606.00915, section 4.1.2
one_cycle   cosine up from 1/25 to 1 over the first 30 %, then cosine   Smith & Topin, arXiv 1708.07120, as in
            down to 1/250,000                                           PyTorch's OneCycleLR; momentum is not cycled
=========== =========================================================== ==========================================

Warm-up comes before: over its steps the factor rises linearly, ``(step + 1) / (warmup_steps + 1)``, and the schedule
runs over the steps that remain.
"""

import math
from collections.abc import Sequence
from typing import Literal

ScheduleName = Literal["constant", "step", "exponential", "cosine", "one_cycle", "polynomial"]

_POLYNOMIAL_POWER = 0.9
_ROUNDING = 1e-12
"""A tolerance, so that a change of the rate that falls on a step is made at it in spite of rounding."""
_ONE_CYCLE_RISE, _ONE_CYCLE_START, _ONE_CYCLE_END = 0.3, 1 / 25, 1 / 25e4


def rate_factor(
    schedule: ScheduleName,
    step: int,
    total_steps: int,
    *,
    warmup_steps: int = 0,
    milestones: Sequence[float] = (),
    factors: Sequence[float] = (),
    decay_steps: float = math.inf,
    decay_factor: float = 1.0,
) -> float:
    """Return what the recipe's learning rate is multiplied by at ``step`` (0 .. total_steps - 1).

    Args:
        schedule: one of the table above.
        step: optimiser steps done so far.
        total_steps: of the whole run.
        warmup_steps: of the linear rise before the schedule.
        milestones: for ``step``: fractions of the run, rising.
        factors: for ``step``: the factor from each milestone on (not multiplied up).
        decay_steps: for ``exponential``: steps from one change to the next, not necessarily a whole number.
        decay_factor: for ``exponential``: what the rate is multiplied by at each change.

    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    step, total = step - warmup_steps, max(1, total_steps - warmup_steps)
    done = min(1.0, step / total)
    if schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if schedule == "polynomial":
        return (1 - done) ** _POLYNOMIAL_POWER
    if schedule == "one_cycle":
        return _one_cycle(step, total)
    if schedule == "step":
        passed = [factor for at, factor in zip(milestones, factors, strict=True) if done >= at - _ROUNDING]
        return passed[-1] if passed else 1.0
    changes = math.floor(step / decay_steps + _ROUNDING) if schedule == "exponential" else 0
    return decay_factor**changes


def _one_cycle(step: int, total: int) -> float:
    top = _ONE_CYCLE_RISE * total - 1
    if step <= top:
        return _between(_ONE_CYCLE_START, 1.0, step / top)
    return _between(1.0, _ONE_CYCLE_END, min(1.0, (step - top) / max(total - 1 - top, 1e-9)))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
