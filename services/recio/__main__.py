"""``python -m recio`` is the command ``recio``."""

import sys

from recio.cli import main

sys.exit(main())
