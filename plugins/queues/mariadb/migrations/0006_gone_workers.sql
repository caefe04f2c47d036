-- SPDX-License-Identifier: Apache-2.0
-- When a worker's name was last one of a worker, so that names that only old jobs know can go with these. 0: it is one now.

ALTER TABLE worker_names
    ADD COLUMN IF NOT EXISTS gone_ms BIGINT NOT NULL DEFAULT (UNIX_TIMESTAMP() * 1000),
    ADD INDEX IF NOT EXISTS worker_names_gone (gone_ms);
UPDATE worker_names SET gone_ms = 0 WHERE id IN (SELECT id FROM workers);
