"""Health check of a container: exits with 0 when /readyz answers with the model that the image holds.

python -I healthy.py PORT SHA256
"""

import http.client
import json
import sys

_TIMEOUT_S = 4


def trouble(port: int, sha256: str) -> str:
    """What is wrong, or nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read(10_000)
        found = str(json.loads(body).get("sha256", "")) if answer.status == 200 else ""
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        return f"no answer at /readyz: {error!r}"
    finally:
        connection.close()
    return "" if found == sha256 else f"/readyz: status {answer.status}, model {found[:12]} instead of {sha256[:12]}"


if __name__ == "__main__":
    said = trouble(int(sys.argv[1]), sys.argv[2])
    print(said or "ready")
    sys.exit(1 if said else 0)
