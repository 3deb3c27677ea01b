"""What stands beside weights that pixelwise wrote: the description of the network that they belong to.

Many columns of a table have no weights of their own (strides, poolings, shortcuts without a projection), so that names
and shapes cannot tell one network from another. ``model.json`` can.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pixelwise.errors import WeightsError
from pixelwise.specs import Spec
from pixelwise.values import show_value

_WEIGHTS, _RECORD, _MODEL = "weights.safetensors", "model.json", "model"

TRAINING_COLUMNS: Final = frozenset(
    {
        "auxiliary", "auxiliary_pool", "class_std", "decoder_dropout", "dropout", "dropout_place", "dropouts",
        "gate_bias", "head_dropout", "hidden_bias", "initialisation", "layer_scale", "memory_efficient",
        "shortcut_dropout", "stds", "stochastic_depth",
    }
)  # fmt: skip
"""Columns of specs that say how a network begins or trains; where the shapes agree they change no answer."""


def weights_file(path: Path) -> Path:
    """Return the file of weights that a path means: of a run or a model folder, or of a record, the one in it."""
    if path.name == _RECORD and path.is_file():
        return path.with_name(_WEIGHTS)
    for folder in (path / _MODEL, path):
        if (folder / _WEIGHTS).is_file():
            return folder / _WEIGHTS
    return path


def check_record(path: Path, spec: Spec) -> None:
    """Compare a network, and those whose weights it can start from, with the record beside a file, if there is one.

    Raises:
        WeightsError: the weights belong to another network, with the difference.

    """
    theirs = _recorded(path)
    if theirs is None:
        return
    candidates = (spec, *spec.precursors)
    differences = {candidate: _differences(theirs, candidate) for candidate in candidates}
    if not all(differences.values()):
        return
    family = [candidate for candidate in candidates if candidate.family == theirs.get("family")]
    nearest = (family or candidates)[0]
    raise WeightsError(
        f"{path} holds weights of another network, {theirs.get('name')}: {', '.join(differences[nearest])}",
        expected=f"weights of {nearest.name} as it is",
        do="Take the network that the weights belong to, or give other weights",
    )


def _differences(theirs: Mapping[str, Any], spec: Spec) -> list[str]:
    """Say in which columns that change an answer a record is not that of a network."""
    ours = spec.to_json()
    if theirs.get("family") != ours["family"]:
        return [f"family {theirs.get('family')} instead of {ours['family']}"]
    columns = theirs.get("columns", {})
    return [
        f"{key}={show_value(columns[key])} instead of {show_value(value)}"
        for key, value in json.loads(json.dumps(ours["columns"])).items()
        if key in columns and columns[key] != value and key not in TRAINING_COLUMNS
    ]


def _recorded(path: Path) -> Mapping[str, Any] | None:
    """Return the spec of the record beside a file; None where there is none that could be read."""
    if path.name != _WEIGHTS:
        return None
    try:
        content = json.loads(path.with_name(_RECORD).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    spec = content.get("spec") if isinstance(content, dict) else None
    return spec if isinstance(spec, dict) and isinstance(spec.get("columns"), dict) else None
