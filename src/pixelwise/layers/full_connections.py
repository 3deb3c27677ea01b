"""Networks that flatten their last maps into full connections: AlexNet's form, which VGG kept.

A full connection takes one size only. Other pictures are taken in two ways: the last maps are averaged to that size
(torchvision's adaptive pooling, which leaves a map of the right size as it is), or the full connections are slid over
the maps as convolutions (Simonyan and Zisserman 2015, section 3.2).
"""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from pixelwise.errors import SpecError
from pixelwise.layers.activation import ActivationName, activation
from pixelwise.layers.convolution import Normalisation
from pixelwise.layers.dense import slide_linear
from pixelwise.layers.trunk import run_trunk
from pixelwise.specs import Network

DropoutPlace = Literal["before", "after"]


class FullConnection(nn.Sequential):
    """A hidden layer: full connection, batch normalisation if asked for, activation; dropout before or after them.

    The parts are named ``linear``, ``norm``, ``act`` and ``dropout``. Input (N, in_features).

    Args:
        in_features: values of the input.
        out_features: units of the layer.
        dropout: share of values set to zero in training.
        dropout_place: whether the layer's input loses them, or its output.
        normalisation: ``batch`` for batch normalisation.
        epsilon: what is added to the variance.
        activation_name: one of :data:`~pixelwise.layers.activation.ActivationName`.

    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        dropout: float,
        dropout_place: DropoutPlace = "after",
        normalisation: Normalisation = "none",
        epsilon: float = 1e-5,
        activation_name: ActivationName = "relu",
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if dropout_place == "before":
            parts["dropout"] = nn.Dropout(dropout)
        parts["linear"] = nn.Linear(in_features, out_features)
        if normalisation == "batch":
            parts["norm"] = nn.BatchNorm1d(out_features, eps=epsilon)
        parts["act"] = activation(activation_name)
        if dropout_place == "after":
            parts["dropout"] = nn.Dropout(dropout)
        super().__init__(parts)
        self.in_features = in_features

    def slide(self, x: Tensor, window: int) -> Tensor:
        """Apply the layer at every place of maps (N, C, H, W) where ``window`` x ``window`` values fit.

        Returns:
            (N, out_features, H - window + 1, W - window + 1).

        """
        for part in self:
            if isinstance(part, nn.Linear):
                x = slide_linear(part, x, (window, window))
            elif isinstance(part, nn.BatchNorm1d):
                x = part(x.flatten(2)).view_as(x)  # every place counts as an example
            else:
                x = part(x)
        return x


class FlatteningNetwork(Network):
    """A trunk of convolutions and poolings, its last maps at one size, and the layers fc6, fc7 and fc8.

    A subclass adds the trunk's rows as direct children, calls :meth:`add_full_connections` and sets ``stages``.
    """

    fc6: FullConnection
    fc7: FullConnection
    fc8: nn.Linear
    window: int
    """Height and width of the maps that fc6 is made for."""

    @abstractmethod
    def side_for(self, places: int) -> int:
        """Return the least height or width, in pixels, whose last maps are ``places`` high or wide."""

    def add_full_connections(
        self, channels: int, window: int, hidden: tuple[int, int], layer: Callable[[int, int], FullConnection]
    ) -> None:
        """Add the rows after the trunk; the children that are there already are the trunk.

        Args:
            channels: of the trunk's last maps.
            window: height and width of these maps that fc6 is made for.
            hidden: units of fc6 and fc7.
            layer: makes fc6 and fc7 from their numbers of inputs and units.

        """
        self._trunk, self.window = tuple(self._modules), window
        self.avgpool = nn.AdaptiveAvgPool2d(window)
        self.fc6 = layer(channels * window**2, hidden[0])
        self.fc7 = layer(*hidden)
        self.fc8 = nn.Linear(hidden[1], self.num_classes)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the map (N, C, H / stride, W / stride), rounded down, at the end of every stage."""
        self.check_input(x)
        return run_trunk(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of x (N, in_channels, H, W)."""
        x = self.avgpool(self._last_map(x))  # (N, C, window, window)
        return self.fc8(self.fc7(self.fc6(x.flatten(1))))

    def dense_logits(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, h, w) at every place of the last maps where the window of fc6 fits.

        A picture of the network's own size has one place, whose logits are those of :meth:`forward`.

        Raises:
            SpecError: no batch for this network, or its pictures are too small for a single window.

        """
        self.check_input(x)
        height, width, smallest = *x.shape[-2:], self.side_for(self.window)
        if min(height, width) < smallest:
            raise SpecError(
                f"{self.spec.name} cannot be slid over images of {height} x {width} pixels",
                expected=f"at least {smallest} x {smallest}",
                do="Enlarge the images, or choose another test protocol",
            )
        maps = self.fc6.slide(self._last_map(x), self.window)
        return slide_linear(self.fc8, self.fc7.slide(maps, 1))

    def check_size(self, *size: int) -> None:
        """Refuse images of which the trunk leaves nothing."""
        height, width = size
        smallest = self.side_for(1)
        if min(height, width) < smallest:
            raise SpecError(
                f"{self.spec.name} cannot take images of {height} x {width} pixels",
                expected=f"at least {smallest} x {smallest}",
                do="Enlarge the images, or choose a network for small images such as resnet20_cifar",
            )

    def _last_map(self, x: Tensor) -> Tensor:
        """Run the trunk without keeping the maps on the way."""
        self.check_input(x)
        for name in self._trunk:
            x = self.get_submodule(name)(x)
        return x
