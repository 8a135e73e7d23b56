"""A graph of LangGraph is killed, goes on in another process, asks, is answered in the admin, and is forked there."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.test import Client
from django.urls import reverse
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig

from example_project.orders.agent import graph
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store import DjangoCheckpointStore

PATIENCE_SECONDS = 30.0


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--thread", help="run this thread, in this process, until it ends or asks")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["thread"]:
            self.run_graph(options["thread"])
            return
        self.store = DjangoCheckpointStore()
        call_command("migrate", verbosity=0)
        thread = f"order-{uuid.uuid4().hex[:8]}"

        self.step("1. A process runs the graph, and is killed in the middle")
        self.start_and_kill(thread)
        done = self.messages(thread)

        self.step("2. Another process goes on from the last checkpoint")
        self.announce(f"manage.py langgraph_demo --thread {thread}")
        subprocess.run(self.command_line(thread), cwd=settings.BASE_DIR, check=True, stdout=subprocess.DEVNULL)
        self.stdout.write(f"   {done} messages were there, {self.messages(thread)} are there now; none was said twice.")
        asked = self.newest(thread)
        self.stdout.write(f"   It asks: {asked.node_results[asked.node_id or '']['interrupt']['reason']}")

        self.step("3. Somebody answers in the admin: send it")
        admin = self.signed_in()
        self.post(admin, asked.id, "answer", option="0")
        self.stdout.write(f"   {self.last_words(thread)}")

        self.step("4. Somebody forks the question in the admin, and answers otherwise")
        self.post(admin, asked.id, "fork", title=f"{thread}, otherwise")
        (fork,) = self.store.search_sessions(f"{thread}, otherwise")
        self.post(admin, self.newest(fork.id).id, "answer", option="1")
        self.stdout.write(f"   In the fork: {self.last_words(fork.id)}")
        self.stdout.write(f"   In the first: {self.last_words(thread)}")

        self.step("5. What could be pruned")
        self.announce("manage.py checkpoints prune --keep-last 1 --dry-run")
        call_command("checkpoints", "prune", "--keep-last", "1", "--dry-run", stdout=self.stdout)
        self.stdout.write("\nLook at both in the admin: manage.py serve")

    # -- the parts

    def run_graph(self, thread: str) -> None:
        config: RunnableConfig = {"configurable": {"thread_id": thread}}
        begun = graph.get_state(config).values
        graph.invoke(None if begun else {"messages": [HumanMessage("What does my order cost?")]}, config)

    def start_and_kill(self, thread: str) -> None:
        self.announce(f"manage.py langgraph_demo --thread {thread}")
        child = subprocess.Popen(self.command_line(thread), cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while self.messages(thread) < 3:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise CommandError("The graph could not be killed in the middle.")
                time.sleep(0.02)
        finally:
            child.kill()
            child.wait()
        self.stdout.write(f"   Killed, with {self.messages(thread)} messages in the database.")

    def command_line(self, thread: str) -> list[str]:
        return [sys.executable, str(settings.BASE_DIR / "manage.py"), "langgraph_demo", "--thread", thread]

    def signed_in(self) -> Client:
        """A browser of somebody who may do everything."""
        user, _ = get_user_model().objects.get_or_create(
            username="langgraph-demo", defaults={"is_staff": True, "is_superuser": True}
        )
        client = Client(headers={"host": "localhost"})
        client.force_login(user)
        return client

    def post(self, admin: Client, checkpoint_id: str, page: str, **form: str) -> None:
        address = reverse(f"admin:obsku_checkpoint_checkpoint_{page}", args=[checkpoint_id])
        response = admin.post(address, form)
        if response.status_code != 302:
            raise CommandError(f"{address} answered {response.status_code}")

    def newest(self, session_id: str) -> CheckpointRecord:
        checkpoint = self.store.get_latest_checkpoint(session_id, namespace="")
        if checkpoint is None:
            raise CommandError(f"The session {session_id} has no checkpoint.")
        return checkpoint

    def messages(self, session_id: str) -> int:
        return len(self.store.get_messages(session_id))

    def last_words(self, session_id: str) -> str | None:
        return self.store.get_messages(session_id, limit=1)[0].content

    def step(self, title: str) -> None:
        self.stdout.write(f"\n{title}")

    def announce(self, command: str) -> None:
        self.stdout.write(f"   $ {command}")
