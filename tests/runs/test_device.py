import pytest
import torch

from pixelwise.errors import DeviceError
from pixelwise.runs.device import choose_device


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_auto_takes_what_is_there(no_gpu, monkeypatch):
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")
    assert choose_device("mps") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "--device gpu. Expected auto, cpu, cuda, cuda:N or mps. Correct the name."),
        ("meta", "--device meta. Expected auto, cpu, cuda, cuda:N or mps. Correct the name."),
        ("", "--device . Expected auto, cpu, cuda, cuda:N or mps. Correct the name."),
        (
            "cuda",
            "--device cuda: no usable CUDA GPU is on this machine. "
            "Use --device auto, which takes what is there, or --device cpu.",
        ),
        (
            "mps",
            "--device mps: no usable Apple GPU is on this machine. "
            "Use --device auto, which takes what is there, or --device cpu.",
        ),
    ],
)
def test_what_is_not_there_is_refused(no_gpu, name, message):
    with pytest.raises(DeviceError) as caught:
        choose_device(name)
    assert str(caught.value) == message


def test_a_gpu_number_beyond_the_last_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match=r"--device cuda:3\. Expected an index below 1\."):
        choose_device("cuda:3")
