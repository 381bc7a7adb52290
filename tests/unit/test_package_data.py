"""What is installed has all its files, not only the code."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "phonoloop"


def test_every_file_that_is_not_code_is_named_in_pyproject():
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    shipped = {path for pattern in globs["phonoloop"] for path in PACKAGE.glob(pattern)}
    others = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }
    assert others - shipped == set()


def test_every_folder_with_code_is_a_package():
    """Others are not found, and would be missing from the wheel."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()


def test_recipes_are_built_into_the_package(tmp_path):
    code = "import sys; sys.argv = ['setup.py', '-q', 'build_py', '--build-lib', sys.argv[1]]; import setup"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, timeout=120)
    recipes = ROOT / "recipes"
    expected = {path.relative_to(recipes) for path in recipes.rglob("*.yaml")}
    built = tmp_path / "phonoloop" / "recipes"
    assert {path.relative_to(built) for path in built.rglob("*.yaml")} == expected
    assert (tmp_path / "phonoloop" / "py.typed").is_file()
