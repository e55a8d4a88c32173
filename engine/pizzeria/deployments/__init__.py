"""Puts bundles live, and says how they are: what the stage `deploy` and the commands around it share.

release          from a run to what a target needs to know
places           where bundles of a name are; asks their targets
turn             one command at a time
live             deploy, promote, roll back, stop
rollout          taking over in steps
reconciliation   after a kill: what became of it
overview         what is deployed now
history, diff    what was, and how two deployments differ
signatures       what is signed, and must be to go live
rendering        what a target would do, as text and as files
"""

from pizzeria.deployments.live import champion, known, put_live, restore, roll_back, stop
from pizzeria.deployments.overview import Deployed, deployed
from pizzeria.deployments.places import status_of
from pizzeria.deployments.release import Packed, log_folder, packed, release_of, state_folder
from pizzeria.deployments.signatures import require_signed, sign_packed
from pizzeria.deployments.turn import turn

__all__ = [
    "Deployed",
    "Packed",
    "champion",
    "deployed",
    "known",
    "log_folder",
    "packed",
    "put_live",
    "release_of",
    "require_signed",
    "restore",
    "roll_back",
    "sign_packed",
    "state_folder",
    "status_of",
    "stop",
    "turn",
]
