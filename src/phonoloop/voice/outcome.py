"""What a build has come to: segments.json, manifest.json, report.json; equal material gives equal files."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonoloop.core.errors import PhonoloopError
from phonoloop.core.files import write_whole
from phonoloop.core.ids import content_id
from phonoloop.core.units import seconds_to_hours
from phonoloop.voice.data import RATE_HZ, Source, VoiceClip
from phonoloop.voice.datasets import Dataset, Entry
from phonoloop.voice.layout import DATASET, MANIFEST, REPORT, SEGMENTS
from phonoloop.voice.metadata import METADATA, TRANSCRIPTS
from phonoloop.voice.stages import Cut
from phonoloop.voice.texts import ClipText, Origin

#: more than this share of the clips in which somebody else speaks is worth a warning
_MANY_OTHERS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is there after a stage.

    Attributes:
        cuts: of the recordings that can be used. clips: of all of them, as they were judged.
        refused: name of a recording → why it cannot be used.
        min_trust: what is trusted less is not trained on.
        dataset: None before. training: what it says of itself. files: of the voice, name → SHA-256.
        sentences: what every epoch of the training said. epochs: its figures, see `train.VoiceResult`.
    """

    name: str
    language: str
    job_id: str
    cuts: tuple[Cut, ...]
    clips: tuple[VoiceClip, ...]
    refused: Mapping[str, PhonoloopError]
    min_trust: float
    texts: tuple[ClipText, ...] = ()
    dataset: Dataset | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    epochs: tuple[Mapping[str, Any], ...] = ()

    @property
    def sources(self) -> dict[str, Source]:
        return {cut.source.source_id: cut.source for cut in self.cuts}

    @property
    def usable(self) -> list[VoiceClip]:
        return [clip for clip in self.clips if not clip.refused]

    def why_not(self, text: ClipText) -> str:
        """Why a clip with this text is not trained on; empty where it is."""
        if text.rejected:
            return "rejected"
        if not text.text:
            return "no_text"
        if text.origin is not Origin.HUMAN and text.trust.score < self.min_trust:
            return "low_trust"
        return self.dataset.left_out.get(text.clip_id, "") if self.dataset else ""

    def trained_on(self) -> list[ClipText]:
        return [text for text in self.texts if not self.why_not(text)]


# ---------------------------------------------------------------- files


def write_segments(out: Path, cuts: Sequence[Cut]) -> None:
    """Where every recording was cut, in samples at 22,050 Hz. Raises ResourceError `resource.disk`."""
    found = [
        {
            "source_id": cut.source.source_id,
            "name": cut.source.name,
            "rate_hz": RATE_HZ,
            "samples": cut.source.samples,
            "segments": [one.to_dict() for one in cut.segments],
            "stretches": [one.to_dict() for one in cut.stretches],
        }
        for cut in cuts
    ]
    _put(out / SEGMENTS, found)


def write_manifest(out: Path, made: Made) -> str:
    """The sources, the clips with their texts and splits, and what was left out; gives its id.

    Raises:
        ResourceError: `resource.disk`.
    """
    manifest = {
        "name": made.name,
        "language": made.language,
        "dataset_id": made.dataset.dataset_id,
        "sources": [_source(one) for one in made.sources.values()],
        "clips": list(_clips(made)),
        "left_out": _left_out(made),
        "refused_recordings": _refused(made),
    }
    manifest_id = content_id(manifest)
    _put(out / MANIFEST, {"manifest_id": manifest_id, **manifest})
    return manifest_id


def _source(source: Source) -> dict[str, Any]:
    told = source.to_dict()
    return {name: value for name, value in told.items() if name not in ("text", "timed")}


def _clips(made: Made) -> Iterator[dict[str, Any]]:
    texts = {text.clip_id: text for text in made.texts}
    for entry in made.dataset.clips:
        text = texts[entry.clip_id]
        yield _clip(entry, text, made.sources[text.source_id])


def _clip(entry: Entry, text: ClipText, source: Source) -> dict[str, Any]:
    return {
        "clip_id": entry.clip_id,
        "source_id": text.source_id,
        "spans": [[span.start, span.end] for span in text.spans],
        "text": entry.text,
        "origin": text.origin.value,
        "speaker": entry.speaker,
        "split": entry.split,
        "duration_s": round(text.duration_s, 6),
        "quality": text.quality,
        "licence": source.licence,
        "sha256": entry.sha256,
    }


def _left_out(made: Made) -> dict[str, list[str]]:
    """Clip → why it is not trained on."""
    found = {clip.clip_id: list(clip.refused) for clip in made.clips if clip.refused}
    found |= {text.clip_id: [why] for text in made.texts if (why := made.why_not(text))}
    return dict(sorted(found.items()))


def _refused(made: Made) -> dict[str, dict[str, str]]:
    return {
        name: {"code": error.code, "message": error.message, "hint": error.hint}
        for name, error in sorted(made.refused.items())
    }


