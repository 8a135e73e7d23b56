"""Edit the output of a node and fork: what follows from it runs again, as if the node had said so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint import codec, run_state
from obsku_checkpoint.admin.checkpoint.fork import Fork, ForkForm
from obsku_checkpoint.admin.checkpoint.run import WholeRun
from obsku_checkpoint.admin.values import text_of
from obsku_checkpoint.errors import CheckpointStoreError, GraphError
from obsku_checkpoint.forms import JsonPlusFormField
from obsku_checkpoint.graph import Context, Edge, Graph, edit
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.printable import plain
from obsku_checkpoint.run_state import GraphEdge, RunGraph

#: characters of an output that are put into the form
CHARACTERS = 200_000
#: the prefix of the fields that say whether a back edge is taken
BACK = "back-"


class EditForm(ForkForm):
    node = forms.CharField(widget=forms.HiddenInput, strip=False)
    output = JsonPlusFormField(
        label=gettext_lazy("Output"),
        required=False,
        help_text=gettext_lazy("JSON-plus: JSON with tagged objects for dates, sets, bytes and maps."),
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 14, "dir": "auto"}),
    )
    field_order = ("node", "output", "title")

    def __init__(self, data: Any, *, back_edges: list[GraphEdge], **options: Any) -> None:
        super().__init__(data, **options)
        for number, edge in enumerate(back_edges):
            label = _("Then go back to %(node)s") % {"node": plain(edge.target, 80)}
            self.fields[f"{BACK}{number}"] = forms.BooleanField(label=label, required=False)

    @property
    def back_fields(self) -> list[Any]:
        return [self[name] for name in self.fields if name.startswith(BACK)]

    def taken(self, back_edges: list[GraphEdge]) -> dict[str, bool]:
        """Back edge -> whether the person takes it."""
        return {edge.name: self.cleaned_data[f"{BACK}{number}"] for number, edge in enumerate(back_edges)}


class Edit(Fork):
    """``?node=`` the node whose output is edited; without it, the nodes to choose from."""

    name = "edit"
    title = gettext_lazy("Edit an output and fork")
    template = "admin/obsku_checkpoint/checkpoint/edit.html"

    def respond(self, request: HttpRequest, subject: Checkpoint) -> HttpResponseBase:
        if refusal := self.admin.may_not_fork(request):
            return self.refuse(request, subject, refusal)
        run = self.run_of(subject.pk)
        graph = run_state.graph_of(run.record, self.admin.store.get_checkpoint) if run else None
        if run is None or graph is None:
            reason = _("The graph of this run is not stored with it, so nobody knows here what follows from an output.")
            return self.render(request, subject, {"reason": reason})
        node = (request.POST if request.method == "POST" else request.GET).get("node")
        edited = next((each.name for each in graph.nodes if each.name == node), None)
        if edited is None:
            return self.render(request, subject, {"nodes": _nodes(graph, run)})
        return self._edit(request, subject, _Output(graph, run, edited))

    def _edit(self, request: HttpRequest, subject: Checkpoint, output: _Output) -> HttpResponseBase:
        posted = request.POST if request.method == "POST" else None
        form = EditForm(posted, back_edges=output.back_edges, initial=output.initial)
        if posted is not None and form.is_valid():
            try:
                session = self._forked(form, subject, output)
            except CheckpointStoreError as error:
                form.add_error(None, plain(str(error), 500))
            else:
                self.note_fork(request, subject, session)
                what = f"{output.node}: {text_of(form.cleaned_data['output'], 300)}"
                self.note(request, subject, "edited output", what, session_id=session.id)
                return self.forked(request, session)
        context = self.fork_context(request, subject) | {
            "form": form,
            "node": plain(output.node, 80),
            "too_long": output.too_long,
            "can_go_on": not self.admin.may_not_resume(request),
        }
        return self.render(request, subject, context)

    def _forked(self, form: EditForm, subject: Checkpoint, output: _Output) -> Any:
        """The new session: there is none where the output cannot be taken."""
        store = self.admin.store
        with transaction.atomic(using=self.database):
            checkpoint = edit(
                skeleton(output.graph, form.taken(output.back_edges)),
                checkpoint_store=store,
                checkpoint_id=subject.pk,
                node=output.node,
                output=form.cleaned_data["output"],
                title=form.cleaned_data["title"] or None,
            )
            return store.get_session(checkpoint.session_id)


@dataclass(frozen=True, slots=True)
class _Output:
    """The output of a node as it is."""

    graph: RunGraph
    run: WholeRun
    node: str

    @property
    def back_edges(self) -> list[GraphEdge]:
        """Where one leads back from the node, its output decides about it: a person does so in its place."""
        return [edge for edge in self.graph.edges if edge.is_back and edge.source == self.node]

    @property
    def _stored(self) -> Any:
        result = self.run.state.results.get(self.node)
        return result.get("output") if result else None

    @property
    def too_long(self) -> bool:
        return len(codec.dumps(self._stored)) > CHARACTERS

    @property
    def initial(self) -> dict[str, Any]:
        return {"node": self.node, "output": None if self.too_long else self._stored}


def _nodes(graph: RunGraph, run: WholeRun) -> list[tuple[str, str, str]]:
    """(name, what is shown of it, the beginning of its output) of the graph's nodes."""
    outputs = {name: text_of(result["output"], 120) for name, result in run.state.results.items() if "output" in result}
    return [(node.name, plain(node.name, 80), outputs.get(node.name, "")) for node in graph.nodes]


def skeleton(graph: RunGraph, taken: Mapping[str, bool]) -> Graph:
    """A graph of the same nodes and edges, for `edit`. It runs nothing: only the project has its nodes.

    ``taken`` says of back edges whether one leads back over them. Raises `GraphError` for what is not a graph.
    """
    led_to = {edge.target for edge in graph.edges if not edge.is_back}
    entry = next((node.name for node in graph.nodes if node.name not in led_to), "")
    inner = Graph(entry="node", nodes={"node": _nothing})
    return Graph(
        entry=entry,
        nodes={node.name: inner if node.is_graph else _nothing for node in graph.nodes},
        edges=[_edge(edge, taken) for edge in graph.edges],
    )


def _edge(edge: GraphEdge, taken: Mapping[str, bool]) -> Edge:
    def judge(output: Any) -> bool:
        return taken.get(edge.name, False)

    def until(output: Any) -> bool:
        return not judge(output)

    if not edge.is_back:
        return Edge(edge.source, edge.target, condition=judge if edge.has_condition else None)
    return Edge(
        edge.source,
        edge.target,
        condition=judge if edge.has_condition else None,
        back=True,
        max_iterations=edge.max_iterations,
        until=until,
    )


def _nothing(context: Context) -> None:
    raise GraphError("this graph is not there to be run", (context.node,))
