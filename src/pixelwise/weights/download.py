"""Fetch a file of published weights, and prove that it is the file that was meant.

A broken connection or Ctrl-C leaves ``NAME.part``, from which the next attempt goes on. A file whose digest is wrong
never gets its name. Where neither the table nor the server knows the digest, the length has to be the one that the
server states, and the caller is told that nothing else was compared.
"""

import os
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError

from pixelwise.errors import WeightsError
from pixelwise.storage.atomic import make_folder, output_error
from pixelwise.weights.digest import digest
from pixelwise.weights.published import PublishedWeights

Progress = Callable[[int, int], None]

_CHUNK_BYTES: Final = 1 << 20
_TIMEOUT_SECONDS: Final = 30.0
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NO_CHECKSUM: Final = "the publisher states no checksum"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file of published weights on disk."""

    path: Path
    doubt: str
    """Why nobody can say that it is the file that was published; empty where its digest is right."""


def download(entry: PublishedWeights, folder: Path, progress: Progress) -> Fetched:
    """Return the file in ``folder``, fetched unless it is already there.

    Args:
        entry: what to fetch.
        folder: where to; it is made.
        progress: called with the number of bytes done and of all bytes.

    Raises:
        WeightsError: there is no connection, the server refuses, or the file is not the one that was published.
        OutputError: it cannot be written.

    """
    make_folder(folder)
    target, part = folder / entry.file_name, folder / f"{entry.file_name}.part"
    try:
        if target.exists():
            _check(target, entry, entry.sha256)
            again = "it was there already, and only the server knows its checksum; delete it to fetch and compare it"
            return Fetched(target, "" if entry.sha256 else again if entry.server_tells else _NO_CHECKSUM)
        told = _fetch(entry, part, progress)
        _check(part, entry, entry.sha256 or told)
        part.replace(target)
    except (HTTPError, URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise WeightsError(
            f"{entry.url} cannot be fetched: {_reason(error)}",
            expected="a connection to the publisher",
            do=f"Try again (it goes on where it stopped), or fetch it elsewhere and put it at {target}",
        ) from None
    except OSError as error:
        raise output_error(target, error) from error
    if entry.sha256 or told:
        return Fetched(target, "")
    return Fetched(target, "the server told no checksum" if entry.server_tells else _NO_CHECKSUM)


def _fetch(entry: PublishedWeights, part: Path, progress: Progress) -> str:
    """Append what is missing to ``part``; return the digest that the server tells, or nothing."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(entry.url, headers={"Range": f"bytes={start}-"} if start else {})
    watch = _Redirects()
    try:
        response: HTTPResponse = urllib.request.build_opener(watch).open(request, timeout=_TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code != _RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        if not (entry.sha256 or watch.digest) and _whole_length(error.headers) != start:
            part.unlink()
            raise ConnectionError(f"the {start} bytes of an earlier attempt are not the whole file") from None
        return watch.digest  # the part is already whole
    with response:
        goes_on = response.status == _PARTIAL_CONTENT
        done = start if goes_on else 0
        length, told = response.headers.get("Content-Length"), watch.digest or _told(response.headers)
        if length is None and not (entry.sha256 or told):
            raise ConnectionError("the server states neither its length nor a checksum")
        total = done + int(length or 0)
        with part.open("ab" if goes_on else "wb") as file:
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                progress(done, max(done, total))
            file.flush()
            os.fsync(file.fileno())
        if done < total:
            raise ConnectionError(f"it broke off after {done} of {total} bytes")
        return told


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections, and keeps the digest that the first server tells before it sends the caller elsewhere."""

    digest = ""

    def redirect_request(  # noqa: PLR0917 - the signature is urllib's
        self, req: urllib.request.Request, fp: object, code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        self.digest = self.digest or _told(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type] # typeshed asks for IO


def _told(headers: Message) -> str:
    found = _DIGEST.search(headers.get("X-Linked-ETag", ""))
    return found[0] if found else ""


def _whole_length(headers: Message) -> int | None:
    """Return how long the server says that the file is, in its answer to a request for what lies behind the end."""
    found = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _check(path: Path, entry: PublishedWeights, expected: str) -> None:
    """Refuse a file with another digest; a wrong download is taken away, so that the next attempt starts anew."""
    found = digest(path) if expected else ""
    if found.startswith(expected):
        return
    if path.suffix == ".part":
        path.unlink()
    raise WeightsError(
        f"{path} is not the file that {entry.publisher} published: its SHA-256 is {found}",
        expected=f"one that begins with {expected}",
        do="Fetch it again; if it happens twice, do not use it",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(error.reason if isinstance(error, URLError) else error) or type(error).__name__
