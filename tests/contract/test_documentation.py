"""The contract says of each method what it does."""

from __future__ import annotations

import inspect

import pytest

from obsku_checkpoint.protocols import CheckpointStore

METHODS = {name: each for name, each in inspect.getmembers(CheckpointStore, inspect.isfunction) if name[0] != "_"}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_the_contract_says_what_it_does(name: str) -> None:
    documentation = METHODS[name].__doc__ or METHODS[name.removeprefix("a")].__doc__
    assert documentation
    assert documentation.partition("\n")[0].endswith((".", ":"))
