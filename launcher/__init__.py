"""The start, demo and test scripts, in Python. Standard library only.

`start.sh`, `start.bat`, `test.sh` and `test.bat` find an interpreter and hand over to this package. It runs
twice: first in the system's Python, where it makes the virtual environment and installs into it, then inside
that environment (`python -m launcher run ...`), where it may import the product.
"""

# Read by the check in __main__, which must work in any interpreter: no annotations in this file.
SUPPORTED = ((3, 10), (3, 11), (3, 12))
