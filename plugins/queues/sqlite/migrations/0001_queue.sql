-- SPDX-License-Identifier: Apache-2.0
-- The queue's first schema. Times are milliseconds since the Unix epoch, 0 means never. Names that repeat in
-- every row (tenants, workflows, effects, worker ids) are stored once and referred to by number.

-- lane: 1 since the tenant first had max_running; its dispatches queue in a lane of their own from then on.
CREATE TABLE tenants (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    weight INTEGER NOT NULL DEFAULT 1,
    max_pending INTEGER NOT NULL DEFAULT 0,
    max_running INTEGER NOT NULL DEFAULT 0,
    disabled INTEGER NOT NULL DEFAULT 0,
    lane INTEGER NOT NULL DEFAULT 0,
    webhook_version INTEGER NOT NULL DEFAULT 1,
    webhook_url TEXT
);
CREATE INDEX tenants_lane ON tenants (id, lane) WHERE lane = 1;
CREATE TABLE tenant_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id INTEGER NOT NULL REFERENCES tenants(id),
    token_hash TEXT NOT NULL UNIQUE,
    label TEXT,
    created_ms INTEGER NOT NULL,
    last_used_ms INTEGER NOT NULL DEFAULT 0,
    expires_ms INTEGER NOT NULL
);
CREATE INDEX tenant_tokens_tenant ON tenant_tokens (tenant_id, id);
CREATE TABLE effects (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- Every worker id ever seen: finished jobs name their worker after its registration is gone.
CREATE TABLE worker_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- One row per workflow with the number of its dispatches in each state, kept in the transaction that changes them.
CREATE TABLE workflows (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    scheduled INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL DEFAULT 0,
    leased INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    arrivals INTEGER NOT NULL DEFAULT 0, -- how often something became queued; 0: never had a job
    share_tag INTEGER NOT NULL DEFAULT 0 -- the largest leased so far
);
-- Where a tenant's next fair job in a workflow begins, at the earliest. Tags are in units of 1/46126080.
CREATE TABLE tenant_shares (
    workflow_id INTEGER NOT NULL REFERENCES workflows(id),
    tenant_id INTEGER NOT NULL REFERENCES tenants(id),
    finish_tag INTEGER NOT NULL,
    PRIMARY KEY (workflow_id, tenant_id)
) WITHOUT ROWID;

-- The central row of a job. status: 1 scheduled 2 queued 3 leased 4 completed 5 failed 6 cancelled.
CREATE TABLE ai_job_dispatches (
    id INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants(id),
    workflow_id INTEGER NOT NULL REFERENCES workflows(id),
    effect_id INTEGER REFERENCES effects(id),
    status INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    lane INTEGER NOT NULL DEFAULT 0,    -- tenant_id when the tenant has a lane, see tenants
    share_key INTEGER NOT NULL DEFAULT 0, -- the share tag; far below every tag when an interruption put the job in front
    flags INTEGER NOT NULL DEFAULT 0,   -- 1: others wait for it, 2: has a unique key, 4: waits or waited for others
    waits_for INTEGER NOT NULL DEFAULT 0, -- jobs it waits for that have not completed
    doomed_by INTEGER NOT NULL DEFAULT 0, -- the one of these that failed; negative: that was cancelled
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    requeues INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    ended_by INTEGER NOT NULL DEFAULT 0, -- how lease_token's lease ended: 1 complete, 2 fail; 0: runs or did not answer
    worker_id INTEGER REFERENCES worker_names(id),
    lease_token TEXT,
    output_suffix TEXT,
    lease_expires_ms INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    queued_ms INTEGER NOT NULL,          -- when it became due, last
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL DEFAULT 0,   -- when the sweep is to look at it, if scheduled; far off while it waits for jobs
    leased_ms INTEGER NOT NULL DEFAULT 0,
    first_leased_ms INTEGER NOT NULL DEFAULT 0,
    wait_ms INTEGER NOT NULL DEFAULT 0,  -- due to first lease
    finished_ms INTEGER NOT NULL DEFAULT 0,
    updated_ms INTEGER NOT NULL,
    progress REAL NOT NULL DEFAULT 0,
    duration_seconds REAL,
    last_event INTEGER NOT NULL,         -- newest line of the timeline in job_events
    last_error TEXT,
    progress_text TEXT,
    checkpoint_key TEXT
);
-- The first is exactly the order leases are given in. Each carries the status, which its rows share, because SQLite checks
-- the condition again and would fetch the row for it; three carry the tenant, whose dispatches are counted by them.
CREATE INDEX dispatches_queue ON ai_job_dispatches (workflow_id, lane, status, priority DESC, share_key) WHERE status = 2;
CREATE INDEX dispatches_oldest ON ai_job_dispatches (workflow_id, queued_ms, status, tenant_id) WHERE status = 2;
CREATE INDEX dispatches_due ON ai_job_dispatches (due_ms, status, tenant_id) WHERE status = 1;
CREATE INDEX dispatches_expiry ON ai_job_dispatches (lease_expires_ms, status, tenant_id) WHERE status = 3;
CREATE INDEX dispatches_worker ON ai_job_dispatches (worker_id, status) WHERE status = 3;
CREATE INDEX dispatches_finished ON ai_job_dispatches (finished_ms) WHERE finished_ms > 0;
CREATE INDEX dispatches_unsuccessful ON ai_job_dispatches (status, id) WHERE status > 4;
CREATE INDEX dispatches_tenant ON ai_job_dispatches (tenant_id, id);

-- The tenant's private part of a job.
CREATE TABLE ai_jobs (
    id INTEGER PRIMARY KEY REFERENCES ai_job_dispatches(id),
    params TEXT NOT NULL,
    inputs TEXT NOT NULL,
    output TEXT,
    idempotency_key TEXT,
    provider_job_id TEXT,
    unique_key TEXT
);

CREATE TABLE idempotency_keys (
    tenant_id INTEGER NOT NULL REFERENCES tenants(id),
    key TEXT NOT NULL,
    dispatch_id INTEGER NOT NULL,
    request_hash TEXT NOT NULL,
    PRIMARY KEY (tenant_id, key)
) WITHOUT ROWID;

-- The pending job of each unique key.
CREATE TABLE unique_keys (
    tenant_id INTEGER NOT NULL REFERENCES tenants(id),
    key TEXT NOT NULL,
    dispatch_id INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, key)
) WITHOUT ROWID;

