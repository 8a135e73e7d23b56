"""``python -m benchmarks.adversarial``: how long the codec takes to read 1 MB that was made to be slow.

Each figure is the time of one document over that of plain JSON of the same length; what exceeds 20 is marked. With
``--search`` others are looked for (:mod:`benchmarks.adversarial_search`).
"""

from __future__ import annotations

import argparse
import json
import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from time import process_time
from typing import Any

from benchmarks.adversarial_search import search
from obsku_checkpoint import codec
from obsku_checkpoint.codec import digits

SIZE = 1_000_000
ROUNDS = 5
MOST = 20

#: characters of the documents that are searched for: short enough to try many
SEARCHED = 100_000

#: numbers that differ by multiples of it have one hash
PRIME = 2**61 - 1
#: elements that one hash may have (`obsku_checkpoint.codec.hashes.MAX_ALIKE`)
FEW = 32
random.seed(1)


def tag(name: str, value: Any) -> dict[str, Any]:
    return {"__type": name, "value": value}


def big(number: int) -> dict[str, Any]:
    return tag("BigInt", digits.write(number))


def same_uuid(n: int) -> dict[str, Any]:
    return tag("UUID", str(uuid.UUID(int=PRIME * (n + 1))))


def grouped(element: Callable[[int], Any], size: int = FEW) -> Callable[[int], Any]:
    """Elements of which only so many have one hash: as many as are still compared."""
    return lambda n: element((n // size) + PRIME * (n % size + 1) if n else 7)


def numbers(n: int) -> Any:
    return big(n) if n > 2**53 else n


def same_sets(depth: int, n: int) -> Any:
    """Sets of two sets of two sets …, all of one hash."""
    return (
        big(PRIME * (n + 1))
        if not depth
        else tag("Set", [same_sets(depth - 1, 2 * n), same_sets(depth - 1, 2 * n + 1)])
    )


def pair(n: int) -> Any:
    """A Decimal and floats of one hash, which are slow to compare."""
    exponent = -(n % 16) * 61 - 40
    return (n % 16 and 2.0**exponent) or tag("Decimal", str(hash(2.0**-40) + PRIME * n))


def in_probing_order(block: int) -> list[int]:
    """Numbers of different hashes: half a table in the order of a search, by so many places, and what searches it."""
    slots, place = 2**17, 0
    taken: dict[int, int] = {}
    while len(taken) < slots * 9 // 20:
        taken.update((at, len(taken)) for at in range(place, min(place + block, slots)) if at not in taken)
        place = (5 * place + 1) % slots
    searching: set[int] = set()
    while len(searching) < 18_000:
        number = perturb = random.getrandbits(28)
        at = number % slots
        while perturb and at in taken:
            perturb >>= 5
            at = (5 * at + perturb + 1) % slots
        if taken.get(at, slots) < slots // 8:
            searching.add(number)
    return [*taken, *searching.difference(taken)]


def probing(block: int) -> Callable[[int], int]:
    probed = in_probing_order(block)
    return lambda n: probed[n] if n < len(probed) else 2**30 + n


def small_map(size: int) -> dict[str, Any]:
    """As many keys as are not followed, a third of which search the others."""
    taken, place = dict[int, None](), 0
    while len(taken) < size * 2 // 3:
        taken[place] = None
        place = (5 * place + 1) % 2048
    early = list(taken)[: size // 6]
    keys = [*taken, *(key for n in range(1, 5) for at in early if (key := at + 2048 * n) not in taken)][:size]
    return tag("Map", [[key, 0] for key in keys])


def listed(element: Callable[[int], Any]) -> str:
    return "[" + _joined(map(element, count())) + "]"


def in_set(element: Callable[[int], Any]) -> str:
    return '{"__type":"Set","value":' + listed(element) + "}"


def in_map(element: Callable[[int], Any]) -> str:
    return '{"__type":"Map","value":' + listed(lambda n: [element(n), n]) + "}"


def _joined(values: Iterable[Any]) -> str:
    texts, length = [], 0
    for value in values:
        texts.append(json.dumps(value, separators=(",", ":")))
        length += len(texts[-1]) + 1
        if length >= SIZE:
            break
    return ",".join(texts)


def documents() -> Iterator[tuple[str, str]]:
    one_hash: dict[str, Callable[[int], Any]] = {
        "BigInt": lambda n: big(PRIME * (n + 1)),
        "UUID": same_uuid,
        "Decimal": lambda n: tag("Decimal", str(PRIME * (n + 1))),
        "float": lambda n: 2.0 ** (61 * (n % 16)) + (n // 16),
        "tuple of UUID": lambda n: [same_uuid(n)],
        "set of UUID": lambda n: tag("Set", [same_uuid(n)]),
        "set of sets": lambda n: same_sets(3, n),
    }
    for name, element in one_hash.items():
        yield f"one hash: {name}", in_set(element)
        yield f"one hash: {name}, keys", in_map(element)
    yield f"{FEW} of one hash: BigInt", in_set(grouped(numbers))
    yield f"{FEW} of one hash: [BigInt]", in_set(grouped(lambda n: [numbers(n)]))
    yield f"{FEW} of one hash: long tuples", in_set(lambda n: [[0]] * 8_000 + [big(PRIME * (n + 1))])
    yield "sets of sets of one hash", listed(lambda n: tag("Set", [same_sets(2, 4 * n + i) for i in range(4)]))
    yield "Decimals and floats of one hash", listed(lambda n: tag("Set", [pair(16 * n + i) for i in range(16)]))
    yield (
        "a long integer and Decimals of one hash",
        in_set(lambda n: tag("Decimal", str(PRIME * n)) if n else big(PRIME * 10**90_000)),
    )
    yield "different hashes in the order of probing, keys", in_map(probing(1))
    yield "different hashes in the order of probing", in_set(probing(10))
    small = small_map(1000)
    yield "small maps in the order of probing", listed(lambda _: small)
    for name, part in {"tenths": 10, "eighths": 8, "1/1024ths": 1024}.items():
        yield name, in_set(lambda n, part=part: n / part)  # type: ignore[misc]  # bound now
        yield f"{name} as keys", in_map(lambda n, part=part: n / part)  # type: ignore[misc]  # as above
    yield "multiples of 2**12 as keys", in_map(lambda n: n << 12)
    yield "multiples of 2**20", in_set(lambda n: n << 20)
    yield "multiples of 2**20 as keys", in_map(lambda n: n << 20)
    yield "floats", in_set(lambda _: random.random())
    yield "short floats", in_set(lambda n: float(f"{n % 9999 + 1}e{n // 9999 * 5}"))
    yield "random integers as keys", in_map(lambda n: n + random.getrandbits(11) * 2**17)
    yield "true UUIDs", in_set(lambda _: tag("UUID", str(uuid.UUID(int=random.getrandbits(128)))))
    yield "integers", in_set(lambda n: n)
    yield "integers as keys", in_map(lambda n: n)
    yield "lists", in_set(lambda n: [n])
    for length in (20, 100, 101, 2_000, 19_700, 100_000, 1_000_000):
        yield f"integers of {length:,} digits", listed(lambda n, length=length: big(10 ** (length - 1) + n))  # type: ignore[misc]  # bound now
    yield "Decimals of 100,000 digits", in_set(lambda n: tag("Decimal", "9" * 100_000 + str(n)))
    yield "Decimals", listed(lambda n: tag("Decimal", f"{n}E+999999"))
    yield "dates", listed(lambda n: tag("Date", f"2026-01-02T03:04:{n % 60:02}.678Z"))
    yield (
        "dates in a set",
        in_set(
            lambda n: tag("Date", f"2026-01-{n % 28 + 1:02}T{n // 28 % 24:02}:{n // 672 % 60:02}:{n // 40320:02}.678Z")
        ),
    )
    yield "dates of other ages", listed(lambda n: tag("Date", f"+01{n % 10_000:04}-01-02T03:04:05.678Z"))
    yield "malformed tags", listed(lambda n: tag("UUID", "x"))
    yield "unknown tags", listed(lambda n: {"__type": "x"})
    yield "empty sets", listed(lambda n: tag("Set", []))
    yield "empty maps", listed(lambda n: tag("Map", []))
    yield "empty objects", '[{"__type":""},' + listed(lambda n: {})[1:]
    yield "empty lists", '[{"__type":""},' + listed(lambda n: [])[1:]
    yield "lone surrogates", listed(lambda n: "\ud800")
    yield "lone surrogates and objects", listed(lambda n: {"\ud800": 1})
    yield "deep sets", listed(lambda n: json.loads('{"__type":"Set","value":[' * 300 + "1" + "]}" * 300))
    yield "deep lists, plain", listed(lambda n: json.loads("[" * 900 + "]" * 900))
    yield "deep lists beside a tag", '[{"__type":""},' + listed(lambda n: json.loads("[" * 900 + "]" * 900))[1:]
    yield "deep lists of two in sets", in_set(lambda n: json.loads("[0," * 900 + "0]" + "]" * 899))
    yield "deep lists in sets", in_set(lambda n: json.loads("[" * 900 + "]" * 900))


def plain() -> str:
    return listed(
        lambda n: {"id": n, "name": f"node-{n}", "ok": True, "score": n / 8, "tags": ["a", "b"], "next": None}
    )


def seconds(*texts: str) -> list[float]:
    """The least time of the processor that reading each takes, in turn, since other work slows it down, too."""
    times: list[list[float]] = [[] for _ in texts]
    while len(times[0]) < ROUNDS and sum(map(sum, times)) < 1:
        for text, taken in zip(texts, times, strict=True):
            start = process_time()
            codec.loads(text)
            taken.append((process_time() - start) * SIZE / len(text))
    return list(map(min, times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", action="store_true", help="look for slower documents than those thought of")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=random.getrandbits(20))
    arguments = parser.parse_args()
    simple = plain()
    if arguments.search:
        seed = arguments.seed
        found = search(lambda text: _times(simple, text), arguments.minutes, SEARCHED, seed)
        print(f"seed {seed}")
        for times, shape in found:
            print(f"{times:6.1f} times plain JSON: {shape}")
        return
    print(f"{'1 MB of':48} {'time':>8}")
    for name, text in documents():
        limit, time = seconds(simple, text)
        slow = " too slow" if time > MOST * limit else ""
        print(f"{name:48} {time * 1000:8.1f} ms {time / limit:6.1f} times plain JSON{slow}", flush=True)


def _times(simple: str, text: str) -> float:
    limit, time = seconds(simple, text)
    return time / limit


if __name__ == "__main__":
    main()
