#!/usr/bin/env bash
# Run the tests on a real cluster: boot one from nothing, build the image, install, try, end it.
#   tests/e2e/run.sh core|all [options of pytest]
#   RECIO_E2E_CLUSTER=current|kind|k3s|source   which cluster (tests/e2e/kubernetes/elsewhere.py)
#   KEEP=1   leave the cluster running; the next run begins with a fresh one all the same
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ $# -eq 0 ] || [ "$1" = --help ]; then sed -n '2,5s/^# *//p' "$0"; exit 0; fi

suite=$1
shift
python=$PWD/.venv/bin/python
cluster() { "$python" -m tests.e2e.cluster "$@"; }
step() { echo "==> $(date -u +%H:%M:%S) $1"; }

kind=$(cluster which)
if [ "$kind" != source ]; then
    step "Tests: $suite, on the cluster: $kind"
    exec "$python" -m tests.e2e.kubernetes.elsewhere "$suite" "$@"
fi

step "Image and what runs beside it"
"$python" -m tests.e2e.kubernetes.product_image --suite "$suite" --build-only
step "Cluster"
cluster down
if [ -z "${KEEP:-}" ]; then trap 'step "The end"; cluster down' EXIT; fi
cluster up --without-cnpg
"$python" -m tests.e2e.kubernetes.product_image --suite "$suite"
step "Tests: $suite"
cluster run -- env RECIO_E2E="$suite" "$python" -m pytest tests/e2e/kubernetes -v --durations=0 \
    --durations-min=1 -o faulthandler_timeout=1800 "$@"
