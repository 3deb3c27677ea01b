"""The trained model as a folder: two files that are enough to predict, and that run no code when they are loaded.

``weights.safetensors`` holds parameters and running statistics; ``model.json`` everything else: format number, the
sha256 of the weights, the network's spec, the task with its class table, the preprocessing and a card (where the model
comes from, its scores, its licence). Weights without their preprocessing are refused: pixels that are scaled
differently give other answers without any error. No name in either file is ever looked up as a module or a class.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from pixelwise.catalogue import spec_from_json
from pixelwise.data.preprocess import Preprocess
from pixelwise.errors import PixelwiseError, RunError, WeightsError
from pixelwise.runs.device import choose_device
from pixelwise.specs import Network, Spec
from pixelwise.storage.arrays import read_tensors, write_tensors
from pixelwise.storage.atomic import make_folder, output_error, write_json
from pixelwise.storage.paths import as_path
from pixelwise.tasks import Task, task_from_json

FORMAT = 1
WEIGHTS_FILE = "weights.safetensors"
RECORD_FILE = "model.json"
RECORD_LIMIT_BYTES = 16 << 20

_PICKLED_SUFFIXES = frozenset({".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"})
_FIRST_FEW = 4
_Part = TypeVar("_Part")


@dataclass(slots=True)
class Model:
    """A network with all that is needed to use it."""

    network: Network
    spec: Spec
    task: Task
    preprocess: Preprocess
    card: dict[str, Any] = field(default_factory=dict)
    """Provenance, as plain JSON: created, versions, data digest, class table, scores, licence."""
    post: list[dict[str, Any]] | None = None
    """Steps after the network, as plain JSON (:mod:`pixelwise.predict.postprocess`); None = those of the task."""


class _Record(BaseModel):
    """``model.json``. A field that is unknown, missing or of another type is a fault."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    spec: dict[str, Any]
    in_channels: int = Field(ge=1)
    num_classes: int = Field(ge=1)
    task: dict[str, Any]
    preprocess: dict[str, Any]
    card: dict[str, Any]
    post: list[dict[str, Any]] | None = None
    next: "_Record | None" = None
    """The record of weights that were about to replace the ones at hand; see :func:`save_model`."""


def save_model(folder: Path, model: Model) -> None:
    """Write a model's two files into ``folder``.

    Killed at any moment, the folder holds the model that it held before or the new one: where a model is replaced, its
    record announces the new one beside itself first, so that either file of weights finds the record that fits it.

    Raises:
        OutputError: the folder cannot be written, or the disk is full; what was there before is unharmed.
        WeightsError: the weights are not finite, or network, task and preprocessing do not fit each other.

    """
    make_folder(folder)
    network = model.network
    _check_parts("The model to be saved", network, model.task, model.preprocess)
    tensors = network.state_dict()
    _check_finite("The model to be saved", tensors)
    staged = folder / f".{WEIGHTS_FILE}.next"
    try:
        record = {
            "format": FORMAT,
            "sha256": write_tensors(staged, tensors, {"format": "pt"}),
            "spec": model.spec.to_json(),
            "in_channels": network.in_channels,
            "num_classes": network.num_classes,
            "task": model.task.to_json(),
            "preprocess": model.preprocess.to_json(),
            "card": model.card,
        }
        if model.post is not None:
            record["post"] = model.post
        standing = _standing_record(folder)
        if standing is not None:
            stands = standing.model_dump(exclude={"next"}, exclude_unset=True)
            write_json(folder / RECORD_FILE, stands | {"next": record})
        staged.replace(folder / WEIGHTS_FILE)
        write_json(folder / RECORD_FILE, record)
    except OSError as error:
        raise output_error(folder / WEIGHTS_FILE, error) from error
    finally:
        staged.unlink(missing_ok=True)


