"""`python -m diffret_core` is the same program as `diffret`."""

import sys

from diffret_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
