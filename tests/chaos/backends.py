# SPDX-License-Identifier: Apache-2.0
"""The queues that can be put under chaos. Another one is another class with the same members, and a line here."""
from backend_mariadb import Mariadb
from backend_sqlite import Sqlite

BACKENDS = {"sqlite": Sqlite, "mariadb": Mariadb}
