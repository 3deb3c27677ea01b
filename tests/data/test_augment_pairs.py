"""One draw moves picture and mask together; two draws do not, and that is what is counted here."""

import numpy as np

from pixelwise.data.augment import Augment

DEFORM = Augment(
    flip_horizontal=0.5, flip_vertical=0.5, quarter_turns=True, rotate_degrees=45, scale=(0.8, 1.25), elastic_px=5
)
CLASSES = np.array([0, 3, 7, 255], np.uint8)


def test_masks_go_with_their_picture_and_keep_their_classes() -> None:
    draws = np.random.default_rng(0)
    labels = CLASSES[np.kron(draws.integers(0, 4, (6, 6)), np.ones((16, 16), int))]
    image = labels[..., None]
    together = apart = counted = 0
    for seed in range(20):
        warped, same = DEFORM.apply(image, labels, np.random.default_rng(seed), (64, 64))
        _, other = DEFORM.apply(image, labels, np.random.default_rng(seed + 100), (64, 64))
        assert same is not None
        assert other is not None
        assert set(np.unique(same)) <= set(CLASSES.tolist())
        inside = _far_from_edges(same)  # where interpolation has mixed no two classes
        together += int((warped[..., 0] != same)[inside].sum())
        apart += int((warped[..., 0] != other)[inside].sum())
        counted += int(inside.sum())
    assert counted > 20_000
    assert together == 0
    assert apart > 0.5 * counted


def _far_from_edges(labels: np.ndarray) -> np.ndarray:
    """Pixels whose neighbours, and theirs, lie in the result and are of their own class."""
    far = np.zeros(labels.shape, bool)
    views = np.lib.stride_tricks.sliding_window_view(labels, (5, 5))
    far[2:-2, 2:-2] = (views == labels[2:-2, 2:-2, None, None]).all(axis=(2, 3))
    return far
