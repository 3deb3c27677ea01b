"""Memory of a training step."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from pixelwise import analysis, catalogue
from pixelwise.analysis import memory
from pixelwise.errors import SpecError
from pixelwise.networks.segmentation.unet import UNetSpec
from pixelwise.specs import Network

GIB = 2**30


def base(width: int, normalisation: str = "none") -> Network:
    widths = tuple(width * 2**level for level in range(5))
    with torch.device("meta"):
        return UNetSpec(name="unet", widths=widths).replace(normalisation=normalisation).build(1, 1)


@pytest.mark.parametrize(
    ("width", "size", "gib"),
    [
        (64, (512, 512), 0.80),
        (64, (640, 960), 1.88),
        (64, (1280, 1920), 7.52),
        (32, (512, 512), 0.40),
        (32, (640, 960), 0.94),
        (32, (1280, 1920), 3.77),
        (16, (512, 512), 0.20),
        (16, (640, 960), 0.48),
        (16, (1280, 1920), 1.90),
    ],
)
def test_saved_activations_of_unets(width: int, size: tuple[int, int], gib: float) -> None:
    saved = analysis.saved_activation_bytes(base(width), (1, 1, *size)) / GIB
    assert saved == pytest.approx(gib, abs=0.006)


def test_batch_normalisation_adds_about_sixty_percent() -> None:
    plain, normalised = (
        analysis.saved_activation_bytes(base(32, kind), (2, 1, 256, 256)) for kind in ("none", "batch")
    )
    assert normalised / plain == pytest.approx(1.6, abs=0.05)


@pytest.mark.parametrize(
    ("size", "budget_gb", "images"), [((640, 960), 6, 5), ((640, 960), 12, 10), ((1280, 1918), 12, 2)]
)
def test_images_that_fit_into_a_gpu(size: tuple[int, int], budget_gb: int, images: int) -> None:
    network = base(32)
    assert analysis.count_parameters(network) == 7_759_521
    assert analysis.suggest_batch_size(network, (1, *size), budget_gb * 10**9) == images


@pytest.mark.parametrize("name", ["lenet5_relu", "resnet20_cifar", "unet16"])
def test_meta_device_counts_what_a_real_step_saves(name: str) -> None:
    network = catalogue.create(name, in_channels=1, num_classes=3).train()
    height, width = network.spec.fixed_size or (32, 48)
    kept: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = network(torch.randn(4, 1, height, width))
        target = torch.zeros(logits.shape[0], *logits.shape[2:], dtype=torch.int64)
        F.cross_entropy(logits, target)
    weights = {parameter.untyped_storage().data_ptr() for parameter in (*network.parameters(), *network.buffers())}
    real = sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in weights)
    assert analysis.saved_activation_bytes(network, (4, 1, height, width)) == pytest.approx(real, rel=0.02)


def test_training_memory_adds_weights_gradients_and_moments() -> None:
    network = catalogue.create("lenet5_relu", in_channels=1, num_classes=10)
    shape = (8, 1, 28, 28)
    saved = analysis.saved_activation_bytes(network, shape)
    assert analysis.training_memory(network, shape) == saved + 3 * 4 * 61_706
    assert analysis.training_memory(network, shape, optimiser="nesterov") == saved + 3 * 4 * 61_706
    assert analysis.training_memory(network, shape, optimiser="adamw") == saved + 4 * 4 * 61_706
    assert analysis.training_memory(network, shape, optimiser="rmsprop") == saved + 4 * 4 * 61_706


@pytest.mark.parametrize("name", ["lenet5_relu", "unet16", "resnet20_cifar"])
def test_the_suggested_batch_is_the_largest_that_fits(name: str) -> None:
    network = catalogue.create(name, in_channels=1, num_classes=2)
    size = (1, *(network.spec.fixed_size or (48, 48)))
    budget = 50_000_000
    batch = analysis.suggest_batch_size(network, size, budget, reserve=0)
    assert analysis.training_memory(network, (batch, *size)) <= budget
    assert analysis.training_memory(network, (batch + 1, *size)) > budget
    assert analysis.suggest_batch_size(network, size, 1000) == 0


@pytest.mark.parametrize(("budget", "reserve"), [(0, 0.1), (10**9, 1.0), (10**9, -0.1)])
def test_impossible_budgets_are_refused(budget: int, reserve: float) -> None:
    network = catalogue.create("lenet5_relu", in_channels=1, num_classes=10)
    with pytest.raises(SpecError) as caught:
        analysis.suggest_batch_size(network, (1, 28, 28), budget, reserve=reserve)
    assert str(caught.value) == (
        f"budget_bytes={budget}, reserve={reserve}. "
        "Expected a positive budget and a reserve from 0 up to, but not including, 1. Correct the numbers."
    )


def test_without_a_budget_the_free_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = catalogue.create("lenet5_relu", in_channels=1, num_classes=10)
    monkeypatch.setattr(memory, "free_memory_bytes", lambda device: 10**7 if device.type == "cpu" else 0)
    assert analysis.suggest_batch_size(network, (1, 28, 28)) == analysis.suggest_batch_size(network, (1, 28, 28), 10**7)


def test_free_memory_respects_the_containers_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 2000 kB\nMemAvailable:    1000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert analysis.free_memory_bytes(cpu) == 1_024_000
    (tmp_path / "memory.current").write_text("100\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert analysis.free_memory_bytes(cpu) == 1_024_000
    (tmp_path / "memory.max").write_text("1100\n")
    assert analysis.free_memory_bytes(cpu) == 1_000
    (tmp_path / "memory.stat").write_text("anon 40\nactive_file 20\ninactive_file 30\n")
    assert analysis.free_memory_bytes(cpu) == 1_050  # files that it keeps make room
    meminfo.unlink()
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "none")
    assert analysis.free_memory_bytes(cpu) > 10**8


def test_free_memory_asks_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7, 9))
    assert analysis.free_memory_bytes(torch.device("cuda")) == 7
    gpu = SimpleNamespace(recommended_max_memory=lambda: 9, driver_allocated_memory=lambda: 4)
    monkeypatch.setattr(torch, "mps", gpu)
    assert analysis.free_memory_bytes(torch.device("mps")) == 5
