"""nginx's configuration of one deployment: it passes everything on to the live slot, and answers nothing otherwise."""

from __future__ import annotations

import json
import math

from pizzeria.spec.stages import Serving
from pizzeria_plugins.targets.vm_agent.front import FRONT
from pizzeria_plugins.targets.vm_options import Options

_IDLE_S = 4
"""Less than the 5 s after which a service closes an idle connection: a request must not meet a closing one."""


def front_template(name: str, serving: Serving, options: Options) -> str:
    """The text with @SERVERS@, @LOG@ and @GENERATION@ in it, which the machine fills.

    A body that is a little too large passes, so that the service itself refuses it; one that is much too large is
    refused here, with the same answer.
    """
    listen = f"[{options.listen}]" if ":" in options.listen else options.listen
    tls = "" if options.tls_certificate is None else " ssl"
    certificate = (
        ""
        if not tls
        else (
            f"    ssl_certificate {options.tls_certificate};\n    ssl_certificate_key {options.tls_key};\n"
            "    ssl_protocols TLSv1.2 TLSv1.3;\n"
        )
    )
    most = f"{serving.max_body_mb:g} MB"
    too_large = _error("too_large", f"the body is larger than {most}", f"send at most {most}")
    away = _error("unreachable", "the service gives no answer", "come again in a second")
    limit_kb = math.ceil(serving.max_body_mb * 1000 * 1.05) + 1024
    wait_s = math.ceil(serving.timeout_s) + 5
    named = f"    server_name {options.server_name};\n" if options.server_name else "    server_name _;\n"
    return f"""\
# Written by Pizzeria for the deployment {name}, and again with each change; what is changed here by hand is lost.
upstream pizzeria_{name} {{
    zone pizzeria_{name} 128k;
@SERVERS@
    keepalive 32;
    keepalive_timeout {_IDLE_S}s;
}}
log_format pizzeria_{name} '$upstream_addr\\t$upstream_status\\t$upstream_response_time\\t$uri';
server {{
    listen {listen}:{options.listen_port}{tls};
{named}{certificate}    server_tokens off;
@LOG@
    client_max_body_size {limit_kb}k;
    client_body_buffer_size 1m;
    large_client_header_buffers 4 16k;
    gzip on;
    gzip_types application/json text/css application/javascript text/plain;
    gzip_proxied any;
    gzip_min_length 1024;
    location / {{
        proxy_pass http://pizzeria_{name};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_connect_timeout 5s;
        proxy_send_timeout {wait_s}s;
        proxy_read_timeout {wait_s}s;
        proxy_next_upstream error timeout;
        proxy_next_upstream_tries 2;
        error_page 413 @too_large;
        error_page 502 504 @unreachable;
    }}
    location = {FRONT} {{
        access_log off;
        default_type text/plain;
        return 200 "@GENERATION@ $pid";
    }}
    location @too_large {{
        internal;
        default_type application/json;
        return 413 '{too_large}';
    }}
    location @unreachable {{
        internal;
        default_type application/json;
        add_header Retry-After 1 always;
        return 502 '{away}';
    }}
}}
"""


def _error(code: str, message: str, hint: str) -> str:
    return json.dumps({"error": {"code": code, "message": message, "hint": hint}}, separators=(",", ":"))
