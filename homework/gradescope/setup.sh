#!/usr/bin/env bash
# Once, when the autograder is built. PIP_OPTIONS may name another index, for torch's CPU builds.
set -eu
root="${AUTOGRADER_ROOT:-/autograder}"
apt-get update -qq && apt-get install -y -qq python3 python3-venv
python3 -m venv "$root/venv"
"$root/venv/bin/pip" install -q ${PIP_OPTIONS:-} -r "$root/source/requirements.txt"
chmod -R go-rwx "$root/source"
