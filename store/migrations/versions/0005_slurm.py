"""Jobs that run through Slurm: their profile, what Slurm calls an attempt, and what the daemon knows of Slurm."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("slurm", sa.Text(), nullable=True))
    op.add_column("attempts", sa.Column("slurm", sa.JSON(), nullable=True))
    op.add_column("daemon", sa.Column("slurm", sa.JSON(), nullable=True))
