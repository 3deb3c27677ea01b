"""Run folders made up for the tests of reports: every file in the form that training and evaluation write it."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.data.manifest import Manifest
from pixelwise.runs.folder import Run, RunConfig

START = datetime(2031, 5, 4, 13, 7, tzinfo=UTC)


class NoData:
    """Stands for a manifest where no picture is ever looked at."""

    task, layout, classes = "classification", "class folders", ("a", "b")

    def __len__(self) -> int:
        return 0

    def digest(self) -> str:
        return "0" * 64

    def indices(self, split: str) -> np.ndarray:
        return np.zeros(0, np.int64)


def config(manifest: Manifest | NoData, root: Path, **changes: Any) -> RunConfig:
    classification = manifest.task == "classification"
    fields: dict[str, Any] = {
        "name": "digits-lenet",
        "created": START.isoformat(),
        "status": "finished",
        "pixelwise": "0.1.0",
        "torch": "2.13.0",
        "python": "3.11.9",
        "machine": {"system": "Linux", "processor": "x86_64", "cores": 2, "memory_gib": 24.0},
        "command": ["/usr/bin/pixelwise", "train", str(root), "--net", "made-up", "--seed", "7"],
        "spec": {"family": "made-up", "name": "made-up", "columns": {"widths": [6, 16], "activation": "relu"}},
        "in_channels": 1,
        "num_classes": len(manifest.classes),
        "task": {
            "name": manifest.task,
            "classes": list(manifest.classes),
            "form": "softmax",
            "objective": "cross_entropy" if classification else "cross_entropy+dice",
            "class_weights": None,
            "label_smoothing": 0.0,
        },
        "recipe": {"name": "quick", "epochs": 12, "batch_size": 64, "optimiser": "adamw", "learning_rate": 0.002},
        "preprocess": {
            "channels": 1, "low": 0.0, "high": 255.0, "mean": [0.286], "std": [0.353], "resize": "none", "size": None,
        },
        "seed": 7,
        "workers": 0,
        "device": "cpu",
        "threads": 2,
        "precision": "float32",
        "deterministic": False,
        "checkpoint_seconds": 60.0,
        "checkpoint_steps": None,
        "data": {
            "root": str(root),
            "manifest_digest": manifest.digest(),
            "layout": manifest.layout,
            "num_samples": len(manifest),
            "splits": {name: len(manifest.indices(name)) for name in ("train", "val", "test")},
            "skipped": [],
            "findings": [],
        },
        "init_weights": None,
    }  # fmt: skip
    fields.update(changes)
    return RunConfig(**fields)


def make_run(path: Path, manifest: Manifest, root: Path, **changes: Any) -> Run:
    path.mkdir(parents=True, exist_ok=True)
    return Run.create(path, config(manifest, root, **changes), manifest)


def write_journal(path: Path, *, epochs: int, steps_per_epoch: int, metric: str, extra: tuple[str, ...] = ()) -> None:
    rng = np.random.default_rng(3)
    lines: list[dict[str, Any]] = []

    def add(event: str, step: int, epoch: int, **fields: Any) -> None:
        time = (START + timedelta(seconds=step * 0.21)).isoformat(timespec="milliseconds")
        lines.append({"event": event, "time": time, "step": step, "epoch": epoch, **fields})

    add("start", 0, 0, device="cpu")
    best, total = -1.0, max(epochs, 1) * steps_per_epoch
    for epoch in range(epochs):
        for inner in range(0, steps_per_epoch, max(steps_per_epoch // 40, 1)):
            step = epoch * steps_per_epoch + inner
            loss = 2.1 * math.exp(-step / total * 3) + 0.25 + float(rng.normal(0, 0.08))
            add("step", step + 1, epoch, loss=loss, lr=0.002 * (1 + math.cos(math.pi * step / total)) / 2)
        done = (epoch + 1) / epochs
        value = 0.9 - 0.5 * math.exp(-4 * done) + float(rng.normal(0, 0.005))
        step = (epoch + 1) * steps_per_epoch
        add("epoch", step, epoch, train_loss=0.3 + 1.5 * math.exp(-3 * done), val_loss=0.36 + 1.3 * math.exp(-4 * done),
            val={metric: value, **dict.fromkeys(extra, value - 0.02)}, lr=0.001,
            images_per_second=4200 + float(rng.normal(0, 90)), seconds=1.9)  # fmt: skip
        if value > best:
            best = value
            add("best", step, epoch, metric=metric, value=value)
    add("end", total, max(epochs - 1, 0), seconds=total * 0.21)
    (path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def score(name: str, value: float | None, n: int, spread: float = 0.01) -> dict[str, Any]:
    if value is None:
        return {"name": name, "value": None, "n": n, "unit": "fraction", "low": None, "high": None}
    low, high = max(value - spread, 0.0), min(value + spread, 1.0)
    return {"name": name, "value": value, "n": n, "unit": "fraction", "low": low, "high": high}


def class_rows(confusion: np.ndarray, names: tuple[str, ...], *, overlap: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        correct, truth, taken = (
            int(confusion[index, index]),
            int(confusion[index].sum()),
            int(confusion[:, index].sum()),
        )
        row: dict[str, Any] = {"name": name, "n": truth}
        if overlap:
            row["iou"] = correct / (truth + taken - correct) if truth + taken else None
            row["dice"] = 2 * correct / (truth + taken) if truth + taken else None
        row["precision"] = correct / taken if taken else None
        row["recall"] = correct / truth if truth else None
        if not overlap:
            row["f1"] = 2 * correct / (truth + taken) if truth + taken else None
        rows.append(row)
    return rows


def classification_scores(manifest: Manifest, split: str = "test") -> dict[str, Any]:
    """Scores of predictions that are right about nine times in ten, mostly mistaken for a neighbouring class."""
    rng = np.random.default_rng(11)
    indices, classes = manifest.indices(split), len(manifest.classes)
    confusion = np.zeros((classes, classes), dtype=np.int64)
    samples, bins = [], np.zeros((15, 3))
    for index in indices:
        truth = int(manifest[int(index)].label)
        right = rng.random() < 0.88
        prediction = truth if right else int((truth + rng.choice([1, 2, 4], p=[0.7, 0.2, 0.1])) % classes)
        probability = float(rng.beta(9, 1) if right else rng.beta(4, 3))
        confusion[truth, prediction] += 1
        bins[min(int(probability * 15), 14)] += (1, probability, right)
        samples.append({
            "path": manifest[int(index)].path, "frame": manifest[int(index)].frame,
            "score": probability if right else (1 - probability) / 2,
            "truth": manifest.classes[truth], "prediction": manifest.classes[prediction], "probability": probability,
        })  # fmt: skip
    n = len(indices)
    accuracy = float(np.trace(confusion) / n)
    rows = class_rows(confusion, manifest.classes, overlap=False)
    means = {key: float(np.mean([row[key] for row in rows if row[key] is not None])) for key in ("f1", "precision")}
    return {
        "format": 1, "task": "classification", "split": split, "num_images": n, "metric": "top1",
        "scores": [score("top1", accuracy, n), score("top5", min(accuracy + 0.09, 1.0), n, 0.003),
                   score("macro_f1", means["f1"], n), score("macro_precision", means["precision"], n),
                   {"name": "ece", "value": 0.0213, "n": n, "unit": "fraction", "low": None, "high": None}],
        "classes": rows, "confusion": confusion.tolist(),
        "calibration": {"ece": 0.0213, "bins": [
            {"low": k / 15, "high": (k + 1) / 15, "n": int(c), "confidence": s / c if c else None,
             "accuracy": r / c if c else None} for k, (c, s, r) in enumerate(bins)]},
        "samples": samples, "empty_class_rule": "Absent classes are left out of means.",
    }  # fmt: skip


def segmentation_scores(manifest: Manifest, split: str = "test") -> dict[str, Any]:
    indices, classes = manifest.indices(split), len(manifest.classes)
    confusion = np.full((classes, classes), 421, dtype=np.int64) + np.diag(np.arange(classes, 0, -1) * 20_000)
    values = np.linspace(0.42, 0.93, len(indices))
    samples = [
        {"path": manifest[int(i)].path, "frame": manifest[int(i)].frame, "score": float(value)}
        for i, value in zip(indices, values, strict=True)
    ]
    n = len(indices)
    return {
        "format": 1, "task": "segmentation", "split": split, "num_images": n, "metric": "mean_iou",
        "scores": [score("mean_iou", 0.8312, n, 0.061), score("mean_dice", 0.9021, n, 0.04),
                   score("pixel_accuracy", 0.9531, n, 0.012)],
        "classes": class_rows(confusion, manifest.classes, overlap=True), "confusion": confusion.tolist(),
        "samples": samples, "empty_class_rule": "Absent classes are left out of means.",
    }  # fmt: skip


def write_scores(path: Path, scores: dict[str, Any]) -> None:
    (path / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
