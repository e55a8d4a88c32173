"""Files that are old or new and never half, trees known by their content, and locks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .conversation import Conversation, Failure


def write(path: Path, text: str, mode: int = 0o644, owner: int | None = None) -> None:
    """Replace a file in one step; only its reader-to-be can read it, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        work.unlink()
    with open(os.open(str(work), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    if owner is not None and os.getuid() == 0:
        os.chown(str(work), owner, -1)
    os.chmod(str(work), mode)  # noqa: PTH101
    os.replace(str(work), str(path))  # noqa: PTH105
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make what was renamed in a folder durable."""
    handle = os.open(str(folder), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def text_of(path: Path) -> str | None:
    """The content of a file, if it is there."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def content_hash(path: Path) -> str:
    """The same as `pizzeria.shipment.content_hash`."""
    digest = hashlib.sha256()
    if path.is_file():
        with open(path, "rb") as stream:
            for piece in iter(lambda: stream.read(1 << 20), b""):
                digest.update(piece)
        return digest.hexdigest()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path).as_posix()}\0{content_hash(file)}\n".encode())
    return digest.hexdigest()


def joined(*hashes: str) -> str:
    """One hash of several, as a `Payload` has it."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def receive(conversation: Conversation, piece: str, folder: Path) -> None:
    """Ask the workstation for a tar, and unpack it into a folder, which must not exist.

    Raises:
        Failure: it arrived otherwise than it was sent, or has something in it that is no plain file below the folder.
    """
    announced = conversation.ask(need=piece)
    archive = folder.with_name(folder.name + ".tar")
    with open(archive, "wb") as stream:
        for data in conversation.take(int(announced["size"])):
            stream.write(data)
    if content_hash(archive) != announced["sha256"]:
        raise Failure(f"the {piece} arrived otherwise than it was sent", "try again")
    folder.mkdir(mode=0o755)
    with tarfile.open(str(archive)) as tar:
        for member in tar:
            target = (folder / member.name).resolve()
            if not member.isfile() or folder.resolve() not in target.parents:
                raise Failure(f"{member.name!r} in what was sent is no plain file")
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None
            with open(target, "wb") as out:
                shutil.copyfileobj(content, out)
                out.flush()
                os.fsync(out.fileno())
    archive.unlink()


def clear(path: Path) -> None:
    """Remove a file, a folder or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


@contextlib.contextmanager
def locked(path: Path, conversation: Conversation, waiting: Callable[[], None]) -> Iterator[None]:
    """Keep everybody else out; the kernel lets go when this process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as lock:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    waiting()
                told = True
                conversation.check()
                time.sleep(0.1)
        yield
