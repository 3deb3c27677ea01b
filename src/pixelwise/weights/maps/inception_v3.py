"""Inception-v3: the names of torchvision, which timm shares.

torchvision publishes weights that were trained, like timm's, on values from -1 to 1; its network brings pictures there
itself (``transform_input``). That is why the mean and the deviation are 0.5, not those of its other networks. One of
timm's files, ``inception_v3.gluon_in1k``, was trained with those of the others: its names do not tell, and timm says
that it "also works well" with 0.5.
"""

from typing import Final

from pixelwise.specs import Pretraining
from pixelwise.weights.layout import HALF, PARALLEL_PREFIX, Layout

_BRANCHES: Final = (
    (r"Mixed_6a", "branch3x3dbl", 1),
    (r"Mixed_7a", "branch3x3", 0),
    (r"Mixed_7a", "branch7x7x3", 1),
    (r"Mixed_5\w", "branch5x5", 1),
    (r"Mixed_6\w", "branch7x7", 1),
    (r"Mixed_7\w", "branch3x3", 1),
    (r"Mixed_\d\w", "branch3x3dbl", 2),
    (r"Mixed_\d\w", "branch7x7dbl", 2),
)
"""Module, what torchvision calls the convolutions of one of its branches (with numbers from 1), place of the branch."""

LAYOUTS: Final = (
    Layout(
        pretraining=Pretraining(source="torchvision or timm", mean=HALF, std=HALF),
        marker=r"^(module\.)?Mixed_5b\.branch1x1\.conv\.weight$",
        rules=(
            PARALLEL_PREFIX,
            (r"\.bn\.", ".norm."),
            (r"\.(branch1x1|branch3x3)\.", ".branch_0.0."),
            (r"\.branch_pool\.", ".branch_3."),
            *(
                (rf"^({module})\.{branch}_{number}([ab]?)\.", rf"\1.branch_{place}.{number - 1}\2.")
                for module, branch, place in _BRANCHES
                for number in range(1, 6)
            ),
            (r"(\.branch_\d\.\d)a\.", r"\1.1x3."),
            (r"(\.branch_\d\.\d)b\.", r"\1.3x1."),
        ),
        needs={"first_stride": 2, "first_pool": True},
    ),
)
