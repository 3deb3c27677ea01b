"""What was trained, on what, how and where: the lists of names and values on the page."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.data.names import show_name
from pixelwise.errors import PixelwiseError
from pixelwise.reporting.record import Record, entries, flatten, moment, section
from pixelwise.reporting.wording import clip, count, duration, instant, label, plain

PATHS_PER_FINDING = 10
SKIPPED_LIMIT = 50
FINDING_LIMIT = 60
COUNT_LIMIT = 1000

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PaperView:
    """Where the architecture was published; ``link`` is an address that may be followed, or empty."""

    text: str
    link: str
    reference: str


@dataclass(frozen=True, slots=True)
class FindingView:
    """One odd spot that the data check found."""

    severity: str
    message: str
    fix: str
    paths: tuple[str, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class SplitView:
    """One split: its number of samples, and its per cent of all."""

    name: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Pictures of each class in each split."""

    splits: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    left_out: int


def network_pairs(record: Record) -> list[Pair]:
    """Name, size and columns of the network's specification."""
    spec = section(record.run, "spec")
    pairs = [("Network", plain(spec.get("name", "unknown"))), ("Family", plain(spec.get("family", "unknown")))]
    pairs += _measured(record)
    for key, title in (("in_channels", "Input channels"), ("num_classes", "Outputs")):
        if key in record.run:
            pairs.append((title, count(record.run[key])))
    pairs += [(label(key), plain(value)) for key, value in section(spec, "columns").items()]
    return pairs + _initial_weights(section(record.run, "init_weights"))


def _initial_weights(given: dict[str, Any]) -> list[Pair]:
    """Which file the weights came from, and what was done with it."""
    if not given:
        return [("Initial weights", "random")]
    pairs = [("Initial weights", clip(str(given.get("given") or given.get("path", "unknown"))))]
    if given.get("sha256"):
        pairs.append(("Initial weights: sha256", clip(str(given["sha256"]))))
    notes = given.get("notes")
    if isinstance(notes, list) and notes:
        pairs.append(("Initial weights: adapted", clip(" ".join(map(str, notes)), 400)))
    expected = section(given, "pretraining")
    if expected:
        pairs.append(("Initial weights: pictures as for", clip(str(expected.get("source", "unknown")))))
    return pairs


def paper(record: Record) -> PaperView | None:
    """Return the paper of the network, when the catalogue knows one."""
    from pixelwise.catalogue import spec

    try:
        facts = spec(str(section(record.run, "spec").get("name"))).facts
    except PixelwiseError:
        return None
    if facts is None:
        return None
    found = facts.paper
    text = f"{found.authors} ({found.year}). {found.title}. {found.venue}"
    if facts.variant:
        text = f"Not in the paper, but a variant of it ({facts.variant}). The paper: {text}"
    return PaperView(text, _address(found.link), found.link)


def _address(link: str) -> str:
    """Return where a browser finds an arXiv number, a DOI or an address; empty for anything else."""
    for prefix, site in (("arXiv:", "https://arxiv.org/abs/"), ("doi:", "https://doi.org/"), ("https://", "https://")):
        if link.startswith(prefix):
            return site + link.removeprefix(prefix)
    return ""


def _measured(record: Record) -> list[Pair]:
    """Parameters and multiply-adds of the very network, built without memory for its weights."""
    import torch

    from pixelwise.analysis import count_macs, count_parameters
    from pixelwise.catalogue import spec_from_json

    channels, outputs = record.run.get("in_channels"), record.run.get("num_classes")
    if not isinstance(channels, int) or not isinstance(outputs, int):
        return []
    try:
        with torch.device("meta"):
            network = spec_from_json(section(record.run, "spec")).build(channels, outputs)
        pairs = [("Parameters", count(count_parameters(network)))]
        given = _input_size(record)
        if given is not None:
            size = network.input_size_for(*given) if record.form.by_pixel else given
            macs = count_macs(network, (channels, *size))
            amount = f"{macs / 1e9:,.4g} billion" if macs >= 1e9 else f"{macs / 1e6:,.4g} million"
            pairs.append(("Multiply-adds (MACs)", f"{amount} for {size[0]} x {size[1]} pixels"))
    except (PixelwiseError, KeyError, TypeError, AttributeError):  # a network of another version: left out, not fatal
        return []
    return pairs


def _input_size(record: Record) -> tuple[int, int] | None:
    """Height and width that the network sees, when all pictures have one size."""
    size = section(record.run, "preprocess").get("size")
    if isinstance(size, list) and len(size) == 2:
        return int(size[0]), int(size[1])
    if record.manifest is None or not len(record.manifest):
        return None
    heights, widths = record.manifest.column("height"), record.manifest.column("width")
    if heights.min() == heights.max() and widths.min() == widths.max():
        return int(heights[0]), int(widths[0])
    return None


def preprocess_pairs(record: Record) -> list[Pair]:
    """How pictures become the network's input."""
    found = section(record.run, "preprocess") or section(record.card, "preprocess")
    return [(label(key), plain(value)) for key, value in found.items()]


def recipe_pairs(record: Record) -> list[Pair]:
    """Every field of the recipe."""
    return [(label(key), plain(value)) for key, value in flatten(section(record.run, "recipe"))]


def task_pairs(record: Record) -> list[Pair]:
    """Task, loss and how scores are computed; the classes stand in their own table."""
    found = section(record.run, "task")
    return [(label(key), plain(value)) for key, value in flatten(found) if key not in ("classes", "format")]


