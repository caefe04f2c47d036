-- SPDX-License-Identifier: Apache-2.0
-- Dependencies, unique keys, fair share, tenants with limits and tokens, webhooks, and several controllers.

-- What few jobs need, in columns that are read with every dispatch and written only for those jobs.
ALTER TABLE ai_job_dispatches
    ADD COLUMN IF NOT EXISTS flags TINYINT NOT NULL DEFAULT 0,       -- see job.h
    ADD COLUMN IF NOT EXISTS waits_for SMALLINT NOT NULL DEFAULT 0;  -- jobs of `after` that have not completed
ALTER TABLE ai_jobs ADD COLUMN IF NOT EXISTS unique_key VARCHAR(255);

-- job_id waits or waited for after_id.
CREATE TABLE IF NOT EXISTS job_dependencies (
    job_id BIGINT NOT NULL,
    after_id BIGINT NOT NULL,
    PRIMARY KEY (job_id, after_id),
    KEY job_dependencies_after (after_id, job_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- The key itself is the tenant's and lies with the job's content; here is its SHA-256. One dispatch of a key is pending;
-- those that ended have NULL there, of which a unique index takes any number.
CREATE TABLE IF NOT EXISTS unique_keys (
    dispatch_id BIGINT NOT NULL PRIMARY KEY,
    tenant_id BIGINT NOT NULL,
    key_hash BINARY(32) NOT NULL,
    pending TINYINT,
    UNIQUE KEY unique_keys_pending (tenant_id, key_hash, pending)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- The finish tag of the last job a tenant submitted to a workflow with fair share.
CREATE TABLE IF NOT EXISTS shares (
    workflow_id BIGINT NOT NULL,
    tenant_id BIGINT NOT NULL,
    finish DOUBLE NOT NULL,
    PRIMARY KEY (workflow_id, tenant_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- special: something here is not the default, so controllers keep the row in memory. They learn of changes by the number
-- in tenants_version, which they read with the first statement of every transaction.
ALTER TABLE tenants
    ADD COLUMN IF NOT EXISTS weight SMALLINT NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS max_pending INT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS max_running INT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS disabled TINYINT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS webhook_version INT NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS webhook_url TEXT,
    ADD COLUMN IF NOT EXISTS created_ms BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS there TINYINT NOT NULL DEFAULT 1,       -- 0: only named, by a submit that was refused
    ADD COLUMN IF NOT EXISTS special TINYINT NOT NULL DEFAULT 0,
    ADD INDEX IF NOT EXISTS tenants_special (special);
CREATE TABLE IF NOT EXISTS tenants_version (
    id TINYINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
INSERT IGNORE INTO tenants_version VALUES (1, 1);

CREATE TABLE IF NOT EXISTS tokens (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tenant_id BIGINT NOT NULL,
    token_hash VARCHAR(64) NOT NULL UNIQUE,          -- lower-case hex SHA-256
    label VARCHAR(255),
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    last_used_ms BIGINT NOT NULL DEFAULT 0,
    KEY tokens_tenant (tenant_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- Ends of jobs their tenants have not been told of, at most one of each job: a new end takes the place of the old one.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    job_id BIGINT NOT NULL PRIMARY KEY,
    tenant_id BIGINT NOT NULL,
    finished_ms BIGINT NOT NULL,
    attempts INT NOT NULL DEFAULT 0,
    due_ms BIGINT NOT NULL,
    KEY webhook_deliveries_due (due_ms, job_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- Who leads until when, by this server's clock. The epoch grows with every change of the leader; what only a leader may
-- do compares it under a lock.
CREATE TABLE IF NOT EXISTS leadership (
    id TINYINT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    holder VARCHAR(255) NOT NULL,
    expires_ms BIGINT NOT NULL,
    ttl_ms BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
INSERT IGNORE INTO leadership VALUES (1, 0, '', 0, 0);
CREATE TABLE IF NOT EXISTS controllers (
    id VARCHAR(255) NOT NULL PRIMARY KEY,
    name VARCHAR(255),
    url TEXT,
    version VARCHAR(255),
    started_ms BIGINT NOT NULL,
    ttl_ms BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL                          -- by this server's clock
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
