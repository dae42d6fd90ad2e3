#!/usr/bin/env bash
# Finds a Python 3.10-3.12 and hands over to the launcher package. start.sh and test.sh call this.
# PYTHON=/path/to/python chooses one.
set -u
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 1

check='import sys; sys.exit(sys.version_info[:2] not in [(3, 10), (3, 11), (3, 12)])'
for candidate in "${PYTHON:-}" python3.11 python3.12 python3.10 python3 python; do
    if [ -n "$candidate" ] && "$candidate" -E -c "$check" >/dev/null 2>&1; then
        # -E: variables such as PYTHONPATH of another project must not reach in.
        exec "$candidate" -E -X utf8 -m launcher "$@"
    fi
done

cat >&2 <<'MESSAGE'
[Error] Python 3.10, 3.11 or 3.12 was not found.
  Fix: install Python 3.11, then start again.
       Debian/Ubuntu: sudo apt install python3 python3-venv
       Fedora:        sudo dnf install python3.11
       macOS, others: https://www.python.org/downloads/
       Another place: PYTHON=/path/to/python3.11 bash start.sh
  解决：请安装 Python 3.11（https://www.python.org/downloads/），然后再次启动。
MESSAGE
exit 3
