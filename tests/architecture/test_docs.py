"""The documentation says what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
COMMAND = re.compile(r"^\s+(?:\.venv/bin/)?phonoloop (\w+)", re.MULTILINE)


def test_the_reference_is_what_the_code_says():
    command = [sys.executable, ROOT / "scripts" / "make_reference.py", "--check"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_links_lead_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_command_in_the_readme_exists():
    from phonoloop.app.cli.main import COMMANDS

    named = COMMAND.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert named
    assert set(named) <= set(COMMANDS)
