-- SPDX-License-Identifier: Apache-2.0
-- Room that a dispatch gives up when it is leased, for its token and the name of its output, so that a lease does not make
-- the row longer. A row that grows in a full page has that page split, which costs time; and on full disks rows were lost
-- whose lengthening had just been refused (see 0004).

ALTER TABLE ai_job_dispatches ADD COLUMN IF NOT EXISTS room VARCHAR(96) CHARACTER SET ascii NOT NULL
    DEFAULT '                                                                                                ';
