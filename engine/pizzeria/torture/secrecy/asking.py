"""Fetches pages of services on this machine, from inside of a network that has nothing else.

    python -m pizzeria.torture.secrecy.asking BASE_URL PATH... [--key NAME] [--crawl N]

prints each answer with its head. `--crawl` follows links to N pages at most; `--key` sends the API key of an
environment variable.
"""

from __future__ import annotations

import argparse
import os
import re
import time
import urllib.error
import urllib.request
from urllib.parse import urljoin, urlsplit

_LINK = re.compile(r'href="([^"#]+)"')
_PATIENCE_S = 120.0


def fetch(url: str, key: str | None, deadline: float) -> str:
    """Head and body of an answer, whatever its status; waits for a service that is not there yet."""
    request = urllib.request.Request(url, headers={"X-API-Key": key} if key else {})  # noqa: S310 - the trial's own service
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(request, timeout=60) as answer:
                return f"{answer.status} {answer.headers}\n{answer.read().decode(errors='replace')}"
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.headers}\n{error.read().decode(errors='replace')}"
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("base")
    asked.add_argument("paths", nargs="+")
    asked.add_argument("--key")
    asked.add_argument("--crawl", type=int, default=0)
    found = asked.parse_args()
    key = os.environ[found.key] if found.key else None
    waiting, seen = [urljoin(found.base, path) for path in found.paths], set[str]()
    most = len(waiting) + found.crawl
    deadline = time.monotonic() + _PATIENCE_S
    while waiting and len(seen) < most:
        url = waiting.pop(0)
        if url in seen:
            continue
        seen.add(url)
        text = fetch(url, key, deadline)
        print(f"==> {url}\n{text}\n")
        if found.crawl:
            links = (urljoin(url, link) for link in _LINK.findall(text))
            waiting += [link for link in links if urlsplit(link).netloc == urlsplit(found.base).netloc]


if __name__ == "__main__":
    main()
