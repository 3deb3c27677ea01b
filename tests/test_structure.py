"""The shape of the repository: what a reader may rely on without looking."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pixelwise
from pixelwise.cli.nets_families import family_table

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "src").rglob("*.py"))
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))
TEXTS = [
    path
    for pattern in ("*.md", "docs/**/*.md", "src/**/*.py", "tests/**/*.py", "benchmarks/*.py", "Makefile", "scripts/*")
    for path in sorted(ROOT.glob(pattern))
]
LONGEST_FILE = 350


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text)), "no module docstring"


def test_exported_names() -> None:
    """The Python face is small enough to remember; a change here is a change of the interface."""
    assert sorted(pixelwise.__all__) == sorted(
        [
            "DataOptions",
            "Recipe",
            "__version__",
            "check",
            "create",
            "errors",
            "evaluate",
            "load",
            "names",
            "report",
            "resume",
            "spec",
            "train",
        ]
    )
    for name in pixelwise.__all__:
        assert getattr(pixelwise, name) is not None
        assert name in dir(pixelwise)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        pixelwise.trian  # noqa: B018


def test_import_and_help_are_free_of_torch() -> None:
    code = (
        "import sys, pixelwise, pixelwise.cli.main as m\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(m.app, ['--help']).exit_code == 0\n"
        "for c in m.app.registered_commands:\n"
        "    r = CliRunner().invoke(m.app, [c.callback.__name__, '--help']); assert r.exit_code == 0, r.output\n"
        "heavy = {'torch', 'numpy', 'cv2', 'scipy', 'matplotlib'} & set(sys.modules); assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_readme_table_of_networks_is_the_catalogues() -> None:
    """Mend it with what ``pixelwise nets --markdown`` prints."""
    readme = (ROOT / "README.md").read_text()
    shown = readme.split("compared by a test -->\n")[1].split("<!-- end of networks")[0].strip()
    assert shown == family_table()


def test_public_functions_stay_functions_whatever_was_imported() -> None:
    for module in MODULES:
        importlib.import_module(
            ".".join(module.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        )
    assert [name for name in pixelwise.__all__ if inspect.ismodule(getattr(pixelwise, name))] == ["errors"]


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{path.name} links to {target}, which is not there"


def test_no_path_of_a_developers_machine() -> None:
    leak = re.compile(r"\.\./shared|[\"' (=]/(?:home|root|mnt|work)/[a-z]")
    for path in TEXTS:
        if path != Path(__file__):
            assert not leak.search(path.read_text()), path
