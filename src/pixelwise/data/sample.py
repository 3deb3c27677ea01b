"""One row of a manifest."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a manifest.

    Attributes:
        index: the row.
        path: the image, relative to the data folder, POSIX separators.
        frame: the picture's place in a container, -1 for a file that is one picture.
        label: class index, -1 for none.
        annotation: what the task says beyond one class, "" for nothing: class indices, or a box (x_min y_min x_max
            y_max in pixels); numbers with spaces between them.
        mask: the mask's relative path, "" for none.
        mask_frame: as ``frame``, of the mask.
        split: "", "train", "val" or "test".
        group: samples of one group stay in one split; "" for none.
        depth: slices of a volume, 0 for a picture.
        height, width, channels, dtype: of the image as it is read.
        size_bytes, mtime_ns: of the file when it was indexed.
        sha256: hex digest of the file, or of the one picture of a container.
        spacing: millimetres between a volume's voxels along depth, height and width; None where they are not known.

    """

    index: int
    path: str
    frame: int
    label: int
    annotation: str
    mask: str
    mask_frame: int
    split: str
    group: str
    depth: int
    height: int
    width: int
    channels: int
    dtype: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    spacing: tuple[float, float, float] | None
