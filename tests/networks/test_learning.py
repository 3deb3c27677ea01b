"""Every family starts near chance, has finite gradients, and can learn one batch by heart."""

from math import log

import pytest
import torch
import torch.nn.functional as F

from pixelwise import catalogue
from pixelwise.specs import Network
from shrunk import MEMBERS

LEARNT = 0.3
"""Loss of the head, where guessing between two classes has 0.69."""


def batch(key: str, classes: int) -> tuple[Network, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    member = MEMBERS[key]
    network = member.spec.build(1, classes).train()
    x = torch.randn(member.images, 1, *member.size)
    if network.spec.task == "classification":
        return network, x, torch.randint(classes, (member.images,))
    pool = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d
    means = pool(x, 3, 1, 1) if member.grain == 1 else F.interpolate(pool(x, member.grain), scale_factor=member.grain)
    return network, x, (means[:, 0] > 0).long()


def losses(network: Network, x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    """Of the head, then of auxiliary heads."""
    return [F.cross_entropy(logits.float(), y) for logits in network.training_logits(x)]


def test_every_family_has_a_member() -> None:
    kinds = {catalogue.spec(name).family: catalogue.spec(name).task for name in catalogue.names()}
    families = {family for family, kind in kinds.items() if kind != "sequence"}  # these stand on others' layers
    assert {member.spec.family for member in MEMBERS.values()} == families


@pytest.mark.parametrize("key", MEMBERS)
def test_initial_loss_is_near_that_of_guessing(key: str) -> None:
    classes = 10 if MEMBERS[key].spec.task == "classification" else 2
    with torch.no_grad():
        for loss in losses(*batch(key, classes)):
            assert log(classes) - 0.7 < loss < log(classes) + 1


LONG = ("googlenet_paper", "inception_v3_aux")
"""Another member of the family is tried by default."""
FIRST_OF_FAMILY = {member.spec.family: key for key, member in reversed(MEMBERS.items())}.values()
IN_FLOAT32 = [
    pytest.param(key, torch.float32, id=f"{key}-float32", marks=pytest.mark.slow if key in LONG else ())
    for key in MEMBERS
]
IN_BFLOAT16 = [
    pytest.param(key, torch.bfloat16, id=f"{key}-bf16", marks=() if key in FIRST_OF_FAMILY else pytest.mark.slow)
    for key in MEMBERS
]


@pytest.mark.parametrize(("key", "precision"), IN_FLOAT32 + IN_BFLOAT16)
def test_one_batch_is_learnt_by_heart(key: str, precision: torch.dtype) -> None:
    network, x, y = batch(key, 2)
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    x = x.contiguous(memory_format=layout)
    network = network.to(memory_format=layout)
    optimiser = torch.optim.SGD(network.parameters(), lr=MEMBERS[key].rate, momentum=0.9)
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
        if F.cross_entropy(found[0].float(), y) < LEARNT:
            return
    pytest.fail(f"the loss is {loss:.3g} after 80 steps")


WITH_AUXILIARY_HEADS = [key for key, member in MEMBERS.items() if len(member.spec.build(1, 2).auxiliary_heads)]


@pytest.mark.parametrize("key", WITH_AUXILIARY_HEADS)
def test_auxiliary_heads_are_what_training_alone_uses(key: str) -> None:
    network, x, y = batch(key, 2)
    present = [name for name, _ in network.named_children() if name in network.auxiliary_heads]
    assert len(network.training_logits(x)) == 1 + len(present)
    F.cross_entropy(network(x), y).backward()
    unused = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.grad is None}
    assert unused == set(present)


ABOVE_CHANCE = {"vgg19_bn": 2.0, "resnet56_cifar": 2.0, "resnet1202_cifar": 13.0}
"""How far the first loss may lie above guessing, elsewhere 1. Each unit of a ResNet adds maps of variance 1 to what it
gets, so He's weights in the last layer make logits that grow with the root of the depth; normalised maps, rectified
and pooled, are large for Glorot's weights in VGG's full connections."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in catalogue.names() if catalogue.spec(name).task == "classification"])
def test_every_row_starts_near_chance_with_finite_gradients(name: str) -> None:
    """At full size, but without dropout, whose noise is no part of the initialisation."""
    torch.manual_seed(0)
    facts = catalogue.spec(name).facts
    assert facts is not None
    network = catalogue.create(name, in_channels=facts.input_size[0], num_classes=10).train()
    for module in network.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.eval()
    found = losses(network, torch.randn(4, *facts.input_size), torch.tensor([1, 3, 5, 7]))
    for loss in found:
        assert log(10) - 0.7 < loss < log(10) + ABOVE_CHANCE.get(name, 1.0)
    sum(found, torch.zeros(())).backward()
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
