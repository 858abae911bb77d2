"""Memory of the engine's process: kept while a task runs, given back when it ends."""

import subprocess
import sys

import pytest

from danqing.engine.memory import MAX_KERNELS, limit_kernels

# In a process of its own: the heap's settings hold for good. Prints what is resident, in MiB.
PROGRAM = """
import sys
from danqing.engine.memory import Heap

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20

heap = Heap()
blocks = [bytearray(1 << 20) for _ in range(200)]
last = bytearray(1 << 20)
blocks.clear()
print(resident())
heap.give_back()
print(resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_freed_memory_stays_until_it_is_given_back() -> None:
    child = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    freed, given_back = map(int, child.stdout.split())
    assert freed > 200
    assert given_back < 100


def test_garbage_collection_pauses_and_exempts_what_stays() -> None:
    program = (
        "import gc; from danqing.engine.memory import garbage_collection_paused\n"
        "with garbage_collection_paused(): inside, kept = gc.isenabled(), []\n"
        "print(inside, gc.isenabled(), any(each is kept for each in gc.get_objects()))"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert child.stdout.split() == ["False", "True", "False"]


@pytest.mark.parametrize("name", MAX_KERNELS)
def test_the_environment_comes_before_our_limits_of_kernels(name: str) -> None:
    environment = {name: "7"}
    limit_kernels(environment)
    assert environment == {**MAX_KERNELS, name: "7"}
