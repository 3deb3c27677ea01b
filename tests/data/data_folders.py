"""Small data folders made for the tests of the data doctor, and its report in a handy form."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.data.check import CheckReport, Finding, check_data


def picture(seed: int, height: int = 40, width: int = 40, channels: int = 3) -> np.ndarray:
    """A smooth random picture: no two seeds are alike, and it survives JPEG."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 5, channels), np.uint8)
    layers = [
        Image.fromarray(coarse[..., k]).resize((width, height), Image.Resampling.BICUBIC) for k in range(channels)
    ]
    stacked = np.stack([np.asarray(layer) for layer in layers], axis=2)
    return stacked[..., 0] if channels == 1 else stacked


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def classes_folder(root: Path, sizes: dict[str, int], seed: int = 0) -> Path:
    for name, count in sizes.items():
        for k in range(count):
            save(root / name / f"{k}.png", picture(seed := seed + 1))
    return root


def pairs_folder(root: Path, count: int = 20, top: int = 3, prefix: str = "") -> Path:
    for k in range(count):
        save(root / "images" / prefix / f"{k:02}.png", picture(k + 1000 * bool(prefix)))
        mask = np.random.default_rng(k).integers(0, top, (40, 40)).astype(np.uint8)
        save(root / "masks" / prefix / f"{k:02}.png", mask)
    return root


def examine(root: Path, **options: object) -> CheckReport:
    report = check_data(root, use_cache=False, **options)
    json.dumps(report.to_json(), allow_nan=False).encode("utf-8")
    for finding in report.findings:
        assert finding.message.endswith((".", "?"))
        assert finding.fix
        assert not finding.fix.endswith(".")
    assert [row[0] for row in report.rows()] == [finding.severity for finding in report.findings]
    return report


def found(report: CheckReport) -> dict[str, Finding]:
    codes = [finding.code for finding in report.findings if finding.code not in ("reading", "class-not-in-split")]
    assert len(codes) == len(set(codes))
    return {finding.code: finding for finding in report.findings}