-- What a job waits or waited for. done: that job completed; it stays so when that job is pruned.
CREATE TABLE job_dependencies (
    job_id INTEGER NOT NULL,
    after_id INTEGER NOT NULL,
    done INTEGER NOT NULL,
    PRIMARY KEY (job_id, after_id)
) WITHOUT ROWID;
CREATE INDEX job_dependencies_after ON job_dependencies (after_id);

-- Ends of jobs that a tenant is to be told of; the newest end of each.
CREATE TABLE webhook_deliveries (
    job_id INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants(id),
    finished_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_ms);
CREATE INDEX webhook_deliveries_tenant ON webhook_deliveries (tenant_id);

-- The timeline. A job's lines are a list: its row points at the newest, each line at the one before. Appending costs one
-- insert at the end of one tree, and no index.
CREATE TABLE job_events (
    seq INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL,
    previous INTEGER NOT NULL, -- 0: the first line
    at_ms INTEGER NOT NULL,
    what INTEGER NOT NULL,     -- number of the word, see job_event_words
    who TEXT NOT NULL,
    detail TEXT
);
CREATE TABLE job_event_words (id INTEGER PRIMARY KEY, word TEXT NOT NULL);

CREATE TABLE workers (
    id INTEGER PRIMARY KEY REFERENCES worker_names(id),
    approved INTEGER NOT NULL,
    draining INTEGER NOT NULL,
    max_concurrency INTEGER NOT NULL,
    registered_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    display_name TEXT,
    token_hash TEXT UNIQUE,
    workflows TEXT NOT NULL,
    fleet TEXT,
    stage TEXT,
    capabilities TEXT,
    capacity_type TEXT,
    instance_type TEXT,
    source TEXT,
    last_ip TEXT
);
CREATE INDEX workers_fleet_seen ON workers (last_seen_ms) WHERE source = 'fleet';
CREATE TABLE worker_workflows (
    workflow_id INTEGER NOT NULL REFERENCES workflows(id),
    worker_id INTEGER NOT NULL REFERENCES workers(id),
    PRIMARY KEY (workflow_id, worker_id)
) WITHOUT ROWID;
CREATE INDEX worker_workflows_worker ON worker_workflows (worker_id);
CREATE TABLE worker_audit_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    worker TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    what TEXT NOT NULL,
    who TEXT NOT NULL,
    detail TEXT
);
CREATE INDEX worker_audit_logs_at ON worker_audit_logs (at_ms);

-- What happened to a workflow in each second: windows are summed from here, never from the queue.
CREATE TABLE workflow_seconds (
    workflow_id INTEGER NOT NULL,
    second INTEGER NOT NULL,
    submitted INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    PRIMARY KEY (workflow_id, second)
) WITHOUT ROWID;
-- Measured times, at most 16 of a kind, workflow and second. kind: 1 run, 2 wait.
CREATE TABLE workflow_samples (
    workflow_id INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    job_id INTEGER NOT NULL,
    value_ms INTEGER NOT NULL,
    PRIMARY KEY (workflow_id, kind, at_ms, job_id)
) WITHOUT ROWID;
CREATE TABLE workflow_interruptions (
    workflow_id INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    job_id INTEGER NOT NULL,
    PRIMARY KEY (workflow_id, at_ms, job_id)
) WITHOUT ROWID;

-- Who shares the file, and who of them leads.
CREATE TABLE controllers (
    id TEXT PRIMARY KEY,
    name TEXT,
    url TEXT,
    version TEXT,
    started_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    ttl_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE leadership (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    holder TEXT, -- NULL: nobody since a resignation
    epoch INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    ttl_ms INTEGER NOT NULL
);

-- Numbers that must not go back when the newest rows are pruned.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
