"""Moving average of the weights: evaluated and kept in place of the last ones, which jitter with each batch."""

import copy

import torch
from torch import nn

WARM_UP_OFFSET = 10


class MovingAverage:
    """Exponential moving average of a network's weights and floating-point buffers.

    After step ``t`` (from 1): ``average += (1 - d) * (weights - average)`` with
    ``d = min(decay, (1 + t) / (10 + t))``: the short memory of the first steps keeps the random start out of it.
    Counters (whole numbers) are copied.

    Args:
        network: whose weights are averaged; the average starts as a copy of it.
        decay: close to 1; an average over about ``1 / (1 - decay)`` steps.

    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        # state_dict gives views of the live tensors, so the pairs stay valid while the optimiser works in place.
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Draw the average towards the network's present weights; ``step`` is the number of steps done."""
        weight = 1 - min(self.decay, (1 + step) / (WARM_UP_OFFSET + step))
        torch._foreach_lerp_([mine for mine, _ in self._floats], [theirs for _, theirs in self._floats], weight)
        for mine, theirs in self._counters:
            mine.copy_(theirs)
