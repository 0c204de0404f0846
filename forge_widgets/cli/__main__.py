"""``python -m forge_widgets.cli``: the command line where the console script is not on the path."""

import sys

from forge_widgets.cli import main

sys.exit(main())
