"""Every family starts near chance, has finite gradients, and can learn one batch by heart."""

from math import log

import pytest
import torch
import torch.nn.functional as F

from pixelwise import catalogue
from pixelwise.specs import Network

MEMBERS = {
    "lenet5": (16, (32, 32), 0.05),
    "lenet5_relu": (16, (28, 28), 0.05),
    "mlp_784_300_10": (16, (28, 28), 0.02),
    "alexnet_2012": (8, (67, 67), 0.05),
    "bn_alexnet": (8, (63, 63), 0.05),
    "vgg11": (8, (32, 32), 0.1),
    "vgg16_bn": (8, (32, 32), 0.1),
    "resnet20_cifar": (8, (16, 16), 0.05),
    "plain20_cifar": (8, (16, 16), 0.05),
    "preresnet110_cifar": (8, (16, 16), 0.05),
    "resnetv2_50": (8, (64, 64), 0.05),
    "wrn_16_4_cifar": (8, (16, 16), 0.05),
    "nin_cifar": (8, (16, 16), 0.1),
    "bn_nin_cifar": (8, (16, 16), 0.05),
    "googlenet": (8, (32, 32), 0.05),
    "googlenet_paper_aux": (8, (32, 32), 0.05),
    "bn_inception": (8, (32, 32), 0.05),
    "inception_v3": (8, (29, 29), 0.05),
    "inception_v3_aux": (4, (77, 77), 0.05),
    "inception_v4": (8, (75, 75), 0.05),
    "inception_resnet_v1": (8, (75, 75), 0.05),
    "inception_resnet_v2_paper": (8, (75, 75), 0.05),
    "inception_resnet_v2": (8, (75, 75), 0.05),
    "enet_classifier": (8, (32, 32), 0.05),
    "densenet40_k12_cifar": (8, (16, 16), 0.05),
    "densenet121": (8, (64, 64), 0.05),
    "convnext_tiny": (8, (64, 64), 0.05),
    "unet16": (2, (32, 32), 0.05),
}
"""Images, their size, and a learning rate."""

SMALLER: dict[str, dict[str, object]] = {
    "alexnet_2012": {"widths": (12, 16, 24, 24, 16), "hidden": (64, 64)},
    "bn_alexnet": {"widths": (12, 16, 24, 24, 16), "hidden": (64, 64)},
    "vgg11": {"widths": (8, 12, 16, 24, 24), "hidden": (64, 64), "dropout": 0.0},
    "vgg16_bn": {"widths": (8, 12, 16, 24, 24), "hidden": (64, 64), "dropout": 0.0},
    "preresnet110_cifar": {"depths": (2, 2, 2)},
    "resnetv2_50": {"depths": (1, 1, 1, 1), "widths": (8, 16, 32, 64)},
    "wrn_16_4_cifar": {"depth": 10, "widening": 2, "dropout": 0.1},
    "bn_nin_cifar": {"widths": ((32, 24, 16), (24, 24, 24), (24, 24))},
    "googlenet": {"width": 0.1, "auxiliary": True},
    "googlenet_paper_aux": {"width": 0.25, "auxiliary_pool": "adaptive"},
    "bn_inception": {"width": 0.1},
    "inception_v3": {"width": 0.1, "first_stride": 1, "first_pool": False},
    "inception_v3_aux": {"width": 0.1, "first_stride": 1, "first_pool": False},
    "inception_v4": {"width": 0.1, "depths": (1, 1, 1)},
    "inception_resnet_v1": {"width": 0.1, "depths": (1, 1, 1)},
    "inception_resnet_v2_paper": {"width": 0.1, "depths": (1, 1, 1)},
    "inception_resnet_v2": {"width": 0.1, "depths": (1, 1, 1)},
    "enet_classifier": {"context": ("regular", "dilated2", "asymmetric5"), "repeats": 1},
    "densenet40_k12_cifar": {"depths": (3, 3, 3), "dropout": 0.1},
    "densenet121": {"depths": (2, 2, 2, 2), "growth_rate": 8, "stem_width": 16, "memory_efficient": True},
    "convnext_tiny": {"depths": (1, 1, 2, 1), "widths": (16, 32, 48, 64)},
}
"""Columns that make a member fast enough."""


def batch(name: str, classes: int) -> tuple[Network, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    images, size, _ = MEMBERS[name]
    network = catalogue.spec(name).replace(**SMALLER.get(name, {})).build(1, classes).train()
    target_shape = (images, *size) if network.spec.task == "segmentation" else (images,)
    x = torch.randn(images, 1, *size)
    if network.spec.task == "classification":
        return network, x, torch.randint(classes, target_shape)
    return network, x, (F.avg_pool2d(x, 3, 1, 1)[:, 0] > 0).long()


def losses(network: Network, x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    """Of the head, then of auxiliary heads."""
    return [F.cross_entropy(logits.float(), y) for logits in network.training_logits(x)]


@pytest.mark.parametrize("name", MEMBERS)
def test_initial_loss_is_near_that_of_guessing(name: str) -> None:
    classes = 10 if catalogue.spec(name).task == "classification" else 2
    with torch.no_grad():
        for loss in losses(*batch(name, classes)):
            assert log(classes) - 0.7 < loss < log(classes) + 1


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["float32", "bf16"])
@pytest.mark.parametrize("name", MEMBERS)
def test_one_batch_is_learnt_by_heart(name: str, precision: torch.dtype) -> None:
    network, x, y = batch(name, 2)
    x = x.contiguous(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(network.parameters(), lr=MEMBERS[name][2], momentum=0.9)
    for step in range(80):
        with torch.autocast("cpu", precision, enabled=precision is not torch.float32):
            found = network.training_logits(x)
            loss = sum((F.cross_entropy(logits.float(), y) for logits in found), torch.zeros(()))
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            for parameter in network.parameters():
                assert parameter.grad is not None
                assert parameter.grad.isfinite().all()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if (found[0].argmax(1) == y).float().mean() > 0.97 and step > 20:
            break
    assert (found[0].argmax(1) == y).float().mean() > 0.95
