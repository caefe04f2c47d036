-- SPDX-License-Identifier: Apache-2.0
-- Room that a dispatch gives up when it is leased, for its token and the name of its output: so the row does not grow by a lease. A row
-- that grows splits its page, which costs time, and InnoDB can lose it when the disk is full just then.

ALTER TABLE ai_job_dispatches ADD COLUMN IF NOT EXISTS room VARCHAR(96) CHARACTER SET ascii NOT NULL
    DEFAULT '                                                                                                ';
