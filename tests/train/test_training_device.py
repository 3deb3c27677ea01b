"""Number formats, dropout draws and failures that need no training."""

import numpy as np
import pytest
import torch

from pixelwise import catalogue
from pixelwise.errors import DeviceError, TrainingError, UsageError
from pixelwise.training import continuation
from pixelwise.training import device as module
from pixelwise.training.device import (
    DropoutDraws,
    autocast,
    choose_own_device,
    choose_precision,
    cpu_flags,
    describe_machine,
    has_bfloat16,
    set_deterministic,
)
from pixelwise.training.failures import LossWatch, _smaller_crop, is_out_of_memory, out_of_memory_error

CPU = torch.device("cpu")


def on_meta(name, channels):
    with torch.device("meta"):
        return catalogue.spec(name).build(channels, 2)


def write_flags(tmp_path, monkeypatch, line):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{line}\n")
    monkeypatch.setattr(module, "_CPU_INFO", tmp_path / "cpuinfo")


@pytest.mark.parametrize("line", ["flags\t: fpu avx512_bf16", "Features\t: fp asimd bf16", "flags : amx_tile amx_bf16"])
def test_processors_with_bfloat16(tmp_path, monkeypatch, line):
    write_flags(tmp_path, monkeypatch, line)
    assert choose_precision("bfloat16", CPU) == torch.bfloat16


def test_a_processor_that_would_emulate_it_is_refused(tmp_path, monkeypatch):
    write_flags(tmp_path, monkeypatch, "flags : fpu avx512f avx512_vnni")
    with pytest.raises(DeviceError) as caught:
        choose_precision("bfloat16", CPU)
    assert str(caught.value) == (
        "cpu has no bfloat16 instructions and would emulate them, slower than float32. Expected hardware with bfloat16"
        " (x86 with avx512_bf16 or amx_bf16, NVIDIA from Ampere on). Use precision=float32."
    )
    assert choose_precision("float32", CPU) == torch.float32


def test_where_nothing_tells_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CPU_INFO", tmp_path / "missing")
    assert cpu_flags() == frozenset()
    assert not has_bfloat16(CPU)
    assert not has_bfloat16(torch.device("meta"))


def test_an_unknown_precision():
    with pytest.raises(UsageError, match="precision 'half'"):
        choose_precision("half", CPU)


def test_autocast_only_where_asked():
    with autocast(CPU, torch.float32):
        assert not torch.is_autocast_enabled("cpu")
    with autocast(CPU, torch.bfloat16):
        assert torch.is_autocast_enabled("cpu")


def test_dropout_draws_are_a_function_of_seed_and_position():
    def draw(seed, number):
        torch.rand(3)
        DropoutDraws(seed, CPU).set(number)
        return torch.rand(8)

    assert torch.equal(draw(1, 5), draw(1, 5))
    assert not torch.equal(draw(1, 5), draw(1, 6))
    assert not torch.equal(draw(1, 5), draw(2, 5))


def test_deterministic_kernels(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        set_deterministic()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(mode=False)


def test_the_machine_is_described_in_plain_values():
    machine = describe_machine()
    assert machine["cpus"] >= 1
    assert set(machine) == {"system", "python", "processor", "cpus", "gpu"}


def test_devices(monkeypatch):
    assert choose_own_device("cpu") == CPU
    asked = []
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(module, "choose_device", lambda name: asked.append(name) or torch.device(name))
    assert choose_own_device("cuda") == torch.device("cuda:3")
    assert choose_own_device("cuda:1") == torch.device("cuda:1")
    assert asked == ["cuda", "cuda:3", "cuda:1"]


def watch(device="cpu"):
    names = [f"{letter}.png" for letter in "abcdefgh"]
    return LossWatch(torch.device(device), lambda indices: [names[index] for index in indices], lambda: "Kept is X")


def test_on_a_gpu_losses_are_looked_at_together_and_the_first_bad_one_is_told():
    losses = watch("cuda")
    for step in range(31):
        losses.add(torch.tensor(float("inf") if step in (7, 9) else 1.0), step=step, rate=0.5, indices=np.arange(6))
    with pytest.raises(TrainingError) as caught:
        losses.add(torch.tensor(1.0), step=31, rate=0.5, indices=np.arange(2))
    assert str(caught.value).startswith(
        "The loss became inf at step 7, at learning rate 0.5, with the batch of a.png, b.png, c.png, d.png and 2 more."
        " Kept is X. Try a lower rate (--set learning_rate=0.05)"
    )
    losses.look()


def test_weights_are_checked_before_they_are_kept():
    network = torch.nn.Linear(2, 1)
    watch().check_weights(network, step=3, rate=0.1)
    with torch.no_grad():
        network.bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match="The weights are no longer finite after step 3, at learning rate"):
        watch().check_weights(network, step=3, rate=0.1)


def test_what_counts_as_out_of_memory():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_single_picture_that_does_not_fit():
    network = on_meta("resnet18", 3)
    assert str(out_of_memory_error((1, 3, 4000, 3000), 1, network)) == (
        "Out of memory with a batch of 1 picture of 4000x3000 px. Train on smaller crops (--set crop=2000,1500) or a"
        " narrower network."
    )
    assert str(out_of_memory_error((4, 3), 2, network)).startswith("Out of memory with a batch of 4 pictures. Try --b")
    assert str(out_of_memory_error((1, 3), 2, network)).endswith("a batch of 1 picture. Use a narrower network.")
    fixed = on_meta("lenet5", 1)
    assert str(out_of_memory_error((1, 1, 32, 32), 1, fixed)).endswith("of 32x32 px. Use a narrower network.")


def test_a_single_patch_of_a_volume_that_does_not_fit():
    network = on_meta("unet3d16", 1)
    assert str(out_of_memory_error((1, 1, 512, 512, 512), 1, network)) == (
        "Out of memory with a batch of 1 patch of 512x512x512 voxels. Train on smaller crops (--set"
        " crop=256,256,256) or a narrower network."
    )
    assert "batch of 2 patches of 64x64x64 voxels" in str(out_of_memory_error((2, 1, 64, 64, 64), 1, network))
    assert _smaller_crop((1, 2, 3), network) == (1, 1, 1)
    assert _smaller_crop((1, 1, 1), network) is None


def test_no_crop_is_proposed_that_the_network_cannot_take():
    network = on_meta("unet", 1)  # valid convolutions: 572 and 16 more or less at a time, 188 at least
    crop = _smaller_crop((572, 572), network)
    assert crop == network.input_size_for(286, 286)
    network.check_size(*crop)
    assert _smaller_crop(network.input_size_for(1, 1), network) is None


def test_a_resumed_run_keeps_its_precision_where_the_device_has_it(monkeypatch, caplog):
    place = torch.device("cpu")
    assert continuation.same_precision("float32", place) == "float32"
    for has_it, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(continuation, "has_bfloat16", lambda device, has_it=has_it: has_it)
        assert continuation.same_precision("bfloat16", place) == expected
    assert caplog.messages == ["cpu has no bfloat16, so the run goes on in float32: its bits will not be the same."]
