"""Files of weights: their forms, and what is refused without being run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pixelwise import catalogue
from pixelwise.data.samples import scenes, strings, write_fashion, write_nuclei
from pixelwise.errors import UsageError, WeightsError
from pixelwise.runs.model import load_model
from pixelwise.specs import Network
from pixelwise.storage.arrays import write_tensors
from pixelwise.weights import check_file, load_weights


def cifar() -> Network:
    return catalogue.create("resnet20_cifar", in_channels=3, num_classes=10)


CONVERT = (
    "Where the file was made, load it and save only its weights, with "
    "safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')."
)


class Trap:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("trap-was-sprung"),)


@pytest.mark.parametrize("content", [nn.Linear(1, 1), {"state_dict": Trap()}, Trap()], ids=["module", "inside", "trap"])
@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_objects_are_refused_and_not_run(
    content: object, legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError) as caught:
        load_weights(cifar(), path)
    assert str(caught.value) == (
        f"{path} holds pickled objects besides tensors, which are not loaded: they could run any code. "
        f"Expected tensors by name. {CONVERT}"
    )
    assert not (tmp_path / "trap-was-sprung").exists()


@pytest.mark.parametrize(
    ("content", "came"),
    [
        ([torch.zeros(1)], "{path} holds list, no weights"),
        ({}, "{path} holds dict, no weights"),
        (torch.zeros(3), "{path} holds Tensor, no weights"),
        ({"a": torch.zeros(1), "epoch": 3}, "{path}: epoch is no tensor"),
    ],
)
def test_files_without_weights_are_refused(content: object, came: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(content, path)
    with pytest.raises(WeightsError) as caught:
        load_weights(cifar(), path)
    assert str(caught.value) == f"{came.format(path=path)}. Expected tensors by name. {CONVERT}"


def test_missing_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    torch.save(cifar().state_dict(), tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:-500])
    (tmp_path / "text.pth").write_text("<html>not found</html>")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF")
    expected = {
        "none.pth": "cannot be read: No such file or directory. Expected a file of weights. Check the path.",
        "cut.pth": "is damaged: PytorchStreamReader failed reading zip archive: failed finding central directory",
        "text.pth": "was not written by PyTorch. Expected a file of weights. Take a fresh copy.",
        "empty.pt": "was not written by PyTorch. Expected a file of weights. Take a fresh copy.",
        "cut.safetensors": "is damaged: 1 bytes are too few for its header: truncated, or not safetensors.",
        "none.safetensors": "cannot be read: No such file or directory. Expected a file of weights. Check the path.",
        "weights.h5": "is no file of weights by its name. Expected a name in .safetensors, .pth, .pt, .th.",
    }
    for name, message in expected.items():
        with pytest.raises(WeightsError) as caught:
            load_weights(cifar(), tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name} {message}"), name


def test_suffixes_are_read_in_any_case_and_another_format_is_recognised(tmp_path: Path) -> None:
    torch.save(cifar().state_dict(), tmp_path / "W.PTH")
    load_weights(cifar(), tmp_path / "W.PTH")
    torch.save(cifar().state_dict(), tmp_path / "a.safetensors")
    write_tensors(tmp_path / "b.pth", cifar().state_dict(), {})
    (tmp_path / "folder").mkdir()
    expected = {
        "a.safetensors": "was written by PyTorch, not as safetensors. Rename it to a.pth.",
        "b.pth": "is a safetensors file, not PyTorch's. Rename it to b.safetensors.",
        "folder": "is a folder without weights. Expected a file of weights, or a run that has finished an epoch. Check "
        "the path.",
    }
    for name, message in expected.items():
        with pytest.raises(WeightsError) as caught:
            check_file(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name} {message}"


@pytest.mark.parametrize(
    ("content", "came"),
    [
        ({3: torch.zeros(1)}, "3 is no name of a tensor. Expected tensors by name. "),
        (
            {"net": {"a": torch.zeros(1)}},
            'net is no tensor. Expected tensors by name, or a table of them under "state_dict" or "model". ',
        ),
    ],
)
def test_tables_of_other_forms_are_refused(content: object, came: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError) as caught:
        load_weights(cifar(), tmp_path / "w.pth")
    assert str(caught.value) == f"{tmp_path / 'w.pth'}: {came}{CONVERT}"


def test_running_out_of_memory_is_not_called_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(cifar().state_dict(), tmp_path / "w.pth")
    for fault, caught_as in ((MemoryError(), MemoryError), (OSError("disk fault"), WeightsError)):

        def fail(*_: object, fault: Exception = fault, **__: object) -> None:
            raise fault

        monkeypatch.setattr(torch, "load", fail)
        with pytest.raises(caught_as) as caught:
            load_weights(cifar(), tmp_path / "w.pth")
        assert "damaged" not in str(caught.value)


def test_what_is_no_path_is_refused() -> None:
    values: tuple[object, ...] = (3, {}, b"w.pth")
    for value in values:
        with pytest.raises(UsageError) as caught:
            catalogue.create("lenet5", in_channels=1, num_classes=10, weights=value)  # type: ignore[arg-type] # the fault
        assert str(caught.value) == (f"weights={value!r}. Expected a path, as text or pathlib.Path. Give the path.")


def test_models_and_samples_ask_for_paths_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^folder=None\. Expected a path"):
        load_model(None)  # type: ignore[arg-type] # the fault
    writers = (write_fashion, write_nuclei, scenes.write_scattered, scenes.write_wardrobes, strings.write_strings)
    for write in writers:
        with pytest.raises(UsageError, match=r"^out=3\. Expected a path"):
            write(3)  # type: ignore[arg-type] # the fault
    assert write_fashion(str(tmp_path / "text"), train=1, test=1) == tmp_path / "text"
