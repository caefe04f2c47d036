-- SPDX-License-Identifier: Apache-2.0
-- The queue's first schema. Times are milliseconds since the Unix epoch, 0 means never. Names that repeat in every row
-- (tenants, workflows, effects, worker ids) are stored once and referred to by number. Every text compares byte by byte.

CREATE TABLE IF NOT EXISTS tenants (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE,
    pool VARCHAR(64)                                 -- where its jobs' content is; '': ai_jobs here; NULL: not chosen yet
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
CREATE TABLE IF NOT EXISTS effects (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
CREATE TABLE IF NOT EXISTS workflows (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
-- Every worker id ever seen: finished jobs name their worker after its registration is gone.
CREATE TABLE IF NOT EXISTS worker_names (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- The central row of a job. Other applications may insert queued rows: see external producers in docs/operations.md, and
-- adopt.c. A row of theirs has due_ms = 0 until it is adopted; ours never has.
-- The columns *_at say in UTC what the columns *_ms say, for people; they take no room.
CREATE TABLE IF NOT EXISTS ai_job_dispatches (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tenant_id BIGINT NOT NULL DEFAULT 0,
    tenant_job_id BIGINT NOT NULL DEFAULT 0,         -- of the private row in the tenant's pool; 0: the same as id
    workflow_id BIGINT NOT NULL DEFAULT 0,
    effect_id BIGINT NOT NULL DEFAULT 0,             -- 0: none
    -- In SQL also by number: 1 scheduled 2 queued 3 leased 4 completed 5 failed 6 cancelled.
    status ENUM('scheduled','queued','leased','completed','failed','cancelled') NOT NULL DEFAULT 'queued',
    priority SMALLINT NOT NULL DEFAULT 0,
    -- Jobs are leased by priority, high first, then in ascending order of all else. An index on (priority DESC, ...) needs
    -- MariaDB 10.8; with the priority's negative in its place a plain one has that order on every server.
    queue_order SMALLINT GENERATED ALWAYS AS (-priority) STORED,
    sort_key TINYINT NOT NULL DEFAULT 0,             -- -1: an interruption put the job in front of its priority
    share_tag DOUBLE NOT NULL DEFAULT 0,             -- between tenants: when it would be served if all had their share
    attempts INT NOT NULL DEFAULT 0,
    max_attempts INT NOT NULL DEFAULT 3,
    requeues INT NOT NULL DEFAULT 0,
    cancel_requested TINYINT NOT NULL DEFAULT 0,
    ended_by TINYINT NOT NULL DEFAULT 0,             -- how lease_token's lease ended: 1 complete, 2 fail
    worker_id BIGINT NOT NULL DEFAULT 0,             -- in worker_names; 0: none
    lease_token VARCHAR(128),
    output_suffix VARCHAR(255),
    due_ms BIGINT NOT NULL DEFAULT 0,                -- of its state: not before, queued since, lease expires, finished
    -- What due_ms is looked up by: the worker of a running lease, else the workflow. So one index finds expired leases, due
    -- and waiting jobs, old ones, and what a worker has.
    due_of BIGINT GENERATED ALWAYS AS (IF(status = 3, worker_id, workflow_id)) STORED,
    created_ms BIGINT NOT NULL DEFAULT 0,
    queued_ms BIGINT NOT NULL DEFAULT 0,             -- when it became due, last
    not_before_ms BIGINT NOT NULL DEFAULT 0,
    leased_ms BIGINT NOT NULL DEFAULT 0,
    first_leased_ms BIGINT NOT NULL DEFAULT 0,
    wait_ms BIGINT NOT NULL DEFAULT 0,               -- due to first lease
    finished_ms BIGINT NOT NULL DEFAULT 0,
    updated_ms BIGINT NOT NULL DEFAULT 0,
    progress DOUBLE NOT NULL DEFAULT 0,
    duration_seconds DOUBLE NOT NULL DEFAULT 0,
    last_error TEXT,
    progress_text TEXT,
    checkpoint_key VARCHAR(1024),
    input_key VARCHAR(1024),                         -- from other applications: the object to work on
    input_mime VARCHAR(255),                         -- and its type; NULL: by the key's extension
    created_at DATETIME(3) AS (IF(created_ms = 0, NULL, '1970-01-01' + INTERVAL created_ms * 1000 MICROSECOND)) VIRTUAL,
    updated_at DATETIME(3) AS (IF(updated_ms = 0, NULL, '1970-01-01' + INTERVAL updated_ms * 1000 MICROSECOND)) VIRTUAL,
    leased_at DATETIME(3) AS (IF(leased_ms = 0, NULL, '1970-01-01' + INTERVAL leased_ms * 1000 MICROSECOND)) VIRTUAL,
    finished_at DATETIME(3) AS (IF(finished_ms = 0, NULL, '1970-01-01' + INTERVAL finished_ms * 1000 MICROSECOND)) VIRTUAL,
    lease_expires_at DATETIME(3) AS (IF(status = 3, '1970-01-01' + INTERVAL due_ms * 1000 MICROSECOND, NULL)) VIRTUAL,
    -- Exactly the order of leases; the tenant is there so that jobs can be passed over without a look at their rows.
    KEY dispatches_queue (workflow_id, status, queue_order, sort_key, share_tag, id, tenant_id),
    KEY dispatches_due (status, due_of, due_ms),
    KEY dispatches_tenant (tenant_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- The tenant's private part of a job, of tenants that are in no pool.
CREATE TABLE IF NOT EXISTS ai_jobs (
    id BIGINT NOT NULL PRIMARY KEY,
    params LONGTEXT,
    inputs LONGTEXT,
    output LONGTEXT,
    idempotency_key VARCHAR(255),
    provider_job_id VARCHAR(255)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- The key itself is the tenant's and lies with the job's content; here is its SHA-256.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    tenant_id BIGINT NOT NULL,
    key_hash BINARY(32) NOT NULL,
    dispatch_id BIGINT NOT NULL,
    request_hash VARCHAR(255) NOT NULL,
    PRIMARY KEY (tenant_id, key_hash),
    KEY idempotency_keys_dispatch (dispatch_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- Dispatches whose row in a pool on another server must be brought in line with the one here: written with the change,
-- worked off behind it. seq orders the changes of one dispatch.
CREATE TABLE IF NOT EXISTS pool_outbox (
    seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    pool VARCHAR(64) NOT NULL,
    dispatch_id BIGINT NOT NULL,
    KEY pool_outbox_pool (pool, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS job_events (
    seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    job_id BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    what TINYINT NOT NULL,                           -- number of the word, see job_event_words
    who VARCHAR(512) NOT NULL,
    detail TEXT,
    KEY job_events_job (job_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
CREATE TABLE IF NOT EXISTS job_event_words (
    id TINYINT NOT NULL PRIMARY KEY, word VARCHAR(64) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS workers (
    id BIGINT NOT NULL PRIMARY KEY,                  -- in worker_names
    approved TINYINT NOT NULL,
    draining TINYINT NOT NULL,
    max_concurrency INT NOT NULL,
    registered_ms BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL,
    display_name VARCHAR(512),
    token_hash VARCHAR(255) UNIQUE,
    workflows LONGTEXT NOT NULL,
    fleet VARCHAR(255),
    stage VARCHAR(255),
    capabilities LONGTEXT,
    capacity_type VARCHAR(255),
    instance_type VARCHAR(255),
    source VARCHAR(255),
    last_ip VARCHAR(255),
    KEY workers_fleet_seen (source, last_seen_ms)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
CREATE TABLE IF NOT EXISTS worker_workflows (
    workflow_id BIGINT NOT NULL,
    worker_id BIGINT NOT NULL,
    PRIMARY KEY (workflow_id, worker_id),
    KEY worker_workflows_worker (worker_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
CREATE TABLE IF NOT EXISTS worker_audit_logs (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    worker VARCHAR(255) NOT NULL,
    at_ms BIGINT NOT NULL,
    what VARCHAR(64) NOT NULL,
    who VARCHAR(512) NOT NULL,
    detail TEXT,
    KEY worker_audit_logs_at (at_ms)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- The number of dispatches in each state, kept in the transactions that change them: of a workflow (owner 1) and of a
-- tenant (owner 2; only those that have not ended). A controller adds to a row (shard) of its own, so that controllers do
-- not wait for each other; the sum over the shards counts.
CREATE TABLE IF NOT EXISTS dispatch_counters (
    owner TINYINT NOT NULL,
    owner_id BIGINT NOT NULL,
    shard INT NOT NULL,
    scheduled BIGINT NOT NULL DEFAULT 0,
    queued BIGINT NOT NULL DEFAULT 0,
    leased BIGINT NOT NULL DEFAULT 0,
    completed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    cancelled BIGINT NOT NULL DEFAULT 0,
    arrivals BIGINT NOT NULL DEFAULT 0,              -- how often a dispatch became queued
    share_clock DOUBLE NOT NULL DEFAULT 0,           -- the largest share tag leased; the largest over the shards counts
    PRIMARY KEY (owner, owner_id, shard)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
-- What happened to a workflow in each second: windows are summed from here, never from the queue.
CREATE TABLE IF NOT EXISTS workflow_seconds (
    workflow_id BIGINT NOT NULL,
    second BIGINT NOT NULL,
    shard INT NOT NULL,
    submitted BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    expired BIGINT NOT NULL,
    PRIMARY KEY (workflow_id, second, shard)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
-- Measured times, at most 16 of a kind, workflow, second and controller. kind: 1 run, 2 wait.
CREATE TABLE IF NOT EXISTS workflow_samples (
    workflow_id BIGINT NOT NULL,
    kind TINYINT NOT NULL,
    at_ms BIGINT NOT NULL,
    job_id BIGINT NOT NULL,
    value_ms BIGINT NOT NULL,
    PRIMARY KEY (workflow_id, kind, at_ms, job_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
CREATE TABLE IF NOT EXISTS workflow_interruptions (
    workflow_id BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    job_id BIGINT NOT NULL,
    PRIMARY KEY (workflow_id, at_ms, job_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- One row per connected controller with the number of its last batch: written first in every transaction, it tells after
-- a cut in the middle of a commit whether the batch happened.
CREATE TABLE IF NOT EXISTS writers (
    id BIGINT NOT NULL PRIMARY KEY,
    batch BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