def report_of(made: Made, *, until: str, recipe: Mapping[str, Any], manifest_id: str) -> dict[str, Any]:
    """Everything a person wants to know, as JSON values; every figure with what it counts."""
    return {
        "job_id": made.job_id,
        "name": made.name,
        "language": made.language,
        "until": until,
        "manifest_id": manifest_id,
        "dataset_id": made.dataset.dataset_id if made.dataset else "",
        "recordings": len(made.cuts),
        "refused_recordings": _refused(made),
        "sources": [_source(one) for one in made.sources.values()],
        "hours": _hours(made),
        "segments": sum(len(cut.segments) for cut in made.cuts),
        "forced_cuts": sum(one.forced_cut for cut in made.cuts for one in cut.segments),
        "marked_s": _marked_s(made),
        "clips": len(_counting(made)),
        "refused_clips": dict(sorted(Counter(why for clip in made.clips for why in clip.refused).items())),
        "unused_recordings": _unused(made),
        "left_out": dict(sorted(Counter(filter(None, map(made.why_not, made.texts))).items())),
        "changed_texts": dict(
            sorted(Counter(what for text in made.trained_on() for what in text.changed).items())
        ),
        "texts": dict(sorted(Counter(text.origin.value for text in made.trained_on()).items())),
        "splits": _splits(made),
        "speakers": _speakers(made),
        "training": dict(made.training),
        "sentences": list(made.sentences),
        "epochs": [dict(one) for one in made.epochs],
        "files": dict(made.files),
        "recipe": dict(recipe),
        "warnings": list(_warnings(made)),
    }


def _unused(made: Made) -> dict[str, dict[str, int]]:
    """Recordings that were taken in, and of which no clip passed: by name, how often each reason."""
    used = {clip.source_id for clip in made.usable}
    return {
        cut.source.name: dict(sorted(_refusals(made, cut.source.source_id).items()))
        for cut in made.cuts
        if cut.source.source_id not in used
    }


def _refusals(made: Made, source_id: str) -> Counter[str]:
    return Counter(why for clip in made.clips if clip.source_id == source_id for why in clip.refused)


def _splits(made: Made) -> dict[str, int]:
    return dict(sorted(Counter(one.split for one in made.dataset.clips).items())) if made.dataset else {}


def _counting(made: Made) -> Sequence[VoiceClip | ClipText]:
    """The clips that count at this stage."""
    return made.trained_on() if made.texts else made.usable


def _hours(made: Made) -> dict[str, float]:
    recorded_s = sum(cut.source.samples for cut in made.cuts) / RATE_HZ
    clips_s = sum(one.duration_s for one in _counting(made))
    return {
        "recorded": round(seconds_to_hours(recorded_s), 4),
        "clips": round(seconds_to_hours(clips_s), 4),
    }


def _marked_s(made: Made) -> dict[str, float]:
    """Seconds with music or other speakers behind, by kind."""
    sums: Counter[str] = Counter()
    for cut in made.cuts:
        for one in cut.stretches:
            sums[one.kind] += one.end - one.start
    return {kind: round(samples / RATE_HZ, 1) for kind, samples in sorted(sums.items())}


def _speakers(made: Made) -> dict[str, int]:
    """Clips by speaker, of those that are named."""
    sources = made.sources
    counted = Counter(sources[one.source_id].speaker for one in _counting(made))
    return {name: count for name, count in sorted(counted.items()) if name}


def _warnings(made: Made) -> Iterator[str]:
    sources = made.sources.values()
    if missing := [one.name for one in sources if one.consent is None]:
        yield f"no consent is recorded for {len(missing)} of {len(sources)} recordings"
    if missing := [one.name for one in sources if not one.licence]:
        yield f"no licence is stated for {len(missing)} of {len(sources)} recordings"
    if broken := [one.name for one in sources if one.truncated]:
        yield f"{len(broken)} recordings are damaged or end too early: {', '.join(broken[:5])}"
    others = sum(not {"other_speaker", "speakers"}.isdisjoint(clip.refused) for clip in made.clips)
    if others > _MANY_OTHERS * len(made.clips):
        yield f"somebody else speaks in {others} of {len(made.clips)} clips: a voice is made of one person"
    if made.refused:
        yield f"{len(made.refused)} recordings cannot be used; they lie where they were"
    languages = {one.language for one in sources if one.language} - {made.language}
    if languages:
        yield f"some recordings say that they are in another language: {', '.join(sorted(languages))}"


def write_report(out: Path, report: Mapping[str, Any]) -> None:
    """Raises ResourceError `resource.disk`."""
    _put(out / REPORT, report)


def _put(path: Path, value: Any) -> None:
    data = json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass") + b"\n"
    if not path.is_file() or path.read_bytes() != data:
        write_whole(path, data)


def drop_later(out: Path, *, texts: bool) -> None:
    """Removes what later stages made of clips that may be others now; it is quickly made again.

    Args:
        texts: the texts too.
    """
    for name in (METADATA, MANIFEST) if texts else (MANIFEST,):
        (out / name).unlink(missing_ok=True)
    for name in (TRANSCRIPTS, DATASET) if texts else (DATASET,):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(out / name)
