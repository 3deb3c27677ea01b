"""A row of steps: as text, as what a model's record holds, and as what happens to a picture.

As text steps stand one after the other with commas between them, their parameters in parentheses:
``fill_holes, watershed(seeds=thickest, min_distance=7), remove_small(area=30)``.
"""

import dataclasses
import itertools
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self, get_args

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import PixelwiseError, RunError, UsageError, suggest
from pixelwise.predict.palette import background_class
from pixelwise.predict.postprocess.smoothing import GuidedFilter
from pixelwise.predict.postprocess.steps import (
    FieldStep,
    FillHoles,
    GapStep,
    Grow,
    Largest,
    PictureStep,
    Piece,
    PieceStep,
    RemoveSmall,
    Stage,
    Step,
    Threshold,
)
from pixelwise.predict.postprocess.watershed import Watershed, require_watershed
from pixelwise.runs.model import Model
from pixelwise.tasks import Instances, Segmentation, Task
from pixelwise.values import coerce, describe_type, readings

STEPS: Final[Mapping[str, type[Step]]] = {
    step.name: step for step in (GuidedFilter, Threshold, FillHoles, Watershed, RemoveSmall, Grow, Largest)
}
_ORDER: Final[tuple[Stage, ...]] = get_args(Stage)
_AT_MOST_ONE: Final = (_ORDER.index("threshold"), _ORDER.index("gap"))
_STEP: Final = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*(?:,|$)")
_EXAMPLE: Final = 'For example --post "fill_holes,remove_small(area=30)"'


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps in their order.

    Raises:
        UsageError: steps in an impossible order.

    """

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        stages = [_ORDER.index(step.stage) for step in self.steps]
        for place, (before, after) in enumerate(itertools.pairwise(stages)):
            if after < before or before == after in _AT_MOST_ONE:
                first, second = self.steps[place].name, self.steps[place + 1].name
                raise UsageError(
                    f"{second} after {first}",
                    expected="what smooths, one threshold, what looks at one object, one grow, then largest",
                    do="Change the order" if after < before else f"Give one {second}",
                )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read steps as the command line gives them; "" and "none" are no steps.

        Raises:
            UsageError: an unknown step or parameter (with near misses), a value that does not fit, or a wrong order.

        """
        steps, place = [], 0
        text = "" if text.strip() == "none" else text
        while place < len(text.strip()):
            found = _STEP.match(text, place)
            if found is None:
                raise UsageError(f"post {text!r} cannot be read from {text[place:]!r} on", do=_EXAMPLE)
            steps.append(_step(found[1], _parameters(found[2] or "", text)))
            place = found.end()
        return cls(tuple(steps))

    def to_text(self) -> str:
        """Return the text that :meth:`parse` reads; "none" without steps."""
        return ",".join(_step_text(step) for step in self.steps) or "none"

    def to_json(self) -> list[dict[str, Any]]:
        """Return plain JSON; :meth:`from_json` is the way back."""
        return [{"step": step.name, **_fields(step)} for step in self.steps]

    @classmethod
    def from_json(cls, content: Sequence[Mapping[str, Any]]) -> Self:
        """Rebuild from :meth:`to_json`.

        Raises:
            RunError: what it did not write.

        """
        try:
            return cls(
                tuple(_step(entry["step"], {k: v for k, v in entry.items() if k != "step"}) for entry in content)
            )
        except (KeyError, TypeError, PixelwiseError) as error:
            reason = error.came if isinstance(error, PixelwiseError) else f"{type(error).__name__}: {error}"
            raise RunError(
                f"The model's post-processing cannot be used: {reason}",
                expected="what pixelwise wrote",
                do="Use the version of pixelwise that wrote it, or restore the file from a copy",
            ) from None

    @property
    def fields(self) -> tuple[FieldStep, ...]:
        """The steps that change probabilities."""
        return tuple(step for step in self.steps if isinstance(step, FieldStep))

    @property
    def threshold(self) -> Threshold | None:
        """The step that decides what is an object; None for the most probable class."""
        return next((step for step in self.steps if isinstance(step, Threshold)), None)

    @property
    def of_objects(self) -> tuple[Step, ...]:
        """The steps that look at objects, one by one or all together."""
        return tuple(step for step in self.steps if isinstance(step, (PieceStep, GapStep, PictureStep)))

    @property
    def gap(self) -> GapStep | None:
        """The step that closes gaps between objects; None without one."""
        return next((step for step in self.steps if isinstance(step, GapStep)), None)

    @property
    def of_pictures(self) -> tuple[PictureStep, ...]:
        """The steps that need the whole picture."""
        return tuple(step for step in self.steps if isinstance(step, PictureStep))

    def check_task(self, task: Task) -> None:
        """Refuse steps that a task's answers do not go through.

        Raises:
            UsageError: names the step, and what it needs.

        """
        if not self.steps:
            return
        if not isinstance(task, (Instances, Segmentation)):
            raise UsageError(
                f"post-processing with a {task.name} model", expected="segmentation or instances", do="Leave it out"
            )
        several = [step for step in self.steps if not isinstance(step, FieldStep)]
        if several and background_class(task.classes) is None:
            raise UsageError(
                f"{several[0].name} with the classes {', '.join(task.classes)}",
                expected="a first class named background, which everything else stands out from",
                do="Leave the step out",
            )
        for step in self.steps:
            if isinstance(step, Watershed):
                _check_watershed(step, task)

    def smoothed(self, values: NDArray[np.float32], picture: NDArray[Any] | None) -> NDArray[np.float32]:
        """Return the values (C, H, W) after the steps that change them.

        Raises:
            UsageError: there are such steps, and no picture.

        """
        for step in self.fields:
            if picture is None:
                raise UsageError(f"{step.name} needs the picture, which is not at hand", do="Leave the step out")
            values = step.apply(values, picture)
        return values

    def classify(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the class of each pixel, (H, W), of probabilities (K, H, W)."""
        threshold = self.threshold
        return values.argmax(0).astype(np.uint8) if threshold is None else threshold.classes(values)

    def divide(self, piece: Piece) -> NDArray[np.int32]:
        """Return the labels of a piece after all steps for pieces."""
        for step in self.steps:
            if isinstance(step, PieceStep):
                piece.labels = step.apply(piece)
        return piece.labels

    def with_parameters(self, step: type[Step], **values: float) -> Self:
        """Return the same with other parameters of one kind of step."""
        return dataclasses.replace(
            self,
            steps=tuple(
                dataclasses.replace(one, **values) if isinstance(one, step) else one  # type: ignore[type-var] # all are
                for one in self.steps
            ),
        )


def pipeline_of(model: Model) -> Pipeline:
    """Return the steps that a model stores, or those of its task.

    Raises:
        RunError: its record cannot be used.

    """
    return default_pipeline(model.task) if model.post is None else Pipeline.from_json(model.post)


def _check_watershed(step: Watershed, task: Task) -> None:
    if not isinstance(task, Instances):
        raise UsageError(
            f"{step.name} with a {task.name} model",
            expected="a model for instances, whose objects have numbers",
            do="Train one with --task instances; its masks may be those of segmentation",
        )
    if step.seeds == "interior" and task.separation != "border":
        raise UsageError(
            f"{step.name}(seeds=interior) with a model that was trained with separate={task.separation}",
            expected="one that tells the rims of objects (--separate border)",
            do="Use watershed(seeds=thickest)",
        )
    require_watershed()


def default_pipeline(task: Task) -> Pipeline:
    """Return the steps for models that store none: none for label maps, and what tells objects apart for instances."""
    if not isinstance(task, Instances):
        return Pipeline()
    divide: dict[str, tuple[Step, ...]] = {
        "border": (Watershed(seeds="interior", on="probability"),),
        "weights": (),
        "none": (Watershed(),),
    }
    grow = (Grow(),) if task.is_weighed else ()
    return Pipeline((Threshold(), FillHoles(), *divide[task.separation], RemoveSmall(area=10), *grow))


def _parameters(text: str, whole: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        name, separator, value = (one.strip() for one in part.partition("="))
        if not separator or name in pairs:
            raise UsageError(f"post {whole!r}: {part.strip()!r}", expected="NAME=VALUE, each name once", do=_EXAMPLE)
        pairs[name] = value
    return pairs


def _step(name: str, given: Mapping[str, Any]) -> Step:
    kind = STEPS.get(name)
    if kind is None:
        raise UsageError(
            f"{name!r} is not a step of post-processing", expected=", ".join(STEPS), do=suggest(name, STEPS)
        )
    hints = typing.get_type_hints(kind)
    types = {field.name: hints[field.name] for field in _dataclass_fields(kind)}
    unknown = next((key for key in given if key not in types), None)
    if unknown is not None:
        raise UsageError(
            f"{name} has no parameter {unknown!r}",
            expected=", ".join(types) or "none",
            do=suggest(unknown, types),
        )
    return kind(**{key: _value(name, key, value, types[key]) for key, value in given.items()})


def _value(step: str, key: str, value: Any, kind: Any) -> Any:
    """Read a parameter: a number, given as one or as text, or a word."""
    for meaning in readings(value) if isinstance(value, str) else [value]:
        with suppress(TypeError):
            return coerce(meaning, kind)
    raise UsageError(f"{step}({key}={value})", expected=describe_type(kind), do="Correct the value")


def _dataclass_fields(kind: type[Step]) -> Iterable["dataclasses.Field[Any]"]:
    return dataclasses.fields(kind)  # type: ignore[arg-type] # every step is a dataclass


def _fields(step: Step) -> dict[str, Any]:
    return {field.name: getattr(step, field.name) for field in _dataclass_fields(type(step))}


def _step_text(step: Step) -> str:
    changed = [
        f"{field.name}={getattr(step, field.name)}"
        for field in _dataclass_fields(type(step))
        if getattr(step, field.name) != field.default
    ]
    return f"{step.name}({','.join(changed)})" if changed else step.name
