"""A short run of every target, the same inputs each time; `python -m tests.fuzz` is the long one."""

import time
from random import Random  # noqa: TID251  (seeded by target and chunk)

import pytest
from tests.fuzz.everything import TARGETS
from tests.fuzz.running import Count, run_chunk, watched

SECONDS = 15.0
FEWEST = 150


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_good_examples_pass(target):
    """Without that the inputs made from them would prove nothing."""
    if target.begin is not None:
        target.begin()
    passed = 0
    for example in target.examples:
        try:
            target.check(target.decode(example))
        except target.refusals:
            continue
        passed += 1
    assert passed or target.name in NO_EXAMPLE_PASSES


NO_EXAMPLE_PASSES = {"key file", "simulator register key", "simulator admin account"}
"""Those whose good input would be a key in the repository."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_hostile_inputs_are_accepted_rightly_or_refused(target):
    """A value within its type's own bounds, or the documented refusal; nothing else, and no hang."""
    count = Count()
    begun = time.process_time()
    with watched():
        run_chunk(target, 0, count, FEWEST)
        # Cheap targets get more, up to a part of the whole time.
        chunk = 1
        while time.process_time() - begun < SECONDS / len(TARGETS) * 0.7 and chunk < 20:
            run_chunk(target, chunk, count, FEWEST)
            chunk += 1
    assert [(found.problem, found.data[:300]) for found in count.findings] == []
    assert count.refused + count.accepted == count.inputs


def test_the_same_chunk_has_the_same_inputs():
    """Any finding can be made again from its target and number."""
    for target in TARGETS[::10]:
        first, second = (
            [target.maker.make(random) for _ in range(50)]
            for random in (Random("one"), Random("one"))
        )
        if not hasattr(target.maker, "number"):
            assert first == second


def test_names_are_unique():
    """A name is the seed of its inputs."""
    names = [target.name for target in TARGETS]
    assert len(names) == len(set(names))
