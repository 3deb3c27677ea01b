"""Every command and line of Python that the README shows is run here, on real data under the README's names."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.data import samples

ROOT = Path(__file__).parent.parent
RUNNER = Path(__file__).with_name("commands.py")
README = (ROOT / "README.md").read_text()
CONSOLE = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
# What sets the machine up, and what CI itself calls: running them from inside the suite would start it again.
SET_UP = ("make ", "git clone", "cd ")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the data sets and pictures which the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    samples.write_fashion(folder / "photos", train=200, test=60)
    samples.write_nuclei(folder / "cells")
    (folder / "new").mkdir()
    for number, picture in enumerate(sorted((folder / "photos" / "test").rglob("*.png"))[:3]):
        (folder / "new" / f"{number}.png").write_bytes(picture.read_bytes())
    (folder / "new.png").write_bytes((folder / "cells" / "images" / "test" / "r0c3.png").read_bytes())
    return folder


def commands() -> list[str]:
    """The commands of the README's console blocks, set-up apart."""
    lines = [line for block in CONSOLE for line in block.replace("\\\n", " ").splitlines()]
    shown = [line.split("#")[0].strip() for line in lines]
    return [line for line in shown if line and not line.startswith(SET_UP)]


def test_readme_commands_and_python(workplace: Path) -> None:
    """In the README's order, since later commands use what earlier ones made."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    lines = [shlex.split(command) for command in commands()]
    assert len(lines) >= 8
    assert {line[0] for line in lines} == {"pixelwise"}
    plan = workplace / "plan.json"
    plan.write_text(json.dumps([line[1:] for line in lines]))
    done = subprocess.run(
        [sys.executable, str(RUNNER), plan.name],
        cwd=workplace, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["code"], one["printed"]) for one in outcomes if one["code"]] == []
    assert len(outcomes) == len(lines), done.stderr
    for block in PYTHON:
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=workplace, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^make ([a-z-]+)", "\n".join(CONSOLE), flags=re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
