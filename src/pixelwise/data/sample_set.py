"""What training and validation need of a set of samples, be they pictures or volumes."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]
"""Images (N, ..., C) of their own type; targets (N, ...), see :mod:`pixelwise.data.targets`; manifest indices (N,)."""


class SampleSet(Protocol):
    """Samples of a manifest as a network sees them: a :class:`~pixelwise.data.dataset.Dataset`, say."""

    seed: int
    indices: NDArray[np.int64]

    @property
    def numbers(self) -> NDArray[np.float32] | None:
        """(n, M) what is known of each sample of the manifest, as numbers; None without metadata."""

    def __len__(self) -> int:
        """Return the number of samples."""

    @property
    def sample_bytes(self) -> int:
        """Size in bytes of the largest sample as it leaves this set, its target included."""

    def arrays(self, positions: NDArray[np.int64], epoch: int) -> Arrays:
        """Collate one batch; see :meth:`~pixelwise.data.dataset.Dataset.arrays`."""
