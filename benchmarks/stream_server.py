"""The ASGI server that `stream.py` measures, on the listening socket whose number is its argument."""

from __future__ import annotations

import os
import socket
import sys

import uvicorn
from django.core.asgi import get_asgi_application

from benchmarks.rest import configure

if __name__ == "__main__":
    configure(os.environ["POSTGRES_URL"])
    config = uvicorn.Config(get_asgi_application(), log_level="warning", timeout_graceful_shutdown=1)
    # uvicorn's own --fd takes the socket for one that is not TCP's, and leaves Nagle's algorithm on.
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
