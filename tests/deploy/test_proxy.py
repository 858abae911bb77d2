"""The proxy of deploy/compose, run for real in front of a small server."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

CONFIG = Path(__file__).parents[2] / "deploy" / "compose" / "nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
MAKE_CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]

pytestmark = pytest.mark.skipif(
    NGINX is None or shutil.which("openssl") is None, reason="needs nginx and openssl: apt-get install nginx openssl"
)


class Streamer(BaseHTTPRequestHandler):
    """Sends half of a response, and the other half once the client has had the first."""

    protocol_version = "HTTP/1.1"
    first_half_arrived = threading.Event()
    forwarded_protocol = ""

    def do_GET(self) -> None:
        Streamer.forwarded_protocol = self.headers["X-Forwarded-Proto"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b"half")
        self.wfile.flush()
        arrived = Streamer.first_half_arrived.wait(timeout=20)
        self.wfile.write(b"half" if arrived else b"late")

    def log_message(self, *_: object) -> None:
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def proxy_url(tmp_path: Path) -> Iterator[str]:
    """The proxy on a free port, with a certificate of its own and two servers behind it that are one."""
    backend = ThreadingHTTPServer(("127.0.0.1", 0), Streamer)
    serving = threading.Thread(target=backend.serve_forever)
    serving.start()
    key, certificate = tmp_path / "danqing.key", tmp_path / "danqing.crt"
    subprocess.run(
        [*MAKE_CERTIFICATE, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    port = free_port()
    config = CONFIG.read_text()
    for old, new in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "api-1:8000": f"127.0.0.1:{backend.server_port}",
        "api-2:8000": f"127.0.0.1:{backend.server_port}",
        "/etc/nginx/certificates": str(tmp_path),
        "http {": "http {\naccess_log off;",
    }.items():
        assert old in config
        config = config.replace(old, new)
    file = tmp_path / "nginx.conf"
    file.write_text(config)
    command = [str(NGINX), "-c", str(file), "-p", str(tmp_path), "-e", str(tmp_path / "error.log")]
    command += ["-g", f"pid {tmp_path / 'nginx.pid'}; daemon off;"]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    process = subprocess.Popen(command)
    try:
        _wait_for(port)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)
        backend.shutdown()
        serving.join()
        backend.server_close()


def test_a_stream_passes_as_it_is_made(proxy_url):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with httpx.Client(verify=context, timeout=30) as client:
        with client.stream("GET", f"{proxy_url}/v1/images/generations/x/events") as response:
            pieces = response.iter_raw()
            assert next(pieces) == b"half"
            Streamer.first_half_arrived.set()
            assert b"".join(pieces) == b"half"
        assert Streamer.forwarded_protocol == "https"
        assert client.get(f"{proxy_url}/metrics").status_code == 404


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
