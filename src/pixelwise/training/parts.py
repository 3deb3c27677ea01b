"""The parts of a network that freezing and rates are said of: its stages, and its head.

A network's direct children follow the paper's table. Stage n ends with the child ``Network.stages[n - 1].module`` and
begins after the end of the stage before it; what stands before the first (a stem) belongs to the first. The head is the
rest: everything after the last stage, auxiliary heads, every child that holds one of ``Network.heads``, and weights
that the network itself holds outside of its children.

Frozen stages have no gradients, and so neither steps of the optimiser nor weight decay; since the gradient is not
followed into them either, nothing of them is kept for the backward pass. They run as in evaluation: batch normalisation
uses its running statistics and leaves them as they are, and dropout does nothing.
"""

from dataclasses import dataclass

from torch import nn

from pixelwise.errors import RecipeError
from pixelwise.specs import Network
from pixelwise.training.recipe import ALL_STAGES_FROZEN, NOTHING_FROZEN, STAGES_FROZEN, Recipe


def check_parts(recipe: Recipe, network: Network) -> None:
    """Refuse a recipe that speaks of stages which the network does not have.

    Raises:
        RecipeError: says which stages there are.

    """
    count = len(network.stages)
    if count == 0 and (recipe.freeze != NOTHING_FROZEN or recipe.rate_decay != 1):
        what = f"freeze={recipe.freeze}" if recipe.freeze != NOTHING_FROZEN else f"rate_decay={recipe.rate_decay:g}"
        raise RecipeError(
            f"{what}: {network.spec.name} has no stages",
            expected="a network of stages, such as a ResNet",
            do="Leave freeze and rate_decay out, or choose another network",
        )
    frozen = _frozen_at_first(recipe, network)
    if frozen > count:
        raise RecipeError(
            f"freeze={recipe.freeze}: {network.spec.name} has {count} stages",
            expected=f"at most stage:{count}, after which the head follows",
            do="Correct the number; the stages end with " + ", ".join(stage.module for stage in network.stages),
        )


def stages_of_children(network: Network) -> dict[str, int]:
    """Return the number of the stage that each direct child belongs to, from 1 on; the head's is the one after all."""
    head, stage = len(network.stages) + 1, 1
    in_head = {name.partition(".")[0] for name in (*network.auxiliary_heads, *network.heads)}
    stages = {}
    for name, _ in network.named_children():
        stages[name] = head if name in in_head else stage
        if stage < head and name == network.stages[stage - 1].module:
            stage += 1
    return stages


def parameters_of_stages(network: Network) -> list[list[nn.Parameter]]:
    """Return the parameters of each stage, and last those of the head."""
    stages, found = stages_of_children(network), [list[nn.Parameter]() for _ in range(len(network.stages) + 1)]
    for name, parameter in network.named_parameters():
        found[stages.get(name.partition(".")[0], len(found)) - 1].append(parameter)
    return found


def frozen_stages(recipe: Recipe, network: Network, epoch: int) -> int:
    """Return how many stages, from the first, do not learn in an epoch (counted from 0)."""
    thawed = 0 if recipe.unfreeze_epochs is None else epoch // recipe.unfreeze_epochs
    return max(0, _frozen_at_first(recipe, network) - thawed)


@dataclass(frozen=True, slots=True)
class Thaw:
    """A stage that has begun to learn."""

    stage: int
    """Counted from 1."""
    module: str
    """The child that the stage ends with."""
    weights: int
    """How many numbers the stage learns."""
    frozen: int
    """How many stages are still frozen."""

    def __str__(self) -> str:
        left = f"{self.frozen} still frozen" if self.frozen else "nothing is frozen any more"
        return f"Stage {self.stage} ({self.module}) begins to learn, {self.weights:,} parameters; {left}."


def thaw_at(recipe: Recipe, network: Network, epoch: int) -> Thaw | None:
    """Return the stage that learns from this epoch (counted from 0) on and was frozen in the one before, if any."""
    frozen = frozen_stages(recipe, network, epoch)
    if epoch == 0 or frozen == frozen_stages(recipe, network, epoch - 1):
        return None
    count = sum(weights.numel() for weights in parameters_of_stages(network)[frozen])
    return Thaw(frozen + 1, network.stages[frozen].module, count, frozen)


def start_epoch(recipe: Recipe, network: Network, epoch: int) -> int:
    """Put the network in training mode, except for the stages that are frozen in this epoch; return their number.

    Weights that the network itself holds belong to the head, which always learns, so that only children are visited.
    """
    network.train()
    frozen = frozen_stages(recipe, network, epoch)
    if recipe.freeze != NOTHING_FROZEN:
        for name, stage in stages_of_children(network).items():
            child = network.get_submodule(name)
            child.requires_grad_(stage > frozen)
            child.train(stage > frozen)
    return frozen


def _frozen_at_first(recipe: Recipe, network: Network) -> int:
    if recipe.freeze == ALL_STAGES_FROZEN:
        return len(network.stages)
    stages = STAGES_FROZEN.fullmatch(recipe.freeze)
    return int(stages[1]) if stages else 0
