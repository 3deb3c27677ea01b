"""The weights that a run starts from, of a published file or of another run, and the pictures that these expect."""

import hashlib
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pixelwise.errors import UsageError, WeightsError
from pixelwise.runs.model import WEIGHTS_FILE, find_model, load_model
from pixelwise.specs import Network, Pretraining, Spec
from pixelwise.training.recipe import show_value
from pixelwise.weights import load_weights
from pixelwise.weights.fit import parse_adaptations


def plan_initial_weights(path: Path | None, adapt: Collection[str], network: Network) -> dict[str, Any] | None:
    """Return what a run records of the weights to start from, having proved that they fit.

    Args:
        path: a file of weights, a run or a model folder; None = the weights are drawn.
        adapt: the differences to bridge, as in :func:`pixelwise.weights.load_weights`.
        network: what they are for; it may lie on the meta device.

    Returns:
        ``path`` and ``sha256`` of the file; ``adapt``; ``notes``: what was adapted, in sentences; ``pretraining``:
        ``source``, ``mean`` and ``std`` of the pictures that the weights expect, or None where these are not known or
        the first layer was adapted.

    Raises:
        UsageError: an unknown adaptation, or one without weights.
        RunError: a folder without a model, or with a damaged one.
        WeightsError: they do not fit, or belong to another network.

    """
    wanted = sorted(parse_adaptations(adapt))
    if path is None:
        if wanted:
            raise UsageError(
                f"adapt={show_value(wanted)} without weights",
                expected="weights to adapt",
                do="Give a file or a run with --weights, or leave --adapt out",
            )
        return None
    trial = network.spec.build(network.in_channels, network.num_classes)
    if path.is_dir():
        pretraining = _pretraining_of_run(path, network)
        path = find_model(path) / WEIGHTS_FILE
        notes = load_weights(trial, path, adapt=wanted)
    else:
        notes = load_weights(trial, path, adapt=wanted)
        pretraining = trial.pretraining
    return {
        "path": str(path.resolve()),
        "sha256": weights_digest(path),
        "adapt": wanted,
        "notes": list(notes),
        "pretraining": None if pretraining is None else asdict(pretraining),
    }


def load_initial_weights(network: Network, record: dict[str, Any]) -> None:
    """Put the weights that :func:`plan_initial_weights` recorded into a network.

    Raises:
        WeightsError: the file is gone, or is no longer what it was.

    """
    path = Path(record["path"])
    if weights_digest(path) != record["sha256"]:
        raise WeightsError(f"{path} is not the file that the run was started with", do="Restore it, or train anew")
    load_weights(network, path, adapt=record.get("adapt", ()))


def weights_digest(path: Path) -> str:
    """Return the sha256 of a weights file.

    Raises:
        WeightsError: it cannot be read.

    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}", do="Check the path") from None


def _pretraining_of_run(path: Path, network: Network) -> Pretraining | None:
    model = load_model(path)
    _check_same_spec(path, model.spec, network.spec)
    if model.preprocess.channels != network.in_channels:
        return None
    source = f"the run {model.card.get('name', path.name)}"
    return Pretraining(source=source, mean=model.preprocess.mean, std=model.preprocess.std)


def _check_same_spec(path: Path, theirs: Spec, ours: Spec) -> None:
    if type(theirs) is type(ours):
        columns = [key for key in ours.columns() if getattr(theirs, key) != getattr(ours, key)]
        if not columns:
            return
        differences = [
            f"{key}={show_value(getattr(theirs, key))} instead of {show_value(getattr(ours, key))}" for key in columns
        ]
    else:
        columns, differences = [], [f"family {theirs.family} instead of {ours.family}"]
    settings = (
        [f"--net {theirs.name}"]
        if theirs.name != ours.name
        else [f"--set {key}={show_value(getattr(theirs, key))}" for key in columns]
    )
    raise WeightsError(
        f"{path} holds another network, {theirs.name}: {', '.join(differences)}",
        expected=f"weights of {ours.name} as it is to be trained",
        do=f"Train the network that the weights belong to ({' '.join(settings)}), or give other weights",
    )
