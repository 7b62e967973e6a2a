"""The first tables: rails, archive, lifecycle, contracts, assignments, facts, and what is heard from the others."""

from alembic import op

from servicekit.migrations import rails_v1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ARCHIVE = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE client (
    id uuid NOT NULL,
    entity_id text NOT NULL,
    branch_id text,
    name text NOT NULL,
    other_name text,
    search_name text GENERATED ALWAYS AS (lower(name || ' ' || coalesce(other_name, ''))) STORED NOT NULL,
    identifiers jsonb NOT NULL,
    external_numbers jsonb NOT NULL,
    roles text[] NOT NULL,
    industry text,
    region text,
    size varchar(40),
    stage varchar(40) NOT NULL,
    stage_since timestamptz NOT NULL,
    contract_until date,
    rm_id uuid,
    registered_at timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT pk_client PRIMARY KEY (id)
);
CREATE INDEX client_search_name ON client USING gin (search_name gin_trgm_ops);
CREATE INDEX client_newest ON client (entity_id, registered_at, id);
CREATE INDEX client_stage ON client (entity_id, stage);
CREATE INDEX client_rm ON client (rm_id);

CREATE TABLE client_identifier (
    entity_id text NOT NULL,
    scheme text NOT NULL,
    country text NOT NULL,
    value text NOT NULL,
    client_id uuid NOT NULL,
    CONSTRAINT pk_client_identifier PRIMARY KEY (entity_id, scheme, country, value)
);
CREATE INDEX ix_client_identifier_client_id ON client_identifier (client_id);
CREATE INDEX client_identifier_value ON client_identifier (entity_id, value);

CREATE TABLE external_number (
    alias_id uuid NOT NULL,
    entity_id text NOT NULL,
    system text NOT NULL,
    number text NOT NULL,
    client_id uuid NOT NULL,
    CONSTRAINT pk_external_number PRIMARY KEY (alias_id)
);
CREATE INDEX ix_external_number_client_id ON external_number (client_id);
CREATE INDEX external_number_number ON external_number (entity_id, number);

CREATE TABLE contact_person (
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    entity_id text NOT NULL,
    position text,
    name bytea,
    phone bytea,
    email bytea,
    wechat bytea,
    added_at timestamptz NOT NULL,
    erased_at timestamptz,
    version integer NOT NULL,
    CONSTRAINT pk_contact_person PRIMARY KEY (id)
);
CREATE INDEX ix_contact_person_client_id ON contact_person (client_id);

CREATE TABLE lifecycle_step (
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    from_stage varchar(40) NOT NULL,
    to_stage varchar(40) NOT NULL,
    reason varchar(40) NOT NULL,
    note text,
    taken_at timestamptz NOT NULL,
    taken_by text NOT NULL,
    staff_id uuid,
    CONSTRAINT pk_lifecycle_step PRIMARY KEY (id)
);
CREATE INDEX ix_lifecycle_step_client_id ON lifecycle_step (client_id);

CREATE TABLE factoring_contract (
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    entity_id text NOT NULL,
    state varchar(40) NOT NULL,
    product varchar(40) NOT NULL,
    recourse boolean NOT NULL,
    disclosed boolean NOT NULL,
    advance_rate numeric(7, 6) NOT NULL,
    limit_amount numeric(20, 4) NOT NULL,
    currency text NOT NULL,
    fees jsonb NOT NULL,
    dispute_clause jsonb NOT NULL,
    effective_from date NOT NULL,
    expires_on date NOT NULL,
    drafted_at timestamptz NOT NULL,
    signed_on date,
    version integer NOT NULL,
    CONSTRAINT pk_factoring_contract PRIMARY KEY (id)
);
CREATE INDEX ix_factoring_contract_client_id ON factoring_contract (client_id);

CREATE TABLE rm_assignment (
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    staff_id uuid NOT NULL,
    from_staff_id uuid,
    reason text NOT NULL,
    assigned_at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    assigned_by text NOT NULL,
    CONSTRAINT pk_rm_assignment PRIMARY KEY (id)
);
CREATE INDEX ix_rm_assignment_client_id ON rm_assignment (client_id);
"""

_HEARD = """
CREATE TABLE posting_fact (
    entity_id text NOT NULL,
    posting_id uuid NOT NULL,
    client_id uuid NOT NULL,
    month date NOT NULL,
    reversed_id uuid,
    measure varchar(40),
    currency text NOT NULL,
    amount numeric(20, 4) NOT NULL,
    count smallint NOT NULL,
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_posting_fact PRIMARY KEY (entity_id, posting_id)
);
CREATE INDEX ix_posting_fact_client ON posting_fact (client_id, entity_id, month);
CREATE INDEX ix_posting_fact_uncounted ON posting_fact (client_id) WHERE measure IS NULL;

