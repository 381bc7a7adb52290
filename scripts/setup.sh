#!/usr/bin/env bash
# Makes .venv and installs what is pinned in requirements/constraints.txt.
# CUDA=1 takes the registry's CUDA build of torch; otherwise a CPU build is found.
# EXTRAS=name,name installs more of pyproject's extras.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
"$python" - <<'PY' || { echo "Phonoloop needs Python 3.11 or newer. Set PYTHON=/path/to/python3.11 and run make again." >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY

extras="train,espeak,vectors,postgres,dev${EXTRAS:+,$EXTRAS}"
stamp=.venv/.installed-${EXTRAS:-base}
want=$(cat pyproject.toml requirements/constraints.txt scripts/setup.sh | cksum; echo "CUDA=${CUDA:-0}")
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

echo "Setting up .venv (once; about a minute, more on a slow line)"
[ -x .venv/bin/python ] || "$python" -m venv .venv || {
  echo "python -m venv failed. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
pip=(.venv/bin/python -m pip --disable-pip-version-check install -qq --constraint requirements/constraints.txt)
torch=$(grep '^torch==' requirements/constraints.txt)

if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
  if [ "${CUDA:-0}" = 1 ]; then
    "${pip[@]}" "$torch"
  elif .venv/bin/python -m pip install --quiet --dry-run --no-index --no-deps "$torch" >/dev/null 2>&1; then
    "${pip[@]}" "$torch"
  else  # uv knows where the CPU builds are
    "${pip[@]}" uv
    .venv/bin/uv pip install --quiet --python .venv/bin/python --torch-backend cpu "$torch"
  fi
fi
"${pip[@]}" --editable ".[$extras]"
echo "$want" > "$stamp"
