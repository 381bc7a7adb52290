"""The watched folder: what is complete is taken in and moved away, what is refused says why."""

from __future__ import annotations

import errno
import filecmp
import itertools
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from phonoloop.core.errors import PhonoloopError, ResourceError
from phonoloop.core.ports import Transaction
from phonoloop.data.ingest import (
    DUPLICATE,
    INGESTED,
    REFUSED,
    SKIPPED,
    Hints,
    IngestContext,
    ingest_file,
    outcome_id,
    printable_name,
)
from phonoloop.data.model import IntakeOutcome
from phonoloop.data.sidecar import SUFFIXES as SIDECAR_SUFFIXES
from phonoloop.data.sidecar import find_sidecars
from phonoloop.data.stores import in_transaction

AUDIO_SUFFIXES = frozenset(
    (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".aac", ".mp4", ".mkv", ".webm")
)


@dataclass(frozen=True, slots=True)
class InboxFolders:
    """Where files come from and go to; the last two may lie inside the first.

    Attributes:
        settle_s: a file that was written to less than this ago may not be complete.
    """

    inbox: Path
    processed: Path
    rejected: Path
    settle_s: float = 2.0

    @classmethod
    def beside(cls, inbox: Path, settle_s: float = 2.0) -> InboxFolders:
        """`processed/` and `rejected/` next to the inbox."""
        return cls(inbox, inbox.parent / "processed", inbox.parent / "rejected", settle_s)


@dataclass(slots=True)
class InboxState:
    """What the last look saw: size and time of change of each file, and what was skipped already."""

    seen: dict[Path, tuple[int, int]] = field(default_factory=dict)
    skipped: set[Path] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class ScanCounts:
    """What one look found.

    Attributes:
        waiting: still being written.
        skipped: not audio, or a link; left where it is.
        vanished: gone before it was read.
        later: could not be taken in now (disk full, say); left for the next look.
        errors: why, one for each in `later`.
    """

    ingested: int = 0
    duplicate: int = 0
    refused: int = 0
    waiting: int = 0
    skipped: int = 0
    vanished: int = 0
    later: int = 0
    errors: tuple[PhonoloopError, ...] = ()

    def plus(self, name: str, error: PhonoloopError | None = None) -> ScanCounts:
        more = () if error is None else (error,)
        return replace(self, **{name: getattr(self, name) + 1}, errors=self.errors + more)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file in the inbox. `info`: of the file itself, also where it is a link."""

    path: Path
    name: str
    info: os.stat_result

    @property
    def stamp(self) -> tuple[int, int]:
        return self.info.st_size, self.info.st_mtime_ns

    @property
    def is_audio(self) -> bool:
        """By name only; links are not followed, and hidden files are somebody's unfinished work."""
        plain = stat.S_ISREG(self.info.st_mode) and not self.path.name.startswith(".")
        return plain and self.path.suffix.lower() in AUDIO_SUFFIXES


def scan_inbox(context: IngestContext, folders: InboxFolders, state: InboxState) -> ScanCounts:
    """Looks through the inbox once. One file's trouble does not stop the others.

    Killed at any moment, the next look goes on: a file that was recorded but not moved is moved.

    Raises:
        ExceptionGroup: after the look, what no file should be able to cause.
    """
    counts = ScanCounts()
    found = []
    for item in _files(folders):
        if isinstance(item, PhonoloopError):
            counts = counts.plus("later", item)
        else:
            found.append(item)
    others = _settled(folders, _rejoined(context, folders, state, _others(found)))
    _record_skipped(context, state, others)
    counts = replace(counts, skipped=len(others))
    counts = _take_all(context, folders, state, [item for item in found if item.is_audio], counts)
    state.seen = {item.path: item.stamp for item in found}
    return counts


def _take_all(
    context: IngestContext,
    folders: InboxFolders,
    state: InboxState,
    found: Sequence[_Found],
    counts: ScanCounts,
) -> ScanCounts:
    wrong = []
    for item in found:
        try:
            counts = counts.plus(_take(context, folders, state, item))
        except Exception as error:  # noqa: BLE001 - kept for below, so that the others have their turn
            if isinstance(error, PhonoloopError) and error.retryable:
                counts = counts.plus("later", error)
            else:
                wrong.append(error)
    if wrong:
        raise ExceptionGroup("files in the inbox met errors that are not theirs", wrong)
    return counts


def _files(folders: InboxFolders) -> Iterator[_Found | PhonoloopError]:
    """Every file below, in the order of names; folders that cannot be read as errors."""
    folders.inbox.mkdir(parents=True, exist_ok=True)
    errors: list[OSError] = []
    leave_out = {folders.processed, folders.rejected}
    for folder, below, names in os.walk(folders.inbox, onerror=errors.append):
        here = Path(folder)
        below[:] = sorted(name for name in below if here / name not in leave_out)
        links = [name for name in below if (here / name).is_symlink()]
        for path in (here / name for name in sorted(names + links)):
            try:
                info = path.lstat()
            except FileNotFoundError:  # between the listing and now: somebody took it back
                continue
            yield _Found(path, printable_name(path.relative_to(folders.inbox)), info)
    yield from (_folder_error(error) for error in errors if not isinstance(error, FileNotFoundError))


