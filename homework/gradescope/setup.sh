#!/usr/bin/env bash
# Once, when the autograder is built. pip's default torch brings gigabytes of CUDA that the grader
# does not use, so torch comes from PyTorch's index of CPU builds; PIP_OPTIONS may name another.
set -eu
root="${AUTOGRADER_ROOT:-/autograder}"
apt-get update -qq && apt-get install -y -qq python3 python3-venv
python3 -m venv "$root/venv"
"$root/venv/bin/pip" install -q ${PIP_OPTIONS:---index-url https://download.pytorch.org/whl/cpu} torch numpy
chmod -R go-rwx "$root/source"
