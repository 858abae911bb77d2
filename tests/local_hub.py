"""A small model hub on this machine: the few endpoints that a download needs, with faults on request."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

REPOSITORY = "tencent/HunyuanImage-3.0-Instruct-Distil"
REVISION = "0123456789abcdef0123456789abcdef01234567"
CARD = {"license": "other", "license_name": "tencent-hunyuan-community", "license_link": "LICENSE"}


@dataclass
class LocalHub:
    """One repository. `large` files are described by their sha256, as those in Git LFS are.

    Faults: `status` is the answer to every question about the repository; a file in `cut_after` breaks off after so
    many bytes the first time, and with `down_after_cut` cannot be had any more; `claimed_sizes` are those that the
    description gives. `served` has the ranges that were asked for.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    card: dict[str, str] = field(default_factory=lambda: dict(CARD))
    status: tuple[int, str] | None = None
    cut_after: dict[str, int] = field(default_factory=dict)
    down_after_cut: bool = False
    claimed_sizes: dict[str, int] = field(default_factory=dict)
    served: dict[str, list[str | None]] = field(default_factory=dict)
    url: str = ""

    def size(self, path: str) -> int:
        return self.claimed_sizes.get(path, len(self.files[path]))

    def etag(self, path: str) -> str:
        data = self.files[path]
        if path in self.large:
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def description(self) -> dict[str, Any]:
        siblings = []
        for path in self.files:
            entry = {"rfilename": path, "size": self.size(path), "blobId": self.etag(path)}
            if path in self.large:
                entry["lfs"] = {"sha256": self.etag(path), "size": self.size(path), "pointerSize": 130}
            siblings.append(entry)
        return {"id": REPOSITORY, "modelId": REPOSITORY, "sha": REVISION, "cardData": self.card, "siblings": siblings}

    def tree(self) -> list[dict[str, Any]]:
        entries = []
        for path in self.files:
            entry = {"type": "file", "path": path, "size": self.size(path), "oid": self.etag(path)}
            if path in self.large:
                entry["lfs"] = {"oid": self.etag(path), "size": self.size(path), "pointerSize": 130}
            entries.append(entry)
        return entries


@contextmanager
def running(hub: LocalHub) -> Iterator[LocalHub]:
    """Serve the hub; its address is in `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if hub.status is not None or REPOSITORY not in path:
                status, code = hub.status or (404, "RepoNotFound")
                self._send(status, b"{}", {"X-Error-Code": code})
            elif path.startswith(f"/api/models/{REPOSITORY}/tree/"):
                self._send(200, json.dumps(hub.tree()).encode())
            elif path.startswith("/api/"):
                self._send(200, json.dumps(hub.description()).encode())
            else:
                self._send_file(path.partition(f"/resolve/{REVISION}/")[2])

        def _send_file(self, path: str) -> None:
            if path not in hub.files:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            data, wanted = hub.files[path], self.headers.get("Range")
            headers = {"ETag": f'"{hub.etag(path)}"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
            if self.command == "GET":
                hub.served.setdefault(path, []).append(wanted)
                first_time = len(hub.served[path]) == 1
                if path in hub.cut_after and (first_time or hub.down_after_cut):
                    self._send(*((200, data, headers, hub.cut_after[path]) if first_time else (500, b"")))
                    return
            if wanted is None:
                self._send(200, data, headers)
                return
            first = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            self._send(206, data[first:], headers)

        def _send(
            self, status: int, data: bytes, headers: dict[str, str] | None = None, cut_after: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data[:cut_after])
            if cut_after is not None:
                self.wfile.flush()
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
