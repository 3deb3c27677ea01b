"""Rows of the catalogue made so small that a test can afford to train them: every family, and what differs within."""

from dataclasses import dataclass, field
from typing import Any

from pixelwise import catalogue
from pixelwise.specs import Spec

_CIFAR_UNITS = {"depths": (1, 1, 1), "widths": (8, 16, 32)}
_UNITS = {"depths": (1, 1, 1, 1), "widths": (8, 16, 32, 64)}
_ALEX = {"widths": (12, 16, 24, 24, 16), "hidden": (64, 64)}
_NIN = {"widths": ((32, 24, 16), (24, 24, 24), (24, 24))}
_VGG = {"widths": (8, 12, 16, 24, 24), "hidden": (64, 64), "dropout": 0.0}
_FEW = {"width": 0.1, "depths": (1, 1, 1)}
_FINE = {"width": 0.1, "first_stride": 1, "first_pool": False}


@dataclass(frozen=True)
class Shrunk:
    """A row with other columns, and the batch that it learns by heart."""

    name: str
    images: int
    side: int
    """Height and width of the pictures; of volumes the depth as well."""
    rate: float
    """For SGD with momentum."""
    columns: dict[str, Any] = field(default_factory=dict)
    grain: int = 1
    """Side of the squares of pixels of one class; networks whose logits are interpolated learn no finer ones."""

    @property
    def spec(self) -> Spec:
        return catalogue.spec(self.name).replace(**self.columns)

    @property
    def size(self) -> tuple[int, ...]:
        return (self.side,) * self.spec.dimensions


