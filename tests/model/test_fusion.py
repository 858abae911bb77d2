"""Fused regions: compiled on the CPU, they compute what the same functions compute eagerly.

`make test` compiles two functions; `make fusions` compiles everything, which takes minutes.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rounded_experts import hold_experts, relative_error
from tiny_checkpoints import config_values, random_model
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from benchmarks import fusions
from benchmarks.record import read_record
from danqing.engine.child import Child, ChildLimits
from danqing.engine.messages import LoadFailed, Loading, LoadStage, Ready
from danqing.engine.worker_options import WorkerOptions, worker_command
from danqing.hunyuan_image3 import fusion
from danqing.hunyuan_image3.attention import rms_norm, turned_and_normalised
from danqing.hunyuan_image3.errors import CompilationFailed
from danqing.hunyuan_image3.experts import gated, weighted_sum
from danqing.hunyuan_image3.fp8_experts import quantised_gated, quantised_rows
from danqing.hunyuan_image3.fusion import OPTIONS, Fusible, Region, fuse
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.sampler import Conditions
from danqing.hunyuan_image3.warm_up import warm_up

HAS_COMPILER = any(map(shutil.which, ("g++", "clang++"))) and Path(sysconfig.get_path("include"), "Python.h").exists()
compiles = pytest.mark.skipif(not HAS_COMPILER, reason="PyTorch's compiler needs g++ or clang++ and Python's headers")
minutes = pytest.mark.skipif("TEST_FUSIONS" not in os.environ, reason="compiles for minutes: make fusions")
# PyTorch's compiler uses what PyTorch calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
# Those of tiny_checkpoints, so that all tests share their kernels.
D, H, G, HEAD, W, K = 64, 2, 2, 16, 32, 2
QUICK: list[tuple[Fusible[*tuple[Any, ...], Any], torch.dtype]] = [
    (rms_norm, torch.bfloat16),
    (quantised_gated, torch.bfloat16),
]
SLOW: list[tuple[Fusible[*tuple[Any, ...], Any], torch.dtype]] = [
    *((function, torch.float32) for function in (rms_norm, turned_and_normalised)),
    *((function, torch.bfloat16) for function in (turned_and_normalised, gated, weighted_sum, quantised_rows)),
]


@pytest.fixture(scope="session")
def session_kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(autouse=True)
def fused_in_this_test_alone(session_kernels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(session_kernels))
    yield
    fuse(())


@pytest.fixture
def fp8_model() -> HunyuanImage3:
    model = random_model(config_values()).bfloat16()
    for layer in model.model.layers:
        layer.mlp.gate.float()
        hold_experts(layer.mlp, Precision.FP8)
    return model


def arguments(function: object, num_tokens: int, dtype: torch.dtype) -> tuple[Any, ...]:
    torch.manual_seed(num_tokens)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape).to(dtype)

    def weight(size: int) -> nn.Parameter:
        return nn.Parameter(numbers(size), requires_grad=False)

    # Each token has two of the rows; those of two more are unused.
    num_rows = num_tokens * K + 2
    if function is rms_norm:
        return numbers(num_tokens, D), weight(D), 1e-5
    if function is turned_and_normalised:
        angles = torch.rand(num_tokens, HEAD)
        qkv = numbers(num_tokens, H, G + 2, HEAD)
        return qkv, angles.cos(), angles.sin(), weight(HEAD), weight(HEAD), 1e-5
    if function in (gated, quantised_gated):
        return (numbers(num_rows, 2 * W),)
    if function is quantised_rows:
        return numbers(num_tokens, D), torch.randint(num_tokens, (num_rows,))
    return numbers(num_rows, D), torch.randint(num_rows, (num_tokens, K)), torch.rand(num_tokens, K)


def parts(result: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (result,) if isinstance(result, Tensor) else tuple(result)


@compiles
@pytest.mark.parametrize(("function", "dtype"), [*QUICK, *(pytest.param(*case, marks=minutes) for case in SLOW)])
def test_a_compiled_function_is_the_eager_one_for_any_number_of_tokens(
    function: Fusible[*tuple[Any, ...], Any], dtype: torch.dtype
) -> None:
    compare_compiled(function, 50, dtype)
    if dtype == torch.bfloat16:
        compare_compiled(function, 1, dtype)
    with torch.compiler.set_stance("fail_on_recompile"):
        for num_tokens in (2, 77):
            compare_compiled(function, num_tokens, dtype)


@torch.inference_mode()
def compare_compiled(function: Fusible[*tuple[Any, ...], Any], num_tokens: int, dtype: torch.dtype) -> None:
    given = arguments(function, num_tokens, dtype)
    fuse([function.region])
    for ours, eager in zip(parts(function(*given)), parts(function.plain(*given)), strict=True):
        assert ours.dtype == eager.dtype
        assert ours.stride() == eager.stride()
        if dtype == torch.bfloat16 and function.region is not Region.SUM:
            assert torch.equal(ours.float(), eager.float())
        else:
            # Sums in another order.
            assert relative_error(ours, eager) < (1e-6 if dtype == torch.float32 else 0.004)


@torch.inference_mode()
def outputs(model: HunyuanImage3, *, num_text: int, height: int, width: int, num_branches: int) -> tuple[Tensor, ...]:
    """The velocity of a step, and the logits after a single token."""
    branches = [model.branch(range(num_text), height=height, width=width) for _ in range(num_branches)]
    latent = torch.randn(1, 16, height, width, generator=torch.Generator().manual_seed(1))
    velocity = model.velocity(latent, Conditions(torch.tensor(700.0), torch.tensor(600.0), 2.5), branches)
    return velocity, model.next_token_logits(model.read([3], model.new_cache(1)))


@compiles
@minutes
def test_after_the_warm_up_no_prompt_and_no_size_compiles_anything(fp8_model: HunyuanImage3) -> None:
    cases = [
        {"num_text": num_text, "height": height, "width": width, "num_branches": num_branches}
        for num_text, height, width, num_branches in ((5, 4, 6, 2), (1, 2, 2, 1), (30, 8, 8, 2))
    ]
    eager = [outputs(fp8_model, **case) for case in cases]
    progress: list[tuple[int, int]] = []
    warm_up(fp8_model, height=4, width=4, on_progress=lambda *counts: progress.append(counts))
    assert progress == [(done, len(Region)) for done in range(len(Region) + 1)]
    with torch.compiler.set_stance("fail_on_recompile"):
        for case, expected in zip(cases, eager, strict=True):
            for ours, plain in zip(outputs(fp8_model, **case), expected, strict=True):
                # Measured: 0.010. The sums differ in their last bit, and rounding tokens to fp8 makes that more.
                assert relative_error(ours, plain) < 0.02
        fuse(set(Region) - {Region.SUM})
        for case, expected in zip(cases, eager, strict=True):
            for ours, plain in zip(outputs(fp8_model, **case), expected, strict=True):
                assert torch.equal(ours, plain)


def test_only_functions_of_fused_regions_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Callable[..., Any]] = []

    def stand_in(plain: Callable[..., Any], **_: object) -> Callable[..., Any]:
        compiled.append(plain)
        return plain

    monkeypatch.setattr(torch, "compile", stand_in)
    function, other = (Fusible(region, lambda x: 2 * x) for region in (Region.NORM, Region.GATE))
    fuse([Region.NORM])
    for _ in range(2):
        assert torch.equal(function(torch.ones(3)), torch.full((3,), 2.0))
        other(torch.ones(3))
    assert compiled == [function.plain]


def test_what_the_compiler_says_is_passed_on(tiny_model: HunyuanImage3, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise torch._dynamo.exc.BackendCompilerFailed(
            "inductor", RuntimeError("no C compiler\n" + 9999 * "line\n"), None
        )

    monkeypatch.setattr(fusion.Fusible, "_compiled", property(broken))
    with pytest.raises(CompilationFailed, match=r"region norm: .*no C compiler line") as raised:
        warm_up(tiny_model, height=4, width=4)
    assert len(str(raised.value)) < 600


def test_off_a_cpu_the_weighted_sum_becomes_no_product_of_matrices() -> None:
    import torch._inductor.config
    from torch._inductor.decomposition import select_decomp_table

    given = [each.to("meta") for each in arguments(weighted_sum, 9, torch.bfloat16)]
    operations = {}
    for name, options in (("plain", {}), ("as compiled", OPTIONS[Region.SUM])):
        with torch._inductor.config.patch(options):
            graph = make_fx(weighted_sum.plain, decomposition_table=select_decomp_table())(*given)
        operations[name] = {node.target for node in graph.graph.nodes}
    assert torch.ops.aten.bmm.default in operations["plain"]
    assert torch.ops.aten.bmm.default not in operations["as compiled"]


@compiles
@minutes
async def test_an_engine_compiles_before_it_is_ready_and_uses_the_kernels_of_an_earlier_start(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    options = WorkerOptions(model=tiny_checkpoint, device="cpu", precision="fp8", kernel_folder=tmp_path)
    kept = []
    for _ in range(2):
        reports = await reports_of_a_start(options)
        assert isinstance(reports[-1], Ready)
        regions = [Loading(stage=LoadStage.COMPILING, num_done=done, num_total=5) for done in range(6)]
        assert reports[-7:-1] == regions
        kept.append(files(tmp_path))
    assert any(path.suffix == ".so" for path in kept[0])
    assert kept[1] == kept[0]


async def reports_of_a_start(options: WorkerOptions) -> list[Loading | Ready | LoadFailed]:
    reports: list[Loading | Ready | LoadFailed] = []

    def on_load(report: Loading | Ready | LoadFailed) -> None:
        reports.append(report)
        if not isinstance(report, Loading):
            child.dismiss()

    child = Child(worker_command(options), limits=ChildLimits(), on_load=on_load)
    await child.run()
    return reports


def files(folder: Path) -> dict[Path, int]:
    """Every file and when it was written; locks are written at each start."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


@compiles
@minutes
def test_the_benchmark_records_every_region_alone_and_all_together(tmp_path: Path) -> None:
    options = argparse.Namespace(
        out=tmp_path,
        checkpoint="base",
        precision=Precision.FP8,
        device="cpu",
        tiny=True,
        layers=1,
        prompt_tokens=5,
        steps=1,
        budget=math.inf,
    )
    with torch.inference_mode():
        assert fusions.measure(options) == []
    values = {figure.name: figure.value for figure in read_record(tmp_path / "fusions-fp8.json").figures}
    cases = ["eager", *(f"{region} fused" for region in Region), "all fused", "eager again"]
    assert [name for name in values if name.startswith("a step, ")] == [f"a step, {case}" for case in cases]
    assert min(value for name, value in values.items() if name.startswith("a step, ")) > 0
    assert values["difference from eager, gate fused"] == 0
    assert 0 < values["difference from eager, sum fused"] < 0.02


def test_the_benchmarks_script_begins_nothing_after_its_time_and_fails(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "BUDGET_SECONDS": "0"}
    done = subprocess.run(
        ["sh", "benchmarks/fusions_gpu.sh", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 1
    assert "failed: 2" in done.stdout
    assert not list(tmp_path.iterdir())
