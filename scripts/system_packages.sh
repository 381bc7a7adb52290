#!/usr/bin/env bash
# Installs the Debian packages that some tests need, where this machine lets us.
# Without them those tests skip and say so; nothing else needs a system package.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
while read -r package; do
  [ -z "$package" ] || dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done < <(sed 's/#.*//' requirements/debian-packages.txt)
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Not installed: ${missing[*]}. Tests that need them will be skipped and counted." >&2
  exit 0
fi
echo "Installing for the tests: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
