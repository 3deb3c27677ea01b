"""pixelwise: the canon of convolutional networks for image classification and semantic segmentation.

    import pixelwise as pw

    net = pw.create("resnet50", in_channels=3, num_classes=10)       # an nn.Module
    spec = pw.spec("unet").replace(padding="same", widths=(32, 64, 128, 256, 512))
    run = pw.train("cells/", spec)                                   # -> a run folder
    mask = pw.load(run.path).predict("new.tif")

Names are resolved on first use, so that ``import pixelwise`` (and with it the command line's ``--help``) does not wait
for torch.
"""

import importlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pixelwise import errors

if TYPE_CHECKING:
    from pixelwise.catalogue import create, names, spec
    from pixelwise.data.check import check_data as check
    from pixelwise.evaluation import evaluate_run as evaluate
    from pixelwise.predict.predictor import Predictor
    from pixelwise.reporting import write_report as report
    from pixelwise.training.recipe import Recipe
    from pixelwise.training.session import resume, train
    from pixelwise.training.source import DataOptions

    load = Predictor.load
    __version__: str

_HOMES = {
    "DataOptions": ("pixelwise.training.source", "DataOptions"),
    "Recipe": ("pixelwise.training.recipe", "Recipe"),
    "check": ("pixelwise.data.check", "check_data"),
    "create": ("pixelwise.catalogue", "create"),
    "evaluate": ("pixelwise.evaluation", "evaluate_run"),
    "load": ("pixelwise.predict.predictor", "Predictor.load"),
    "names": ("pixelwise.catalogue", "names"),
    "report": ("pixelwise.reporting", "write_report"),
    "resume": ("pixelwise.training.session", "resume"),
    "spec": ("pixelwise.catalogue", "spec"),
    "train": ("pixelwise.training.session", "train"),
}

__all__ = [
    "DataOptions",
    "Recipe",
    "__version__",
    "check",
    "create",
    "errors",
    "evaluate",
    "load",
    "names",
    "report",
    "resume",
    "spec",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pixelwise")
    if name not in _HOMES:
        raise AttributeError(f"module 'pixelwise' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return attrgetter(attribute)(importlib.import_module(module))


def __dir__() -> list[str]:
    return __all__
