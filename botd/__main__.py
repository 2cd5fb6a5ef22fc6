"""`python -m botd` is the `botd` command."""

import sys

from botd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
