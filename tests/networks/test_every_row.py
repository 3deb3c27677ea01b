"""What holds for every classification row of the catalogue: its stages, its heads, its smallest picture, sliding it."""

import pytest
import torch

from pixelwise import catalogue
from pixelwise.errors import SpecError
from pixelwise.specs import Network, Spec
from shrunk import MEMBERS

NAMES = [name for name in catalogue.names() if catalogue.spec(name).task == "classification"]
CLASSES = 3
ENOUGH = 400
"""Height and width, in pixels, that every network takes."""


def on_meta(spec: Spec, classes: int = CLASSES) -> Network:
    with torch.device("meta"):
        return spec.build(1, classes).eval()


@pytest.fixture(scope="module", params=NAMES)
def network(request: pytest.FixtureRequest) -> Network:
    return on_meta(catalogue.spec(request.param))


def blank(height: int, width: int) -> torch.Tensor:
    return torch.empty(2, 1, height, width, device="meta")


def test_stages_end_at_direct_children_in_their_order(network: Network) -> None:
    children = [name for name, _ in network.named_children()]
    places = [children.index(stage.module) for stage in network.stages]
    assert places == sorted(set(places))
    assert not {stage.module for stage in network.stages} & set(network.auxiliary_heads)


def test_heads_are_exactly_what_depends_on_the_classes(network: Network) -> None:
    own, other = network.state_dict(), on_meta(network.spec, CLASSES + 2).state_dict()
    assert list(own) == list(other)
    changed = {name for name in own if own[name].shape != other[name].shape}
    assert changed == {
        name for name in own if own[name].ndim and name.startswith(tuple(f"{h}." for h in network.heads))
    }
    for head in network.heads:
        network.get_submodule(head)


def test_auxiliary_heads_can_be_left_out(network: Network) -> None:
    """Their spec without the column has the same tensors but theirs."""
    if "auxiliary" not in network.spec.columns():
        assert network.auxiliary_heads == ()
        return
    without, having = (
        set(on_meta(network.spec.replace(auxiliary=value)).state_dict())
        for value in {"googlenet": (False, True), "inception_v3": ("none", "batch")}[network.spec.family]
    )
    assert without < having
    assert {name.split(".")[0] for name in having - without} == set(network.auxiliary_heads)


def refusal(network: Network, height: int, width: int) -> SpecError | None:
    try:
        network.check_size(height, width)
    except SpecError as error:
        return error
    return None


def smallest_side(network: Network) -> int:
    return next(side for side in range(1, ENOUGH) if refusal(network, side, side) is None)


def test_pictures_below_the_smallest_are_refused_and_told_it(network: Network) -> None:
    if network.spec.fixed_size:
        height, width = network.spec.fixed_size
        sizes, legal = [(height - 1, width), (height, width + 1), (0, 0)], f"{height} x {width}"
    else:
        side = smallest_side(network)
        sizes, legal = [(side - 1, side - 1), (side - 1, ENOUGH), (ENOUGH, side - 1)], f"at least {side} x {side}"
        assert all(refusal(network, *size) is None for size in ((side, ENOUGH), (ENOUGH, side), (side, side + 1)))
    for height, width in sizes:
        error = refusal(network, height, width)
        assert error is not None
        assert error.came == f"{network.spec.name} cannot take images of {height} x {width} pixels"
        assert error.expected == legal
        assert error.do


def lightest_of_each_form() -> list[str]:
    """One row of each family and smallest size: the others differ in how many layers of a kind they have."""
    rows: dict[tuple[str, object], tuple[int, str]] = {}
    for name in NAMES:
        row = catalogue.spec(name)
        assert row.facts is not None
        form = (row.family, row.facts.input_size, row.facts.table.startswith("variant"))
        rows[form] = min(rows.get(form, (row.facts.macs, name)), (row.facts.macs, name))
    return [name for _, name in rows.values()]


FORMS = lightest_of_each_form()
SOME_OR_ALL = [name if name in FORMS else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


@pytest.mark.parametrize("name", SOME_OR_ALL)
def test_the_smallest_picture_runs_and_a_smaller_one_would_leave_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = on_meta(catalogue.spec(name))
    side = network.spec.fixed_size[0] if network.spec.fixed_size else smallest_side(network)
    with torch.no_grad():
        assert network(blank(side, side)).shape == (2, CLASSES)
        if network.auxiliary_heads:
            network.train()
            side_of_all = smallest_side(network)
            logits = network.training_logits(blank(side_of_all, side_of_all))
            assert {found.shape for found in logits} == {(2, CLASSES)}
            network.eval()
        monkeypatch.setattr(type(network), "check_size", lambda *_: None)
        if not network.spec.fixed_size and side > network.stages[-1].stride:  # else padding would be all that is left
            with pytest.raises(RuntimeError):
                network(blank(side - 1, side - 1))


@pytest.mark.parametrize("name", SOME_OR_ALL)
def test_a_larger_picture_has_several_answers(name: str) -> None:
    spec = catalogue.spec(name)
    assert spec.facts is not None
    network, (_, height, width) = on_meta(spec), spec.facts.input_size
    if spec.family == "mlp":
        with pytest.raises(SpecError, match="cannot be slid over a picture"):
            network.dense_logits(blank(height, width))
        return
    stride = network.stages[-1].stride
    with torch.no_grad():
        first, larger = (network.dense_logits(blank(height + more, width)) for more in (0, 3 * stride))
    assert first.shape[:2] == larger.shape[:2] == (2, CLASSES)
    assert (larger.shape[2], larger.shape[3]) == (first.shape[2] + 3, first.shape[3])


@pytest.mark.parametrize(
    "key", [key for key, member in MEMBERS.items() if member.spec.task == "classification" and key != "mlp"]
)
def test_slid_over_a_picture_of_its_own_size_a_network_answers_as_ever(key: str) -> None:
    torch.manual_seed(0)
    spec, rows = MEMBERS[key].spec, catalogue.spec(MEMBERS[key].name).facts
    assert rows is not None
    height, width = spec.fixed_size or rows.input_size[1:]
    network, x = spec.build(1, CLASSES).eval(), torch.randn(2, 1, height, width)
    with torch.no_grad():
        torch.testing.assert_close(network.dense_logits(x).mean((2, 3)), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("key", MEMBERS)
def test_other_channels_and_forms_are_refused_by_every_method(key: str) -> None:
    size = MEMBERS[key].size
    with torch.device("meta"):
        network = MEMBERS[key].spec.build(2, CLASSES)
    uses = [network, network.features, network.training_logits]
    if network.spec.task == "classification" and key != "mlp":
        uses.append(network.dense_logits)
    axes, noun = ("H, W", "images") if len(size) == 2 else ("D, H, W", "volumes")
    for shape in ((1, 3, *size), (2, *size)):
        for use in uses:
            with pytest.raises(SpecError) as caught:
                use(torch.empty(shape, device="meta"))
            assert str(caught.value) == (
                f"{network.spec.name}: a batch of shape {shape}. Expected (N, 2, {axes}). "
                f"Convert the {noun} to 2 channels, or create the network with other in_channels."
            )
