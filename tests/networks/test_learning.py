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
    "resnet20_cifar": (8, (16, 16), 0.05),
    "plain20_cifar": (8, (16, 16), 0.05),
    "unet16": (2, (32, 32), 0.05),
}
"""Images, their size, and a learning rate."""


def batch(name: str, classes: int) -> tuple[Network, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    images, size, _ = MEMBERS[name]
    network = catalogue.create(name, in_channels=1, num_classes=classes)
    target_shape = (images, *size) if network.spec.task == "segmentation" else (images,)
    x = torch.randn(images, 1, *size)
    if network.spec.task == "classification":
        return network, x, torch.randint(classes, target_shape)
    return network, x, (F.avg_pool2d(x, 3, 1, 1)[:, 0] > 0).long()


@pytest.mark.parametrize("name", MEMBERS)
def test_initial_loss_is_near_that_of_guessing(name: str) -> None:
    classes = 10 if catalogue.spec(name).task == "classification" else 2
    network, x, y = batch(name, classes)
    with torch.no_grad():
        loss = F.cross_entropy(network.train()(x), y).item()
    assert log(classes) - 0.7 < loss < log(classes) + 1


@pytest.mark.parametrize("name", MEMBERS)
def test_one_batch_is_learnt_by_heart(name: str) -> None:
    network, x, y = batch(name, 2)
    optimiser = torch.optim.SGD(network.parameters(), lr=MEMBERS[name][2], momentum=0.9)
    network.train()
    for step in range(80):
        logits = network(x)
        loss = F.cross_entropy(logits, y)
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            for parameter in network.parameters():
                assert parameter.grad is not None
                assert parameter.grad.isfinite().all()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if (logits.argmax(1) == y).float().mean() > 0.97 and step > 20:
            break
    assert (logits.argmax(1) == y).float().mean() > 0.95
