#!/bin/sh
# Installs the command plastimatch of Debian and Ubuntu; without it the benchmark goes on without this peer.

command -v plastimatch >/dev/null && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends plastimatch && exit 0
    echo "The Debian package plastimatch could not be installed; the benchmark goes on without it." >&2
else
    echo "The benchmark goes on without plastimatch: only root on Debian or Ubuntu can install its package." >&2
fi
exit 0
