#!/bin/sh
# Write the lock files: exact versions with hashes, for every platform and Python that pyproject.toml allows, and no index's address.
set -eu
cd "$(dirname "$0")/.."
compile() {
    out=$1
    shift
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --custom-compile-command "make lock" -o "requirements/$out" "$@"
}
compile run.lock pyproject.toml --extra ui --extra live "$@"
compile tools.lock requirements/tools.in --constraint requirements/run.lock "$@"
compile dev.lock pyproject.toml --extra ui --extra live --group dev --constraint requirements/run.lock --constraint requirements/tools.lock "$@"
if grep -nE '://' requirements/*.lock; then
    echo "lock: an address got into a lock file" >&2
    exit 1
fi
