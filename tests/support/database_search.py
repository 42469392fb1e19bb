"""Looks for a word in every column of every table of a database."""

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import NamedTuple

import asyncpg

from services.runtime.postgres.database import Connection, Database


class Column(NamedTuple):
    """One column of a table, and the type of what is in it."""

    table: str
    name: str
    kind: str


async def columns(database: Database) -> list[Column]:
    """All columns of all tables that people made, partitions left out: they are seen through their table."""
    async with database.connection() as connection:
        found = await connection.fetch(
            "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c"
            " JOIN pg_class t ON t.relname = c.table_name AND t.relnamespace = 'public'::regnamespace"
            " WHERE c.table_schema = 'public' AND t.relkind IN ('r', 'p') AND NOT t.relispartition"
            " ORDER BY c.table_name, c.ordinal_position"
        )
    return [Column(*row) for row in found]


async def where(database: Database, word: str) -> Mapping[tuple[str, str], int]:
    """The columns that hold the word somewhere, by table and name, and in how many rows."""
    found = {}
    async with database.connection() as connection:
        for column in await _all(database):
            count = await _count(connection, column, word)
            if count:
                found[column.table, column.name] = count
    return found


async def tables_holding(url: str, words: Sequence[str]) -> tuple[int, set[str]]:
    """How many bytes the tables of a database have, and those that hold one of the words; bytes are written in hex."""
    connection = await asyncpg.connect(url)
    count, found = 0, set()
    try:
        for table in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            copy = BytesIO()
            await connection.copy_from_query(f'SELECT * FROM "{table["tablename"]}"', output=copy)
            count += len(copy.getvalue())
            if any(word.encode() in copy.getvalue() for word in words):
                found.add(table["tablename"])
    finally:
        await connection.close()
    return count, found


async def _all(database: Database) -> list[Column]:
    return [column for column in await columns(database) if re.search("text|char|json|bytea|ARRAY|vector", column.kind)]


async def _count(connection: Connection, column: Column, word: str) -> int:
    # Names of the schema.
    value = f'"{column.name}"'
    text = value if column.kind == "bytea" else f"convert_to({value}::text, 'UTF8')"
    query = f"SELECT count(*) FROM \"{column.table}\" WHERE position(convert_to($1, 'UTF8') IN {text}) > 0"
    return int(await connection.fetchval(query, word))
