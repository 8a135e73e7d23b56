"""What a framework wrote of each message. The database deletes it with the message."""

from __future__ import annotations

from django.db import models

from obsku_checkpoint.fields import SessionForeignKey
from obsku_checkpoint.models import Message


class Original(models.Model):
    row = SessionForeignKey(Message, primary_key=True, related_name="+")
    #: whose JSON it is
    format = models.TextField()
    data = models.TextField()

    class Meta:
        db_table = "originals"

    def __str__(self) -> str:
        return f"{self.format} original of message {self.pk}"
