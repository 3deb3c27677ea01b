"""Several models as one: their probabilities are averaged (Krizhevsky et al. 2012, section 6, of five networks).

The answer has the class table of the first model. Each model keeps its own preprocessing; only the task and the names
of the classes have to agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.task_names import TaskName
from pixelwise.errors import UsageError
from pixelwise.predict.answers import SEEN
from pixelwise.runs.model import Model, load_model

Order = NDArray[np.int64]

_SHOWN = 8
_WITHOUT_AVERAGE: Final[Mapping[TaskName, str]] = {
    "sequence": "chains of windows have no average that is a chain again",
    "detection": "centres of one object lie in different pixels",
}


def distinct_runs(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the runs of an ensemble, or the one run, as paths.

    Raises:
        UsageError: there is none, one stands twice, or something is no path.

    """
    given = [path] if isinstance(path, (str, Path)) or not isinstance(path, Iterable) else list(path)
    if not given:
        raise UsageError("No run is named", expected="one or more", do="Name the runs")
    found: dict[Path, Path] = {}
    for one in given:
        if not isinstance(one, (str, Path)):
            raise UsageError(f"{one!r} is no run", expected="the path of a run or of a model folder", do="Name the run")
        if Path(one).resolve() in found:
            raise UsageError(f"{one} stands twice", expected="different runs", do="Name each run once")
        found[Path(one).resolve()] = Path(one)
    return list(found.values())


def load_members(paths: Sequence[Path], device: str) -> list[Model]:
    """Load the models of an ensemble, or the one model, and check that they go together.

    Raises:
        RunError, WeightsError, DeviceError: as :func:`~pixelwise.runs.model.load_model`.
        UsageError: as :func:`match_classes`; the message names the folders.

    """
    models = [load_model(path, device) for path in paths]
    match_classes(models, [str(path) for path in paths])
    return models


def match_classes(models: Sequence[Model], names: Sequence[str] = ()) -> list[Order]:
    """Return for each model the index in its class table of each class of the first one, (K,).

    Args:
        models: one or more.
        names: how messages call them; without names they are counted.

    Raises:
        UsageError: the models differ in their task or in their classes, or are for a task without averages.

    """
    called = names or [f"Model {number} of the ensemble" for number in range(1, len(models) + 1)]
    reference = names[0] if names else "the first"
    first, orders = models[0].task, []
    if len(models) > 1 and first.name in _WITHOUT_AVERAGE:
        raise UsageError(
            f"An ensemble of {len(models)} models for {first.name}",
            expected=f"one model: {_WITHOUT_AVERAGE[first.name]}",
            do="Name one run",
        )
    for name, model in zip(called, models, strict=True):
        task = model.task
        if task.name != first.name:
            raise UsageError(
                f"{name} is for {task.name}",
                expected=f"{first.name}, as {reference}",
                do="Average models of one task",
            )
        differing = sorted(set(first.classes) ^ set(task.classes))
        if differing:
            rest = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
            raise UsageError(
                f"{name} has other classes than {reference}: only one of them has "
                f"{', '.join(differing[:_SHOWN])}{rest}",
                expected="the same classes, in any order",
                do="Average models that were trained for the same classes",
            )
        orders.append(np.array([task.classes.index(each) for each in first.classes], dtype=np.int64))
    return orders


def average(values: Sequence[NDArray[np.float32]], orders: Sequence[Order]) -> NDArray[np.float32]:
    """Return the mean answers (K or more,) or (K or more, H, W) of several models, in the first one's class order.

    Where a model's preprocessing has cut a pixel off, the mean is that of the others.
    """
    total = np.zeros(values[0].shape, np.float64)  # sums of float32 are exact in it, so that their order does not count
    for one, order in zip(values, orders, strict=True):
        # What a task adds to the probabilities follows them in any order of the classes.
        ordered = np.concatenate([one[order], one[len(order) :]]) if len(one) > len(order) else one[order]
        total += ordered if one.ndim == 1 else ordered * (one[: len(order)].sum(0) >= SEEN)
    weight = total[: len(orders[0])].sum(0) if total.ndim > 1 else len(values)
    return np.divide(total, weight, out=np.zeros_like(total), where=weight != 0).astype(np.float32)
