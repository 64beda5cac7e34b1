"""DuckDB as everything here opens it: in memory, and fetching nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

__all__ = ["memory_database"]

_OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


def memory_database(config: Mapping[str, str] | None = None) -> duckdb.DuckDBPyConnection:
    """A new one; `config`: DuckDB's settings besides."""
    import duckdb

    return duckdb.connect(":memory:", config={**_OFFLINE, **(config or {})})