def data_pairs(record: Record) -> list[Pair]:
    """Where the data lie, how they are laid out, how large they are."""
    data, manifest = record.data, record.manifest
    pairs = [("Folder", clip(str(data.get("root", "unknown")))), ("Layout", plain(data.get("layout", "unknown")))]
    if "num_samples" in data:
        pairs.append((f"{record.noun.capitalize()}s", count(data["num_samples"])))
    classes = section(record.run, "task").get("classes")
    if isinstance(classes, list):
        pairs.append(("Classes", count(len(classes))))
    if manifest is not None and len(manifest):
        pairs += [
            ("Height", _range(manifest.column("height"), "px")),
            ("Width", _range(manifest.column("width"), "px")),
            ("Channels", _range(manifest.column("channels"), "")),
        ]
        if manifest.mask_reading is not None:
            reading = manifest.mask_reading.to_json()
            told = {
                key: reading.get(key) for key in ("kind", "ignore", "colours") if reading.get(key) not in (None, [])
            }
            pairs += [(f"Masks: {key}", plain(value)) for key, value in told.items()]
    return pairs


def splits(record: Record) -> list[SplitView]:
    """Return the splits that hold anything, in the order train, val, test."""
    found = section(record.data, "splits")
    counts = {name: found[name] for name in ("train", "val", "test") if isinstance(found.get(name), int)}
    whole = sum(counts.values())
    names = {"train": "training", "val": "validation", "test": "test"}
    return [SplitView(names[key], n, round(100 * n / whole, 2)) for key, n in counts.items() if n]


def class_counts(record: Record) -> ClassCounts | None:
    """Count the pictures of each split that show a class."""
    manifest = record.manifest
    if manifest is None:
        return None
    columns = []
    for name in ("train", "val", "test"):
        chosen = manifest.indices(name)
        if not len(chosen):
            continue
        columns.append((name, manifest.images_per_class(chosen)))
    rows = tuple(
        (clip(show_name(name), 80), tuple(int(counts[index]) for _, counts in columns))
        for index, name in enumerate(manifest.classes[:COUNT_LIMIT])
    )
    return ClassCounts(tuple(name for name, _ in columns), rows, len(manifest.classes) - len(rows))


def findings(record: Record) -> tuple[list[FindingView], int]:
    """Return the data check's findings, errors first, and how many more there are."""
    order = {"error": 0, "warning": 1, "info": 2}
    found = sorted(entries(record.data, "findings"), key=lambda item: order.get(str(item.get("severity")), 3))
    return [_finding(item) for item in found[:FINDING_LIMIT]], max(len(found) - FINDING_LIMIT, 0)


def _finding(item: dict[str, Any]) -> FindingView:
    paths = item.get("paths")
    listed = [str(path) for path in paths] if isinstance(paths, list) else []
    return FindingView(
        severity=clip(str(item.get("severity", "info")), 20),
        message=clip(str(item.get("message", "")), 600),
        fix=clip(str(item.get("fix", "")), 400),
        paths=tuple(clip(path) for path in listed[:PATHS_PER_FINDING]),
        left_out=max(len(listed) - PATHS_PER_FINDING, 0),
    )


def skipped(record: Record) -> tuple[list[Pair], int]:
    """Return the files that took no part, each with the reason, and how many more there are."""
    found = record.data.get("skipped")
    files = [item for item in found if isinstance(item, list) and len(item) == 2] if isinstance(found, list) else []
    return [(clip(str(path)), clip(str(why), 300)) for path, why in files[:SKIPPED_LIMIT]], max(
        len(files) - SKIPPED_LIMIT, 0
    )


def command(record: Record) -> str:
    """Return the command that started the run, as one would type it."""
    given = record.run.get("command")
    if not isinstance(given, list) or not given:
        return ""
    program = Path(str(given[0])).name
    if program == "__main__.py":
        start = ["python", "-m", "pixelwise"]
    else:
        start = ["python", program] if program.endswith(".py") else [program]
    return clip(shlex.join([*start, *map(str, given[1:])]), 4000)


def origin_pairs(record: Record) -> list[Pair]:
    """Seed, versions, machine and digests: what another run must share to end in the same numbers."""
    run = record.run
    keys = ("seed", "deterministic", "device", "precision", "workers", "threads", "pixelwise", "torch", "python")
    pairs = [(label(key), plain(run[key])) for key in keys if key in run]
    machine = section(run, "machine")
    pairs += [(label(key), plain(value)) for key, value in flatten(machine) if key not in run]
    if record.data.get("manifest_digest"):
        pairs.append(("Data digest", clip(str(record.data["manifest_digest"]))))
    if record.card.get("sha256"):
        pairs.append(("Weights sha256", clip(str(record.card["sha256"]))))
    return pairs


def training_time(record: Record) -> str:
    """How long training took, or has taken so far."""
    ended = record.of("end")
    if ended and isinstance(ended[-1].get("seconds"), (int, float)):
        return duration(float(ended[-1]["seconds"]))
    times = [when for entry in record.events if (when := moment(entry)) is not None]
    return duration((times[-1] - times[0]).total_seconds()) if len(times) > 1 else ""


def created(record: Record) -> str:
    """When the run was started."""
    return instant(record.run["created"]) if record.run.get("created") else ""


def _range(values: np.ndarray[Any, np.dtype[Any]], unit: str) -> str:
    low, high = int(values.min()), int(values.max())
    text = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{text} {unit}".strip()
