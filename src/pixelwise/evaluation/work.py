"""One evaluation under way: its samples, their predictions, and what it found."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.manifest import Manifest
from pixelwise.data.reading import SampleReader
from pixelwise.data.volumes.volume import Volume
from pixelwise.errors import PixelwiseError
from pixelwise.evaluation.further import Further
from pixelwise.evaluation.scores import SampleScore
from pixelwise.evaluation.tally import Tally
from pixelwise.metrics import CalibrationBin
from pixelwise.predict.prediction import Prediction
from pixelwise.predict.predictor import Predictor

_DECIMALS = 6

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Picture:
    """One sample as the predictor's source."""

    reader: SampleReader
    index: int
    name: str
    cells: dict[str, str]
    should_stop: ShouldStop

    def read(self) -> NDArray[Any] | Volume:
        self.should_stop()
        if self.reader.manifest.form.dimensions == 3:
            return self.reader.volume(self.index)
        return self.reader.image(self.index)


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of an evaluation, besides what is the same for every task.

    Attributes:
        tally: the scores.
        confusion: (K, K) counts, rows the truth; (0, 0) where classes do not exclude each other.
        samples: one entry for each sample.
        calibration: bins of confidence, or none.
        notes: what a reader has to know to trust the numbers.

    """

    tally: Tally
    confusion: NDArray[np.int64]
    samples: tuple[SampleScore, ...]
    calibration: tuple[CalibrationBin, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One evaluation under way."""

    predictor: Predictor
    reader: SampleReader
    manifest: Manifest
    order: NDArray[np.int64]
    """Index in the model's class table of each class of the manifest."""
    indices: NDArray[np.int64]
    """Of the labelled samples."""
    further: Further
    """Scores that were asked for besides the usual ones."""
    seed: int
    progress: Progress
    should_stop: ShouldStop

    @property
    def classes(self) -> tuple[str, ...]:
        """The model's class table."""
        return self.predictor.classes

    def labels(self) -> NDArray[np.int64]:
        """Return the true class of each sample, in the model's table: (n,)."""
        return self.order[self.manifest.column("label")[self.indices]]

    def shown(self) -> NDArray[np.bool_]:
        """Return whether each sample shows each class of the model's table: (n, K)."""
        shown = np.zeros((len(self.indices), len(self.classes)), np.bool_)
        shown[:, self.order] = self.manifest.shows(self.indices).toarray() > 0
        return shown

    def predictions(self, leaving_out: Collection[int] = ()) -> Iterator[tuple[int, Prediction]]:
        """Yield each sample's index with its prediction; the first one that fails raises its error."""
        indices = [index for index in self.indices.tolist() if index not in leaving_out]
        total = len(self.indices)
        sources = (
            _Picture(self.reader, index, self.manifest[index].path, self.manifest.cells(index), self.should_stop)
            for index in indices
        )
        outcomes = self.predictor.attempt_many(sources)
        for done, (index, outcome) in enumerate(zip(indices, outcomes, strict=True), start=1):
            if isinstance(outcome, PixelwiseError):
                raise outcome
            yield index, outcome
            self.progress(done, total)

    def sample(
        self,
        index: int,
        score: float | None,
        *,
        truth: str | None = None,
        prediction: str | None = None,
        probability: float | None = None,
    ) -> SampleScore:
        """Return the entry of one sample, with rounded numbers."""
        sample = self.manifest[index]
        rounded, chance = (None if value is None else round(value, _DECIMALS) for value in (score, probability))
        return SampleScore(sample.path, sample.frame, rounded, truth, prediction, chance)
