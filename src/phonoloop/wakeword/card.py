"""A detector's card in Markdown, written from its metadata and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phonoloop.wakeword.report import figure_lines

_MOST_LINES = 40


def card(metadata: Mapping[str, Any]) -> str:
    """What a person should know before they use it."""
    sections = (_head(metadata), _measured(metadata), _made_of(metadata), _use(metadata))
    return "\n".join(line for section in sections for line in section) + "\n"


def _head(metadata: Mapping[str, Any]) -> Iterator[str]:
    network = metadata["network"]
    yield f"# {metadata['model_id']}"
    yield ""
    yield f"A detector of the phrase “{metadata['phrase']}” ({metadata['language']})."
    yield ""
    yield f"- Network: {network['why']}; {network['parameters']:,} parameters"
    yield f"- Exported {metadata['exported_at']} by Phonoloop {metadata['code_version']}"
    yield f"- Verdict: **{metadata['verdict']}**"


def _measured(metadata: Mapping[str, Any]) -> Iterator[str]:
    trigger, int8 = metadata["trigger"], metadata["int8"]
    yield "\n## Measured\n"
    yield (
        f"- Fires at a score of {trigger['threshold']:.4g}, averaged over {trigger['smoothing_steps']} "
        f"steps of 80 ms; then not again for {trigger['cooldown_s']:g} s"
    )
    yield f"- Torch, ONNX and stream agree within {metadata['worst_difference']:.1e}"
    yield (
        f"- int8 scores differ from these by {int8['mean_difference']:.3g} on average and at most "
        f"{int8['worst_difference']:.3g}, on {int8['seconds']:g} s of audio"
    )
    evaluation = metadata["evaluation"]
    if not evaluation:
        yield "- Misses and false accepts: not measured yet"
        return
    yield "\nOn audio that neither training nor the choice of the threshold heard:\n"
    yield from (f"- {line}" for line in figure_lines(evaluation))
    yield from (f"- Mind: {warning}" for warning in evaluation["warnings"])
    if metadata.get("int8_evaluation"):
        yield f"- int8, at the same threshold: {in_a_line(metadata['int8_evaluation'])}"


def in_a_line(evaluation: Mapping[str, Any]) -> str:
    """The two figures that matter, each with its interval."""
    return f"missed {evaluation['misses']['text']}; false accepts {evaluation['false_accepts']['text']}"


def _made_of(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Made of\n"
    known = {name: value for name, value in metadata["provenance"].items() if name != "recipe"}
    yield from _lines(known)
    yield "- The recipe is in metadata.json"
    yield "\n## Licences\n"
    licences = sorted(metadata["licences"].items())
    yield from (f"- {source}: {licence}" for source, licence in licences)
    if not licences:
        yield "No licence is recorded."


def _use(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Use\n"
    yield "    phonoloop wakeword scan --model THIS_FOLDER recording.wav"
    yield "    phonoloop wakeword listen --model THIS_FOLDER"


def _lines(mapping: Mapping[str, Any], under: str = "") -> Iterator[str]:
    """Every plain value on a line of its own, named by its path; long lists are left to metadata.json."""
    shown = 0
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _lines(value, f"{under}{name} › ")
        elif not isinstance(value, list | tuple) or _is_short(value):
            shown += 1
            if shown <= _MOST_LINES:
                yield f"- {under}{name}: {_plain(value)}"


def _is_short(listed: Sequence[Any]) -> bool:
    return len(listed) <= 3 and not any(isinstance(one, Mapping) for one in listed)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(one) for one in value) or "none"
    return str(value)