def load_model(folder: Path | str, device: str = "cpu") -> Model:
    """Load a model, in evaluation mode, onto ``device``.

    Args:
        folder: the model's own folder, or the run that holds it as ``model/``.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        UsageError: ``folder`` is no path.
        RunError: no model there, or its record is damaged, incomplete or of a newer format.
        WeightsError: the weights are missing, damaged, tampered with, of another network or without preprocessing.
        DeviceError: the device is not there.

    """
    target = choose_device(device)
    place = find_model(as_path(folder, "folder"))
    path = place / RECORD_FILE
    record, tensors = _read_weights(place / WEIGHTS_FILE, _read_record(path))
    spec = _part(path, "spec", spec_from_json, record.spec)
    task = _part(path, "task", task_from_json, record.task)
    preprocess = _part(path, "preprocess", Preprocess.from_json, record.preprocess)
    _check_finite(str(place / WEIGHTS_FILE), tensors)
    with torch.random.fork_rng(devices=[]):  # loading leaves the caller's random stream where it was
        with torch.device("meta"):  # the shapes, at no cost, before memory is taken for what may be another network
            skeleton = spec.build(record.in_channels, record.num_classes)
        _check_fit(place / WEIGHTS_FILE, skeleton, tensors)
        network = spec.build(record.in_channels, record.num_classes)
    _check_parts(str(path), network, task, preprocess)
    network.load_state_dict(tensors, strict=True)
    network.to(target).eval()
    return Model(network=network, spec=spec, task=task, preprocess=preprocess, card=record.card, post=record.post)


def read_preprocess(folder: Path) -> tuple[Preprocess, dict[str, Any]]:
    """Return a model's preprocessing and its card, having proved that they belong to its weights; see load_model.

    Raises:
        RunError, WeightsError: as :func:`load_model`.

    """
    path = find_model(folder) / RECORD_FILE
    record, _ = _read_weights(path.with_name(WEIGHTS_FILE), _read_record(path))
    return _part(path, "preprocess", Preprocess.from_json, record.preprocess), record.card


def find_model(path: Path) -> Path:
    """Return the folder that holds ``model.json``: ``path`` itself, or ``path/model``.

    Raises:
        RunError: neither holds a model.
        WeightsError: ``path`` is a weights file, pickled or not, which alone is not enough to predict.

    """
    for place in (path, path / "model"):
        if (place / RECORD_FILE).is_file():
            return place
    if path.is_file() and path.suffix.lower() in _PICKLED_SUFFIXES:
        raise WeightsError(
            f"{path} is a pickled file, which can run any code when it is loaded",
            expected=f"a run or a folder with {WEIGHTS_FILE} and {RECORD_FILE}",
            do='Published weights are read with pw.create(name, weights="FILE"), which loads numbers only',
        )
    if (path.is_file() and path.suffix == ".safetensors") or (path / WEIGHTS_FILE).is_file():
        raise WeightsError(
            f"{path} holds weights without their preprocessing",
            expected=f"{RECORD_FILE} beside them, which says how pictures are scaled",
            do="Give the run or the model folder that they come from",
        )
    if (path / "run.json").is_file():
        raise RunError(
            f"{path} holds no model yet: its training has not finished an epoch", do=f"Run: pixelwise resume {path}"
        )
    came = f"{path} holds no model" if path.is_dir() else f"{path} is not there"
    if path.is_file():
        came = f"{path} is a file"
    raise RunError(came, expected=f"a run, or a folder with {WEIGHTS_FILE} and {RECORD_FILE}", do="Check the path")


