#!/usr/bin/env bash
# Makes the test environment and runs every check. Options: --quick, --repair; other arguments go to pytest.
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/launcher/run.sh" test "$@"
