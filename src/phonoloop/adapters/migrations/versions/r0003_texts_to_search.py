"""Texts that can be searched: their words, their vectors, and the order in which they changed."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from phonoloop.adapters.sql_triggers import FOLLOWERS, install_triggers

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WORDS = ("words", "plain", "pairs")


def _text() -> Any:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _counter() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts() -> None:
    op.create_table(
        "texts",
        sa.Column("text_id", _text(), primary_key=True),
        sa.Column("audio_id", _text(), nullable=False),
        sa.Column("clip_id", _text(), nullable=False),
        sa.Column("speaker_id", _text(), nullable=False),
        sa.Column("split", _text(), nullable=False),
        sa.Column("provenance", _text(), nullable=False),
        sa.Column("snr_db", sa.Double(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_sample", sa.BigInteger(), nullable=False),
        sa.Column("end_sample", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("text", _text(), nullable=False),
        *(sa.Column(name, _text(), nullable=False) for name in _WORDS),
        sa.Column("embedder", _text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_texts_audio_id", "texts", ["audio_id"])
    op.create_index("ix_texts_embedder", "texts", ["embedder"])


def _search_indexes() -> None:
    op.create_table(
        "search_indexes",
        sa.Column("name", _text(), primary_key=True),
        sa.Column("embedder", _text(), nullable=False),
        sa.Column("embedder_name", _text(), nullable=False),
        sa.Column("rarity", _text(), nullable=False),
        sa.Column("trained_on", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )


def _text_changes() -> None:
    op.create_table(
        "text_changes",
        sa.Column("number", _counter(), primary_key=True),
        sa.Column("text_id", _text(), nullable=False, unique=True),
        sa.Column("written_in", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_text_changes_written_in", "text_changes", ["written_in"])


def _words_on_sqlite() -> None:
    """Without contents: the texts have them. The words come cut already, so that what stands inside one
    (`e-mail`, `1.000`) does not cut it again."""
    inside = "-''.,:/_"
    op.execute(
        f"CREATE VIRTUAL TABLE texts_words USING fts5({', '.join(_WORDS)}, content='',"
        f" tokenize = \"unicode61 remove_diacritics 0 categories 'L* N* M* S* Co' tokenchars '{inside}'\")"
    )


def _words_on_postgresql() -> None:
    for name in _WORDS:
        op.execute(
            f"CREATE INDEX fts_texts_{name} ON texts"
            f" USING gin (array_to_tsvector(string_to_array({name}, ' ')))"
        )


def upgrade() -> None:
    for make in (_texts, _search_indexes, _text_changes):
        make()
    if op.get_bind().dialect.name == "sqlite":
        _words_on_sqlite()
    else:
        _words_on_postgresql()
    install_triggers(op.get_bind())


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in ("texts", "text_changes", "search_indexes", *(("texts_words",) if is_sqlite else ())):
        op.drop_table(name)
    for name in () if is_sqlite else FOLLOWERS:
        op.execute(f"DROP FUNCTION IF EXISTS {name}")
    install_triggers(op.get_bind())
