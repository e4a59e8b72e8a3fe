#!/usr/bin/env bash
# Chromium for the tests of the web pages, on Debian and its kin, as root; does nothing where it is there already.
set -euo pipefail
command -v chromium >/dev/null && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
