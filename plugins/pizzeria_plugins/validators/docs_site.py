"""Great Expectations' Data Docs: pages about the outcome, made to be read without a network.

Its pages take style and scripts from seven hosts. Here those are left out, a style of our own stands in, and folded
parts are open; so a page is the same wherever it is opened, and tells nobody that it was.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "data_docs"

_FOREIGN = re.compile(
    r"<script\b[^>]*\bsrc\s*=\s*[\"']https?://[^>]*>\s*</script\s*>"
    r"|<link\b[^>]*\bhref\s*=\s*[\"']https?://[^>]*>"
    r"|<(?:img|iframe)\b[^>]*\bsrc\s*=\s*[\"']https?://[^>]*>",
    re.IGNORECASE | re.DOTALL,
)
_SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.IGNORECASE | re.DOTALL)


def build(context: Any, results: Mapping[str, Any], folder: Path) -> Path:
    """Write `data_docs/index.html` and the pages that it links.

    Args:
        results: A suite's validation result by table.

    Returns:
        The index page.
    """
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    root = folder / FOLDER
    run = RunIdentifier(run_name="validate")
    for table, result in results.items():
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
    context.build_data_docs(site_names=["pizzeria"])
    shutil.rmtree(root / "static", ignore_errors=True)
    for page in root.rglob("*.html"):
        page.write_text(_at_home(page.read_text(encoding="utf-8")), encoding="utf-8")
    return root / "index.html"


def _at_home(page: str) -> str:
    """A page without what comes from other hosts, and without scripts, which would miss their libraries."""
    page = _SCRIPT.sub("", _FOREIGN.sub("", page))
    return page.replace("</head>", f"<style>{_style()}</style></head>", 1)


def _style() -> str:
    return Path(__file__).with_name("data_docs.css").read_text(encoding="utf-8")
