"""${message}"""

import sqlalchemy as sa
from alembic import op

from phonoloop.adapters.sql_triggers import install_triggers

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "raise NotImplementedError"}
    install_triggers(op.get_bind())


def downgrade() -> None:
    ${downgrades if downgrades else "raise NotImplementedError"}
    install_triggers(op.get_bind())
