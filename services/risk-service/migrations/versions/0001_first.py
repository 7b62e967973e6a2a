"""Postings, snapshots, warnings, limits, ratings and ledger breaks, on the rails that every service has."""

from datetime import date

import sqlalchemy as sa
from alembic import op

from servicekit.migrations import rails_v1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """CREATE TABLE alert (
        id UUID NOT NULL, entity_id TEXT NOT NULL, client_id UUID NOT NULL, rule TEXT NOT NULL,
        rule_version INTEGER NOT NULL, cause TEXT NOT NULL, cause_key TEXT NOT NULL, severity TEXT NOT NULL,
        indicator TEXT NOT NULL, value NUMERIC(20, 4) NOT NULL, threshold NUMERIC(20, 4) NOT NULL,
        why JSONB NOT NULL, as_of DATE NOT NULL, due_on DATE NOT NULL, level INTEGER NOT NULL,
        status TEXT NOT NULL, acknowledged_by TEXT, outcome TEXT, closed_as_of DATE, note TEXT,
        version INTEGER NOT NULL, CONSTRAINT pk_alert PRIMARY KEY (id))""",
    "CREATE INDEX alert_list ON alert (entity_id, as_of)",
    "CREATE UNIQUE INDEX alert_one_open_per_cause ON alert (entity_id, client_id, cause) WHERE status <> 'closed'",
    """CREATE TABLE client (
        entity_id TEXT NOT NULL, client_id UUID NOT NULL, industry TEXT, size TEXT, region TEXT, stage TEXT,
        CONSTRAINT pk_client PRIMARY KEY (entity_id, client_id))""",
    """CREATE TABLE client_contract (
        contract_id UUID NOT NULL, client_id UUID NOT NULL, entity_id TEXT NOT NULL,
        limit_amount NUMERIC(20, 4), currency TEXT, effective_from DATE, expires_on DATE, ended_on DATE,
        CONSTRAINT pk_client_contract PRIMARY KEY (contract_id))""",
    "CREATE INDEX ix_client_contract_client_id ON client_contract (client_id)",
    """CREATE TABLE credit_limit (
        id UUID NOT NULL, entity_id TEXT NOT NULL, client_id UUID NOT NULL, kind TEXT NOT NULL,
        debtor_id UUID, amount NUMERIC(20, 4) NOT NULL, currency TEXT NOT NULL, effective_from DATE NOT NULL,
        expires_on DATE, status TEXT NOT NULL, reason TEXT, breached BOOLEAN NOT NULL,
        version INTEGER NOT NULL, CONSTRAINT pk_credit_limit PRIMARY KEY (id))""",
    "CREATE UNIQUE INDEX credit_limit_one_active"
    " ON credit_limit (entity_id, client_id, kind, debtor_id, currency) NULLS NOT DISTINCT WHERE status <> 'expired'",
    """CREATE TABLE day_close (
        entity_id TEXT NOT NULL, client_id UUID NOT NULL, business_date DATE NOT NULL,
        position BIGINT NOT NULL, known_at timestamptz NOT NULL, lines JSONB NOT NULL,
        CONSTRAINT pk_day_close PRIMARY KEY (entity_id, client_id, business_date, position))""",
    """CREATE TABLE evaluation (
        entity_id TEXT NOT NULL, client_id UUID NOT NULL, as_of DATE NOT NULL, reaches_to DATE,
        CONSTRAINT pk_evaluation PRIMARY KEY (entity_id, client_id))""",
    """CREATE TABLE exposure_snapshot (
        entity_id TEXT NOT NULL, client_id UUID NOT NULL, as_of DATE NOT NULL, currency TEXT NOT NULL,
        revision INTEGER NOT NULL, position BIGINT NOT NULL, balance NUMERIC(20, 4) NOT NULL,
        overdue NUMERIC(20, 4) NOT NULL, funds_in_use NUMERIC(20, 4), limit_amount NUMERIC(20, 4),
        headroom NUMERIC(20, 4), figures JSONB NOT NULL,
        CONSTRAINT pk_exposure_snapshot PRIMARY KEY (entity_id, client_id, as_of, currency))""",
    """CREATE TABLE ledger_break (
        id UUID NOT NULL, entity_id TEXT NOT NULL, client_id UUID NOT NULL, business_date DATE NOT NULL,
        posting_kind TEXT NOT NULL, currency TEXT NOT NULL, kind TEXT NOT NULL,
        expected_count INTEGER NOT NULL, actual_count INTEGER NOT NULL,
        expected_total NUMERIC(20, 4) NOT NULL, actual_total NUMERIC(20, 4) NOT NULL, status TEXT NOT NULL,
        owner_id UUID, explanation TEXT, resolution TEXT, version INTEGER NOT NULL,
        CONSTRAINT pk_ledger_break PRIMARY KEY (id))""",
    "CREATE INDEX ledger_break_list ON ledger_break (entity_id, status, business_date)",
    "CREATE UNIQUE INDEX ledger_break_one"
    " ON ledger_break (entity_id, client_id, business_date, posting_kind, currency)",
    """CREATE TABLE legal_entity (
        entity_id TEXT NOT NULL, time_zone TEXT, CONSTRAINT pk_legal_entity PRIMARY KEY (entity_id))""",
    """CREATE TABLE limit_reservation (
        id UUID NOT NULL, limit_id UUID NOT NULL, entity_id TEXT NOT NULL, client_id UUID NOT NULL,
        amount NUMERIC(20, 4) NOT NULL, currency TEXT NOT NULL, status TEXT NOT NULL,
        expires_at timestamptz NOT NULL, version INTEGER NOT NULL,
        CONSTRAINT pk_limit_reservation PRIMARY KEY (id, limit_id))""",
    "CREATE INDEX limit_reservation_held ON limit_reservation (limit_id) WHERE status = 'held'",
    """CREATE TABLE posting (
        posting_id UUID NOT NULL, entity_id TEXT NOT NULL, client_id UUID NOT NULL, kind TEXT NOT NULL,
        business_date DATE NOT NULL, value_date DATE NOT NULL, known_at timestamptz NOT NULL,
        position BIGINT NOT NULL, amount NUMERIC(20, 4), currency TEXT, balance NUMERIC(20, 4) NOT NULL,
        funds NUMERIC(20, 4) NOT NULL, receivable_id UUID, debtor_id UUID, invoice_number TEXT,
        issue_date DATE, due_date DATE, net NUMERIC(20, 4), tax NUMERIC(20, 4), tracked BOOLEAN,
        funding_id UUID, reservation_id UUID, reversed_id UUID, root_id UUID, sign INTEGER,
        CONSTRAINT pk_posting PRIMARY KEY (posting_id))""",
    "CREATE INDEX posting_client ON posting (entity_id, client_id, value_date)",
    "CREATE INDEX posting_day ON posting (entity_id, client_id, business_date, kind)",
    "CREATE INDEX posting_debtor ON posting (entity_id, debtor_id) WHERE debtor_id IS NOT NULL",
    "CREATE INDEX posting_funding ON posting (entity_id, client_id) WHERE funds <> 0",
    "CREATE INDEX posting_invoice ON posting (entity_id, client_id, invoice_number) WHERE invoice_number IS NOT NULL",
    "CREATE INDEX posting_receivable ON posting (receivable_id) WHERE receivable_id IS NOT NULL",
    "CREATE INDEX posting_root ON posting (entity_id, client_id, root_id) WHERE root_id IS NOT NULL",
    """CREATE TABLE rating (
        id UUID NOT NULL, entity_id TEXT NOT NULL, client_id UUID NOT NULL, as_of DATE NOT NULL,
        grade TEXT NOT NULL, pd NUMERIC(12, 8) NOT NULL, score NUMERIC(20, 4), model_version TEXT NOT NULL,
        override BOOLEAN NOT NULL, reason TEXT, valid_until DATE NOT NULL, previous_grade TEXT,
        direction TEXT NOT NULL, explanation JSONB NOT NULL, assigned_by TEXT NOT NULL, status TEXT NOT NULL,
        version INTEGER NOT NULL, CONSTRAINT pk_rating PRIMARY KEY (id))""",
    "CREATE INDEX rating_history ON rating (entity_id, client_id, id)",
    "CREATE UNIQUE INDEX rating_one_current ON rating (entity_id, client_id) WHERE status = 'current'",
    """CREATE TABLE warning_rule (
        rule TEXT NOT NULL, version INTEGER NOT NULL, entity_id TEXT NOT NULL, effective_from DATE NOT NULL,
        measure TEXT NOT NULL, cause TEXT NOT NULL, raise_at NUMERIC(20, 4) NOT NULL,
        clear_at NUMERIC(20, 4) NOT NULL, raise_after INTEGER NOT NULL, history_days INTEGER NOT NULL,
        minimal_volume INTEGER NOT NULL, severity TEXT NOT NULL, due_days INTEGER NOT NULL,
        enabled BOOLEAN NOT NULL, CONSTRAINT pk_warning_rule PRIMARY KEY (rule, version, entity_id))""",
    """CREATE TABLE warning_state (
        entity_id TEXT NOT NULL, client_id UUID NOT NULL, rule TEXT NOT NULL, as_of DATE NOT NULL,
        breached BOOLEAN NOT NULL, streak INTEGER NOT NULL, value NUMERIC(20, 4),
        CONSTRAINT pk_warning_state PRIMARY KEY (entity_id, client_id, rule))""",
)

