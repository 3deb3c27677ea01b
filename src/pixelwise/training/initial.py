"""The weights that a run starts from, of a published file or of another run, and the pictures that these expect."""

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pixelwise.errors import UsageError, WeightsError
from pixelwise.runs.model import read_preprocess
from pixelwise.specs import Network, Pretraining, Spec
from pixelwise.values import show_value
from pixelwise.weights import check_file, digest, load_weights, parse_adaptations, plan_weights
from pixelwise.weights.record import check_record


def check_initial_weights(path: Path | None, adapt: Collection[str], spec: Spec | None) -> None:
    """Refuse what cannot be right whatever the data are, before these are looked at.

    Args:
        path: as in :func:`plan_initial_weights`.
        adapt: as there.
        spec: the network that they are for; None = not known yet.

    Raises:
        UsageError: an unknown adaptation, or one without weights.
        WeightsError: no such file, not one of weights, or beside a record that says it is another network's.

    """
    _adaptations(path, adapt)
    if path is None:
        return
    file = check_file(path)
    if spec is not None:
        check_record(file, spec)


def plan_initial_weights(path: Path | None, adapt: Collection[str], network: Network) -> dict[str, Any] | None:
    """Return what a run records of the weights to start from, having proved that they fit.

    Args:
        path: a file of weights, a run or a model folder; None = the weights are drawn.
        adapt: the differences to bridge, as in :func:`pixelwise.weights.load_weights`.
        network: what they are for; it may lie on the meta device, and stays as it is.

    Returns:
        ``given``: ``path`` as it was given; ``path`` and ``sha256`` of the file; ``adapt``; ``notes``: what was
        adapted, in sentences; ``pretraining``: ``source``, ``mean`` and ``std`` of the pictures that the weights
        expect, or None where these are not known or the first layer was adapted.

    Raises:
        UsageError: an unknown adaptation, or one without weights.
        RunError: a folder with a damaged model.
        WeightsError: they do not fit, or belong to another network.

    """
    wanted = _adaptations(path, adapt)
    if path is None:
        return None
    planned, file = plan_weights(network, path, adapt=wanted), check_file(path)
    pretraining = _pretraining_of_run(path, network) if path.is_dir() else planned.pretraining
    return {
        "given": str(path),
        "path": str(file.absolute()),
        "sha256": digest(file),
        "adapt": wanted,
        "notes": list(planned.notes),
        "pretraining": None if pretraining is None else asdict(pretraining),
    }


def load_initial_weights(network: Network, record: dict[str, Any]) -> None:
    """Put the weights that :func:`plan_initial_weights` recorded into a network.

    Raises:
        WeightsError: the file is gone, or is no longer what it was.

    """
    path = Path(record["path"])
    if digest(path) != record["sha256"]:
        raise WeightsError(f"{path} is not the file that the run was started with", do="Restore it, or train anew")
    load_weights(network, path, adapt=record.get("adapt", ()))


def weights_asked_for(path: Path | None, adapt: Collection[str], record: dict[str, Any] | None) -> dict[str, Any]:
    """Return what tells the weights that are asked for from others, to be compared with :func:`weights_recorded`.

    Args:
        path: as in :func:`plan_initial_weights`. A file that is gone counts as the one that a run was started with if
            it was given in the same words.
        adapt: as there.
        record: what the run records of its weights.

    Raises:
        UsageError: an unknown adaptation, or one without weights.
        WeightsError: no such file, or not one of weights.

    """
    wanted = _adaptations(path, adapt)
    if path is None:
        return weights_recorded(None)
    if record is not None and not path.exists() and record.get("given") == str(path):
        return weights_recorded({**record, "adapt": wanted})
    return weights_recorded({"sha256": digest(check_file(path)), "adapt": wanted})


def weights_recorded(record: dict[str, Any] | None) -> dict[str, Any]:
    """Return what tells the weights that a run was started with from others."""
    record = record or {}
    return {"sha256": record.get("sha256"), "adapt": record.get("adapt") or None}


def _adaptations(path: Path | None, adapt: Collection[str]) -> list[str]:
    wanted: list[str] = sorted(parse_adaptations(adapt))
    if path is None and wanted:
        raise UsageError(
            f"adapt={show_value(wanted)} without weights",
            expected="weights to adapt",
            do="Give a file or a run with --weights, or leave --adapt out",
        )
    return wanted


def _pretraining_of_run(path: Path, network: Network) -> Pretraining | None:
    preprocess, card = read_preprocess(path)
    if preprocess.input_channels != network.in_channels:
        return None
    return Pretraining(source=f"the run {card.get('name', path.name)}", mean=preprocess.mean, std=preprocess.std)
