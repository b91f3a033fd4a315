"""The only place that knows Kubernetes: watch, queue, gather, act, lease, Job builder.

    kopf (own thread, on.event only) --> Store --> KeyQueue --> Worker: gather -> decide (pure) -> act -> requeue

What the operator may do is this and nothing else; the chart grants exactly it and `tests/cluster/test_rbac.py` runs
with it. No secrets, no exec, no wildcard, no write to any object but our own.

In every namespace that is served (a ClusterRole, or one Role for each namespace of the list):

    apiGroups: [tuning.study]    resources: [tuningstudies]          verbs: [get, list, watch]
    apiGroups: [tuning.study]    resources: [tuningstudies/status]   verbs: [patch]
    apiGroups: [tuning.study]    resources: [tuningtrials]           verbs: [get, list, watch, create]
    apiGroups: [tuning.study]    resources: [tuningtrials/status]    verbs: [patch]
    apiGroups: [batch]           resources: [jobs]                   verbs: [get, list, watch, create, delete]
    apiGroups: [""]              resources: [pods]                   verbs: [list, watch]
    apiGroups: [""]              resources: [pods/log]               verbs: [get]
    apiGroups: [""]              resources: [services]               verbs: [get, create]
    apiGroups: [""]              resources: [configmaps]             verbs: [get]
    apiGroups: [events.k8s.io]   resources: [events]                 verbs: [list, create, patch]

Of each kind of the chart's `trialKinds` the same as of Jobs: get, list, watch, create, delete.

In the operator's own namespace (a Role, for the lease of `--lease-name` only; a create cannot be bound to a name):

    apiGroups: [coordination.k8s.io]  resources: [leases]            verbs: [get, create, update]

Discovery (`/api`, `/apis`) comes with `system:discovery`, which every authenticated account has. A config map is
read where a study names it as a source of earlier results, and at no other time; logs of trials' pods where a study
says that its values stand in them, and `rbac.podLogs: false` leaves that right out. Events are listed to learn why the
Job controller could not create a pod (quota, admission): a Job says so nowhere else.
"""
