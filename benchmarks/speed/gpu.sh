#!/usr/bin/env bash
# Measure on a GPU all that benchmarks/speed measures, in one call of under 5 minutes.
#
#   benchmarks/speed/gpu.sh OUT
#
# OUT gets a result and a log of each part. Every part has its own limit of time and writes what it
# has as it goes, so that one that fails or is cut off takes nothing from the others. To keep a
# result, copy OUT/NAME.json to benchmarks/results/speed/.
#
# Environment: PYTHON, and for a trial without a GPU DEVICE=cpu with small SIZES, such as
#   DEVICE=cpu SIZES=32 STEP_BATCHES=2 ROUNDS=1 SCALE=0.02 PACKS=base benchmarks/speed/gpu.sh OUT
set -u

if [ $# -ne 1 ]; then
  echo "usage: benchmarks/speed/gpu.sh OUT" >&2
  exit 2
fi
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 2
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2

python=${PYTHON:-python3}
read -ra sizes <<< "${SIZES:-256 512 1024 2048 224}" # the most telling first
read -ra packs <<< "${PACKS:-}"
common=(--device "${DEVICE:-cuda}" --threads "${THREADS:-4}" ${packs:+--packs "${packs[@]}"})
batches=()
if [ -n "${STEP_BATCHES:-}" ]; then
  read -ra given <<< "$STEP_BATCHES"
  batches=(--batches "${given[@]}" --size "${sizes[0]}")
fi
failed=()

measure() { # measure NAME SECONDS MODULE [OPTION...]
  local name=$1 seconds=$2 module=$3 start=$SECONDS
  shift 3
  if timeout "$seconds" "$python" -m "$module" "${common[@]}" --out "$out/$name.json" "$@" \
    > "$out/$name.log" 2>&1; then
    echo "$name: done in $((SECONDS - start)) s"
  else
    echo "$name: failed or cut off after $((SECONDS - start)) s; see $out/$name.log"
    failed+=("$name")
  fi
}

measure gpu 110 benchmarks.speed --sizes "${sizes[@]}" --rounds "${ROUNDS:-20}" --limit 1
measure step-gpu 75 benchmarks.speed.step --rounds "${ROUNDS:-6}" "${batches[@]}"
measure profile-gpu 45 benchmarks.speed.profile --size "${sizes[0]}" --rounds "${ROUNDS:-20}" \
  --scale "${SCALE:-1}"
measure scaling-gpu 60 benchmarks.speed.scaling ${SIZES:+--sizes "${sizes[@]}"} \
  --rounds "${ROUNDS:-6}" --limit 1

ls "$out"
[ ${#failed[@]} -eq 0 ]
