"""What the data doctor says of strings: advice that holds for them, and characters that can be seen."""

from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from pixelwise.cli.main import app
from pixelwise.data.check import CheckReport, check_data
from pixelwise.data.check.findings import Finding


def strings(root: Path, texts: list[str], *, task: str = "") -> CheckReport:
    """Examine pictures 28 px high and 40, 41, ... px wide, of these texts, as ``task`` or for these strings."""
    lines = ["path,text,label"]
    random = np.random.default_rng(3)
    for place, text in enumerate(texts):
        pixels = random.integers(0, 256, (28, 40 + 3 * place), np.uint8)
        Image.fromarray(pixels).save(root / f"{place}.png")
        lines.append(f'{place}.png,"{text}",{place % 2}')
    (root / "t.csv").write_text("\n".join(lines) + "\n")
    return check_data(root, task="classification" if task else "sequence", use_cache=False)


def found(report: CheckReport, code: str) -> Finding:
    return next(finding for finding in report.findings if finding.code == code)


def test_advice_for_strings(tmp_path: Path) -> None:
    report = strings(tmp_path, ["aaaa"] * 24 + ["a b"] * 2)
    sizes = found(report, "mixed-sizes")
    assert sizes.message == "26 different sizes: 28 px high, 40 to 115 px wide, in the middle 28 x 77."
    assert "one height" in sizes.fix
    assert "weights" not in found(report, "imbalance").fix
    assert not {"mixed-aspect", "slender"} & {finding.code for finding in report.findings}
    other = strings(tmp_path, ["aaaa"] * 26, task="classification")
    assert "crop, pad or stretch" in found(other, "mixed-sizes").fix
    assert "pad, or cut them first" in found(other, "slender").fix


def test_a_space_can_be_seen(tmp_path: Path) -> None:
    report = strings(tmp_path, [" ab ", "ba", "a b"] + ["ab"] * 10)
    assert [row.name for row in report.classes] == [" ", "a", "b"]  # outer spaces are none
    assert report.class_counts == {" ": 1, "a": 13, "b": 13}
    assert found(report, "single-image-class").message.startswith("1 class with a single image: ' '. ")
    shown = CliRunner().invoke(app, ["check", str(tmp_path), "--task", "sequence"]).output
    assert "\n' ' " in shown
