"""Random requests against everything that /openapi.json promises: `PYTHONPATH=tests python proofs/fuzz.py`.

Schemathesis makes them, good ones and bad ones, against a real server whose engine answers at once; first with an API
key, which draws, then with a management key, which administers keys. Every check is on; schemathesis.toml says
where one of them cannot apply, and why; `fuzz_hooks.py` what it may not count.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from acceptance.server import Server, serving

LAUNCHER = Path(__file__).parents[1] / "tests" / "acceptance" / "serve_scripted.py"
CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("fuzz_hooks.py")
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
MAX_EXAMPLES = 300  # of an operation, before the next one has its turn
# A busy machine may take its time; an answer that never comes is found all the same.
REQUEST_TIMEOUT_SECONDS = 120
ENVIRONMENT = {
    "DANQING_STARTING_CREDITS": str(10**12),
    "DANQING_REQUESTS_PER_MINUTE": str(10**6),
    "DANQING_LOG_LEVEL": "warning",
}


def fuzz(
    server: Server, *, key: str, max_examples: int, seed: int, folder: Path, options: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Send requests with one key. Returns how many, and what was said; raises AssertionError with what was found."""
    schema, header = f"{server.url}/openapi.json", f"Authorization: Bearer {key}"
    command = [
        # All checks are on by default. Named here, they would be on where the file turns one off, too.
        *(SCHEMATHESIS, "--config-file", CONFIG, "run", schema, "--header", header),
        *("--max-examples", str(max_examples), "--seed", str(seed), "--continue-on-failure", "--no-color"),
        *("--request-timeout", str(REQUEST_TIMEOUT_SECONDS)),
        *options,
    ]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)}
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    generated = re.search(r"(\d+) generated", result.stdout)
    assert generated, result.stdout
    return int(generated[1]), result.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=int, default=300, help="for each key; until then it goes on with new requests"
    )
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder / "data", command=(sys.executable, LAUNCHER, "inside"), **ENVIRONMENT) as server:
            server.wait_until_ready()
            management = server.run("keys", "create", "--name", "fuzz", "--management").stdout.strip()
            total = 0
            for kind, key in (("API key", server.key), ("management key", management)):
                budget = ("--max-time", str(arguments.seconds))
                num_requests, said = fuzz(
                    server, key=key, max_examples=MAX_EXAMPLES, seed=arguments.seed, folder=folder, options=budget
                )
                total += num_requests
                print(f"--- {kind}: {num_requests} requests\n{said}", flush=True)
            assert server.run("credits", "check").returncode == 0
            answered = re.findall(r'http_requests_total\{.*status="(\d)\d\d"\} ([\d.]+)', server.get("/metrics").text)
            counts = {first: sum(float(n) for status, n in answered if status == first) for first, _ in answered}
            print(f"{total} requests; answers by first digit: {counts}")
            assert not counts.get("5"), counts


if __name__ == "__main__":
    main()