RULES = (
    # rule, measure, cause, raise_at, clear_at, raise_after, history_days, minimal_volume, severity, due_days
    ("overdue-rate-high", "overdue_rate", "payment", "0.20", "0.10", 3, 0, 5, "serious", 7),
    ("dso-worsening", "dso_worsening", "payment", "0.50", "0.20", 5, 360, 5, "warning", 14),
    ("dilution-high", "dilution", "dilution", "0.15", "0.08", 3, 0, 10, "warning", 14),
    ("dispute-rate-high", "dispute_rate", "dispute", "0.15", "0.07", 3, 0, 5, "warning", 10),
    ("concentration-rise", "concentration_rise", "concentration", "0.75", "0.40", 5, 360, 10, "info", 30),
)


def upgrade() -> None:
    rails_v1(op)
    for statement in TABLES:
        op.execute(statement)
    rules = sa.table(
        "warning_rule",
        *(sa.column(name) for name in ("rule", "version", "entity_id", "measure", "cause")),
        *(sa.column(name, sa.Numeric) for name in ("raise_at", "clear_at")),
        *(sa.column(name) for name in ("raise_after", "history_days", "minimal_volume", "severity", "due_days")),
        sa.column("effective_from", sa.Date),
        sa.column("enabled", sa.Boolean),
    )
    names = ("rule", "measure", "cause", "raise_at", "clear_at", "raise_after", "history_days", "minimal_volume")
    fixed = {"version": 1, "entity_id": "*", "effective_from": date(1970, 1, 1), "enabled": True}
    op.bulk_insert(rules, [dict(zip((*names, "severity", "due_days"), rule, strict=True)) | fixed for rule in RULES])
