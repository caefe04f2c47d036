-- SPDX-License-Identifier: Apache-2.0
-- What controllers keep of a workflow beside its jobs: rules of an operator, what was measured of its instances.
CREATE TABLE IF NOT EXISTS memos (
    kind VARCHAR(64) NOT NULL,
    workflow VARCHAR(255) NOT NULL,                  -- its name; '': of no single one
    updated_ms BIGINT NOT NULL,
    text MEDIUMTEXT NOT NULL,
    PRIMARY KEY (kind, workflow)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
