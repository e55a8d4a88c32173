"""What the PostgreSQL log does beyond the contract: its address, its names, a server that goes and comes back."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import ValidationError

from pizzeria.errors import DataError, DeploymentError, PluginError
from pizzeria_plugins.prediction_logs import postgresql

from .conftest import ADDRESS, PASSWORD, Server, record


def test_a_server_that_was_restarted_between_two_batches_is_no_trouble(
    server: Server, database: postgresql.Options, tmp_path: Path
) -> None:
    write = postgresql.writer(database, tmp_path)
    write([record(1)])
    server.stop()
    server.start()
    write([record(2)])
    assert len(postgresql.read(database, tmp_path)) == 2


def test_a_lost_server_refuses_batches_until_it_is_back(
    server: Server, database: postgresql.Options, tmp_path: Path
) -> None:
    write = postgresql.writer(database, tmp_path)
    write([record(1)])
    server.stop()
    batch = [record(2), record(3)]
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError) as refused:
            write(batch)
        assert PASSWORD not in str(refused.value)
    with pytest.raises(DataError, match="the prediction log in PIZZERIA_TEST_DATABASE cannot be read") as unread:
        postgresql.read(database, tmp_path)
    assert PASSWORD not in str(unread.value)
    server.start()
    write(batch)
    assert len(postgresql.read(database, tmp_path)) == 3


def test_a_server_that_is_not_there_yet_is_no_reason_not_to_start(
    server: Server, database: postgresql.Options, tmp_path: Path
) -> None:
    server.stop()
    write = postgresql.writer(database, tmp_path)
    server.start()
    write([record(1)])
    assert len(postgresql.read(database, tmp_path)) == 1


def test_a_table_that_is_locked_makes_a_batch_fail_in_time_and_not_hang(
    server: Server, database: postgresql.Options, tmp_path: Path
) -> None:
    options = database.model_copy(update={"statement_timeout_s": 10})
    postgresql.writer(database, tmp_path)([record(1)])
    write = postgresql.writer(options, tmp_path)
    with psycopg.connect(server.address) as stranger:
        stranger.execute(sql.SQL("LOCK TABLE {}").format(sql.Identifier(options.schema_, options.table)))
        with pytest.raises(psycopg.errors.QueryCanceled):
            write([record(2)])
    write([record(2)])
    assert len(postgresql.read(database, tmp_path)) == 2


def test_tables_that_are_dropped_under_the_service_are_made_again(
    server: Server, database: postgresql.Options, tmp_path: Path
) -> None:
    write = postgresql.writer(database, tmp_path)
    write([record(1)])
    with psycopg.connect(server.address) as stranger:
        stranger.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(database.schema_)))
    with pytest.raises(psycopg.errors.UndefinedTable):
        write([record(2)])
    write([record(2)])
    assert len(postgresql.read(database, tmp_path)) == 1


@pytest.mark.parametrize("name", ['a "b"; DROP TABLE x; --', "select", "{brace} {} {0}", "UPPER.lower"])
def test_any_printable_name_is_only_a_name(database: postgresql.Options, tmp_path: Path, name: str) -> None:
    options = postgresql.Options(dsn_from=ADDRESS, schema=database.schema_ + name[:20], table=name)
    new = record(1, photo=b"photo")
    postgresql.writer(options, tmp_path)([new])
    assert len(postgresql.read(options, tmp_path)) == 1
    assert postgresql.photo(options, tmp_path, new["prediction_id"]) == b"photo"


@pytest.mark.parametrize("name", ["", "x" * 41, "nul\x00", "naïve", "per%cent"])
def test_a_name_that_postgresql_would_change_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="table"):
        postgresql.Options(dsn_from=ADDRESS, table=name)


def test_an_environment_without_the_address_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    with pytest.raises(DeploymentError, match=f"the environment has no {ADDRESS}") as missing:
        postgresql.writer(postgresql.Options(dsn_from=ADDRESS), tmp_path)
    assert missing.value.hint.startswith(f"export {ADDRESS}=postgresql://")


def test_an_address_that_is_none_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ADDRESS, f"postgresql:user {PASSWORD} nonsense")
    with pytest.raises(DeploymentError, match=f"{ADDRESS} holds no address") as wrong:
        postgresql.writer(postgresql.Options(dsn_from=ADDRESS), tmp_path)
    shown = "".join(str(one) for one in (wrong.value, wrong.value.hint, wrong.value.__cause__))
    assert PASSWORD not in shown
    assert wrong.value.__suppress_context__


def test_a_wrong_password_is_said_and_not_shown(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ADDRESS, server.address.replace(PASSWORD, "wr0ng-" + PASSWORD))
    write = postgresql.writer(postgresql.Options(dsn_from=ADDRESS), tmp_path)
    with pytest.raises(psycopg.OperationalError) as refused:
        write([record(1)])
    logging.getLogger("bentoml.pizzeria").error("as the queue does", exc_info=refused.value)
    assert "password authentication failed" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(ADDRESS, f"postgresql://a:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/b")
        write = postgresql.writer(postgresql.Options(dsn_from=ADDRESS, connect_timeout_s=2), tmp_path)
        begun = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            write([record(1)])
        assert time.monotonic() - begun < 60, "it ends at all"


def test_a_user_who_may_only_insert_needs_tables_that_are_there(
    server: Server, database: postgresql.Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    postgresql.writer(database, tmp_path)([record(1)])
    schema = sql.Identifier(database.schema_)
    with psycopg.connect(server.address) as owner:
        owner.execute("DROP ROLE IF EXISTS service")
        owner.execute(sql.SQL("CREATE ROLE service LOGIN PASSWORD {}").format(PASSWORD))
        owner.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO service").format(schema))
        owner.execute(sql.SQL("GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA {} TO service").format(schema))
    monkeypatch.setenv(ADDRESS, server.address.replace("pizzeria:", "service:"))
    postgresql.writer(database, tmp_path)([record(2, photo=b"photo")])
    monkeypatch.setenv(ADDRESS, server.address)
    assert len(postgresql.read(database, tmp_path)) == 2
    with psycopg.connect(server.address) as owner:
        owner.execute("DROP OWNED BY service")
        owner.execute("DROP ROLE service")


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for use in (postgresql.writer, postgresql.read):
        with pytest.raises(PluginError, match="the prediction log `postgresql` lacks a library") as missing:
            use(postgresql.Options(dsn_from=ADDRESS), tmp_path)
        assert missing.value.hint == "pip install 'pizzeria[postgresql]'"
