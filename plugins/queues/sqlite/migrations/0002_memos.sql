-- SPDX-License-Identifier: Apache-2.0
-- What controllers keep of a workflow beside its jobs: rules of an operator, what was measured of its instances.
CREATE TABLE memos (
    kind TEXT NOT NULL,
    workflow TEXT NOT NULL,          -- its name; '': of no single one
    updated_ms INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (kind, workflow)
) WITHOUT ROWID;
