"""`phonoloop up`: the whole product in one process."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from phonoloop.app.bootstrap import open_app
from phonoloop.app.settings import load_settings


@click.command()
@click.option("--data", "data_dir", type=click.Path(file_okay=False, path_type=Path), help="Data folder.")
@click.option("--host", help="Address to listen on; 127.0.0.1 if not set.")
@click.option("--port", type=int, help="Port to listen on; 8080 if not set, 0 for a free one.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON and log as JSON lines.")
@click.option("--verbose", is_flag=True, help="Log more.")
def up(data_dir: Path | None, host: str | None, port: int | None, as_json: bool, verbose: bool) -> None:
    """Watch the inbox, run the loop and serve HTTP until stopped."""
    from phonoloop.app.serve import configure_logging, serve

    configure_logging(logging.DEBUG if verbose else logging.INFO, as_json=as_json)
    with open_app(load_settings({"data_dir": data_dir, "host": host, "port": port})) as app:
        serve(app, as_json=as_json)
