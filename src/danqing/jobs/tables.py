"""The tables of jobs. Column names are the glossary; the migrations make the tables."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from danqing.database import UtcDateTime, metadata

UNFINISHED = text("lease_expires_at IS NOT NULL")

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("api_key_id", ForeignKey("api_keys.prefix"), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("model", String(200), nullable=False),
    Column("request", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("price_credits", BigInteger, nullable=False),
    Column("charged_credits", BigInteger, nullable=False),
    Column("images", JSON, nullable=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("warnings", JSON, nullable=False),
    Column("engine", Text),
    Column("safety", JSON, nullable=False),
    Column("expanded_prompt", Text),
    Column("timings", JSON),
    Column("client_request_id", String(128)),
    Column("idempotency_key", String(255)),
    Column("webhook_url", Text),
    Column("inline_images", Boolean, nullable=False),
    Column("respond_async", Boolean, nullable=False),
    Column("num_attempts", Integer, nullable=False),
    # Set while the job is unfinished: the process that works on it, and until when nobody else may.
    Column("lease_owner", String(64)),
    Column("lease_expires_at", UtcDateTime),
    Index(None, "api_key_id", "created_at", "id"),
    Index(None, "lease_expires_at"),
    Index("ix_jobs_unfinished", "api_key_id", sqlite_where=UNFINISHED, postgresql_where=UNFINISHED),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("api_key_id", ForeignKey("api_keys.prefix"), primary_key=True),
    Column("path", String(200), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    Column("body_fingerprint", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)

# Webhooks that are due, sent or given up; written in the transaction that finishes the job.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    # Host and port of the URL: senders are fair between receivers.
    Column("receiver", String(300), nullable=False, server_default=""),
    Column("status", String(16), nullable=False),
    Column("num_attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime),
    Column("last_error", Text),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("job_id"),
    Index(None, "next_attempt_at"),
)
