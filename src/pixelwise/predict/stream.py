"""Pictures on their way through one model, in batches of bounded size."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from pixelwise.data.metadata import Cells
from pixelwise.data.volumes.volume import Volume
from pixelwise.errors import PixelwiseError
from pixelwise.predict.member import Answer, Member, Shot

BATCH_PIXELS = 2**20
"""Most pixels of one batch: larger pictures go through the network in smaller batches, down to one."""


@dataclass(slots=True)
class Stream:
    """Pictures on their way through one model; answers come out in the order in which the pictures went in."""

    member: Member
    _waiting: deque[Answer] = field(default_factory=deque)
    _batch: list[Shot] = field(default_factory=list)
    _pixels: int = 0

    def add(self, name: str, image: NDArray[Any] | Volume | PixelwiseError, cells: Cells | None = None) -> None:
        """Take a picture with what is said of it, or the reason why there is none."""
        if isinstance(image, PixelwiseError):
            self._waiting.append(Answer(name, error=image))
            return
        try:
            answer, shots = self.member.begin(name, image, cells)
        except PixelwiseError as error:
            self._waiting.append(Answer(name, error=error))
            return
        self._waiting.append(answer)
        try:
            for shot in shots:
                self._batch.append(shot)
                self._pixels += shot.pixels.shape[0] * shot.pixels.shape[1]
                if len(self._batch) >= self.member.batch_size or self._pixels >= BATCH_PIXELS:
                    self.run()
        except PixelwiseError as error:
            answer.error = error

    def run(self) -> None:
        """Predict what was gathered."""
        batch, self._batch, self._pixels = self._batch, [], 0
        self.member.run(batch)

    @property
    def has_answer(self) -> bool:
        """Whether the first picture's answer is complete."""
        return bool(self._waiting) and self._waiting[0].is_complete

    def take(self) -> Answer:
        """Return the first picture's answer, which is complete."""
        return self._waiting.popleft()
