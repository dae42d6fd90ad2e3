#!/usr/bin/env bash
# Prepares everything and starts All-in-one. Options: --demo, --no-serve, --port N, --host ADDRESS, --open, --repair, --with-recogniser
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/launcher/run.sh" start "$@"
