"""`python -m transfer_core` is `transfer-lab`."""

import sys

from transfer_core.cli import main

sys.exit(main())
