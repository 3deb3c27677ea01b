"""ENet: the names of davidtvs/PyTorch-ENet, of the form that it had until spring 2018."""

from itertools import product
from typing import Final

from pixelwise.networks.classification.enet_encoder import CONTEXT
from pixelwise.specs import Pretraining
from pixelwise.weights.layout import PARALLEL_PREFIX, Layout, Rule

_FIRST: Final = {1: 1, 2: 1, 3: 0, 4: 1, 5: 1}
"""The number of each group's first bottleneck that keeps the size; the names count bottleneck3 from 0."""
_MOST: Final = 8


def _units(theirs: str, ours: str, parts: tuple[str, ...] = (".conv", ".norm", ".act"), first: int = 0) -> list[Rule]:
    """Rules for a convolution, its normalisation and its activation, which they number."""
    return [(rf"{theirs}\.{number}\.", f"{ours}{part}.") for number, part in enumerate(parts, start=first)]


LAYOUTS: Final = (
    Layout(
        pretraining=Pretraining(source="davidtvs/PyTorch-ENet", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        marker=r"^(module\.)?initial_block\.out_prelu\.weight$",
        rules=(
            PARALLEL_PREFIX,
            (r"^initial_block\.main_branch\.", "initial.conv."),
            (r"^initial_block\.batch_norm\.", "initial.norm."),
            (r"^initial_block\.", "initial."),
            (r"^transposed_conv\.", "fullconv."),
            *_units(r"^(asymmetric\w+)\.ext_conv2", r"\1.branch.middle.0"),
            *_units(r"^(asymmetric\w+)\.ext_conv2", r"\1.branch.middle.1", first=3),
            (r"^(?:down|up)sample([1245])_0\.", r"bottleneck\1_0."),
            *(
                (rf"^[a-z]+{group}_{first + place}\.", f"bottleneck{group}.{place}.")
                for (group, first), place in product(_FIRST.items(), range(_MOST))
            ),
            *_units(r"\.ext_conv1", ".branch.project"),
            *_units(r"\.ext_conv2", ".branch.middle"),
            *_units(r"\.ext_conv3", ".branch", (".expand", ".norm", ".act")),
            *_units(r"\.main_conv1", ".shortcut", (".conv", ".norm")),
            (r"\.out_prelu\.", ".act."),
        ),
        needs={"form": "davidtvs_2018", "context": CONTEXT},
    ),
)
