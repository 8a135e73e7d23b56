"""Nothing is constructed that is not allowed, and nothing turns into something else; what is encrypted is so whole."""

from __future__ import annotations

import dataclasses
import enum
import pickle
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Interrupt
from pydantic import BaseModel

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from obsku_checkpoint.errors import (
    CheckpointCorruptionError,
    ConfigurationError,
    InvalidRecordError,
    SerializationError,
)
from tests.langgraph.steps import config_of, new_thread, put, values_at


class Colour(enum.Enum):
    RED = 1


class Model(BaseModel):
    name: str
    colour: Any = None


@dataclasses.dataclass
class Point:
    x: int
    inside: Any = None


ALLOWED = {"LANGGRAPH_TYPES": [f"{__name__}.{name}" for name in ("Colour", "Model", "Point")]}
VALUES = [Colour.RED, Model(name="a"), Point(1), [Colour.RED], {"a": Point(1)}, HumanMessage("x", extra=Colour.RED)]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_type_that_is_not_allowed_is_refused_when_it_is_written(saver: DjangoSaver, value: Any) -> None:
    config = config_of(new_thread())
    with pytest.raises(SerializationError, match=rf"^state: the type {__name__}\.\w+ is not allowed") as error:
        put(saver, config, {"state": value})
    assert "LANGGRAPH_TYPES" in str(error.value)
    with pytest.raises(SerializationError, match=r"^state: the type"):
        saver.put_writes(config_of(new_thread(), checkpoint_id="1"), [("state", value)], "task")
    assert saver.get_tuple(config) is None


@pytest.mark.parametrize("value", VALUES[:-1], ids=repr)
def test_a_type_that_the_project_allows_comes_back(alias: str, value: Any) -> None:
    with override_settings(OBSKU_CHECKPOINT=ALLOWED):
        allowing = DjangoSaver(alias)
    config = put(allowing, config_of(new_thread()), {"state": value})
    assert values_at(allowing, config) == {"state": value}
    with pytest.raises(CheckpointCorruptionError, match="is not allowed"):
        DjangoSaver(alias).get_tuple(config)


def test_what_stands_inside_an_allowed_type_is_looked_at(alias: str) -> None:
    with override_settings(OBSKU_CHECKPOINT={"LANGGRAPH_TYPES": ALLOWED["LANGGRAPH_TYPES"][1:]}):
        saver = DjangoSaver(alias)
    for value in (Model(name="a", colour=Colour.RED), Point(1, Colour.RED), [{"a": {Colour.RED}}]):
        with pytest.raises(SerializationError, match="Colour is not allowed"):
            put(saver, config_of(new_thread()), {"state": value})


def test_langgraph_may_allow_the_types_of_its_graph(alias: str) -> None:
    saver = DjangoSaver(alias).with_allowlist([(__name__, "Point")])
    assert isinstance(saver, DjangoSaver)
    config = put(saver, config_of(new_thread()), {"state": Point(1)})
    assert values_at(saver, config) == {"state": Point(1)}


def test_a_type_without_a_name_of_its_own_is_refused(saver: DjangoSaver) -> None:
    local = dataclasses.make_dataclass("Local", ["x"])
    allowing = saver.with_allowlist([(local.__module__, "Local")])
    assert isinstance(allowing, DjangoSaver)
    with pytest.raises(SerializationError, match="cannot be imported by its name"):
        put(allowing, config_of(new_thread()), {"state": local(1)})


def test_no_pickle() -> None:
    serde = JsonPlusSerializer(pickle_fallback=True)
    for unsafe in (serde, EncryptedSerializer(NoCipher(), serde)):
        with pytest.raises(ConfigurationError, match="pickle"):
            DjangoSaver(serde=unsafe)


def test_a_stored_pickle_is_not_read(saver: DjangoSaver, alias: str) -> None:
    config = put(saver, config_of(new_thread()), {"state": "x" * 100})
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "UPDATE langgraph_blobs SET type = 'pickle', data = %s WHERE session_id = %s",
            [pickle.dumps("x"), config["configurable"]["thread_id"]],
        )
    with pytest.raises(CheckpointCorruptionError, match=r"langgraph_checkpoints\[.*\].state"):
        saver.get_tuple(config)


class NoCipher:
    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "none", plaintext

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        return ciphertext


def test_nothing_that_is_encrypted_stands_anywhere_in_clear(alias: str) -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef")
    saver = DjangoSaver(alias, serde=serde)
    assert saver.projection == "session"
    secret = "SECRET"
    thread = new_thread()
    messages = [HumanMessage(secret, id=f"{number}") for number in range(10)]
    values = {"small": secret, "text": secret * 20, "messages": messages, "many": [secret] * 10, "big": 2**70}
    config = put(saver, config_of(thread), values)
    saver.put_writes(config, [("a", secret), ("__interrupt__", (Interrupt(secret),))], "task")
    assert values_at(saver, config) == values
    stored = b"".join(everything(alias, thread))
    assert len(stored) > 500
    assert secret.encode() not in stored
    assert secret.encode().hex().encode() not in stored


def everything(alias: str, thread: str) -> list[bytes]:
    """All columns of all rows of the session."""
    values = []
    with connections[alias].cursor() as cursor:
        for table in connections[alias].introspection.table_names(cursor):
            columns = {column.name for column in connections[alias].introspection.get_table_description(cursor, table)}
            key = "session_id" if "session_id" in columns else "id" if table == "sessions" else None
            if key:
                cursor.execute(f"SELECT * FROM {table} WHERE {key} = %s", [thread])
                values += [bytes(one) if isinstance(one, bytes | memoryview) else str(one).encode()
                           for row in cursor.fetchall() for one in row]  # fmt: skip
    return values


def test_a_value_above_the_limit_is_refused_and_names_its_channel(alias: str) -> None:
    saver = DjangoSaver(alias, max_value_bytes=1000)
    config = put(saver, config_of(new_thread()), {"state": "x" * 900})
    for value in ("x" * 1100, ["x" * 100] * 20):
        with pytest.raises(InvalidRecordError, match=r"^state: has a value of"):
            put(saver, config, {"state": value})
        with pytest.raises(InvalidRecordError, match=r"^state: has a value of"):
            saver.put_writes(config, [("state", value)], "task")


def test_a_missing_element_is_said(saver: DjangoSaver, alias: str) -> None:
    config = put(saver, config_of(new_thread()), {"messages": [AIMessage(str(n), id=str(n)) for n in range(20)]})
    with connections[alias].cursor() as cursor:
        cursor.execute("DELETE FROM langgraph_items WHERE session_id = %s", [config["configurable"]["thread_id"]])
    with pytest.raises(CheckpointCorruptionError, match="an element is missing"):
        saver.get_tuple(config)
