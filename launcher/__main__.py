"""Entry point of `python -m launcher`.

The version check comes before every other import and uses only syntax that very old interpreters read, so
that the wrong Python gives a sentence instead of a SyntaxError.
"""

import sys

from launcher import SUPPORTED

if sys.version_info[:2] not in SUPPORTED:
    sys.stderr.write(
        "[Error] All-in-one needs Python 3.10, 3.11 or 3.12; this is Python " + sys.version.split()[0] + ".\n"
        "  Fix: install Python 3.11 from https://www.python.org/downloads/ and start again.\n"
    )
    sys.exit(3)

from launcher.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
