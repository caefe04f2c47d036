-- SPDX-License-Identifier: Apache-2.0
-- The tables of the PHP backend in backend.php, as far as one cycle of a job touches them.
CREATE TABLE workflows (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, slug VARCHAR(255) NOT NULL UNIQUE, deleted_at DATETIME
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE tenant_tokens (
    tenant_id VARCHAR(64) NOT NULL, token_hash CHAR(64) NOT NULL UNIQUE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE comfy_ui_workers (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    worker_id VARCHAR(255) NOT NULL UNIQUE, token_hash CHAR(64) NOT NULL UNIQUE,
    is_approved TINYINT NOT NULL DEFAULT 1, is_draining TINYINT NOT NULL DEFAULT 0,
    current_load INT UNSIGNED NOT NULL DEFAULT 0, max_concurrency INT UNSIGNED NOT NULL DEFAULT 1,
    last_seen_at DATETIME, last_ip VARCHAR(45)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE worker_workflows (
    worker_id BIGINT UNSIGNED NOT NULL, workflow_id BIGINT UNSIGNED NOT NULL, PRIMARY KEY (worker_id, workflow_id)
) ENGINE=InnoDB;
CREATE TABLE ai_jobs (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, tenant_id VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL DEFAULT 'queued', input_payload LONGTEXT, provider_job_id VARCHAR(255), output LONGTEXT,
    started_at DATETIME, completed_at DATETIME, created_at DATETIME NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE ai_job_dispatches (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, tenant_id VARCHAR(64) NOT NULL,
    tenant_job_id BIGINT UNSIGNED NOT NULL, workflow_id BIGINT UNSIGNED NOT NULL, provider VARCHAR(50) NOT NULL DEFAULT 'self_hosted',
    status VARCHAR(16) NOT NULL DEFAULT 'queued', priority INT NOT NULL DEFAULT 0, attempts INT UNSIGNED NOT NULL DEFAULT 0,
    worker_id VARCHAR(255), lease_token VARCHAR(64), lease_expires_at DATETIME, duration_seconds INT UNSIGNED,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    KEY (workflow_id, status, priority, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE worker_audit_logs (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, worker_id VARCHAR(255), event VARCHAR(32) NOT NULL,
    dispatch_id BIGINT UNSIGNED, ip VARCHAR(45), created_at DATETIME NOT NULL, KEY (dispatch_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
INSERT INTO workflows (slug) VALUES ('bench-noop');
INSERT INTO tenant_tokens VALUES ('bench', SHA2('bench-token', 256));
