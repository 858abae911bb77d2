"""`danqing`, except that no model draws.

`serve_scripted.py child serve` has a scripted engine process, quick and without torch, that does what its prompt says;
`serve_scripted.py inside serve` has an engine in the server itself that answers at once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import danqing.engines
from danqing.cli.main import app
from danqing.engine.interface import Engine
from danqing.engine.worker_options import WorkerOptions
from danqing.settings import Settings

TESTS = Path(__file__).parents[1]
WORKER = TESTS / "unit" / "engine" / "fake_worker.py"


def _scripted_worker(options: WorkerOptions) -> Sequence[str]:
    return (sys.executable, str(WORKER), f"--model={options.model}", f"--device={options.device}")


def _engine_inside(settings: Settings) -> Engine:
    sys.path.insert(0, str(TESTS))
    from fakes import FakeEngine

    return FakeEngine()


if __name__ == "__main__":
    match sys.argv.pop(1):
        case "child":
            danqing.engines.worker_command = _scripted_worker
        case "inside":
            danqing.engines.local_engine = _engine_inside
        case other:
            sys.exit(f"child or inside, not {other}")
    app()