MEMBERS = {
    "lenet5": Shrunk("lenet5", 16, 32, 0.02),
    "lenet5_relu": Shrunk("lenet5_relu", 16, 28, 0.05),
    "mlp": Shrunk("mlp_784_300_10", 16, 28, 0.02),
    "alexnet_2012": Shrunk("alexnet_2012", 8, 67, 0.05, _ALEX),
    "bn_alexnet": Shrunk("bn_alexnet", 8, 63, 0.05, _ALEX),
    "nin": Shrunk("nin_cifar", 8, 8, 0.1, {"dropouts": (0.0, 0.0)}),  # its small first weights suit no smaller widths
    "bn_nin": Shrunk("bn_nin_cifar", 8, 16, 0.05, _NIN),
    "bn_nin of full head": Shrunk("bn_nin_cifar", 8, 16, 0.05, _NIN | {"head": "full", "image_size": (16, 16)}),
    "vgg11": Shrunk("vgg11", 8, 32, 0.1, _VGG),
    "vgg16_bn": Shrunk("vgg16_bn", 8, 32, 0.1, _VGG),
    "googlenet": Shrunk("googlenet", 8, 32, 0.05, {"width": 0.1, "auxiliary": True}),
    "googlenet_paper": Shrunk(
        "googlenet_paper_aux", 8, 32, 0.05, {"width": 0.1, "auxiliary_pool": "adaptive", "dropout": 0.0}
    ),
    "googlenet of naive modules": Shrunk("googlenet_paper", 8, 32, 0.05, {"width": 0.1, "module": "naive"}),
    "bn_inception": Shrunk("bn_inception", 8, 32, 0.05, {"width": 0.1}),
    "inception_v3": Shrunk("inception_v3", 8, 29, 0.2, _FINE),
    "inception_v3_aux": Shrunk("inception_v3_aux", 4, 77, 0.2, _FINE),
    "resnet20": Shrunk("resnet20_cifar", 8, 16, 0.05),
    "plain20": Shrunk("plain20_cifar", 8, 16, 0.05),
    "resnet of bottlenecks": Shrunk("resnet50", 8, 64, 0.05, _UNITS),
    "inception_v4": Shrunk("inception_v4", 8, 75, 0.05, _FEW),
    "inception_resnet_v1": Shrunk("inception_resnet_v1", 8, 75, 0.05, _FEW),
    "inception_resnet_v2_paper": Shrunk("inception_resnet_v2_paper", 8, 75, 0.05, _FEW),
    "inception_resnet_v2": Shrunk("inception_resnet_v2", 8, 75, 0.05, _FEW),
    "preresnet": Shrunk("preresnet110_cifar", 8, 16, 0.05, {"depths": (2, 2, 2)}),
    "resnetv2": Shrunk("resnetv2_50", 8, 64, 0.05, _UNITS),
    **{
        f"preresnet, {order}": Shrunk("preresnet164_cifar", 8, 8, 0.05, _CIFAR_UNITS | {"order": order})
        for order in ("original", "bn_after_addition", "relu_before_addition", "relu_only")
    },
    **{
        f"preresnet, {shortcut}": Shrunk("preresnet110_cifar", 8, 8, 0.05, _CIFAR_UNITS | {"shortcut": shortcut})
        for shortcut in ("scaling", "exclusive_gate", "shortcut_only_gate", "conv", "dropout")
    },
    "wide_resnet with dropout": Shrunk("wrn_16_4_cifar", 8, 16, 0.05, {"depth": 10, "widening": 2, "dropout": 0.1}),
    "enet_classifier": Shrunk(
        "enet_classifier", 8, 32, 0.05, {"context": ("regular", "dilated2", "asymmetric5"), "repeats": 1}
    ),
    "densenet with dropout": Shrunk("densenet40_k12_cifar", 8, 16, 0.05, {"depths": (3, 3, 3), "dropout": 0.1}),
    "densenet, memory-efficient": Shrunk(
        "densenet121",
        *(8, 64, 0.05),
        {"depths": (2, 2, 2, 2), "growth_rate": 8, "stem_width": 16, "memory_efficient": True},
    ),
    "convnext with stochastic depth": Shrunk(
        "convnext_tiny", 8, 64, 0.05, {"depths": (1, 1, 2, 1), "widths": (16, 32, 48, 64), "stochastic_depth": 0.2}
    ),
    "fcn": Shrunk("fcn8s", 2, 32, 0.05, {"backbone": "resnet20_cifar", "dropout": 0.0}),
    **{
        name: Shrunk(name, 2, 24, 0.05, {"early_depth": 1, "context": ("dilated2", "asymmetric5"), "repeats": 1})
        for name in ("enet", "enet_davidtvs", "enet_davidtvs_2018")
    },
    "fcn_resnet": Shrunk("fcn_resnet50", 2, 16, 0.05, {"backbone": "resnet20_cifar", "auxiliary": True}, 8),
    "deeplabv3": Shrunk("tv_deeplabv3_resnet50", 2, 16, 0.05, {"backbone": "resnet20_cifar", "dropout": 0.0}, 8),
    "pspnet": Shrunk("pspnet_r50", 2, 16, 0.05, {"backbone": "resnet20_cifar", "dropout": 0.0}, 8),
    "unet": Shrunk("unet16", 2, 32, 0.05),
    "segnet": Shrunk("segnet", 2, 24, 0.05, {"widths": (8, 12), "depths": (2, 2)}),
    "segnet_basic": Shrunk("segnet_basic", 2, 24, 0.05, {"widths": (8, 8), "depths": (1, 1), "kernel": 5}),
    "vnet": Shrunk("vnet", 2, 16, 0.02, {"widths": (8, 12, 16), "depths": (1, 2, 1), "up_depths": (1, 2)}),
    "vnet_monai": Shrunk(
        "vnet_monai", 2, 16, 0.05, {"widths": (8, 12), "depths": (1, 2), "up_depths": (1,), "dropout": 0.1}
    ),
    "unet_backbone": Shrunk("unet_resnet18", 2, 32, 0.05, {"backbone": "resnet20_cifar", "widths": (8, 16)}),
    "unet3d": Shrunk("unet3d16", 2, 16, 0.05, {"widths": (8, 16, 32)}),
}
