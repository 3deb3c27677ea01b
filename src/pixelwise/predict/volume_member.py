"""One model of volumes: whole volumes go through the network where they fit into memory, else exact tiles of them."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelwise.data.metadata import Cells
from pixelwise.data.volumes.resample import resize_volume, size_at
from pixelwise.data.volumes.volume import Geometry, Spacing, Volume, show_size, show_spacing
from pixelwise.errors import ImageError, PixelwiseError
from pixelwise.predict.member import Answer, Member, Shot, as_they_are
from pixelwise.predict.placement import place
from pixelwise.predict.tiling import predict_tiled

_LIKE_TRAINING: Final = 0.05
"""By which share of the training spacing an axis may differ without a word: headers are rounded, scanners vary."""


class VolumeMember(Member):
    """A model of volumes on its device, with its protocol: see :class:`~pixelwise.predict.member.Member`."""

    def begin(
        self,
        name: str,
        image: NDArray[Any] | Volume,
        cells: Cells | None = None,  # noqa: ARG002 - no network of volumes is told anything
    ) -> tuple[Answer, Iterator[Shot]]:
        """Admit a volume, a :class:`Volume` or an array (D, H, W) or (D, H, W, C); see :meth:`Member.begin`.

        Raises:
            ImageError: it is not of the model's kind.

        """
        volume = admit_volume(image, self.model.preprocess.channels, name)
        voxels, notes = self._prepared(volume, name)
        answer = Answer(name, volume.voxels.shape[:3], notes, missing=1 + self.protocol.flip)
        answer.geometry = volume.geometry
        answer.picture = volume.voxels if self.keeps_pictures else None
        return answer, self._views(answer, voxels)

    def _prepared(self, volume: Volume, name: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        preprocess = self.model.preprocess
        voxels = preprocess.levelled(volume.voxels)
        have = volume.geometry.spacing
        if preprocess.spacing is None:
            return voxels, unlike_training(have, preprocess.training_spacing)
        if have is None:
            raise ImageError(
                f"{name} does not say how far apart its voxels are",
                expected=f"a spacing in mm, as the model brings volumes to {show_spacing(preprocess.spacing)}",
                do="Save it as NIfTI, or give a Volume with its geometry",
            )
        size = size_at(voxels.shape[:3], have, preprocess.spacing)
        if size == voxels.shape[:3]:
            return voxels, ()
        return resize_volume(voxels, size), (f"brought to a spacing of {show_spacing(preprocess.spacing)}",)

    def _views(self, answer: Answer, voxels: NDArray[np.float32]) -> Iterator[Shot]:
        size = voxels.shape[:3]
        for is_mirrored in (False, True)[: 1 + self.protocol.flip]:
            looked_at = np.ascontiguousarray(voxels[:, :, ::-1]) if is_mirrored else voxels
            weight = 0.5 if self.protocol.flip else 1.0
            yield Shot(answer, looked_at, weight, is_mirrored, is_dense=False, start=(0, 0, 0), size=size)

    def run(self, batch: Sequence[Shot]) -> None:
        """Send volumes through the network one by one, and hand their answers over."""
        for shot in batch:
            try:
                tiles = self._tiler.plan_for(*shot.size)
                if tiles is not None:
                    self._run_tiled(shot, tiles)
                    continue
                values = self._whole(shot.pixels, self._finish)
            except PixelwiseError as error:
                shot.answer.error = error
                continue
            shot.answer.add(values[..., ::-1] if shot.is_mirrored else values, shot.weight)

    def logits(self, shot: Shot) -> Tensor:
        """Return what the network says to one volume: (outputs, d, h, w)."""
        tiles = self._tiler.plan_for(*shot.size)
        if tiles is not None:
            return torch.from_numpy(
                predict_tiled(functools.partial(self._forward_block, finish=as_they_are), shot.pixels, tiles)
            )
        return torch.from_numpy(self._whole(shot.pixels, lambda logits: logits))

    def _whole(self, voxels: NDArray[np.float32], finish: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
        """Answers, (K, d, h, w), for every voxel of (d, h, w, C) at once."""
        size = voxels.shape[:3]
        placement = place(self._network, *size)
        values = self._forward_block(placement.surround(voxels), finish)
        window = (slice(first, first + side) for first, side in zip(placement.start, size, strict=True))
        return values[(slice(None), *window)]


def unlike_training(have: Spacing | None, trained: Spacing | None) -> tuple[str, ...]:
    """Say that a volume's voxels are of another size than those that the network learnt from; () where they are not.

    Args:
        have: mm between the volume's voxels; None where that is not known, which contradicts nothing.
        trained: mm between those of the training volumes; None likewise.

    """
    if have is None or trained is None:
        return ()
    if all(abs(one - other) <= _LIKE_TRAINING * other for one, other in zip(have, trained, strict=True)):
        return ()
    wanted = ",".join(f"{length:g}" for length in trained)
    return (
        f"a spacing of {show_spacing(have)}, and the model was trained at {show_spacing(trained)}: do not rely on "
        f"this; resample the volume, or train with --set spacing={wanted}, which resamples every volume",
    )


def admit_volume(image: NDArray[Any] | Volume, channels: int, name: str) -> Volume:
    """Return a volume whose voxels are (D, H, W, channels) float32.

    Raises:
        ImageError: another shape, type or number of channels; NaN or infinity.

    """
    volume = image if isinstance(image, Volume) else Volume(np.asarray(image), Geometry())
    voxels = volume.voxels[..., None] if volume.voxels.ndim == 3 else volume.voxels
    if voxels.ndim != 4 or not voxels.size:
        raise ImageError(
            f"{name} has the shape {volume.voxels.shape}",
            expected="(D, H, W) or (D, H, W, C)",
            do="Give one volume at a time",
        )
    if voxels.dtype.kind not in "buif":
        raise ImageError(f"{name} holds {voxels.dtype} values", expected="numbers", do="Convert it")
    if voxels.shape[3] != channels:
        raise ImageError(
            f"{name}, {show_size(voxels.shape[:3])} voxels, has {voxels.shape[3]} channels",
            expected=f"{channels}, as the volumes that the model was trained on",
            do="Give volumes like those of training",
        )
    wide = voxels.astype(np.float32)
    if not np.isfinite(wide).all():
        raise ImageError(f"{name} holds NaN or infinity", expected="finite values", do="Replace them")
    return Volume(wide, volume.geometry)
