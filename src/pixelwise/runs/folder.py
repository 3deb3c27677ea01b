"""The run folder: what lies where, and how it is read.

::

    RUN/
      run.json               settings, versions, provenance: RunConfig
      manifest.safetensors   which pictures, with hashes, labels and splits
      journal.jsonl          what happened; see runs.journal
      checkpoints/           the last two
      model/                 the best weights, enough to predict
      scores.json            the evaluation after training
      report.html
      lock                   see runs.lock

Nothing in it depends on where it lies, except the address of the data, which can be given anew.
"""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pixelwise.data.manifest import Manifest
from pixelwise.errors import RunError
from pixelwise.runs.journal import read_journal
from pixelwise.runs.lock import is_locked
from pixelwise.storage.atomic import check_writable, read_json, write_json

if TYPE_CHECKING:
    from pixelwise.runs.model import Model

FORMAT = 1
CONFIG_NAME = "run.json"
MANIFEST_NAME = "manifest.safetensors"
MODEL_FOLDER = "model"
SCORES_NAME = "scores.json"

Status = Literal["running", "interrupted", "finished", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """``run.json``: everything that a run was started with, as plain JSON values."""

    name: str
    created: str
    """ISO 8601, UTC."""
    status: Status
    pixelwise: str
    torch: str
    python: str
    machine: dict[str, Any]
    command: list[str]
    spec: dict[str, Any]
    in_channels: int
    num_classes: int
    """Channels of the logits: 1 for one sigmoid logit, else the number of classes."""
    task: dict[str, Any]
    recipe: dict[str, Any]
    """``name`` of the recipe and all its fields, settled."""
    preprocess: dict[str, Any]
    seed: int
    workers: int
    device: str
    threads: int
    """Of torch on the CPU: the last bits of sums depend on it."""
    precision: str
    deterministic: bool
    checkpoint_seconds: float
    checkpoint_steps: int | None
    data: dict[str, Any]
    """``root``, ``options`` (how the folder was read), ``manifest_digest``, ``layout``, ``num_samples``, ``splits``,
    ``skipped`` and the ``findings`` of the check."""
    init_weights: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``run.json``."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any], path: Path) -> Self:
        """Read the content of ``run.json``.

        Raises:
            RunError: it was written by a newer version, or misses something; the message names ``path``.

        """
        found = content.get("format")
        if isinstance(found, int) and found > FORMAT:
            raise RunError(
                f"{path} has format {found}",
                expected=f"format {FORMAT} or older",
                do="Update pixelwise: a newer version wrote this run",
            )
        names = [field.name for field in dataclasses.fields(cls)]
        missing = [name for name in names if name not in content]
        if missing:
            raise RunError(
                f"{path} lacks {', '.join(missing)}", expected="the settings of a run", do="Restore it from a copy"
            )
        return cls(**{name: content[name] for name in names})


class Run:
    """A run folder, read on demand. Nothing here needs torch, except :attr:`model`."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path, self.config = path, config

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a run that lies in ``path``.

        Raises:
            RunError: no run lies there, or it is damaged or of a newer format.

        """
        path = Path(path)
        file = path / CONFIG_NAME
        if not file.is_file():
            what = "there is no such folder" if not path.exists() else f"it has no {CONFIG_NAME}"
            raise RunError(
                f"{path} is not a run: {what}", expected="a folder that `pixelwise train` wrote", do="Check the path"
            )
        content = read_json(file)
        if not isinstance(content, dict):
            raise RunError(f"{file} is damaged", expected="a JSON object", do="Restore it from a copy")
        return cls(path, RunConfig.from_json(content, file))

    @classmethod
    def create(cls, path: Path, config: RunConfig, manifest: Manifest) -> Self:
        """Write a new run's settings and manifest; ``run.json`` comes last, and makes the folder a run.

        Raises:
            OutputError: the folder cannot be written.

        """
        check_writable(path)
        manifest.save(path / MANIFEST_NAME)
        write_json(path / CONFIG_NAME, config.to_json())
        return cls(path, config)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.config.name

    @property
    def status(self) -> Status:
        """How the run stands; one that was killed before it could say so counts as interrupted."""
        if self.config.status == "running" and not is_locked(self.path):
            return "interrupted"
        return self.config.status

    @cached_property
    def manifest(self) -> Manifest:
        """The pictures that the run trains, validates and tests on."""
        return Manifest.load(self.path / MANIFEST_NAME)

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The events so far; see :mod:`pixelwise.runs.journal`."""
        return read_journal(self.path)

    @property
    def scores(self) -> dict[str, Any] | None:
        """The evaluation after training; None before."""
        path = self.path / SCORES_NAME
        return read_json(path) if path.exists() else None

    @property
    def model(self) -> "Model":
        """The best weights, with all that is needed to use them, loaded to the CPU."""
        from pixelwise.runs.model import load_model

        return load_model(self.path / MODEL_FOLDER)

    def update(self, config: RunConfig) -> None:
        """Write other settings, such as another status."""
        self.config = config
        write_json(self.path / CONFIG_NAME, config.to_json())

    def set_status(self, status: Status) -> None:
        """Write how the run stands."""
        self.update(dataclasses.replace(self.config, status=status))

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.status})"
