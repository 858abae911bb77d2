#!/bin/sh
# All measurements of the full size on one GPU, in at most eight minutes: `sh benchmarks/full_size_gpu.sh OUT`.
#
# Distil with random weights in int4: resident, then within 24 GB and 12 GB of the card with the rest in pinned host
# memory; base in fp8, resident, where the card has room. Each case writes
# OUT/CASE/full_size.json. The folder in int4 takes 50 GB of disk and is deleted. Needs PyTorch and safetensors alone.
# Environment: PYTHON, BUDGET_SECONDS, and OPTIONS for more options of every case, such as `--tiny --device cpu`.
#
# Not yet run on a GPU.
set -u
out=${1:?give a folder for the figures}
python=${PYTHON:-python3}
ends=$(($(date +%s) + ${BUDGET_SECONDS:-480}))
folder=$out/distil-int4
failed=0
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

measure() {
    case=$1
    shift
    left=$((ends - $(date +%s)))
    echo "== $case, $left s left"
    # shellcheck disable=SC2086
    if [ "$left" -lt 1 ] || ! PYTHONPATH=src:. timeout "$left" "$python" benchmarks/full_size.py --out "$out/$case" "$@" ${OPTIONS:-}; then
        echo "== $case: failed, or no time left"
        failed=$((failed + 1))
    fi
}

fits_fp8() {
    "$python" -c 'import sys, torch
gpu = torch.cuda.is_available()
sys.exit(gpu and torch.cuda.get_device_properties(0).total_memory < 105e9)'
}

measure int4 --folder "$folder"
measure int4-24gb --folder "$folder" --device-memory 24
measure int4-12gb --folder "$folder" --device-memory 12
rm -rf "$folder"
if fits_fp8; then
    measure fp8 --checkpoint base --precision fp8
else
    echo "== fp8: not measured, the card has less than 105 GB"
fi
echo "failed: $failed"
[ "$failed" -eq 0 ]
