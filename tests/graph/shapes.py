"""The graphs of `tests/interop/ts_runs.json`, by the names that stand there.

A node returns its letter around what its predecessors returned: ``a`` gives ``a<…>`` unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from obsku_checkpoint.graph import Context, Edge, Graph, interrupt

Call = Callable[[Context, str], Any]
YES_NO = ["yes", "no"]


def ask(reason: str = "Go on?") -> Any:
    return interrupt(reason, options=YES_NO)


def letter(name: str) -> Call:
    return lambda context, text: f"{name}<{text}>"


def constant(value: str) -> Call:
    return lambda context, text: value


def suffix(end: str) -> Call:
    return lambda context, text: text + end


def answer(prefix: str, reason: str = "Go on?") -> Call:
    return lambda context, text: prefix + ask(reason)


def graph(shape: str, ran: list[str]) -> Graph:
    def build(calls: dict[str, Call | Graph], edges: list[Edge]) -> Graph:
        nodes = {name: call if isinstance(call, Graph) else node(name, call) for name, call in calls.items()}
        return Graph(entry=next(iter(nodes)), nodes=nodes, edges=edges)

    def node(name: str, call: Call) -> Callable[[Context], Any]:
        def run(context: Context) -> Any:
            ran.append(name)
            return call(context, "\n\n".join(str(context.outputs[each]) for each in sorted(context.outputs)))

        return run

    def chain(calls: dict[str, Call | Graph], *edges: Edge) -> Graph:
        names = list(calls)
        return build(calls, [*(Edge(one, other) for one, other in pairwise(names)), *edges])

    def drafts(review: Call, most: int, condition: Any = None, **more: Call) -> Graph:
        back = Edge("review", "draft", back=True, max_iterations=most, condition=condition)
        calls: dict[str, Call | Graph] = {"draft": draft, "review": review, **more}
        return chain(calls, back)

    def draft(context: Context, text: str) -> str:
        return text + "d"

    def asks_at(*lengths: int) -> Call:
        return lambda context, text: (ask() if len(text) in lengths else "") + text + "r"

    def nested(x: Call, y: Call) -> Graph:
        return chain({"plan": constant("plan"), "write": chain({"x": x, "y": y}), "print": constant("pr")})

    def fans(calls: dict[str, Call | Graph], *pairs: str) -> Graph:
        return build(calls, [Edge(pair[0], pair[1]) for pair in pairs])

    def letters(names: str) -> dict[str, Call | Graph]:
        return {name: letter(name) for name in names}

    shapes: dict[str, Callable[[], Graph]] = {
        "chain": lambda: chain(letters("abcd")),
        "diamond": lambda: fans(letters("alrz"), "al", "ar", "lz", "rz"),
        "uneven": lambda: fans(letters("almrz"), "al", "lm", "mz", "ar", "rz"),
        "ask": lambda: chain(
            {"plan": constant("plan"), "approve": answer("ok:"), "apply": letter("ap"), "report": letter("re")}
        ),
        "askfirst": lambda: chain({"approve": answer("ok:"), "apply": letter("ap")}),
        "twoasks": lambda: fans(
            {"a": constant("a"), "l": answer("l:", "l?"), "r": answer("r:", "r?"), "z": letter("z")},
            "al",
            "ar",
            "lz",
            "rz",
        ),
        "fail": lambda: chain({"a": constant("a"), "b": constant("b"), "c": letter("c")}),
        "skip": lambda: build(
            {"a": constant("no"), "s": letter("s"), "t": letter("t"), "q": answer("q:"), "z": letter("z")},
            [Edge("a", "s", condition=lambda output: output == "yes"), Edge("s", "t"), Edge("a", "q"), Edge("q", "z")],
        ),
        "cycle": lambda: drafts(suffix("r"), 3),
        "cyclecond": lambda: drafts(suffix("r"), 9, lambda output: len(output) < 8),
        "cycleexit": lambda: drafts(suffix("r"), 3, publish=letter("P")),
        "nestcyc": lambda: chain(
            {name: constant(name) for name in "abcd"},
            Edge("c", "b", back=True, max_iterations=2),
            Edge("d", "a", back=True, max_iterations=2),
        ),
        "nested": lambda: nested(constant("x"), letter("y")),
        "nestedask": lambda: nested(constant("x"), answer("y:")),
        "nestedaskfirst": lambda: nested(answer("x:"), letter("y")),
        "cycleask": lambda: drafts(asks_at(3, 4), 3),
        "cycleaskfirst": lambda: drafts(asks_at(1), 2),
    }
    return shapes[shape]()