def _folder_error(error: OSError) -> PhonoloopError:
    return ResourceError(
        f"a folder in the inbox cannot be read ({error.strerror})",
        code="inbox.folder_unreadable",
        subject=printable_name(Path(error.filename or "")),
        hint="Check its permissions",
    )


def _others(found: Sequence[_Found]) -> list[_Found]:
    """What is neither audio nor lies beside it."""
    beside = {sidecar for item in found if item.is_audio for sidecar in find_sidecars(item.path)}
    return [item for item in found if not item.is_audio and item.path not in beside]


def _settled(folders: InboxFolders, others: Sequence[_Found]) -> list[_Found]:
    """Without texts that came just now, and may still get their audio."""
    return [item for item in others if not (_is_text(item) and _came_just_now(folders, item))]


def _is_text(item: _Found) -> bool:
    return stat.S_ISREG(item.info.st_mode) and item.path.suffix in SIDECAR_SUFFIXES


def _came_just_now(folders: InboxFolders, item: _Found) -> bool:
    """By its time of arrival: moving a file keeps the time of its last change."""
    return 0 <= time.time() - item.info.st_ctime < folders.settle_s


def _record_skipped(context: IngestContext, state: InboxState, others: Sequence[_Found]) -> None:
    new = [item for item in others if item.path not in state.skipped]
    state.skipped = {item.path for item in others}
    if new:
        outcomes = [_skipped(item) for item in new]
        in_transaction(context.records, lambda tx: [tx.add(outcome) for outcome in outcomes])


def _skipped(item: _Found) -> IntakeOutcome:
    return IntakeOutcome(
        outcome_id=outcome_id(item.name),
        name=item.name,
        status=SKIPPED,
        code="inbox.not_audio",
        message="this is not an audio file, or it is a link",
        hint=f"Taken are {', '.join(sorted(AUDIO_SUFFIXES))}, and .txt or .json beside them",
        kept_at=printable_name(item.path),
    )


def _take(context: IngestContext, folders: InboxFolders, state: InboxState, item: _Found) -> str:
    """Takes one file in and moves it; the name of what is to be counted."""
    if not _is_settled(folders, state, item):
        return "waiting"
    hints = Hints(name=item.name, folder_speaker=_speaker_folder(folders, item))
    try:
        outcome = ingest_file(context, item.path, hints)
    except PhonoloopError as error:
        if error.code == "audio.changed":
            return "waiting"
        raise
    if outcome.code == "audio.missing":
        return "vanished"
    try:
        return _move_away(context, folders, item, outcome)
    except OSError as error:
        raise _cannot_move(item, error) from error


def _speaker_folder(folders: InboxFolders, item: _Found) -> str:
    parts = item.path.relative_to(folders.inbox).parts
    return printable_name(Path(parts[0])) if len(parts) > 1 else ""


def _is_settled(folders: InboxFolders, state: InboxState, item: _Found) -> bool:
    """Unchanged since the last look, and neither it nor what lies beside it is fresh.

    A time of change in the future says nothing: such a file is looked at twice.
    """
    before = state.seen.get(item.path)
    if before is not None and before != item.stamp:
        return False
    age_ns = time.time_ns() - item.info.st_mtime_ns
    if age_ns < 0:
        return before is not None
    return not any(_is_fresh(folders, path) for path in (item.path, *find_sidecars(item.path)))


def _is_fresh(folders: InboxFolders, path: Path) -> bool:
    try:
        age_s = (time.time_ns() - path.stat().st_mtime_ns) / 1e9
    except FileNotFoundError:  # ingest says so, with a reason
        return False
    return 0 <= age_s < folders.settle_s


def _move_away(context: IngestContext, folders: InboxFolders, item: _Found, outcome: IntakeOutcome) -> str:
    root = folders.rejected if outcome.status == REFUSED else folders.processed
    wanted = root / item.path.relative_to(folders.inbox)
    target = _free(wanted)
    target.parent.mkdir(parents=True, exist_ok=True)
    if outcome.status == REFUSED or outcome.status == DUPLICATE:
        # before it lies there: killed in between, it is looked at again, and recorded again
        _record_place(context, outcome, target)
    if outcome.status == REFUSED:
        # the reason first and the audio next: killed in between, it is refused again
        _write_reason(target, outcome)
        _move(item.path, target)
        _move_sidecars(item.path, target)  # killed before, `_rejoined` does it
    else:
        # the audio last: killed before, it is found here again and known
        _move_sidecars(item.path, target)
        _move(item.path, target)
    if outcome.code == "duplicate.again":  # or recorded in a look that was killed before it moved the file
        return DUPLICATE if target != wanted else INGESTED
    return outcome.status


