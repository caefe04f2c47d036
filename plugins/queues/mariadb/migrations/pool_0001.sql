-- SPDX-License-Identifier: Apache-2.0
-- The first schema of a tenant pool. Times are milliseconds since the Unix epoch, 0 means never.

-- The private part of a job. status: 0 not accepted (yet): not to be looked at; 2 accepted, waiting or running;
-- 4 completed, 5 failed, 6 cancelled.
CREATE TABLE IF NOT EXISTS ai_jobs (
    id BIGINT NOT NULL PRIMARY KEY,                  -- of the dispatch in the queue's own database
    tenant VARCHAR(255) NOT NULL DEFAULT '',
    workflow VARCHAR(255) NOT NULL DEFAULT '',
    status TINYINT NOT NULL DEFAULT 0,
    params LONGTEXT,
    inputs LONGTEXT,
    output LONGTEXT,
    idempotency_key VARCHAR(255),
    provider_job_id VARCHAR(255),
    unique_key VARCHAR(255),
    created_ms BIGINT NOT NULL DEFAULT 0,
    finished_ms BIGINT NOT NULL DEFAULT 0,
    updated_ms BIGINT NOT NULL DEFAULT 0,
    synced_seq BIGINT NOT NULL DEFAULT 0,            -- of the queue's pool_outbox: the newest change that is in here
    written TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY ai_jobs_status (status, id),
    KEY ai_jobs_tenant (tenant, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- What attempts delivered, until the queue accepted one of them: then it moves into ai_jobs.
CREATE TABLE IF NOT EXISTS ai_job_outputs (
    job_id BIGINT NOT NULL,
    token VARCHAR(128) NOT NULL,                     -- of the attempt's lease
    output LONGTEXT,
    provider_job_id VARCHAR(255),
    PRIMARY KEY (job_id, token)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
