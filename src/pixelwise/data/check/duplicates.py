"""Pictures that are there twice: the same bytes, the same pixels, or nearly the same picture.

Near-duplicates are sought among 16 x 16 grey thumbnails. Each has a 64-bit difference hash (N. Krawetz, "Kind of like
that", 2013: is a pixel brighter than its right neighbour?) of its 8 x 8 half; pictures that share one of its four
16-bit bands, and differ in few bits at all, are candidates, and thumbnails that correlate above 0.998 decide. That
finds copies that were re-encoded, resized, or slightly brightened; crops and reflections it does not find.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.check.findings import Findings, counted
from pixelwise.data.check.survey import Survey
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import SPLITS, show_path
from pixelwise.data.reading import SampleReader
from pixelwise.errors import DataError

_BANDS: Final = 4
_BAND_BITS: Final = 16
_MOST_BITS_APART: Final = 6
_CORRELATION: Final = 0.998
_NEIGHBOURS: Final = 50  # compared in a crowd of equal bands, so that a thousand alike cost thousands, not a million
_COMPARED_EXACTLY: Final = 500
_PAIRS_SHOWN: Final = 3

Pairs = NDArray[np.int64]


def find_duplicates(root: Path, manifest: Manifest, survey: Survey, findings: Findings) -> None:
    """Report exact duplicates (across splits: an error), pictures under two labels, and near-duplicates."""
    content = _content_codes(manifest)
    same = _same_content(manifest, content)
    near = _near_pairs(survey, content)
    same_pixels, near = _part_same_pixels(SampleReader(root, manifest), near)
    _report_same(manifest, np.concatenate([same, same_pixels]), findings)
    _report_near(manifest, near, findings)


def _content_codes(manifest: Manifest) -> NDArray[np.int64]:
    digests = np.ascontiguousarray(manifest.column("sha256")[:, :8]).view(np.uint64)[:, 0]
    return np.unique(digests, return_inverse=True)[1].astype(np.int64)


def _same_content(manifest: Manifest, content: NDArray[np.int64]) -> Pairs:
    """Pairs (first, other) of samples of equal bytes, the first being the earliest of its kind in the manifest."""
    _, first = np.unique(content, return_index=True)
    rows = np.arange(len(manifest))
    others = rows[first[content] != rows]
    return np.stack([first[content[others]], others], axis=1)


def _near_pairs(survey: Survey, content: NDArray[np.int64]) -> Pairs:
    """Pairs of decoded samples with nearly equal thumbnails; one sample for each content."""
    _, single = np.unique(content[survey.rows], return_index=True)
    places = single[survey.thumbnails[single].any(axis=1)]
    thumbnails = survey.thumbnails[places].astype(np.float32)
    hashes = _hashes(survey.thumbnails[places])
    found: list[Pairs] = []
    for band in range(_BANDS):
        key = (hashes >> np.uint64(band * _BAND_BITS)) & np.uint64((1 << _BAND_BITS) - 1)
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            equal = np.flatnonzero(ordered[step:] == ordered[:-step])
            if not len(equal):
                break  # sorted: where no two are equal at this distance, none are at a larger one
            left, right = order[equal], order[equal + step]
            close = np.bitwise_count(hashes[left] ^ hashes[right]) <= _MOST_BITS_APART
            found.append(np.stack([left[close], right[close]], axis=1))
    if not found:
        return np.zeros((0, 2), np.int64)
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    norms = np.linalg.norm(thumbnails, axis=1)
    alike = np.einsum("ij,ij->i", thumbnails[pairs[:, 0]], thumbnails[pairs[:, 1]])
    alike /= norms[pairs[:, 0]] * norms[pairs[:, 1]]
    return np.sort(survey.rows[places[pairs[alike >= _CORRELATION]]], axis=1)


def _hashes(thumbnails: NDArray[np.int8]) -> NDArray[np.uint64]:
    """(n,) difference hashes of (n, 256) thumbnails; the last column is compared with the first."""
    halves = thumbnails.reshape(-1, 8, 2, 8, 2).sum(axis=(2, 4), dtype=np.int32)
    bits = halves > np.roll(halves, -1, axis=2)
    return np.ascontiguousarray(np.packbits(bits.reshape(-1, 64), axis=1)).view(np.uint64)[:, 0]


def _part_same_pixels(reader: SampleReader, pairs: Pairs) -> tuple[Pairs, Pairs]:
    """Part near pairs into those of equal pixels (in other bytes) and the rest."""
    manifest = reader.manifest
    height, width = manifest.column("height"), manifest.column("width")
    same = np.zeros(len(pairs), np.bool_)
    left, right = pairs[:, 0], pairs[:, 1]
    comparable = np.flatnonzero((height[left] == height[right]) & (width[left] == width[right]))
    for place in comparable[:_COMPARED_EXACTLY].tolist():
        try:
            first, other = (reader.image(int(row)) for row in pairs[place])
        except DataError:
            continue  # it vanished meanwhile, which is reported elsewhere
        same[place] = first.dtype == other.dtype and np.array_equal(first, other)
    return pairs[same], pairs[~same]


def _report_same(manifest: Manifest, pairs: Pairs, findings: Findings) -> None:
    if not len(pairs):
        return
    split = manifest.column("split")
    target = np.stack([manifest.column("label"), manifest.column("annotation")])
    left, right = pairs[:, 0], pairs[:, 1]
    across = (split[left] != split[right]) & (split[left] > 0) & (split[right] > 0)
    if across.any():
        findings.add(
            "error",
            "duplicate-across-splits",
            f"{counted(int(across.sum()), 'picture')} in two splits: {_shown(manifest, pairs[across])}. "
            "Scores on such pictures measure memory, not skill.",
            "Remove one of each pair, or let pixelwise divide the data (it keeps equal pictures together)",
            _paths(manifest, pairs[across]),
        )
    torn = (target[:, left] != target[:, right]).any(axis=0)
    if torn.any():
        findings.add(
            "warning",
            "label-conflict",
            f"{counted(int(torn.sum()), 'picture')} under two {manifest.form.noun}: {_shown(manifest, pairs[torn])}.",
            "Keep the right one of each pair",
            _paths(manifest, pairs[torn]),
        )
    rest = ~(across | torn)
    if rest.any():
        findings.add(
            "info",
            "duplicate",
            f"{counted(int(rest.sum()), 'exact duplicate')}: {_shown(manifest, pairs[rest])}.",
            "Nothing must be done: equal pictures are never parted by a split; they weigh double in training",
            _paths(manifest, pairs[rest]),
        )


def _report_near(manifest: Manifest, pairs: Pairs, findings: Findings) -> None:
    split = manifest.column("split")
    left, right = split[pairs[:, 0]], split[pairs[:, 1]]
    across = (left != right) & (left > 0) & (right > 0)
    if across.any():
        findings.add(
            "warning",
            "near-duplicate-across-splits",
            f"{counted(int(across.sum()), 'pair')} of nearly equal pictures in two splits: "
            f"{_shown(manifest, pairs[across])}.",
            "Look at them; if they are copies, frames of one film or of one patient, keep them in one split (group)",
            _paths(manifest, pairs[across]),
        )
    rest = ~across
    if rest.any():
        findings.add(
            "warning" if bool((left[rest] == 0).any()) else "info",
            "near-duplicate",
            f"{counted(int(rest.sum()), 'pair')} of nearly equal pictures: {_shown(manifest, pairs[rest])}.",
            "If they belong together (film, patient, slide), group them, so that no split parts them",
            _paths(manifest, pairs[rest]),
        )


def _shown(manifest: Manifest, pairs: Pairs) -> str:
    shown = [f"{_name(manifest, a)} = {_name(manifest, b)}" for a, b in pairs[:_PAIRS_SHOWN].tolist()]
    rest = len(pairs) - len(shown)
    return "; ".join(shown) + (f"; and {rest:,} more" if rest else "")


def _name(manifest: Manifest, row: int) -> str:
    frame, split = int(manifest.column("frame")[row]), SPLITS[int(manifest.column("split")[row])]
    name = show_path(manifest.paths[row]) + (f"[{frame}]" if frame >= 0 else "")
    return f"{name} ({split})" if split else name


def _paths(manifest: Manifest, pairs: Pairs) -> list[str]:
    return list(dict.fromkeys(manifest.paths[row] for row in pairs.ravel().tolist()))
