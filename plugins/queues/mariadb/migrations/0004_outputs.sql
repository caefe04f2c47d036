-- SPDX-License-Identifier: Apache-2.0
-- Outputs in a table of their own, so that a row with what a job was submitted with is never changed once it is there. On full
-- disks such rows were lost whose lengthening had just been refused; why, is not known. Outputs of jobs that ended before this
-- step stay in ai_jobs.

CREATE TABLE IF NOT EXISTS ai_job_outputs (
    job_id BIGINT NOT NULL PRIMARY KEY,
    output LONGTEXT,
    provider_job_id VARCHAR(255)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
