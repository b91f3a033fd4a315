"""The rules between fields of a study, each once as CEL and once as Python (of a trial: `trial_rules.py`).

The API server holds every write against the CEL, `tuning check` holds files against the Python; a test feeds the same
studies to both.

About the CEL: `dyn(self).x` reaches fields that hold free JSON, which are hidden from `self.x` and can only be compared
whole.
"""

from tuning_operator.api.rule import Rule
from tuning_operator.api.rules.algorithm import ALGORITHM
from tuning_operator.api.rules.changes import STUDY_TRANSITIONS
from tuning_operator.api.rules.metrics import METRICS
from tuning_operator.api.rules.objectives import OBJECTIVES
from tuning_operator.api.rules.parameters import PARAMETERS
from tuning_operator.api.rules.scheduling import SCHEDULING
from tuning_operator.api.rules.trial import TRIAL

__all__ = ["STUDY_RULES", "STUDY_TRANSITIONS"]

STUDY_RULES: tuple[Rule, ...] = (*OBJECTIVES, *PARAMETERS, *ALGORITHM, *SCHEDULING, *TRIAL, *METRICS)
"""What every study must meet."""
