"""Great Expectations' Data Docs: pages about the outcome, made to be read without a network.

Its pages take style and scripts from seven hosts. Here those are left out, a style of our own stands in, and folded
parts are open. Its charts need scripts, and are not there. So a page is the same wherever it is opened, and tells
nobody that it was.
"""

from __future__ import annotations

import html
import logging
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = "data_docs"
_BUILDER = "great_expectations.render.renderer.site_builder"

_POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'\">"
)

_LOADED = re.compile(r"<!--.*?-->|<(?:link|img|iframe|base)\b[^>]*>", re.IGNORECASE | re.DOTALL)
_SOURCE = re.compile(r"\s(?:src|srcset|data-src)\s*=\s*([\"'])\s*(?:https?:)?//.*?\1", re.IGNORECASE | re.DOTALL)
_BACKGROUND = re.compile(r"url\(\s*[\"']?(?:https?:)?//[^)]*\)", re.IGNORECASE)
_SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.IGNORECASE | re.DOTALL)


def build(context: Any, tables: Mapping[str, tuple[Any, Any]], folder: Path) -> Path:
    """Write `data_docs/index.html` and the pages that it links.

    Args:
        tables: By table, its suite and the suite's validation result.

    Returns:
        The index page.

    Raises:
        OSError: a page cannot be written.
    """
    from great_expectations import __version__
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    root = folder / FOLDER
    run = RunIdentifier(run_name="validate")
    for table, (suite, result) in tables.items():
        context.suites.add(suite)
        for each in result.results:
            each.result, each.success = _plain(each.result), bool(each.success)
        result.meta |= {"run_id": run.to_json_dict(), "great_expectations_version": __version__}
        result.meta |= {"active_batch_definition": {"data_asset_name": table}, "batch_spec": {"data_asset_name": table}}
        key = ValidationResultIdentifier(ExpectationSuiteIdentifier(table), run, table)
        context.validation_results_store.set(key, result)
    context.add_data_docs_site(
        site_name="pizzeria",
        site_config={
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(root)},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    with _all_or_an_error():
        context.build_data_docs(site_names=["pizzeria"])
    shutil.rmtree(root / "static", ignore_errors=True)
    for page in root.rglob("*.html"):
        page.write_text(_at_home(page.read_text(encoding="utf-8")), encoding="utf-8")
    # Great Expectations' own index is a table that a script of another host draws.
    index = root / "index.html"
    index.write_text(_index({table: result for table, (_, result) in tables.items()}, root), encoding="utf-8")
    return index


class _Unwritten(logging.Filter):
    """Catches the error of a page that could not be written, which Great Expectations logs, and goes on without it."""

    error: OSError | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        found = sys.exc_info()[1]
        if isinstance(found, OSError):
            self.error = found
        return self.error is None


@contextmanager
def _all_or_an_error() -> Iterator[None]:
    logger, unwritten = logging.getLogger(_BUILDER), _Unwritten()
    logger.addFilter(unwritten)
    try:
        yield
    finally:
        logger.removeFilter(unwritten)
    if unwritten.error is not None:
        raise unwritten.error


def _plain(value: Any) -> Any:
    """Without numpy's own truths, which Great Expectations puts into some results and then cannot write down, and with
    texts of the data as HTML, since it writes them into its pages as they are."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return html.escape(value, quote=False)
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    from great_expectations.util import convert_to_json_serializable

    try:
        return convert_to_json_serializable(value)
    except (TypeError, ValueError):
        return html.escape(str(value), quote=False)


def _at_home(page: str) -> str:
    """A page without what comes from other hosts, and without scripts, which would miss their libraries."""
    page = _BACKGROUND.sub("none", _SOURCE.sub("", _SCRIPT.sub("", _LOADED.sub("", page))))
    return page.replace("<head>", f"<head>{_POLICY}", 1).replace("</head>", f"<style>{_style()}</style></head>", 1)


def _index(results: Mapping[str, Any], root: Path) -> str:
    rows = []
    for table, result in results.items():
        page = next(iter(sorted((root / "validations" / table).rglob("*.html"))), None)
        name = html.escape(table)
        link = f'<a href="{html.escape(page.relative_to(root).as_posix())}">{name}</a>' if page else name
        missed = Counter(str(_severity(each)) for each in result.results if not each.success)
        said = ", ".join(f"{count} {severity}" for severity, count in sorted(missed.items())) or "none"
        tone = "text-danger" if missed["critical"] else "text-warning" if missed else "text-success"
        rows.append(f'<tr><td>{link}</td><td>{len(result.results)}</td><td class="{tone}">{said}</td></tr>')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Data Docs</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{_POLICY}"
        f"<style>{_style()}</style></head><body><div class='container-fluid'><h1>Data Docs</h1>"
        "<p>What Great Expectations found, by table.</p><table><thead><tr><th>Table</th>"
        f"<th>Expectations</th><th>Not met</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div></body></html>"
    )


def _severity(result: Any) -> str:
    severity = result.expectation_config.severity
    return str(getattr(severity, "value", severity))


def _style() -> str:
    return Path(__file__).with_name("data_docs.css").read_text(encoding="utf-8")
