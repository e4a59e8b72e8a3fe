#!/usr/bin/env bash
# Build substitutes for the images that compose.yaml pulls, from Debian's packages and this project's tools, under the
# same tags: for a machine without access to an image registry. Needs root, debootstrap, a Docker engine ($DOCKER_HOST)
# and .venv. The base image trusts this machine's certificates: do not publish images built on it.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${1:?a folder for the file systems}
weed=.venv/bin/weed
mkdir -p "$work"

if [ ! -e "$work/python/usr/bin/python3" ]; then
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates trixie "$work/python"
fi
ln -sf python3 "$work/python/usr/bin/python"
cp /etc/ssl/certs/ca-certificates.crt "$work/python/etc/ssl/certs/ca-certificates.crt"
tar -C "$work/python" --exclude=./proc/* --exclude=./sys/* -c . \
  | docker import --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' - python:3.13-slim

if [ ! -e "$work/servers/usr/bin/valkey-server" ]; then
  rm -rf "$work/servers"
  cp -a "$work/python" "$work/servers"
  cp /etc/resolv.conf "$work/servers/etc/resolv.conf"
  cp /usr/sbin/policy-rc.d "$work/servers/usr/sbin/" 2>/dev/null || true
  chroot "$work/servers" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive chroot "$work/servers" \
    apt-get install -y -qq --no-install-recommends postgresql valkey-server valkey-tools wget python3-aiosmtpd prometheus
fi
tar -C "$work/servers" --exclude=./proc/* --exclude=./sys/* -c . | docker import - imageblur-rehearsal/servers

cp "$weed" deploy/rehearsal/images/weed
trap 'rm -f deploy/rehearsal/images/weed' EXIT
build() { docker build --quiet --file "deploy/rehearsal/images/$1.Dockerfile" --tag "$2" deploy/rehearsal/images; }
build postgres postgres:18
build valkey valkey/valkey:9
build s3 chrislusf/seaweedfs:4.48
build mail axllent/mailpit:v1.27
build prometheus prom/prometheus:v3.5.0
