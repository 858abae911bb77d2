"""The benchmark of the full size, at a tiny size."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmark_of_the_full_size_needs_only_the_model_and_runs_through(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "full_size.py"
    blocked = ["pydantic", "pydantic_settings", "fastapi", "sqlalchemy", "httpx", "anyio", "tokenizers", "PIL", "typer"]
    code = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({blocked!r}))
sys.argv = ["full_size.py", "--tiny", "--device", "cpu", "--layers", "1", "--steps", "1", "--out", {str(tmp_path)!r}]
runpy.run_path({str(script)!r}, run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=200, env={"PYTHONPATH": "src"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "full_size.json").read_text())
    assert figures["failed"] == []
    assert 0 < figures["moe_error_looped"] < 0.1
    assert figures["step_seconds_looped"] > 0