def _read_record(path: Path) -> _Record:
    try:
        if path.stat().st_size > RECORD_LIMIT_BYTES:
            raise RunError(
                f"{path} has {path.stat().st_size} bytes",
                expected=f"at most {RECORD_LIMIT_BYTES}",
                do="Restore it from a copy",
            )
        content = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", do="Check the path and its rights") from None
    except RecursionError:
        raise _damaged(path, "it is nested too deeply") from None
    except ValueError as error:
        if isinstance(error, PixelwiseError):
            raise
        raise _damaged(path, str(error)) from None
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise _damaged(path, "it has no format number")
    if content["format"] != FORMAT:
        raise RunError(
            f"{path} has format {content['format']}",
            expected=f"format {FORMAT}, which this version of pixelwise writes",
            do="Use the version of pixelwise that wrote it",
        )
    if not content.get("preprocess"):
        raise WeightsError(
            f"{path} holds no preprocessing",
            expected='"preprocess", which says how pictures are scaled',
            do="Weights are not used without it: take the complete model folder",
        )
    try:
        return _Record.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise _damaged(path, _few(faults)) from None


def _standing_record(folder: Path) -> _Record | None:
    """Return the record of the weights that are about to be replaced; None when none could be loaded."""
    try:
        record = _read_record(folder / RECORD_FILE)
        weights = (folder / WEIGHTS_FILE).read_bytes() if record.next is not None else b""
    except (PixelwiseError, OSError):
        return None
    if record.next is not None and hashlib.sha256(weights).hexdigest() == record.next.sha256:
        return record.next
    return record


def _read_weights(path: Path, record: _Record) -> tuple[_Record, dict[str, Tensor]]:
    """Read the weights, with the record that belongs to them."""
    try:
        return record, read_tensors(path, sha256=record.sha256)[0]
    except WeightsError:
        if record.next is None:
            raise
    return record.next, read_tensors(path, sha256=record.next.sha256)[0]


def _part(path: Path, name: str, build: Callable[[dict[str, Any]], _Part], content: dict[str, Any]) -> _Part:
    """Build one part of the model from its JSON; whatever a doctored file makes of it is a fault of the file."""
    try:
        return build(content)
    except PixelwiseError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise _damaged(path, f'its "{name}" cannot be used ({type(error).__name__}: {error})') from None


def _check_parts(name: str, network: Network, task: Task, preprocess: Preprocess) -> None:
    wanted = (
        ("preprocessing gives", preprocess.input_channels, "channels", "the network takes", network.in_channels),
        ("task is for networks of", task.network_kind, "", "the network is for", network.spec.task),
        ("task needs", task.num_outputs, "outputs", "the network has", network.num_classes),
    )
    for ours, left, unit, theirs, right in wanted:
        if left != right:
            raise WeightsError(
                f"{name} does not fit together: its {ours} {left} {unit}".rstrip() + f", {theirs} {right}",
                do="Take a complete model folder, unchanged",
            )


def _check_fit(path: Path, skeleton: Network, tensors: Mapping[str, Tensor]) -> None:
    wanted = skeleton.state_dict()
    faults = [f"{name} is missing" for name in wanted if name not in tensors]
    faults += [f"{name} is not in the network" for name in tensors if name not in wanted]
    for name, tensor in tensors.items():
        if name in wanted and (tensor.shape != wanted[name].shape or tensor.dtype != wanted[name].dtype):
            faults.append(f"{name} is {_form(tensor)} instead of {_form(wanted[name])}")
    if faults:
        raise WeightsError(
            f"{path} does not belong to {skeleton.spec.name}: {_few(faults)}",
            expected=f"the {len(wanted)} tensors of the network in {RECORD_FILE}",
            do="Take both files from the same model folder",
        )


def _check_finite(name: str, tensors: Mapping[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                f"{name}: {key} holds NaN or infinity",
                expected="finite numbers",
                do="Take an earlier model or train anew",
            )


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {' x '.join(map(str, tensor.shape)) or 'scalar'}"


def _few(faults: list[str]) -> str:
    rest = len(faults) - _FIRST_FEW
    return "; ".join(faults[:_FIRST_FEW]) + (f"; and {rest} more" if rest > 0 else "")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _damaged(path: Path, why: str) -> RunError:
    return RunError(f"{path} is damaged: {why}", expected="a file that pixelwise wrote", do="Restore it from a copy")
