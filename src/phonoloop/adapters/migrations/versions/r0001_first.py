"""Recordings, clips, transcripts, jobs, models, the outbox and the event log."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from phonoloop.adapters.sql_triggers import install_triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text() -> Any:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _counter() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("audit_id", _text(), primary_key=True),
        sa.Column("actor", _text(), nullable=False),
        sa.Column("action", _text(), nullable=False),
        sa.Column("subject", _text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("audit", "created_at")
    _index("audit", "subject")


def _champions() -> None:
    op.create_table(
        "champions",
        sa.Column("kind", _text(), primary_key=True),
        sa.Column("model_id", _text(), nullable=False),
        sa.Column("previous_model_id", _text(), nullable=False),
        sa.Column("since_position", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    )


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("letter_id", _text(), primary_key=True),
        sa.Column("consumer", _text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("type", _text(), nullable=False),
        sa.Column("code", _text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("dead_letters", "consumer")


def _epoch_metrics() -> None:
    op.create_table(
        "epoch_metrics",
        sa.Column("metric_id", _text(), primary_key=True),
        sa.Column("run_id", _text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("epoch_metrics", "run_id", "epoch")


def _event_cursors() -> None:
    op.create_table(
        "event_cursors",
        sa.Column("consumer", _text(), primary_key=True),
        sa.Column("type", _text(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
    )


def _event_deliveries() -> None:
    op.create_table(
        "event_deliveries",
        sa.Column("consumer", _text(), primary_key=True),
        sa.Column("position", sa.BigInteger(), primary_key=True),
        sa.Column("type", _text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token", _text(), nullable=False),
    )


def _event_log() -> None:
    op.create_table(
        "event_log",
        sa.Column("position", _counter(), primary_key=True),
        sa.Column("event_id", _text(), nullable=False, unique=True),
        sa.Column("type", _text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    _index("event_log", "type", "position")


def _golden_sets() -> None:
    op.create_table(
        "golden_sets",
        sa.Column("name", _text(), primary_key=True),
        sa.Column("manifest", _text(), nullable=False),
        sa.Column("manifest_sha256", _text(), nullable=False),
        sa.Column("clips", sa.BigInteger(), nullable=False),
        sa.Column("speakers", sa.BigInteger(), nullable=False),
        sa.Column("hours", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def _intake_outcomes() -> None:
    op.create_table(
        "intake_outcomes",
        sa.Column("outcome_id", _text(), primary_key=True),
        sa.Column("name", _text(), nullable=False),
        sa.Column("status", _text(), nullable=False),
        sa.Column("code", _text(), nullable=False),
        sa.Column("message", _text(), nullable=False),
        sa.Column("hint", _text(), nullable=False),
        sa.Column("audio_id", _text(), nullable=False),
        sa.Column("kept_at", _text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("intake_outcomes", "audio_id")
    _index("intake_outcomes", "created_at")
    _index("intake_outcomes", "status", "code")


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_id", _text(), primary_key=True),
        sa.Column("kind", _text(), nullable=False),
        sa.Column("slot", _text(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("state", _text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("max_attempts", sa.BigInteger(), nullable=False),
        sa.Column("worker", _text(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("stage", _text(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("eta_s", sa.Double(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    )
    _index("jobs", "created_at")
    _index("jobs", "state", "kind")
    running = sa.text("state = 'running'")
    op.create_index(
        "uq_jobs_running_slot", "jobs", ["slot"], unique=True, sqlite_where=running, postgresql_where=running
    )


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("model_id", _text(), primary_key=True),
        sa.Column("kind", _text(), nullable=False),
        sa.Column("run_id", _text(), nullable=False),
        sa.Column("snapshot_id", _text(), nullable=False),
        sa.Column("artefacts", _text(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("status", _text(), nullable=False),
        sa.Column("unproven", sa.Boolean(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("models", "kind", "status")
    _index("models", "run_id")
    _index("models", "snapshot_id")


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("position", _counter(), primary_key=True),
        sa.Column("body", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )


def _predictions() -> None:
    op.create_table(
        "predictions",
        sa.Column("prediction_id", _text(), primary_key=True),
        sa.Column("model_id", _text(), nullable=False),
        sa.Column("clip_id", _text(), nullable=False),
        sa.Column("speaker_id", _text(), nullable=False),
        sa.Column("reference", _text(), nullable=False),
        sa.Column("hypothesis", _text(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.BigInteger(), nullable=False),
        sa.Column("slices", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("predictions", "clip_id")
    _index("predictions", "model_id")


def _processed() -> None:
    op.create_table(
        "processed",
        sa.Column("key", _text(), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def _snapshots() -> None:
    op.create_table(
        "snapshots",
        sa.Column("snapshot_id", _text(), primary_key=True),
        sa.Column("manifests", sa.JSON(), nullable=False),
        sa.Column("clips", sa.BigInteger(), nullable=False),
        sa.Column("hours", sa.JSON(), nullable=False),
        sa.Column("hours_by_provenance", sa.JSON(), nullable=False),
        sa.Column("speakers", sa.JSON(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("snapshots", "created_at")


def _speakers() -> None:
    op.create_table(
        "speakers",
        sa.Column("speaker_id", _text(), primary_key=True),
        sa.Column("name", _text(), nullable=False),
        sa.Column("split", _text(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("weak", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def _training_runs() -> None:
    op.create_table(
        "training_runs",
        sa.Column("run_id", _text(), primary_key=True),
        sa.Column("kind", _text(), nullable=False),
        sa.Column("job_id", _text(), nullable=False),
        sa.Column("snapshot_id", _text(), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("code_version", _text(), nullable=False),
        sa.Column("initial_model_id", _text(), nullable=False),
        sa.Column("state", _text(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    )
    _index("training_runs", "kind", "state")
    _index("training_runs", "snapshot_id")


def _transcript_revisions() -> None:
    op.create_table(
        "transcript_revisions",
        sa.Column("revision_id", _text(), primary_key=True),
        sa.Column("audio_id", _text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("transcript_revisions", "audio_id", "revision")


def _transcripts() -> None:
    op.create_table(
        "transcripts",
        sa.Column("audio_id", _text(), primary_key=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("text", _text(), nullable=False),
        sa.Column("provenance", _text(), nullable=False),
        sa.Column("model_version", _text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("language", _text(), nullable=False),
        sa.Column("segments", sa.JSON(), nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("text_clean", _text(), nullable=False),
        sa.Column("text_with_diacritics", _text(), nullable=False),
        sa.Column("corrections", sa.JSON(), nullable=False),
        sa.Column("uri", _text(), nullable=False),
        sa.Column("author", _text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("transcripts", "provenance")
    _index("transcripts", "updated_at")


def _trigger_firings() -> None:
    op.create_table(
        "trigger_firings",
        sa.Column("cause", _text(), primary_key=True),
        sa.Column("job_id", _text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        sa.Column("verdict_id", _text(), primary_key=True),
        sa.Column("kind", _text(), nullable=False),
        sa.Column("candidate_id", _text(), nullable=False),
        sa.Column("champion_id", _text(), nullable=False),
        sa.Column("golden_set", _text(), nullable=False),
        sa.Column("golden_sha256", _text(), nullable=False),
        sa.Column("decision", _text(), nullable=False),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("reason", _text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("verdicts", "candidate_id")
    _index("verdicts", "kind", "created_at")


def _audio() -> None:
    op.create_table(
        "audio",
        sa.Column("audio_id", _text(), primary_key=True),
        sa.Column("speaker_id", _text(), sa.ForeignKey("speakers.speaker_id"), nullable=False),
        sa.Column("split", _text(), nullable=False),
        sa.Column("path", _text(), nullable=False),
        sa.Column("original_key", _text(), nullable=False),
        sa.Column("original_sha256", _text(), nullable=False),
        sa.Column("original_name", _text(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("sample_rate_hz", sa.BigInteger(), nullable=False),
        sa.Column("channels", sa.BigInteger(), nullable=False),
        sa.Column("container", _text(), nullable=False),
        sa.Column("snr_db", sa.Double(), nullable=False),
        sa.Column("clipping_share", sa.Double(), nullable=False),
        sa.Column("silence_share", sa.Double(), nullable=False),
        sa.Column("loudness_lufs", sa.Double(), nullable=False),
        sa.Column("bandwidth_hz", sa.Double(), nullable=False),
        sa.Column("language", _text(), nullable=False),
        sa.Column("device", _text(), nullable=False),
        sa.Column("environment", _text(), nullable=False),
        sa.Column("licence", _text(), nullable=False),
        sa.Column("consent", _text(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("audio", "created_at")
    _index("audio", "original_sha256")
    _index("audio", "speaker_id")
    _index("audio", "split")


def _clips() -> None:
    op.create_table(
        "clips",
        sa.Column("clip_id", _text(), primary_key=True),
        sa.Column("audio_id", _text(), sa.ForeignKey("audio.audio_id"), nullable=False),
        sa.Column("speaker_id", _text(), sa.ForeignKey("speakers.speaker_id"), nullable=False),
        sa.Column("split", _text(), nullable=False),
        sa.Column("start_sample", sa.BigInteger(), nullable=False),
        sa.Column("end_sample", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("snr_db", sa.Double(), nullable=False),
        sa.Column("status", _text(), nullable=False),
        sa.Column("reason", _text(), nullable=False),
        sa.Column("text", _text(), nullable=False),
        sa.Column("provenance", _text(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("transcript_revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("clips", "audio_id")
    _index("clips", "created_at")
    _index("clips", "speaker_id")
    _index("clips", "split", "status")
    _index("clips", "status", "reason")


_TABLES = (
    _audit,
    _champions,
    _dead_letters,
    _epoch_metrics,
    _event_cursors,
    _event_deliveries,
    _event_log,
    _golden_sets,
    _intake_outcomes,
    _jobs,
    _models,
    _outbox,
    _predictions,
    _processed,
    _snapshots,
    _speakers,
    _training_runs,
    _transcript_revisions,
    _transcripts,
    _trigger_firings,
    _verdicts,
    _audio,
    _clips,
)


def upgrade() -> None:
    for make in _TABLES:
        make()
    install_triggers(op.get_bind())


def downgrade() -> None:
    raise RuntimeError("there is nothing before the first revision: delete the database instead")
