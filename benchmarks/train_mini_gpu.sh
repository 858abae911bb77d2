#!/bin/sh
# More learning for the shipped `mini` on one GPU, in at most eight minutes: `sh benchmarks/train_mini_gpu.sh OUT`.
#
# Continues at a tenth of the rates, on hard scenes that other processes draw meanwhile. Writes OUT/transformer.jsonl (the
# losses) and OUT/mini, whose choice of a size must be fitted afterwards (`python -m mini.train.run size-choice`); judge
# it before it is shipped. Needs the development packages and the emoji font, which FONT may name.
# Environment: PYTHON, FONT, BUDGET_SECONDS, BATCH_SIZE, DRAWING_PROCESSES, and OPTIONS instead of `--device cuda --fused`.
#
# Not yet run on a GPU.
set -eu
out=${1:?give a folder for the checkpoint}
python=${PYTHON:-python3}
budget=${BUDGET_SECONDS:-480}
shipped=src/danqing/checkpoints/mini
export PYTHONPATH=src:. OMP_NUM_THREADS=1
mkdir -p "$out"
if [ -n "${FONT:-}" ]; then
    mkdir -p ~/.local/share/fonts
    cp "$FONT" ~/.local/share/fonts/
fi

"$python" -m mini.train.run code --workdir "$out" --shipped
"$python" -m mini.train.run shards --workdir "$out" --first 2000000 --count 100000 --tries 2 \
    --num-processes "${DRAWING_PROCESSES:-$(($(nproc) - 2))}" > "$out/shards.log" 2>&1 &
drawing=$!
trap 'kill "$drawing" 2> /dev/null || true' EXIT
while ! ls "$out"/shards/shard-*.pt > /dev/null 2>&1; do
    kill -0 "$drawing" || { cat "$out/shards.log"; exit 1; }
    sleep 1
done
# The rest of the time is for the first shard, the imports and the export.
# shellcheck disable=SC2086
"$python" -m mini.train.run transformer --workdir "$out" --checkpoint "$shipped" --batch-size "${BATCH_SIZE:-768}" \
    --seconds $((budget * 3 / 4)) ${OPTIONS:---device cuda --fused}
kill "$drawing"
"$python" -m mini.train.run export --workdir "$out" --checkpoint "$shipped"
[ ! -f "$out/transformer.jsonl" ] || tail -n 3 "$out/transformer.jsonl"  # Written every twenty steps.
rm -rf "$out/shards" "$out/transformer.pt" "$out/snapshots"
