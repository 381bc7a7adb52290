"""`phonoloop voice say`."""

from __future__ import annotations

from pathlib import Path

import click

from phonoloop.app.cli.common import App, common_options, emit


@click.command()
@click.argument("text")
@click.option("--voice", required=True, help="Name or id of an installed voice, or a Piper .onnx file.")
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="WAV to write."
)
@click.option("--speaker", default="", help="Of a voice with several speakers; else the first.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="0.5 to 2.5 times its own.")
@click.option("--pitch", type=float, default=1.0, show_default=True, help="Factor of its own.")
@common_options
def say(
    text: str, voice: str, out: Path, speaker: str, speed: float, pitch: float, app: App, as_json: bool
) -> None:
    """Let a voice say TEXT (`-` reads it from standard input) into a WAV file."""
    from phonoloop.app.voice_speaking import say as spoken_by
    from phonoloop.audio.wav import wav_bytes
    from phonoloop.core.files import write_whole

    said = click.get_text_stream("stdin").read() if text == "-" else text
    speech = spoken_by(app, voice, said, speaker=speaker, speed=speed, pitch=pitch)
    write_whole(out, wav_bytes(speech.pcm, speech.rate_hz))
    told = {"out": str(out), "duration_s": round(speech.duration_s, 3), "rate_hz": speech.rate_hz}
    emit(as_json, told, lambda: [f"{out}: {speech.duration_s:.1f} s at {speech.rate_hz} Hz"])
