"""Weights from files into networks, by explicit name maps.

A :class:`Layout` says how somebody else's names become ours, rule by rule. A file must then hold exactly the network's
tensors, in the network's shapes: nothing is left out, ignored or guessed.

Files: ``.safetensors``, and PyTorch's ``.pth``, ``.pt``, ``.th`` through its loader that admits only tensors and plain
containers. Pickled modules and other objects are refused, since reading them would run the code that they name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.errors import WeightsError
from pixelwise.specs import Network
from pixelwise.storage.arrays import read_tensors

TORCH_SUFFIXES = (".pth", ".pt", ".th")
_COUNTER = "num_batches_tracked"
_SHOWN = 5
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


@dataclass(frozen=True, slots=True)
class Layout:
    """Names as another project writes them.

    ``rules`` are regular expressions and replacements, applied in order to every name. ``marker`` matches a name that
    only this layout has.
    """

    source: str
    marker: str
    rules: tuple[tuple[str, str], ...]

    def rename(self, name: str) -> str:
        """Turn one of their names into ours."""
        for pattern, replacement in self.rules:
            name = re.sub(pattern, replacement, name)
        return name


_RESIDUAL_RULES = (
    (r"\.conv1\.", ".residual.0.conv."),
    (r"\.conv2\.", ".residual.1.conv."),
    (r"\.conv3\.", ".residual.2.conv."),
    (r"\.bn1\.", ".residual.0.norm."),
    (r"\.bn2\.", ".residual.1.norm."),
    (r"\.bn3\.", ".residual.2.norm."),
    (r"\.(downsample|shortcut)\.0\.", ".shortcut.conv."),
    (r"\.(downsample|shortcut)\.1\.", ".shortcut.norm."),
)
_PARALLEL_RULE = (r"^module\.", "")  # DataParallel's prefix
_STEM_RULES = ((r"^conv1\.", "conv1.conv."), (r"^bn1\.", "conv1.norm."))

LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "resnet": (
        Layout(
            source="torchvision",
            marker=r"^(module\.)?layer1\.0\.conv1\.weight$",
            rules=(
                _PARALLEL_RULE,
                *_RESIDUAL_RULES,
                *_STEM_RULES,
                (r"^layer1\.", "conv2_x."),
                (r"^layer2\.", "conv3_x."),
                (r"^layer3\.", "conv4_x."),
                (r"^layer4\.", "conv5_x."),
            ),
        ),
        Layout(
            source="akamaster/pytorch_resnet_cifar10",
            marker=r"^(module\.)?linear\.weight$",
            rules=(
                _PARALLEL_RULE,
                *_RESIDUAL_RULES,
                *_STEM_RULES,
                (r"^layer([123])\.", r"stage\1."),
                (r"^linear\.", "fc."),
            ),
        ),
    ),
}
"""The layouts that each family can read besides its own, the most special last."""


def load_weights(network: Network, path: Path) -> None:
    """Read a file of weights into ``network``.

    Raises:
        WeightsError: the file is missing, damaged, unsafe, holds NaN or infinity, or does not fit the network.

    """
    load_tensors(network, _read(path), str(path))


def load_tensors(network: Network, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy named tensors into ``network``, through the name map of the layout that they have.

    Args:
        network: where they go; it is unchanged if anything does not fit.
        tensors: weights and buffers by name. Counters of batches may be missing: not every version wrote them.
        source: what to call them in messages.

    Raises:
        WeightsError: names or shapes differ, with the first differences; or values are not finite numbers.

    """
    renamed = _rename(network, tensors)
    own = network.state_dict()
    _check_fit(network, own, renamed, source)
    for name, tensor in renamed.items():
        if not (tensor.is_floating_point() or name.endswith(_COUNTER)) or not torch.isfinite(tensor).all():
            raise WeightsError(
                f"{source}: {name} holds values that are no finite numbers",
                expected="finite floating-point weights",
                do="Take an earlier checkpoint: the training that wrote this one had failed",
            )
    network.load_state_dict({**own, **renamed})


def _rename(network: Network, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for layout in reversed(LAYOUTS.get(network.spec.family, ())):
        if any(re.search(layout.marker, name) for name in tensors):
            return {layout.rename(name): tensor for name, tensor in tensors.items()}
    return dict(tensors)


def _check_fit(network: Network, own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], source: str) -> None:
    differences = [f"{name} is missing" for name in own if name not in theirs and not name.endswith(_COUNTER)] + [
        f"{name} is not in the network" for name in theirs if name not in own
    ]
    unequal = [name for name in own if name in theirs and own[name].shape != theirs[name].shape]
    head = [name for name, _ in network.named_children()][-1]
    if unequal and not differences and all(name.startswith(f"{head}.") for name in unequal):
        classes = theirs[unequal[0]].shape[0]
        raise WeightsError(
            f"{source} holds weights for {classes} classes",
            expected=f"{network.num_classes}, as the network has",
            do=f"Create {network.spec.name} with num_classes={classes} to use them",
        )
    differences += [f"{name} is {tuple(theirs[name].shape)}, not {tuple(own[name].shape)}" for name in unequal]
    if differences:
        more = f", and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise WeightsError(
            f"{source} does not fit {network.spec.name}: {'; '.join(differences[:_SHOWN])}{more}",
            expected=f"the {len(own)} tensors of {network.spec.name} for {network.in_channels} channels",
            do="Create the network that the weights belong to",
        )


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return read_tensors(path)[0]
    if path.suffix not in TORCH_SUFFIXES:
        raise WeightsError(
            f"{path} is no file of weights by its name",
            expected=f"a name in .safetensors, {', '.join(TORCH_SUFFIXES)}",
            do="Rename it if it is one",
        )
    content = _load_torch(path)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise WeightsError(
            f"{path} holds {type(content).__name__}, no weights", expected="tensors by name", do=_CONVERT
        )
    strangers = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if strangers:
        raise WeightsError(f"{path}: {strangers[0]} is no tensor", expected="tensors by name", do=_CONVERT)
    return content


_CONVERT = (
    "Where the file was made, load it and save only its weights, with "
    "safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')"
)


def _load_torch(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            start = file.read(len(_ZIP))
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror}", expected="a file of weights", do="Check the path"
        ) from None
    if not start.startswith((_ZIP, _PICKLE)):
        raise WeightsError(f"{path} was not written by PyTorch", expected="a file of weights", do="Take a fresh copy")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if "weights_only" in str(error) or "Weights only" in str(error):
            raise WeightsError(
                f"{path} holds pickled objects besides tensors, which are not loaded: they could run any code",
                expected="tensors by name",
                do=_CONVERT,
            ) from None
        raise WeightsError(
            f"{path} is damaged: {str(error).splitlines()[0]}", expected="a file of weights", do="Take a fresh copy"
        ) from None
