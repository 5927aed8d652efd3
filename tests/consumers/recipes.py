"""Runs the queries of docs/how-to/query-the-audit-log.md with the real DuckDB or with ClickHouse's own library.

    recipes.py duckdb|lines|clickhouse FOLDER DOCUMENT      prints JSON: for each query, its columns and rows

`duckdb` and `clickhouse` read an export, `lines` is DuckDB on the lines of the log itself. The path `week` of the
statements is replaced by FOLDER. A query is for all of them, or for the engine that it names. One that the engine
refuses ends the run.
"""

import decimal
import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

BLOCK = re.compile(r"<!-- (query|statement)(?: of (\w+))?: (\w+)(?: = \w+)? -->\n```sql\n(.*?)```", re.DOTALL)
PATH = re.compile(r"'week/([^']*)'")


def blocks(document, folder, engine):
    """The statement of each source, and the queries for an engine, in order."""
    statements, queries = {}, {}
    for kind, only, name, text in BLOCK.findall(Path(document).read_text(encoding="utf-8")):
        if only and only != engine:
            continue
        chosen = statements if kind == "statement" else queries
        assert name not in chosen, f"{kind} {name} is there twice"
        chosen[name] = PATH.sub(lambda found: f"'{folder}/{found[1]}'", text)
    return statements, queries


def plain(value):
    """A value as JSON has it; a time as text in UTC, with as many digits as the engine's Python has."""
    if isinstance(value, decimal.Decimal):
        return int(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value


def of_duckdb(statement, queries):
    import duckdb

    connection = duckdb.connect()
    connection.execute(statement)
    for name, query in queries.items():
        answer = connection.execute(query)
        columns = [column[0] for column in answer.description]
        yield name, columns, [[plain(value) for value in row] for row in answer.fetchall()]


def of_clickhouse(statement, queries):
    from chdb import session

    connection = session.Session()
    connection.query("CREATE DATABASE week")
    connection.query("USE week")
    connection.query(statement)
    for name, query in queries.items():
        settings = " SETTINGS output_format_json_quote_64bit_integers = 0"
        answer = json.loads(str(connection.query(query.rstrip().rstrip(";") + settings, "JSONCompact")))
        is_time = [column["type"].removeprefix("Nullable(").startswith("DateTime") for column in answer["meta"]]
        rows = [[utc(value) if timed else value for value, timed in zip(row, is_time)] for row in answer["data"]]
        yield name, [column["name"] for column in answer["meta"]], rows


def utc(text):
    """ClickHouse's text of a time without its zone, which the export says is UTC."""
    return text and f"{text.replace(' ', 'T')}Z"


def main(source, folder, document):
    engine, run = ("clickhouse", of_clickhouse) if source == "clickhouse" else ("duckdb", of_duckdb)
    statements, queries = blocks(document, folder, engine)
    assert queries, "the document has no queries"
    answers = {name: {"columns": columns, "rows": rows} for name, columns, rows in run(statements[source], queries)}
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
