"""Which module is which algorithm. A module has `propose(ask) -> Answer`, and is loaded when it is first asked.

A new algorithm is one line here and one file. What is expensive to import (numpy, Optuna) stands in a file of its own
that `propose` imports once it needs a model, and is named here, so that it can be loaded before it is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from tuning_operator.api.algorithm import AlgorithmName

if TYPE_CHECKING:
    from tuning_operator.search.ask import Propose


@dataclass(frozen=True, slots=True)
class Entry:
    """Modules of this package by name."""

    module: str
    model: str | None = None


ALGORITHMS: Mapping[AlgorithmName, Entry] = {
    AlgorithmName.GRID: Entry("grid"),
    AlgorithmName.RANDOM: Entry("random_search"),
    AlgorithmName.QUASI_RANDOM: Entry("quasirandom"),
    AlgorithmName.TPE: Entry("tpe", model="tpe_model"),
    AlgorithmName.GP: Entry("gp", model="gp_model"),
    AlgorithmName.CMA_ES: Entry("cmaes", model="cmaes_model"),
    AlgorithmName.NSGA_II: Entry("nsga"),
    AlgorithmName.NSGA_III: Entry("nsga"),
    AlgorithmName.EVOLUTION: Entry("evolution"),
}


def propose_of(name: AlgorithmName) -> "Propose":
    """How this algorithm answers."""
    propose: Propose = _load(ALGORITHMS[name].module).propose
    return propose


def warm_up(name: AlgorithmName) -> None:
    """Load what its first model will need, before it is needed; 0.3 s CPU once, nothing afterwards."""
    model = ALGORITHMS[name].model
    if model is not None:
        _load(model)


def _load(module: str) -> ModuleType:
    return import_module(f"tuning_operator.search.{module}")
