"""Makes `synthetic`, which the tests of trainers share, importable."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
