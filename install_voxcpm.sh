#!/usr/bin/env bash
# Installs the voice cloning engine VoxCPM2 (NVIDIA GPU). Options: --plan, --fastest-mirrors, --torch, --gpu, --repair
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/launcher/run.sh" install voxcpm "$@"
