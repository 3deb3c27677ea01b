"""Batches for tests of losses, and class probabilities written with exponentials alone."""

import numpy as np
import torch

from pixelwise.losses import LossSettings, make_loss

IGNORE = 255


def loss_of(text, num_outputs, **options):
    return make_loss(text, LossSettings(num_outputs=num_outputs, ignore_index=IGNORE, **options))


def drawn(num_outputs, *, size=(4, 5), count=2, seed=0, ignored=0.2, spread=2.0):
    """Logits (count, num_outputs, *size) float64 and targets (count, *size) uint8, some of them ignored."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, max(num_outputs, 2), (count, *size)).astype(np.uint8)
    target[rng.random(target.shape) < ignored] = IGNORE
    return torch.from_numpy(rng.normal(0, spread, (count, num_outputs, *size))), torch.from_numpy(target)


def drawn_weights(target, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 4, target.shape))


def class_probabilities(logits):
    """(positions, K) float64: of one logit z, 1 / (1 + exp(-z)) and the rest."""
    values = np.moveaxis(logits.detach().double().numpy(), 1, -1).reshape(-1, logits.shape[1])
    if values.shape[1] == 1:
        positive = 1 / (1 + np.exp(-values))
        return np.concatenate([1 - positive, positive], axis=1)
    powers = np.exp(values)
    return powers / powers.sum(1, keepdims=True)


def flat(logits, target, weights=None):
    """(positions, K) logits, (positions,) targets and weights of the positions that are not ignored."""
    keep = (target != IGNORE).flatten()
    rows = logits.movedim(1, -1).reshape(-1, logits.shape[1])[keep]
    return rows, target.flatten()[keep], None if weights is None else weights.flatten()[keep]
