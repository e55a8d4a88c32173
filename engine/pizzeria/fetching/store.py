"""What lies at an address, asked through fsspec: names, sizes, and what changes when the content does."""

from __future__ import annotations

import base64
import binascii
import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from pizzeria.errors import DataError, PizzeriaError, PluginError
from pizzeria.fetching.names import consistent, safe

CHUNK = 8 * 2**20
"""Bytes that are asked for at once."""
_MARKS = (
    "generation",
    "ETag",
    "etag",
    "md5Hash",
    "Last-Modified",
    "LastModified",
    "mtime",
    "modified",
    "last_modified",
    "created",
)
"""Keys under which file systems say what changes when the content does, the surest first."""


class UnreachableError(DataError):
    """A store does not answer, as opposed to one that answers that there is nothing."""


@dataclass(frozen=True)
class Item:
    """One file of a store.

    Attributes:
        path: As fsspec has it.
        name: Below the address, with `/` between folders.
        size: Bytes; None where the store does not say.
        mark: What changes when the content does; empty where the store says nothing of the kind.
        md5: Hex, where the store has it.
    """

    path: str
    name: str
    size: int | None
    mark: str
    md5: str | None = None


@dataclass(frozen=True)
class Store:
    """A file system somewhere, and the place in it that an address names."""

    address: str
    files: Any
    """fsspec's file system."""
    root: str

    @classmethod
    def open(cls, address: str) -> Store:
        """Find the file system; asks nobody yet.

        Raises:
            PluginError: a library for it is not installed.
            DataError: there is no such kind of address.
        """
        hint = "pip install 'pizzeria[remote]'"
        try:
            from fsspec.core import url_to_fs

            files, root = url_to_fs(address, skip_instance_cache=True, use_listings_cache=False, **_settings(address))
        except ImportError as error:
            raise PluginError(f"{address} cannot be fetched, a library is not installed: {error}", hint=hint) from error
        except ValueError as error:
            raise DataError(
                f"{address} cannot be fetched: {error}", hint=f"check the address, or install what knows it: {hint}"
            ) from error
        return cls(address, files, root)

    @property
    def is_http(self) -> bool:
        return self.address.lower().startswith(("http://", "https://"))

    def list(self) -> tuple[bool, list[Item]]:
        """Whether the address is a folder (or a pattern), and its files by name.

        Raises:
            DataError: there is nothing, or what is there cannot be brought here.
            UnreachableError: the store does not answer.
        """
        with asked(self.address):
            if self.is_http:
                return False, [self._page()]
            folder, found = self._found()
        items = sorted(
            (_item(path, name, info) for path, (name, info) in found.items() if not path.endswith("/")),
            key=lambda item: item.name,
        )
        if not items:
            raise DataError(f"there is no file at {self.address}", hint="check the address; it is an empty folder now")
        for item in items:
            safe(item.name, self.address)
        consistent((item.name for item in items), self.address)
        return folder, items

    def _found(self) -> tuple[bool, dict[str, tuple[str, Mapping[str, Any]]]]:
        root = self.root.rstrip("/")
        try:
            info = self.files.info(root)
        except FileNotFoundError:
            if not re.search(r"[*?\[]", root):
                raise
            above = re.split(r"[*?\[]", root)[0].rpartition("/")[0]
            matches = self.files.glob(root, detail=True)
            files = {path: one for path, one in matches.items() if one["type"] == "file"}
            if not files:
                raise
            return True, {path: (path[len(above) :].lstrip("/"), one) for path, one in files.items()}
        if info["type"] == "file" and not self.address.endswith("/"):
            return False, {root: (root.rpartition("/")[2], info)}
        inside = self.files.find(root, detail=True)
        return True, {path: (path[len(root) :].lstrip("/"), one) for path, one in inside.items()}

    def _page(self) -> Item:
        """What an HTTP server says of the address."""
        try:
            info = self.files.info(self.root)
        except FileNotFoundError as error:
            cause = error.__cause__
            if cause is not None and getattr(cause, "status", None) not in (404, 410):
                raise cause from None
            raise
        path = urlsplit(self.root).path
        name = unquote(path.rstrip("/").rpartition("/")[2])
        if not name or path.endswith("/") or (info.get("mimetype") == "text/html" and "." not in name):
            raise DataError(
                f"{self.address} is a web page, or a folder that a web server lists; such pages are not guessed at",
                hint="write the address of one file, or of a .zip or .tar.gz of the folder; buckets (s3://, gs://) "
                "can be listed",
            )
        item = _item(self.root, name, info)
        safe(item.name, self.address)
        return item

    def read(self, item: Item, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, bytes) from `start` on; from 0 where the server cannot begin in the middle.

        Any error of any library may come; see `asked`.
        """
        if self.is_http:
            yield from self._stream(item, start)
            return
        if item.size is None:
            yield 0, self.files.cat_file(item.path)
            return
        while start < item.size:
            end = min(start + CHUNK, item.size)
            whole = start == 0 and end == item.size
            data = self.files.cat_file(item.path) if whole else self.files.cat_file(item.path, start=start, end=end)
            if not data:
                raise OSError(f"{item.name} ends at byte {start}, and not at {item.size}")
            yield start, data
            start += len(data)

    def _stream(self, item: Item, start: int) -> Iterator[tuple[int, bytes]]:
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        # A size keeps fsspec from asking for it again; block size 0 makes it stream.
        with self.files.open(item.path, "rb", block_size=0, size=item.size or 1, headers=headers) as stream:
            response = stream.r
            if start and (response.status != 206 or _mark(response.headers) != item.mark):
                if response.status == 206:
                    raise Changed(f"{item.name} changed while it was fetched")
                start = 0
            while data := stream.read(2**20):
                yield start, data
                start += len(data)

    def unchanged(self, item: Item) -> bool:
        """Whether the store still has the same content under that name."""
        info = self.files.info(item.path)
        return _item(item.path, item.name, info).mark == item.mark

    def md5_holds(self, item: Item) -> bool:
        """Whether `item.md5` is a hash of the content: an S3 ETag is not where the object is encrypted with a key."""
        if not hasattr(self.files, "call_s3"):
            return True
        bucket, key, _ = self.files.split_path(item.path)
        head = self.files.call_s3("head_object", Bucket=bucket, Key=key)
        return head.get("ServerSideEncryption", "AES256") == "AES256" and "SSECustomerAlgorithm" not in head


class Changed(OSError):
    """The object is another one than that whose beginning is here."""


@contextmanager
def asked(address: str) -> Iterator[None]:
    """Turn whatever a library raises into an error that names the address.

    Raises:
        DataError: there is nothing, or it may not be read.
        UnreachableError: the store does not answer.
    """
    try:
        yield
    except PizzeriaError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"there is nothing at {address}", hint="check the address, and who may read it") from error
    except PermissionError as error:
        raise DataError(
            f"{address} may not be read: {_first_line(error)}",
            hint="give the store's library its credentials in the environment, such as AWS_PROFILE, "
            "AWS_ACCESS_KEY_ID or GOOGLE_APPLICATION_CREDENTIALS",
        ) from error
    except ImportError as error:
        raise PluginError(
            f"{address} cannot be fetched, a library is not installed: {error}", hint="pip install 'pizzeria[remote]'"
        ) from error
    except Exception as error:  # every library has its own
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"{address} does not fit on the disk of the cache",
                hint="free some space, or set PIZZERIA_CACHE elsewhere",
            ) from error
        status = getattr(error, "status", None)
        if status in (401, 403):
            raise DataError(
                f"{address} may not be read: the server answers {status}",
                hint="a user and a password for it may stand in ~/.netrc",
            ) from error
        raise UnreachableError(
            f"{address} cannot be asked: {type(error).__name__}: {_first_line(error)}",
            hint="check the address, the network and the store's credentials in the environment",
        ) from error


def _settings(address: str) -> dict[str, Any]:
    """What the file system of an address is made with; whatever secret it needs, it finds itself."""
    if not address.lower().startswith(("http://", "https://")):
        return {}
    import aiohttp

    # aiohttp gives a whole download five minutes by default.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}, "headers": {"Accept-Encoding": "identity"}}


def _item(path: str, name: str, info: Mapping[str, Any]) -> Item:
    size = info.get("size")
    return Item(path, name, None if size is None else int(size), _mark(info), _md5(info))


def _mark(info: Mapping[str, Any]) -> str:
    for key in _MARKS:
        if info.get(key):
            return str(info[key])
    return ""


def _md5(info: Mapping[str, Any]) -> str | None:
    if info.get("md5Hash"):  # Google's
        try:
            return base64.b64decode(str(info["md5Hash"]), validate=True).hex()
        except binascii.Error:
            return None
    # S3's, of objects that came in one part. A web server's ETag is whatever it likes.
    tag = str(info.get("ETag", "")).strip('"')
    return tag if "StorageClass" in info and re.fullmatch(r"[0-9a-f]{32}", tag) else None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0]
