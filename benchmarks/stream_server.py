"""The ASGI server that `stream.py` and `overload.py` measure: on the listening socket whose number is its argument.

With a second argument it has the tenants of `rest_user.py`.
"""

from __future__ import annotations

import logging
import os
import socket
import sys

import uvicorn
from django.core.asgi import get_asgi_application

from benchmarks.rest import configure

if __name__ == "__main__":
    if len(sys.argv) > 2:
        configure(
            os.environ["POSTGRES_URL"], "benchmarks.rest_user.Tenant", WORKSPACE_SCOPE="benchmarks.rest_user.workspaces"
        )
    else:
        configure(os.environ["POSTGRES_URL"], STREAMS_PER_USER=10_000)
    logging.disable(logging.WARNING)
    config = uvicorn.Config(get_asgi_application(), log_level="warning", timeout_graceful_shutdown=1)
    # uvicorn's own --fd takes the socket for one that is not TCP's, and leaves Nagle's algorithm on.
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
