"""`phonoloop wakeword dataset`: make, fill, label and inspect datasets of clips."""

from __future__ import annotations

import getpass
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from phonoloop.app import views as app_views
from phonoloop.app import wakeword_datasets as views
from phonoloop.app.cli.common import App, common_options, emit, progress, table
from phonoloop.app.wakeword_import import (
    BEFORE_S,
    Outcome,
    add_detections,
    add_paths,
    export_folder,
    import_folder,
)
from phonoloop.core.clock import utc_now
from phonoloop.wakeword import datasets
from phonoloop.wakeword.clips import Label
from phonoloop.wakeword.datasets_inspect import FLAGS
from phonoloop.wakeword.datasets_model import DatasetClip, id_from_phrase
from phonoloop.wakeword.datasets_said import About, Wish

_LABELS = click.Choice([label.value for label in Label])
_LISTED = 50


@click.group()
def dataset() -> None:
    """Make, fill, label and inspect datasets of clips.

    A dataset is a folder of the data folder: datasets/ID/clips/*.wav, labels.json, metrics.json.
    """


@dataset.command()
@click.argument("phrase")
@click.option("--id", "dataset_id", default="", help="Its name; made of the phrase if not given.")
@click.option("--language", default="", help="Language of the phrase, such as en or vi.")
@click.option("--licence", default="", help="Licence of clips that do not say their own.")
@click.option("--notes", default="", help="Anything worth remembering.")
@common_options
def create(
    app: App, as_json: bool, phrase: str, dataset_id: str, language: str, licence: str, notes: str
) -> None:
    """Make an empty dataset for PHRASE."""
    new = datasets.NewDataset(phrase=phrase, language=language, licence=licence, notes=notes)
    made = datasets.create(
        app.wake_datasets, dataset_id or id_from_phrase(phrase), new, actor=getpass.getuser()
    )
    view = views.dataset_view(app, made)
    emit(as_json, view, lambda: [f"{made.dataset_id} is there. `dataset add {made.dataset_id}` fills it."])


@dataset.command("list")
@common_options
def list_datasets(app: App, as_json: bool) -> None:
    """Every dataset, with its clips and whether they are enough."""
    found = views.datasets_view(app)
    emit(as_json, found, lambda: _list_lines(found))