CREATE TABLE rating (
    entity_id text NOT NULL,
    client_id uuid NOT NULL,
    rating_id uuid NOT NULL,
    grade text NOT NULL,
    valid_until date NOT NULL,
    expired boolean NOT NULL,
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_rating PRIMARY KEY (entity_id, client_id)
);

CREATE TABLE credit_limit (
    limit_id uuid NOT NULL,
    entity_id text NOT NULL,
    client_id uuid NOT NULL,
    kind text NOT NULL,
    debtor_id uuid,
    amount numeric(20, 4),
    currency text,
    effective_from date,
    expires_on date,
    state varchar(40) NOT NULL,
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_credit_limit PRIMARY KEY (limit_id)
);
CREATE INDEX ix_credit_limit_client_id ON credit_limit (client_id);

CREATE TABLE exposure (
    entity_id text NOT NULL,
    client_id uuid NOT NULL,
    currency text NOT NULL,
    as_of date NOT NULL,
    revision integer NOT NULL,
    balance numeric(20, 4) NOT NULL,
    overdue numeric(20, 4) NOT NULL,
    funds_in_use numeric(20, 4),
    credit_limit numeric(20, 4),
    headroom numeric(20, 4),
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_exposure PRIMARY KEY (entity_id, client_id, currency)
);

CREATE TABLE alert (
    alert_id uuid NOT NULL,
    entity_id text NOT NULL,
    client_id uuid NOT NULL,
    rule text,
    severity text,
    indicator text,
    value numeric(30, 12),
    threshold numeric(30, 12),
    as_of date,
    due_on date,
    level integer,
    closed boolean DEFAULT false NOT NULL,
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_alert PRIMARY KEY (alert_id)
);
CREATE INDEX ix_alert_client_id ON alert (client_id);

CREATE TABLE complaint (
    complaint_id uuid NOT NULL,
    entity_id text NOT NULL,
    client_id uuid NOT NULL,
    category text,
    received_on date,
    due_on date,
    answered_on date,
    closed boolean DEFAULT false NOT NULL,
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_complaint PRIMARY KEY (complaint_id)
);
CREATE INDEX ix_complaint_client_id ON complaint (client_id);

CREATE TABLE visit (
    visit_id uuid NOT NULL,
    entity_id text NOT NULL,
    client_id uuid NOT NULL,
    reason text,
    staff_id uuid,
    due_on date,
    completed_on date,
    state varchar(40) NOT NULL,
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_visit PRIMARY KEY (visit_id)
);
CREATE INDEX ix_visit_client_id ON visit (client_id);

CREATE TABLE last_contact (
    entity_id text NOT NULL,
    client_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    at timestamptz NOT NULL,
    channel text NOT NULL,
    direction text NOT NULL,
    outcome text NOT NULL,
    staff_id uuid NOT NULL,
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_last_contact PRIMARY KEY (entity_id, client_id)
);

CREATE TABLE unit (
    unit_id text NOT NULL,
    entity_id text NOT NULL,
    kind text NOT NULL,
    parent text,
    team_id uuid,
    time_zone text,
    active boolean NOT NULL,
    CONSTRAINT pk_unit PRIMARY KEY (entity_id, unit_id)
);
CREATE INDEX ix_unit_team_id ON unit (team_id);

CREATE TABLE staff_member (
    staff_id uuid NOT NULL,
    entity_id text NOT NULL,
    team_id uuid,
    role text,
    departed boolean NOT NULL,
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_staff_member PRIMARY KEY (staff_id)
);

CREATE TABLE kpi_value (
    subject_id uuid NOT NULL,
    kpi text NOT NULL,
    period text NOT NULL,
    entity_id text NOT NULL,
    subject_kind text NOT NULL,
    value numeric(30, 12),
    target numeric(30, 12),
    evidence_count integer NOT NULL,
    revision integer NOT NULL,
    known_at timestamptz NOT NULL,
    CONSTRAINT pk_kpi_value PRIMARY KEY (subject_id, kpi, period)
);
"""


def upgrade() -> None:
    """Create everything."""
    rails_v1(op)
    for statements in (_ARCHIVE, _HEARD):
        for statement in statements.split(";\n"):
            if statement.strip():
                op.execute(statement)
