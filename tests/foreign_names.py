"""Our weights under the names of other projects."""

from torch import Tensor

from pixelwise.specs import Network


def as_akamaster(network: Network) -> dict[str, Tensor]:
    """Write the names of pytorch_resnet_cifar10, by substitutions of their own."""
    renamed = {}
    for name, tensor in network.state_dict().items():
        if "num_batches" in name:
            continue
        parts = name.replace("stage", "layer").replace("fc.", "linear.").split(".")
        if parts[0] == "conv1":
            parts = ["conv1" if parts[1] == "conv" else "bn1", parts[2]]
        elif "residual" in parts:
            number = int(parts[3]) + 1
            parts = [*parts[:2], f"{'conv' if parts[4] == 'conv' else 'bn'}{number}", parts[5]]
        renamed["module." + ".".join(parts)] = tensor
    return renamed
