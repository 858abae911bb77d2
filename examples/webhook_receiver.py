"""A webhook receiver that accepts only messages signed by the server. Needs nothing but Python.

    DANQING_WEBHOOK_SECRET=$(danqing accounts webhook-secret) python webhook_receiver.py --port 9000

Then send requests with `"webhook_url": "https://your-public-name/"`. The server refuses private and local addresses, so
put a public name in front of this port. Signatures follow https://www.standardwebhooks.com.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY_BYTES = 1_000_000
# An older message may be a replay.
MAX_AGE_SECONDS = 300


def is_genuine(headers: Mapping[str, str], body: bytes, *, secret: str, now: float) -> bool:
    """Tell whether the holder of the secret signed this body within the last minutes."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > MAX_AGE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected_entry = b"v1," + base64.b64encode(expected)
    # While a secret is being replaced there are several signatures, separated by spaces.
    entries = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(entry, expected_entry) for entry in entries)


class Receiver(BaseHTTPRequestHandler):
    """Prints the outcome of each job."""

    secret = ""
    seen: set[str] = set()  # noqa: RUF012

    def do_POST(self) -> None:
        """Accept genuine messages with 200; the server retries after any other status."""
        length = int(self.headers.get("Content-Length", 0))
        if length > MAX_BODY_BYTES:
            self._respond(413)
            return
        body = self.rfile.read(length)
        if not is_genuine(self.headers, body, secret=self.secret, now=time.time()):
            print("refused: not signed by the server", flush=True)
            self._respond(401)
            return
        message_id = self.headers["webhook-id"]
        # The server repeats a message that it saw no response to; the id is the same.
        if message_id not in self.seen:
            self.seen.add(message_id)
            self._tell(json.loads(body))
        self._respond(200)

    def _tell(self, message: dict) -> None:
        job = message["data"]
        if message["type"] == "image.generation.completed":
            print("drawn:", job["id"], *(image["url"] for image in job["data"]), flush=True)
        else:
            print("failed:", job["id"], job["error"]["message"], flush=True)

    def _respond(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log no requests."""


def main() -> None:
    """Listen until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Receives webhooks from a Danqing server.")
    parser.add_argument("--port", type=int, default=9000)
    arguments = parser.parse_args()
    Receiver.secret = os.environ["DANQING_WEBHOOK_SECRET"]
    with ThreadingHTTPServer(("127.0.0.1", arguments.port), Receiver) as server:
        print("listening:", server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
