"""What the composition root imports."""

import subprocess
import sys


def test_the_service_starts_without_pytorch() -> None:
    program = "import sys; sys.modules['torch'] = None; import danqing.app"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
