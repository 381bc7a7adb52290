"""`phonoloop status`: what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from phonoloop.app import views
from phonoloop.app.cli.common import App, common_options, emit


@click.command()
@common_options
def status(app: App, as_json: bool) -> None:
    """What is there: hours, speakers, waiting work, the champion."""
    view = views.status_view(app)
    emit(as_json, view, lambda: _lines(view))


def _lines(view: dict[str, Any]) -> Iterator[str]:
    hours, speakers, intake = view["hours"], view["speakers"], view["intake"]
    yield f"Recordings  {view['recordings']}, {hours['recorded']:.2f} h"
    yield "Offered     " + ", ".join(f"{count} {name}" for name, count in intake.items())
    yield "Usable      " + ", ".join(
        f"{split} {hours[split]:.2f} h of {speakers[split]} speakers" for split in ("train", "val", "test")
    )
    if view["clips_not_used"]:
        yield "Not used    " + ", ".join(f"{n} clips: {why}" for why, n in view["clips_not_used"].items())
    running = {name: count for name, count in view["jobs"].items() if count}
    yield "Jobs        " + (", ".join(f"{count} {name}" for name, count in running.items()) or "none")
    if view["dead_letters"]:
        yield f"Dead        {view['dead_letters']} letters: see `phonoloop events dead`"
    yield f"Champion    {_champion(view['champion'])}"
    for mark, why in ((view["champion"] or {}).get("marks") or {}).items():
        yield f"            marked {mark}: {why['reason']}, heard as {why['heard']}; train anew without it"


def _champion(model: dict[str, Any] | None) -> str:
    if model is None:
        return "none yet: `phonoloop train asr` trains one"
    golden = model["metrics"].get("golden", {})
    proof = " (unproven: too little to judge it on)" if model["unproven"] else ""
    if "rate" not in golden:
        return f"{model['model_id']}{proof}"
    low, high = golden["interval"]
    return (
        f"{model['model_id']}{proof}: WER {golden['rate']:.1%} ({low:.1%} to {high:.1%}) "
        f"on {golden['words']} words of {golden['speakers']} speakers"
    )
