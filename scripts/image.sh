#!/bin/sh
# Build the image, as `botd` unless named otherwise by IMAGE. `scripts/engine.sh` tells of another base where there is one.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' botd/__init__.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
exec "${BOTD_DOCKER:-docker}" build ${BOTD_IMAGE_BASE:+--build-arg "PYTHON_IMAGE=$BOTD_IMAGE_BASE"} \
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision" -t "${IMAGE:-botd}" "$@" .
