"""The ASGI application that `stream.py` measures."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from benchmarks.rest import configure

configure(os.environ["POSTGRES_URL"])
application = get_asgi_application()
