"""Feature-wise linear modulation: what is known of a picture scales and shifts whole maps.

Source: Perez, Strub, de Vries, Dumoulin and Courville, "FiLM: Visual Reasoning with a General Conditioning Layer",
2018, section 2.1, equation 2: FiLM(F | g, b) = g F + b, map by map, with g and b a learned function of the condition;
here two full connections with a ReLU between them. As the paper's generator (section 2.2), it gives differences from 1
and 0, and starts at these: an untrained layer changes nothing.
"""

from torch import Tensor, nn

HIDDEN = 64


class FiLM(nn.Module):
    """Scales and shifts the maps of (N, C, ...) by a function of (N, M) numbers."""

    def __init__(self, numbers: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(numbers, HIDDEN)
        self.modulation = nn.Linear(HIDDEN, 2 * channels)
        self.reset()

    def reset(self) -> None:
        """Go back to changing nothing, whatever drew the weights."""
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        """Return the modulated maps, of the same shape."""
        scale, shift = self.modulation(self.hidden(numbers).relu()).chunk(2, dim=1)
        places = (...,) + (None,) * (maps.ndim - 2)
        return maps * (1 + scale[places]) + shift[places]
