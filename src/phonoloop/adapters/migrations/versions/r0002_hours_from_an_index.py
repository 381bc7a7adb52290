"""Hours of accepted clips are summed from an index, without reading the clips."""

from alembic import op

from phonoloop.adapters.sql_triggers import install_triggers

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NARROW, _COVERING = "ix_clips_split_status", "ix_clips_split_status_provenance_duration_s"


def upgrade() -> None:
    op.create_index(_COVERING, "clips", ["split", "status", "provenance", "duration_s"])
    op.drop_index(_NARROW, "clips")
    install_triggers(op.get_bind())


def downgrade() -> None:
    op.create_index(_NARROW, "clips", ["split", "status"])
    op.drop_index(_COVERING, "clips")
    install_triggers(op.get_bind())
