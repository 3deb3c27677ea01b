"""Local response normalisation against a loop over the printed formula, in its three conventions."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import SpecError
from pixelwise.layers.lrn import LRN_CONVENTIONS, LocalResponseNorm, LRNConvention


def by_hand(x: torch.Tensor, n: int, factor: float, beta: float, k: float) -> torch.Tensor:
    out, maps = torch.empty_like(x), x.shape[1]
    for i in range(maps):
        window = range(max(0, i - n // 2), min(maps - 1, i + n // 2) + 1)
        out[:, i] = x[:, i] / (k + factor * sum(x[:, j] ** 2 for j in window)) ** beta
    return out


PRINTED = {"author": (1e-4 / 5, 2.0), "paper": (1e-4, 2.0), "caffe": (1e-4 / 5, 1.0)}


@pytest.mark.parametrize("convention", LRN_CONVENTIONS)
@pytest.mark.parametrize("maps", [1, 2, 3, 7, 16])
def test_each_convention_is_the_formula(convention: LRNConvention, maps: int) -> None:
    x = 100 * torch.randn(2, maps, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(maps))
    factor, k = PRINTED[convention]
    torch.testing.assert_close(LocalResponseNorm(convention=convention)(x), by_hand(x, 5, factor, 0.75, k))


def test_the_conventions_are_told_apart() -> None:
    x = 100 * torch.randn(1, 8, 2, 2, generator=torch.Generator().manual_seed(0))
    found = [LocalResponseNorm(convention=convention)(x) for convention in LRN_CONVENTIONS]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (found[one] - found[other]).norm() > 0.01 * found[one].norm()


@pytest.mark.parametrize(
    ("convention", "alpha", "k"), [("author", 1e-4, 2.0), ("paper", 5e-4, 2.0), ("caffe", 1e-4, 1.0)]
)
def test_pytorchs_layer_gives_the_same_with_these_arguments(convention: LRNConvention, alpha: float, k: float) -> None:
    x = (50 * torch.randn(2, 12, 5, 5, generator=torch.Generator().manual_seed(0))).requires_grad_()
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    ours, theirs = LocalResponseNorm(convention=convention)(x), F.local_response_norm(x, 5, alpha, 0.75, k)
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (ours, theirs)]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_the_gradient_is_that_of_the_formula(size: int) -> None:
    x = torch.randn(2, 6, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(size), requires_grad=True)
    layer = LocalResponseNorm(size, alpha=0.5, beta=0.6, convention="paper")
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_sums_without_overflow(dtype: torch.dtype) -> None:
    x = (300 * torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0))).to(dtype).requires_grad_()
    y = LocalResponseNorm()(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), by_hand(x.float(), 5, 2e-5, 0.75, 2.0), rtol=0.01, atol=0.01)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype
    assert x.grad.isfinite().all()


def test_channels_last_stays_so() -> None:
    x = torch.randn(2, 8, 5, 5).contiguous(memory_format=torch.channels_last)
    y = LocalResponseNorm()(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, LocalResponseNorm()(x.contiguous()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 4}, "local response normalisation over 4 maps. Expected an odd number. Correct it."),
        ({"size": -1}, "local response normalisation over -1 maps. Expected an odd number. Correct it."),
        (
            {"convention": "torch"},
            "local response normalisation by the convention 'torch'. Expected one of author, paper, caffe. "
            "Correct the name.",
        ),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        LocalResponseNorm(**arguments)  # type: ignore[arg-type] # wrong on purpose
    assert str(caught.value) == message


def test_it_prints_what_it_computes() -> None:
    assert str(LocalResponseNorm()) == "LocalResponseNorm(5, factor=2e-05, beta=0.75, k=2)"
