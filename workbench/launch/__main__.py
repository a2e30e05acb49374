"""`python -m workbench.launch`: the worker of the queue."""

import sys

from workbench.launch.worker import main

if __name__ == "__main__":
    sys.exit(main())
