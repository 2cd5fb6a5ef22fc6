#!/usr/bin/env bash
# Run a command with a Docker engine: `scripts/engine.sh COMMAND…`. The one that runs, or one of its own for as long as the
# command takes, from Debian's packages, with its images under .image/ so that the next run finds them.
#
# The command gets BOTD_DOCKER (the client) and BOTD_IMAGE_BASE (the base image). Where no registry can be reached, that base is a
# stand-in: a minimal Debian with a Python 3.12 of this machine. It tries every step of the Dockerfile, and not the published base.
set -euo pipefail
cd "$(dirname "$0")/.."

base=${BOTD_IMAGE_BASE:-$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)}
stand_in=botd-stand-in-python:3.12
kept=$PWD/.image
export DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-1}

say() { echo "engine: $*" >&2; }
fail() { echo "engine: $*" >&2; exit 2; }

install() {
    [[ $(id -u) == 0 ]] || fail "no Docker engine runs here; start one, or run this as root to have $* installed"
    command -v apt-get >/dev/null || fail "no Docker engine runs here; install and start one"
    say "installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

start_engine() {
    [[ $(id -u) == 0 ]] || fail "no Docker engine runs here; start one, or run this as root to have one of its own"
    command -v dockerd >/dev/null && [[ -x /usr/bin/docker ]] || install docker.io docker-compose iptables
    BOTD_DOCKER=/usr/bin/docker # a newer client may come first on PATH, without what it builds with
    run=$(mktemp -d /tmp/botd-engine.XXXXXX)
    export DOCKER_HOST=unix://$run/docker.sock
    mkdir -p "$kept"
    forward=$(iptables -S FORWARD 2>/dev/null | awk '$1 == "-P" { print $3 }') # the engine changes it
    say "starting an engine of its own (log: $run/log)"
    dockerd --data-root "$kept/root" --exec-root "$run/exec" -H "$DOCKER_HOST" -p "$run/pid" --bip 172.31.250.1/24 \
        >"$run/log" 2>&1 &
    engine=$!
    trap stop_engine EXIT
    for _ in $(seq 120); do
        "$BOTD_DOCKER" info >/dev/null 2>&1 && return
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.5
    done
    tail -n 5 "$run/log" >&2
    fail "the engine did not start; see above"
}

stop_engine() {
    kill "$engine" 2>/dev/null && wait "$engine" || true
    umount "$run/exec/netns/default" 2>/dev/null || true
    [[ -z $forward ]] || iptables -P FORWARD "$forward" 2>/dev/null || true
    ip link del docker0 2>/dev/null || true
    rm -rf "$run"
}

make_stand_in() {
    local python root=$kept/base
    python=${STAND_IN_PYTHON:-$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12.* 2>/dev/null | tail -n 1)}
    [[ -x $python/bin/python3.12 ]] ||
        fail "the base image $base cannot be had; name another by BOTD_IMAGE_BASE, or a Python 3.12 by STAND_IN_PYTHON=PREFIX"
    say "$base cannot be had: making a stand-in with the Python of $python"
    command -v mmdebstrap >/dev/null || install mmdebstrap
    mkdir -p "$kept"
    if [[ ! -f $kept/debian.tar ]]; then
        mmdebstrap --quiet --variant=minbase --include=ca-certificates,libsqlite3-0,libssl3,libffi8,zlib1g,libbz2-1.0,liblzma5,libreadline8,libncursesw6,libuuid1,libexpat1,netbase,tzdata \
            bookworm "$kept/debian.new.tar"
        mv "$kept/debian.new.tar" "$kept/debian.tar"
    fi
    rm -rf "$root"
    mkdir -p "$root/usr/local" "$root/etc/ssl/certs"
    tar -C "$python" --exclude=lib/python3.12/test --exclude=__pycache__ --exclude='lib/python3.12/site-packages/*' \
        --exclude='lib/*.a' -cf - bin lib include | tar -C "$root/usr/local" -xf -
    cp -a "$python"/lib/python3.12/site-packages/pip* "$root/usr/local/lib/python3.12/site-packages/"
    grep -rlI "^#!$python" "$root/usr/local/bin" | xargs -r sed -i '1s|^#!.*|#!/usr/local/bin/python3.12|'
    ln -sf python3.12 "$root/usr/local/bin/python"
    ln -sf python3.12 "$root/usr/local/bin/python3"
    # who builds behind a proxy of his own trusts what this machine trusts
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\ntimeout = 180\n' >"$root/etc/pip.conf"
    "$BOTD_DOCKER" import "$kept/debian.tar" botd-stand-in-debian >/dev/null
    printf 'FROM botd-stand-in-debian\nENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8\nCOPY . /\nRUN ldconfig\nCMD ["python3"]\n' |
        "$BOTD_DOCKER" build -q -t "$stand_in" -f - "$root" >/dev/null
    rm -rf "$root"
}

BOTD_DOCKER=$(command -v docker || true)
if [[ -z $BOTD_DOCKER ]] || ! "$BOTD_DOCKER" info >/dev/null 2>&1; then
    start_engine
fi
has() { "$BOTD_DOCKER" image inspect "$1" >/dev/null 2>&1; }
if ! has "$base"; then
    if has "$stand_in"; then
        base=$stand_in
    elif ! "$BOTD_DOCKER" pull -q "$base" >/dev/null 2>&1; then
        make_stand_in
        base=$stand_in
    fi
fi
export BOTD_DOCKER BOTD_IMAGE_BASE=$base
"$@"
