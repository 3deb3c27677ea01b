"""What an evaluation found, as data: scores with intervals, a table of classes, confusions, calibration, samples.

``scores.json`` holds it as::

    {"format": 1, "task", "split", "num_images", "metric",
     "scores":  [{"name", "value" or null, "n", "unit", "low", "high"}],
     "classes": [{"name", "n", METRIC: value or null, ..., "interval": {METRIC: [low, high] or null}}],
     "confusion": [[count]],                      rows are the truth, columns the prediction
     "calibration": {"ece", "bins": [{"low", "high", "confidence", "accuracy", "n"}]} or null,
     "samples": [{"path", "frame", "score", "truth", "prediction", "probability"}],
     "empty_class_rule", "notes": [text], "protocol": text, "members": [path]}
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.task_names import TARGET_FORMS, TaskName
from pixelwise.errors import RunError
from pixelwise.metrics import EMPTY_CLASS_RULE, CalibrationBin, expected_calibration_error
from pixelwise.predict.protocols import CENTRE
from pixelwise.storage.atomic import read_json, write_text

FORMAT = 1

Split = Literal["train", "val", "test", "all"]


@dataclass(frozen=True, slots=True)
class Score:
    """One number with what it rests on.

    Attributes:
        name: ``top1``, ``mean_iou``, ...
        value: None where it is undefined.
        n: images that were counted.
        unit: ``fraction`` (0 to 1), or ``px`` or ``mm`` for distances.
        low: lower end of the 95 % interval over images; None where there is none.
        high: upper end.

    """

    name: str
    value: float | None
    n: int
    unit: str
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class: how often it is in the truth (images, or pixels for segmentation), and its metrics by name."""

    name: str
    n: int
    values: dict[str, float | None]
    intervals: dict[str, tuple[float, float] | None]

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``scores.json``."""
        intervals = {metric: None if pair is None else list(pair) for metric, pair in self.intervals.items()}
        return {"name": self.name, "n": self.n, **self.values, "interval": intervals}


@dataclass(frozen=True, slots=True)
class SampleScore:
    """One image, for lists of the best and the worst.

    Attributes:
        path: relative to the data folder.
        frame: page of a multi-page file; -1 for a whole file.
        score: classification: probability of the true class; segmentation: mean IoU of the image; multi-label: mean
            over the classes of the probability given to what is true; localisation: IoU of the box, 0 where the class
            is wrong. None where undefined.
        truth: true class, or classes.
        prediction: predicted class, or classes.
        probability: of the predicted class, where it is one.

    """

    path: str
    frame: int
    score: float | None
    truth: str | None = None
    prediction: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """An evaluation of one model on one split. See the module for the file that it makes.

    Attributes:
        task: what kind of model it is.
        split: which images were used; "all" for a folder without splits.
        num_images: how many.
        metric: name of the score that chose the weights.
        scores: overall scores.
        classes: one entry per class, in the order of the model's class table.
        confusion: (K, K) int64 counts of images or pixels; rows are the truth, columns the prediction. (0, 0) where
            classes do not exclude each other.
        calibration: bins of confidence (classification), or none.
        samples: one entry per image, in the order of the manifest.
        notes: what a reader has to know to trust the numbers, such as images that were trained on.
        protocol: which views of an image the networks were shown, as text.
        members: the runs whose probabilities were averaged; none for a single model.

    """

    task: TaskName
    split: Split
    num_images: int
    metric: str
    scores: tuple[Score, ...]
    classes: tuple[ClassScores, ...]
    confusion: NDArray[np.int64]
    calibration: tuple[CalibrationBin, ...]
    samples: tuple[SampleScore, ...]
    notes: tuple[str, ...] = ()
    protocol: str = CENTRE.to_text()
    members: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Score:
        """Return the overall score of that name.

        Raises:
            KeyError: there is none.

        """
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(name)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return the overall scores as text: name, value, 95 % interval, number of images."""
        return [
            (
                score.name,
                _text(score.value, score.unit),
                _interval_text(score.low, score.high, score.unit),
                f"{score.n:,}",
            )
            for score in self.scores
        ]

    def class_rows(self) -> tuple[list[str], list[list[str]]]:
        """Return the table of classes as text: headers, and a row of cells for each class."""
        metrics = list(self.classes[0].values)
        units = {score.name: score.unit for score in self.scores}  # those of the means over the classes
        rows = [
            [
                one.name,
                f"{one.n:,}",
                *(_text(one.values[metric], units.get(f"mean_{metric}", "fraction")) for metric in metrics),
            ]
            for one in self.classes
        ]
        return ["class", TARGET_FORMS[self.task].unit, *metrics], rows

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON; see the module."""
        ece = expected_calibration_error(self.calibration)
        return {
            "format": FORMAT,
            "task": self.task,
            "split": self.split,
            "num_images": self.num_images,
            "metric": self.metric,
            "scores": [dataclasses.asdict(score) for score in self.scores],
            "classes": [one.to_json() for one in self.classes],
            "confusion": self.confusion.tolist(),
            "calibration": {"ece": ece, "bins": [dataclasses.asdict(one) for one in self.calibration]}
            if self.calibration
            else None,
            "samples": [dataclasses.asdict(sample) for sample in self.samples],
            "empty_class_rule": EMPTY_CLASS_RULE,
            "notes": list(self.notes),
            "protocol": self.protocol,
            "members": list(self.members),
        }

    @classmethod
    def from_json(cls, content: Any, name: str = "The scores") -> Self:
        """Rebuild from :meth:`to_json`; ``name`` is what a fault is blamed on.

        Raises:
            RunError: written by a newer version, or damaged.

        """
        found = content.get("format") if isinstance(content, dict) else None
        if isinstance(found, int) and found > FORMAT:
            raise RunError(
                f"{name} has format {found}",
                expected=f"format {FORMAT} or older",
                do="Update pixelwise: a newer version wrote it",
            )
        try:
            return cls._from_plain(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(
                f"{name} is damaged ({type(error).__name__}: {error})",
                expected="what `pixelwise evaluate` wrote",
                do="Evaluate the run again",
            ) from None

    @classmethod
    def _from_plain(cls, content: dict[str, Any]) -> Self:
        classes = [dict(one) for one in content["classes"]]
        intervals = [one.pop("interval") for one in classes]
        size, confusion = len(classes), np.array(content["confusion"], dtype=np.int64)
        return cls(
            task=content["task"],
            split=content["split"],
            num_images=content["num_images"],
            metric=content["metric"],
            scores=tuple(Score(**score) for score in content["scores"]),
            classes=tuple(
                ClassScores(
                    one.pop("name"),
                    one.pop("n"),
                    one,
                    {key: None if pair is None else (pair[0], pair[1]) for key, pair in interval.items()},
                )
                for one, interval in zip(classes, intervals, strict=True)
            ),
            confusion=confusion.reshape((size, size) if confusion.size else (0, 0)),
            calibration=tuple(CalibrationBin(**one) for one in (content["calibration"] or {"bins": []})["bins"]),
            samples=tuple(SampleScore(**sample) for sample in content["samples"]),
            notes=tuple(content["notes"]),
            protocol=str(content.get("protocol", CENTRE.to_text())),  # files of before there were protocols lack it
            members=tuple(map(str, content.get("members", []))),
        )

    def save(self, path: Path | str) -> None:
        """Write :meth:`to_json` atomically, one line for each score, class and sample.

        Raises:
            OutputError: it cannot be written; what was there before is unharmed.

        """
        fields = [f"{json.dumps(key)}: {_json_lines(value)}" for key, value in self.to_json().items()]
        write_text(Path(path), "{\n" + ",\n".join(fields) + "\n}\n")

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            RunError: missing, damaged, or of a newer format.

        """
        return cls.from_json(read_json(Path(path)), str(path))


def percent(value: float | None) -> str:
    """Write a fraction as per cent; None as "undefined"."""
    return "undefined" if value is None else f"{100 * value:.2f} %"


def defined(value: float) -> float | None:
    """Turn NaN into None, which JSON and readers understand."""
    return None if math.isnan(value) else float(value)


def _text(value: float | None, unit: str) -> str:
    """Write a fraction as per cent, and a distance with its unit."""
    return percent(value) if unit == "fraction" or value is None else f"{_length(value)} {unit}"


def _length(value: float) -> str:
    """Write a distance with two decimals, one of less than a tenth with three digits: 2.31, 0.00215."""
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.3g}"


def _interval_text(low: float | None, high: float | None, unit: str) -> str:
    if low is None or high is None:
        return ""
    if unit == "fraction":
        return f"{100 * low:.2f} to {100 * high:.2f} %"
    return f"{_length(low)} to {_length(high)} {unit}"


def _json_lines(value: object) -> str:
    """Write a list with one line for each entry, and anything else on one line."""
    if not isinstance(value, list) or not value:
        return json.dumps(value, allow_nan=False)
    entries = [json.dumps(entry, allow_nan=False) for entry in value]
    return "[\n " + ",\n ".join(entries) + "\n]"
