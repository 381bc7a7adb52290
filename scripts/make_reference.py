"""Writes docs/reference from the code: settings, commands, HTTP, events, error codes.

python scripts/make_reference.py [--check]    # --check: write nothing, fail if out of date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "phonoloop"
OUT = ROOT / "docs" / "reference"
HEAD = "<!-- written by scripts/make_reference.py; change the code, then run it -->\n"
CODE = re.compile(r'(?:code=|default_code = )"([a-z_]+(?:\.[a-z_0-9]+)?)"')


def settings() -> Iterator[str]:
    from phonoloop.app.settings import describe

    yield "# Settings"
    yield ""
    yield "Read from `phonoloop.toml` in the data folder (or the file that `PHONOLOOP_CONFIG` names), then"
    yield "from the environment, then from flags; later sources win. In the file, the key is the name."
    yield ""
    yield "| name | environment | default | meaning |"
    yield "|---|---|---|---|"
    for name, env, default, doc in describe():
        shown = f"`{default}`" if default else ""
        yield f"| `{name}` | `{env}` | {shown} | {doc} |"


def commands() -> Iterator[str]:
    from phonoloop.app.cli.main import cli

    yield "# Commands"
    yield ""
    yield "Every command takes `--data DIR` and `--json`. Exit codes: 0 done, 2 bad input, 3 not found,"
    yield "4 conflict, 5 damaged, 6 no disk, memory or time left, 7 not available, 8 cancelled, 1 any other."
    yield from _command(cli, "phonoloop")


def _command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
    yield ""
    yield f"## `{path}`"
    yield ""
    yield "```text"
    yield command.get_help(context)
    yield "```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _command(command.get_command(context, name), f"{path} {name}")


def http() -> Iterator[str]:
    from fastapi.routing import APIRoute, APIWebSocketRoute

    from phonoloop.app.http.server import ROUTES

    yield "# HTTP"
    yield ""
    yield "`phonoloop up` serves this; `/docs` there has the same to try out, `/openapi.json` for programs."
    yield 'Errors are `{"error": {"code", "message", "subject", "hint"}}`.'
    yield ""
    yield "| | | |"
    yield "|---|---|---|"
    yield "| GET | `/health` | Whether the records answer and which model serves. |"
    for router in (part.router for part in ROUTES):
        for route in router.routes:
            if isinstance(route, APIRoute):
                doc = " ".join((route.description or route.name.replace("_", " ").capitalize() + ".").split())
                yield f"| {', '.join(sorted(route.methods))} | `{route.path}` | {doc} |"
            elif isinstance(route, APIWebSocketRoute):
                doc = " ".join((route.endpoint.__doc__ or "").split())
                yield f"| WebSocket | `{route.path}` | {doc} |"


def event_types() -> Iterator[str]:
    from phonoloop.core import events

    yield "# Events"
    yield ""
    yield "CloudEvents 1.0, structured JSON. The id comes from type, subject and data: telling it twice is"
    yield "telling it once. `phonoloop events tail` prints the log."
    yield ""
    for name, value in vars(events).items():
        if name.isupper() and isinstance(value, str) and "." in value:
            yield f"- `{value}`"


def error_codes() -> Iterator[str]:
    yield "# Error codes"
    yield ""
    yield "Each error has a stable code, a sentence and a hint. These are the codes, with where they arise."
    yield ""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for code in CODE.findall(path.read_text(encoding="utf-8")):
            found.setdefault(code, set()).add(path.relative_to(SOURCE).as_posix())
    for code in sorted(found):
        yield f"- `{code}`: {', '.join(sorted(found[code]))}"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "settings.md": settings,
    "commands.md": commands,
    "http.md": http,
    "events.md": event_types,
    "errors.md": error_codes,
}


def main(check: bool) -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    stale = []
    for name, page in PAGES.items():
        text = HEAD + "\n" + "\n".join(page()).rstrip() + "\n"
        path = OUT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}. Run: python scripts/make_reference.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
