"""``python -m styleaug``."""

import sys

from styleaug.cli import main

sys.exit(main())