def _list_lines(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not found:
        yield "No dataset yet. `phonoloop wakeword dataset create PHRASE` makes one."
        return
    headings = ("dataset", "phrase", "positive", "negative", "noise", "speakers", "enough")
    rows = [
        (
            one["dataset_id"],
            one["phrase"],
            *(one["metrics"]["clips"][label.value]["count"] for label in Label),
            len(one["metrics"]["speakers"]),
            "yes" if one["metrics"]["gate"]["met"] else "no",
        )
        for one in found
    ]
    yield from table(headings, rows)


@dataset.command()
@click.argument("dataset_id")
@click.option("--clips", "with_clips", is_flag=True, help="List the clips too.")
@click.option("--label", type=_LABELS, help="Only clips with this label.")
@click.option("--speaker", default="", help="Only clips of this speaker.")
@click.option("--flag", type=click.Choice(sorted(FLAGS)), help="Only clips with this flag.")
@click.option("--shown", type=click.Choice(views.SHOWN), default="active", show_default=True)
@click.option("--sort", type=click.Choice(views.SORTED_BY), default="created_at", show_default=True)
@click.option("--descending", is_flag=True, help="Highest first.")
@click.option("--limit", type=click.IntRange(1), default=10_000, help="How many at the most.")
@common_options
def show(app: App, as_json: bool, dataset_id: str, with_clips: bool, **query: Any) -> None:
    """One dataset: how much of what, how good, what is missing; with --clips each clip."""
    found = datasets.get(app.wake_datasets, dataset_id)
    view = views.dataset_view(app, found)
    if with_clips:
        wish = views.ClipQuery(**{name: value for name, value in query.items() if value is not None})
        view |= views.clips_view(app, dataset_id, wish)
    emit(as_json, view, lambda: _show_lines(view))


def _show_lines(view: dict[str, Any]) -> Iterator[str]:
    metrics = view["metrics"]
    yield f"{view['dataset_id']}: {view['phrase']!r} {view['language']}, {metrics['deleted']} deleted"
    yield from table(
        ("label", "clips", "minutes", "speech", "SNR dB"),
        [(name, *_sum_cells(sums)) for name, sums in metrics["clips"].items()],
    )
    named = ", ".join(f"{who} {sum(counts.values())}" for who, counts in metrics["speakers"].items())
    yield f"Speakers: {named or 'nobody is named'}"
    gate = metrics["gate"]
    missing = ", ".join(f"{count} {name}" for name, count in gate["missing"].items() if count)
    yield "Enough to train on." if gate["met"] else f"Missing for a training: {missing} clips."
    yield from (f"Warning: {text}." for text in metrics["warnings"])
    yield from (_clip_line(clip) for clip in view.get("clips", ()))


def _sum_cells(sums: dict[str, Any]) -> tuple[str, ...]:
    snr = sums["snr_db"]["median"] if sums["snr_db"] else "-"
    return str(sums["count"]), f"{sums['minutes']:.2f}", f"{sums['speech_minutes']:.2f}", str(snr)


def _clip_line(clip: dict[str, Any]) -> str:
    state = "deleted " if clip["deleted_at"] else ""
    flags = f"  [{', '.join(clip['flags'])}]" if clip["flags"] else ""
    notes = f"  {clip['notes']}" if clip["notes"] else ""
    who = clip["speaker"] or "-"
    return f"{clip['clip_id']}  {state}{clip['label']:<8}  {who:<12}  {clip['speech_s']:.2f} s{flags}{notes}"


# ---------------------------------------------------------------- in and out


@dataset.command()
@click.argument("dataset_id")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--label", type=_LABELS, required=True, help="What is in the clips.")
@click.option(
    "--speaker", default="", help="Who speaks; below a folder, the next folder says if this does not."
)
@click.option("--notes", default="", help="Kept with each clip.")
@click.option("--licence", default="", help="The dataset's if not given.")
@click.option("--device", default="", help="What it was recorded with.")
@click.option("--environment", default="", help="Where it was recorded.")
@click.option("--distance", "distance_m", type=float, help="Metres from the microphone.")
@click.option(
    "--from-detections",
    "detections",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Cut out what `wakeword scan --json` found: false alarms for --label negative.",
)
@click.option(
    "--before", "before_s", type=float, default=BEFORE_S, show_default=True, help="Seconds of a cut."
)
@common_options
def add(
    app: App,
    as_json: bool,
    dataset_id: str,
    paths: tuple[Path, ...],
    detections: Path | None,
    before_s: float,
    label: str,
    **said: Any,
) -> None:
    """Take in clips: files, folders, or the moments of false alarms. Exit code 2 if any was refused."""
    if bool(paths) == bool(detections):
        raise click.UsageError("Name files or folders, or --from-detections.")
    about = About(label=Label(label), **said)
    with progress("Adding", enabled=not as_json) as bar:
        if detections:
            outcomes = add_detections(
                app, dataset_id, detections, about, before_s=before_s, actor=getpass.getuser(), on_share=bar
            )
        else:
            outcomes = add_paths(app, dataset_id, paths, about, actor=getpass.getuser(), on_share=bar)
    _tell(as_json, outcomes)


@dataset.command("import")
@click.argument("dataset_id")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@common_options
def import_command(app: App, as_json: bool, dataset_id: str, folder: Path) -> None:
    """Take in FOLDER with its labels: a labels.json, or folders positive, negative and noise."""
    with progress("Importing", enabled=not as_json) as bar:
        outcomes = import_folder(app, dataset_id, folder, actor=getpass.getuser(), on_share=bar)
    _tell(as_json, outcomes)


def _tell(as_json: bool, outcomes: Sequence[Outcome]) -> None:
    counts = Counter(outcome.status for outcome in outcomes)
    view = {"counts": dict(counts), "outcomes": app_views.plain(list(outcomes))}
    emit(as_json, view, lambda: _outcome_lines(outcomes, counts))
    raise SystemExit(2 if counts["refused"] else 0)


def _outcome_lines(outcomes: Sequence[Outcome], counts: Counter[str]) -> Iterator[str]:
    told = [one for one in outcomes if one.code or one.flags or one.twin_of]
    for one in itertools.islice(told, _LISTED):
        yield f"{one.status:>8}  {one.name}: {_why(one)}"
    if len(told) > _LISTED:
        yield f"          and {len(told) - _LISTED} more: --json lists all"
    yield (", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "No audio files found") + "."


def _why(one: Outcome) -> str:
    if one.code:
        return f"[{one.code}] {one.message}. {one.hint}".rstrip()
    told = [FLAGS[flag] for flag in one.flags]
    return "; ".join([*told, f"a copy of {one.twin_of}"] if one.twin_of else told)


@dataset.command()
@click.argument("dataset_id")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@common_options
def export(app: App, as_json: bool, dataset_id: str, out: Path) -> None:
    """Copy a dataset's clips and labels.json to the folder OUT."""
    found = export_folder(app, dataset_id, out)
    count = len(found.active())
    emit(as_json, {"out": str(out), "clips": count}, lambda: [f"{count} clips copied to {out}."])


# ---------------------------------------------------------------- clips


@dataset.command()
@click.argument("label", type=_LABELS)
@click.argument("clip_ids", nargs=-1, required=True)
@common_options
def label(app: App, as_json: bool, label: str, clip_ids: tuple[str, ...]) -> None:
    """Label clips of one dataset anew."""
    _change(app, as_json, clip_ids, Wish(label=Label(label)))


@dataset.command()
@click.argument("speaker")
@click.argument("clip_ids", nargs=-1, required=True)
@common_options
def tag(app: App, as_json: bool, speaker: str, clip_ids: tuple[str, ...]) -> None:
    """Say who speaks in clips; an empty name takes it away."""
    _change(app, as_json, clip_ids, Wish(speaker=speaker))


@dataset.command()
@click.argument("text")
@click.argument("clip_ids", nargs=-1, required=True)
@common_options
def note(app: App, as_json: bool, text: str, clip_ids: tuple[str, ...]) -> None:
    """Keep a note with clips; an empty one takes it away."""
    _change(app, as_json, clip_ids, Wish(notes=text))


@dataset.command()
@click.argument("clip_ids", nargs=-1, required=True)
@common_options
def delete(app: App, as_json: bool, clip_ids: tuple[str, ...]) -> None:
    """Delete clips softly: `restore` takes it back until they are purged."""
    _clips(as_json, datasets.delete_clips(app.wake_datasets, clip_ids, actor=getpass.getuser()), "deleted")


@dataset.command()
@click.argument("clip_ids", nargs=-1, required=True)
@common_options
def restore(app: App, as_json: bool, clip_ids: tuple[str, ...]) -> None:
    """Take the deletion of clips back."""
    _clips(as_json, datasets.restore_clips(app.wake_datasets, clip_ids, actor=getpass.getuser()), "restored")


def _change(app: App, as_json: bool, clip_ids: Sequence[str], wish: Wish) -> None:
    changed = datasets.change_clips(app.wake_datasets, clip_ids, wish, actor=getpass.getuser())
    _clips(as_json, changed, "changed")


def _clips(as_json: bool, clips: Sequence[DatasetClip], verb: str) -> None:
    emit(as_json, [clip.to_dict() for clip in clips], lambda: [f"{len(clips)} clips {verb}."])


@dataset.command()
@click.argument("dataset_id")
@common_options
def duplicates(app: App, as_json: bool, dataset_id: str) -> None:
    """Clips with nearly the same audio, whatever their file, codec or level."""
    groups = views.twins_view(app, dataset_id)
    emit(as_json, groups, lambda: _twin_lines(groups))


def _twin_lines(groups: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not groups:
        yield "No two clips have the same audio."
    for group in groups:
        yield "The labels disagree:" if group["labels_disagree"] else "Copies:"
        for clip in group["clips"]:
            alike = f"{1 - clip['differs']:.0%} alike"
            yield f"  {clip['clip_id']}  {clip['label']:<8}  {alike}  {clip['source_name']}"


@dataset.command()
@click.argument("dataset_id")
@click.option("--older-than", "days", type=float, required=True, help="Days since the clips were deleted.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@common_options
def purge(app: App, as_json: bool, dataset_id: str, days: float, yes: bool) -> None:
    """Remove deleted clips for ever."""
    context = app.wake_datasets
    if not yes:
        now = utc_now()
        doomed = [
            c for c in datasets.get(context, dataset_id).clips.values() if c.deleted_for_days(now) >= days
        ]
        click.confirm(f"Remove {len(doomed)} clips of {dataset_id} for ever?", abort=True, err=True)
    gone = datasets.purge(context, dataset_id, older_than_days=days, actor=getpass.getuser())
    emit(
        as_json, {"purged": [clip.clip_id for clip in gone]}, lambda: [f"{len(gone)} clips removed for ever."]
    )
