"""Files as the commands name them: compressed by their suffix, and ``-`` for those of the process."""

from __future__ import annotations

import errno
import gzip
import importlib
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final, Literal

from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.extras import DISTRIBUTION

STANDARD: Final = "-"


@contextmanager
def reading(name: str) -> Iterator[IO[bytes]]:
    if name == STANDARD:
        yield sys.stdin.buffer
        return
    damaged = (EOFError, zlib.error, gzip.BadGzipFile, *([_zstd().ZstdError] if name.endswith(".zst") else []))
    with _open(name, Path(name), "rb") as file:
        try:
            yield file
        except damaged as error:
            raise OSError(errno.EIO, f"is damaged: {error}", name) from error


@contextmanager
def writing(name: str) -> Iterator[IO[bytes]]:
    """A file that has its name only when it is whole."""
    if name == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = Path(name + ".part")
    try:
        with _open(name, unfinished, "wb") as file:
            yield file
        unfinished.replace(name)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _open(name: str, path: Path, mode: Literal["rb", "wb"]) -> Iterator[IO[bytes]]:
    with ExitStack() as stack:
        zstd = _zstd() if name.endswith(".zst") else None
        file: Any = stack.enter_context(path.open(mode))
        if zstd:
            file = stack.enter_context(zstd.open(file, mode))
        elif name.endswith(".gz"):
            # Without the name and the time that gzip would store: equal data are equal bytes.
            file = stack.enter_context(gzip.GzipFile("", mode, fileobj=file, mtime=0))
        yield file


def _zstd() -> Any:
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise ConfigurationError(f"{module} is not installed: pip install '{DISTRIBUTION}[zstd]'") from None
