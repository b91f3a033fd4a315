"""Where `spec.warmStart` is found on a cluster: other studies of the namespace, and ConfigMaps.

What is learned from them is decided elsewhere (`search/warmstart.py`).

What a study learned must not change when the operator starts anew, or its suggestions would: of other studies only
trials count that had ended before this study was created. Their results never change. Studies and trials are those that
the operator knows anyhow, so that only ConfigMaps are read.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from tuning_operator.api.study import ConfigMapKey, StudySpec
from tuning_operator.cluster.client import CONFIG_MAPS, Api
from tuning_operator.cluster.errors import ForbiddenError, NotFoundError
from tuning_operator.cluster.store import Known, Store
from tuning_operator.core.model import Study, Trial
from tuning_operator.search.sources import Earlier, Source, earlier_result, study_source, table_source, trials_source
from tuning_operator.search.warmstart import Learned, learn

MOST_STUDIES: Final = 100
"""Of a selector; the youngest ones."""


class Teachers:
    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store

    async def teach(self, known: Known, study: Study) -> Learned:
        """What the study may know before it begins. Raises `ApiError` where it is worth another try."""
        if not study.spec.warm_start:
            return Learned()
        sources = await self._sources(known, study)
        # Thousands of results are checked against the space: not on the loop that holds the lease.
        return await asyncio.to_thread(learn, study.spec, sources)

    async def _sources(self, known: Known, study: Study) -> list[Source]:
        found: list[Source] = []
        for index, each in enumerate(study.spec.warm_start):
            if each.study is not None:
                found.append(self._study(each.study, known))
            elif each.selector is not None:
                found += self._chosen(each.selector.match_labels, known)
            elif each.config_map is not None:
                found.append(await self._config_map(each.config_map, study))
            else:
                found.append(trials_source(f"spec.warmStart[{index}].trials", each.trials or ()))
        return found

    def _study(self, name: str, own: Known) -> Source:
        other = self._store.get((own.key[0], name))
        if other is own:
            return Source(f"study {name}", problem="that is this study itself; name another one")
        if other is None or other.seen.deleting:
            return Source(f"study {name}", problem="there is no such study in this namespace; name another one")
        return _source(other, before=own.seen.created_at)

    def _chosen(self, labels: Mapping[str, str], own: Known) -> list[Source]:
        chosen = [
            other
            for (namespace, _), other in self._store.studies.items()
            if namespace == own.key[0]
            and other is not own
            and not other.seen.deleting
            and other.seen.created_at <= own.seen.created_at
            and all(other.seen.labels.get(name) == value for name, value in labels.items())
        ]
        chosen.sort(key=lambda other: (other.seen.created_at, other.key))
        words = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
        sources = [_source(other, before=own.seen.created_at) for other in chosen[-MOST_STUDIES:]]
        if len(chosen) > MOST_STUDIES:
            left = f"{len(chosen)} studies have these labels; only the {MOST_STUDIES} youngest are used"
            sources.append(Source(f"studies with {words}", problem=left))
        return sources or [Source(f"studies with {words}")]

    async def _config_map(self, key: ConfigMapKey, study: Study) -> Source:
        name = f"ConfigMap {key.name}"
        try:
            found = await self._api.get(CONFIG_MAPS, study.namespace, key.name)
        except NotFoundError:
            return Source(name, problem="there is none of this name in this namespace; create it before the study")
        except ForbiddenError as error:
            return Source(name, problem=f"the operator may not read it ({error.message})"[:500])
        return table_source(name, (found.get("data") or {}).get(key.key), key=key.key)


def _source(other: Known, *, before: float) -> Source:
    name = other.key[1]
    try:
        spec = StudySpec.model_validate(other.seen.spec)
    except ValidationError:
        return Source(f"study {name}", problem="its spec is not one that this operator can read")
    results = [_earlier(other.trials[number].trial, before) for number in sorted(other.trials)]
    if not any(results):
        return Source(f"study {name}", problem="none of its trials had ended well before this study was created")
    return study_source(name, spec, results)


def _earlier(trial: Trial, before: float) -> Earlier | None:
    result = trial.result
    if result is None or trial.ended_at is None or trial.ended_at >= before:
        return None
    return earlier_result(
        trial.suggestion.parameters,
        role=trial.role,
        state=result.state,
        values=result.values,
        metrics=result.metrics,
        infeasible=result.infeasible,
    )
