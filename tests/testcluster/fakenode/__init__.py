"""A node that pretends to run pods: a process of its own, to share no interpreter with what is tested.

`FakeNode` starts it; `python -m tests.testcluster.fakenode --help` says what it can do.
"""

from tests.testcluster.fakenode.process import FakeNode
from tests.testcluster.fakenode.rules import Rule

__all__ = ["FakeNode", "Rule"]
