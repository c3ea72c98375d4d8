"""Shared GPUs, groups, times to start at, schedules, submit keys, and what a retry changed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# A whole card (no memory given) goes with nobody else, whatever the code believes.
GPU_IS_RESERVED = """
CREATE TRIGGER gpu_is_reserved BEFORE INSERT ON gpu_reservations
WHEN EXISTS (
    SELECT 1 FROM gpu_reservations
    WHERE uuid = NEW.uuid AND (memory_bytes IS NULL OR NEW.memory_bytes IS NULL)
)
BEGIN SELECT RAISE(ABORT, 'the GPU is reserved'); END
"""


def upgrade() -> None:
    op.add_column("experiments", sa.Column("key", sa.Text(), nullable=True))
    op.add_column("experiments", sa.Column("hold_after", sa.JSON(), nullable=True))
    op.add_column("experiments", sa.Column("failures_since", sa.Float(), nullable=True))
    op.create_index(op.f("ix_experiments_key"), "experiments", ["key"], unique=True)
    op.add_column("jobs", sa.Column("gpu_memory", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("group", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("not_before", sa.Float(), nullable=True))
    op.add_column("jobs", sa.Column("fallbacks", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("changes", sa.JSON(), nullable=True))
    _share_cards()
    op.create_table(
        "groups",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_groups")),
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("submission", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=True),
        sa.Column("last_at", sa.Float(), nullable=True),
        sa.Column("last_experiment_id", sa.Integer(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sqlite_autoincrement=True,
    )


def _share_cards() -> None:
    """Makes the job a part of the key; SQLite cannot change a key, so the table is made anew."""
    op.rename_table("gpu_reservations", "old_gpu_reservations")
    op.create_table(
        "gpu_reservations",
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_gpu_reservations_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("uuid", "job_id", name=op.f("pk_gpu_reservations")),
    )
    op.execute("INSERT INTO gpu_reservations (uuid, job_id) SELECT uuid, job_id FROM old_gpu_reservations")
    op.drop_table("old_gpu_reservations")
    op.execute(GPU_IS_RESERVED)
