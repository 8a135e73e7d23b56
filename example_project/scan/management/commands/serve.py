"""What `make serve` does: the admin with runs in it, on this machine."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from example_project import showcase
from obsku_checkpoint.store import DjangoCheckpointStore

USER = "admin"


class Command(BaseCommand):
    help = "Serve the admin on this machine, with runs to look at, and print the address and a login."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "address", nargs="?", default="127.0.0.1:8000", help="address and port (default: %(default)s)"
        )
        parser.add_argument(
            "--delay", type=float, default=0.05, metavar="SECONDS", help="for each file of the scans that are made"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        store = DjangoCheckpointStore()
        if not showcase.is_made(store):
            self.stdout.write("Making runs to look at …")
            logging.disable(logging.ERROR)  # one of them fails, as it should
            showcase.make(store, options["delay"])
            logging.disable(logging.NOTSET)
        # A new password each time: none is written down anywhere.
        password = secrets.token_urlsafe(9)
        users = get_user_model()._default_manager
        user, _ = users.get_or_create(username=USER, defaults={"is_staff": True, "is_superuser": True})
        user.set_password(password)
        user.save()
        self.stdout.write(f"\n  http://{options['address']}/\n  user {USER}, password {password}\n")
        # Django serves static files for development only; DEBUG would log all queries of the agents.
        call_command("runserver", options["address"], use_reloader=False, insecure_serving=True)
