"""What travels to where a model is deployed: the bundle, Pizzeria itself as a wheel, and the lock of what both need.

For targets, built in or of plugin authors. All of it is reproducible: the same release gives the same bytes.
"""

from pizzeria.shipment.archive import content_hash, write_zip
from pizzeria.shipment.elsewhere import elsewhere
from pizzeria.shipment.locks import LOCKS, read_lock
from pizzeria.shipment.needs import keeps_local_files, log_lock, secret_names, values_of
from pizzeria.shipment.payload import Payload, check_bundle, write_payload
from pizzeria.shipment.wheel import wheel_files, wheel_name, write_wheel

__all__ = [
    "LOCKS",
    "Payload",
    "check_bundle",
    "content_hash",
    "elsewhere",
    "keeps_local_files",
    "log_lock",
    "read_lock",
    "secret_names",
    "values_of",
    "wheel_files",
    "wheel_name",
    "write_payload",
    "write_wheel",
    "write_zip",
]
