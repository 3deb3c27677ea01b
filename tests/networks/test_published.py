"""Published weights: the table, and fetching from a server of our own that breaks off, lies, redirects and refuses."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pixelwise import catalogue
from pixelwise.errors import OutputError, UsageError, WeightsError
from pixelwise.weights.download import Fetched, download
from pixelwise.weights.published import PUBLISHED, PublishedWeights, choose, published_weights

CONTENT = bytes(range(256)) * 9000  # more than two chunks
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    breaks_at: int | None = None
    ranges: list[str]
    sends = CONTENT
    tells_length = True


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/moved/w.pth":
            self.send_response(302)
            self.send_header("Location", "/w.pth")
            self.send_header("X-Linked-ETag", f'"{DIGEST}"')
            self.end_headers()
            return
        if self.path == "/gone/w.pth":
            self.send_error(404, "Not Found")
            return
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        if start >= len(self.server.sends):
            self.send_response(416)
            if self.server.tells_length:
                self.send_header("Content-Range", f"bytes */{len(self.server.sends)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.server.sends[start:]
        self.send_response(206 if start else 200)
        if self.server.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks_at])

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as serving:
        serving.ranges = []
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def entry(server: Server, path: str = "/w.pth", sha256: str = DIGEST[:8]) -> PublishedWeights:
    url = f"http://127.0.0.1:{server.server_port}{path}"
    return PublishedWeights(network="resnet18", publisher="somebody", url=url, sha256=sha256, licence="MIT")


def fetch(what: PublishedWeights, folder: Path) -> tuple[Path, list[tuple[int, int]]]:
    seen: list[tuple[int, int]] = []
    fetched = download(what, folder, lambda done, total: seen.append((done, total)))
    assert fetched.doubt == ""
    return fetched.path, seen


def fetch_unknown(what: PublishedWeights, folder: Path) -> Fetched:
    return download(what, folder, lambda done, total: None)


def test_a_file_is_fetched_checked_and_not_fetched_again(server: Server, tmp_path: Path) -> None:
    path, seen = fetch(entry(server), tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [child.name for child in path.parent.iterdir()] == ["w.pth"]
    fetch(entry(server), path.parent)
    assert server.ranges == [""]


def test_a_broken_connection_is_said_and_the_next_attempt_goes_on(server: Server, tmp_path: Path) -> None:
    server.breaks_at = 1_500_000
    with pytest.raises(WeightsError, match=r"cannot be fetched: .*Try again \(it goes on where it stopped\)"):
        fetch(entry(server), tmp_path)
    part = tmp_path / "w.pth.part"
    assert 0 < part.stat().st_size <= 1_500_000
    assert not (tmp_path / "w.pth").exists()
    server.breaks_at, done = None, part.stat().st_size
    path, _ = fetch(entry(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["", f"bytes={done}-"]


def test_a_whole_part_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.pth.part").write_bytes(CONTENT)
    assert fetch(entry(server), tmp_path)[0].read_bytes() == CONTENT


def test_a_file_with_another_digest_is_refused_and_taken_away(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as fault:
        fetch(entry(server, sha256="00112233"), tmp_path)
    assert str(fault.value) == (
        f"{tmp_path}/w.pth.part is not the file that somebody published: its SHA-256 is {DIGEST}. "
        "Expected one that begins with 00112233. Fetch it again; if it happens twice, do not use it."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_that_name_with_another_content_is_refused_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"mine")
    with pytest.raises(WeightsError, match=r"w\.pth is not the file that somebody published"):
        fetch(entry(server), tmp_path)
    assert (tmp_path / "w.pth").read_bytes() == b"mine"


def test_the_digest_that_the_first_server_tells_counts(server: Server, tmp_path: Path) -> None:
    moved = entry(server, "/moved/w.pth", sha256="")
    assert fetch(moved, tmp_path / "right")[0].read_bytes() == CONTENT
    server.sends = CONTENT[:-1] + b"x"
    with pytest.raises(WeightsError, match=f"begins with {DIGEST}"):
        fetch(moved, tmp_path / "wrong")


NOTHING = "the publisher states no checksum"


def test_without_a_checksum_the_length_counts_and_the_doubt_is_told(server: Server, tmp_path: Path) -> None:
    unknown = entry(server, sha256="")
    assert fetch_unknown(unknown, tmp_path) == Fetched(tmp_path / "w.pth", NOTHING)
    assert fetch_unknown(unknown, tmp_path) == Fetched(tmp_path / "w.pth", NOTHING)  # it is there already
    assert server.ranges == [""]
    server.breaks_at = 1000
    with pytest.raises(WeightsError, match=rf"broke off after 1000 of {len(CONTENT)} bytes"):
        fetch_unknown(unknown, tmp_path / "cut")
    server.breaks_at, server.tells_length = None, False
    with pytest.raises(WeightsError, match="the server states neither its length nor a checksum"):
        fetch_unknown(unknown, tmp_path / "silent")
    assert fetch(entry(server), tmp_path / "known")[0].read_bytes() == CONTENT


def test_without_a_checksum_an_earlier_part_has_to_be_as_long_as_the_file(server: Server, tmp_path: Path) -> None:
    unknown, part = entry(server, sha256=""), tmp_path / "w.pth.part"
    part.write_bytes(CONTENT)
    assert fetch_unknown(unknown, tmp_path).doubt == NOTHING
    for content, tells in ((CONTENT + b"more", True), (CONTENT, False)):
        (tmp_path / "w.pth").unlink(missing_ok=True)
        part.write_bytes(content)
        server.tells_length = tells
        with pytest.raises(WeightsError, match=rf"the {len(content)} bytes of an earlier attempt are not the whole fi"):
            fetch_unknown(unknown, tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_a_checksum_that_the_server_should_tell_is_missed(server: Server, tmp_path: Path) -> None:
    telling = replace(entry(server, sha256=""), server_tells=True)
    assert fetch_unknown(telling, tmp_path).doubt == "the server told no checksum"
    assert fetch_unknown(telling, tmp_path).doubt == (
        "it was there already, and only the server knows its checksum; delete it to fetch and compare it"
    )
    moved = replace(entry(server, "/moved/w.pth", sha256=""), server_tells=True)
    assert fetch_unknown(moved, tmp_path / "moved").doubt == ""


def test_the_list_says_what_a_download_is_compared_with() -> None:
    proofs = {known.publisher.split(" ")[0]: known.proof for known in PUBLISHED}
    assert proofs["timm"] == "told by server"
    assert proofs["facebookresearch/ConvNeXt"] == "not published"
    assert choose("resnet50", None).proof == "0676ba61…"


def test_refusals_and_absent_servers_are_said(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot be fetched: the server answers 404 Not Found\. Expected a conn"):
        fetch(entry(server, "/gone/w.pth"), tmp_path)
    nobody = replace(entry(server), url="http://127.0.0.1:1/w.pth")
    with pytest.raises(WeightsError, match=r"http://127\.0\.0\.1:1/w\.pth cannot be fetched: .*refused"):
        fetch(nobody, tmp_path)
    (tmp_path / "a file").write_text("")
    with pytest.raises(OutputError):
        fetch(entry(server), tmp_path / "a file" / "below")


def test_every_entry_is_of_a_network_and_has_a_name_of_its_own() -> None:
    for known in PUBLISHED:
        assert catalogue.spec(known.network).name == known.network
        assert known.url.startswith("https://" if not known.sha256 else "http")
        assert known in published_weights(known.network)
    names = [known.file_name for known in PUBLISHED]
    assert len(set(names)) == len(names)
    assert choose("inception_v4", None).file_name == "inception_v4.tf_in1k.safetensors"


def test_weights_of_an_auxiliary_head_are_in_the_files_of_the_network_without() -> None:
    assert published_weights("inception_v3_aux") == published_weights("inception_v3") != ()
    assert published_weights("googlenet_paper") == published_weights("googlenet_paper_aux") == ()
    assert choose("inception_v3_aux", None).file_name == "inception_v3_google-0cc3c7bd.pth"


def test_choosing_an_entry() -> None:
    assert choose("resnet50", None).publisher == "torchvision V1"
    assert choose("resnet50", "torchvision V2").sha256 == "11ad3fa6"
    with pytest.raises(UsageError, match=r"--publisher 'torchvison V2'. Expected torchvision V1, torchvision V2"):
        choose("resnet50", "torchvison V2")
    with pytest.raises(UsageError, match="no published weights of lenet5 are known"):
        choose("lenet5", None)
