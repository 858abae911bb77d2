#!/bin/sh
# A step eager and with fused regions, on one GPU, in at most eight minutes: `sh benchmarks/fusions_gpu.sh OUT`.
#
# Base with random weights: in fp8 with all 32 layers where the card has 105 GB, else with 16; in bfloat16 with 16 or 8
# layers, because all of them take 165 GB and fit no card that we know. Writes OUT/fusions-fp8.json and
# OUT/fusions-bfloat16.json; kernels go to OUT/kernels. Needs PyTorch, safetensors and a C compiler (Triton's) alone.
# Environment: PYTHON, BUDGET_SECONDS, and OPTIONS for more options of every case, such as `--tiny --device cpu`.
#
# Not yet run on a GPU.
set -u
out=${1:?give a folder for the figures}
python=${PYTHON:-python3}
ends=$(($(date +%s) + ${BUDGET_SECONDS:-480}))
failed=0
mkdir -p "$out"
# As an engine process compiles: see src/danqing/engine/worker.py.
TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$(cd "$out" && pwd)/kernels}
TORCHINDUCTOR_COMPILE_THREADS=${TORCHINDUCTOR_COMPILE_THREADS:-1}
export TORCHINDUCTOR_CACHE_DIR TORCHINDUCTOR_COMPILE_THREADS

measure() {
    left=$((ends - $(date +%s)))
    echo "== $*, $left s left"
    # shellcheck disable=SC2086
    if [ "$left" -lt 1 ] || ! PYTHONPATH=src:. timeout "$left" "$python" benchmarks/fusions.py --out "$out" "$@" ${OPTIONS:-}; then
        echo "== failed, or no time left"
        failed=$((failed + 1))
    fi
}

has_105_gb() {
    "$python" -c 'import sys, torch
gpu = torch.cuda.is_available()
sys.exit(gpu and torch.cuda.get_device_properties(0).total_memory < 105e9)'
}

if has_105_gb; then
    measure --precision fp8
    measure --precision bfloat16 --layers 16
else
    measure --precision fp8 --layers 16
    measure --precision bfloat16 --layers 8
fi
echo "failed: $failed"
[ "$failed" -eq 0 ]