def keep_refused(context: IngestContext, folders: InboxFolders, path: Path, outcome: IntakeOutcome) -> Path:
    """Moves a refused file that came another way than through the inbox to the rejected ones, with its
    reason beside it; where it lies now."""
    target = _free(folders.rejected / PurePath(outcome.name).name)
    target.parent.mkdir(parents=True, exist_ok=True)
    _write_reason(target, outcome)
    _move(path, target)
    _record_place(context, outcome, target)
    return target


def _free(wanted: Path) -> Path:
    """The path, or with a number before its suffix where there is such a file already."""
    numbered = (wanted.with_stem(f"{wanted.stem}.{number}") for number in itertools.count(1))
    return next(path for path in itertools.chain([wanted], numbered) if not os.path.lexists(path))


def _move_sidecars(audio: Path, target: Path) -> None:
    """What lies beside the audio goes along under the new name; copied where other audio needs it too."""
    for sidecar in find_sidecars(audio):
        _move_sidecar(sidecar, audio, target)


def _move_sidecar(sidecar: Path, audio: Path, target: Path) -> None:
    ending = sidecar.name.removeprefix(audio.stem)
    wanted = target.with_name(target.stem + ending.replace(audio.suffix, target.suffix, 1))
    there = _is_copy(sidecar, wanted)  # of a sibling, or of a look that was killed
    if _has_sibling(audio):
        if not there:
            _copy(sidecar, _free(wanted))
    elif there:
        sidecar.unlink()
    else:
        _move(sidecar, _free(wanted))


def _is_copy(source: Path, target: Path) -> bool:
    return target.is_file() and filecmp.cmp(source, target, shallow=False)


def _rejoined(
    context: IngestContext, folders: InboxFolders, state: InboxState, others: Sequence[_Found]
) -> list[_Found]:
    """Sidecars whose audio was refused and moved by a look that was killed before it moved them go along
    now; the others remain."""
    remaining = []
    for item in others:
        found = None if item.path in state.skipped else _refused_audio_of(context, folders, item)
        if found is None:
            remaining.append(item)
        else:
            _move_sidecar(item.path, *found)
    return remaining


def _refused_audio_of(
    context: IngestContext, folders: InboxFolders, sidecar: _Found
) -> tuple[Path, Path] | None:
    """Where the audio lay beside which this was when it was refused, and where it lies now."""
    if not _is_text(sidecar):
        return None
    stem = sidecar.path.with_suffix("")
    endings = [*AUDIO_SUFFIXES, *(suffix.upper() for suffix in AUDIO_SUFFIXES)]
    places = [stem, *(stem.with_name(stem.name + ending) for ending in endings)]
    names = {printable_name(place.relative_to(folders.inbox)): place for place in places}
    with context.records.transaction() as tx:
        refused = tx.find(IntakeOutcome, status=REFUSED, name__in=list(names))
    for outcome in refused:
        target = Path(outcome.kept_at)
        lay_there = sidecar.info.st_ctime <= outcome.created_at.timestamp()
        if lay_there and target.is_relative_to(folders.rejected) and target.is_file():
            return names[outcome.name], target
    return None


def _has_sibling(audio: Path) -> bool:
    names = (audio.with_suffix(suffix) for suffix in AUDIO_SUFFIXES if suffix != audio.suffix)
    return any(path.is_file() for path in names)


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)
        source.unlink()


def _copy(source: Path, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.part")
    with _whole_or_not(unfinished):
        shutil.copy2(source, unfinished)
        unfinished.replace(target)


@contextmanager
def _whole_or_not(unfinished: Path) -> Iterator[None]:
    try:
        yield
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _write_reason(target: Path, outcome: IntakeOutcome) -> None:
    body = {
        "name": outcome.name,
        "code": outcome.code,
        "message": outcome.message,
        "hint": outcome.hint,
        "at": outcome.created_at.isoformat(),
    }
    place = target.with_name(f"{target.name}.reason.json")
    unfinished = place.with_name(f".{place.name}.part")
    with _whole_or_not(unfinished):
        unfinished.write_text(json.dumps(body, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(place)


def _record_place(context: IngestContext, outcome: IntakeOutcome, target: Path) -> None:
    def work(tx: Transaction) -> None:
        recorded = tx.get(IntakeOutcome, outcome.outcome_id)
        if recorded is not None and recorded.status == outcome.status:
            tx.put(replace(recorded, kept_at=printable_name(target)))

    in_transaction(context.records, work)


def _cannot_move(item: _Found, error: OSError) -> ResourceError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return ResourceError(
        f"the file was looked at but cannot be moved away ({error.strerror})",
        code="disk.full" if full else "inbox.cannot_move",
        subject=item.name,
        hint="Make room" if full else "Check the permissions of the inbox and of where files go",
    )
