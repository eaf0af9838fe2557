"""python -m apps TASK VERB."""

import sys

from apps.cli import main

sys.exit(main(sys.argv[1:]))
