{{- define "tuning-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name, with the chart's unless it is in it already. */}}
{{- define "tuning-operator.fullname" -}}
{{- $name := include "tuning-operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tuning-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tuning-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: with serviceAccount.create=false write the name of the account to use" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tuning-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tuning-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tuning-operator.labels" -}}
{{ include "tuning-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image reference from {registry, repository, tag, digest}; call with (dict "image" IMAGE "root" $). */}}
{{- define "tuning-operator.image" -}}
{{- with .image.registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* What the operator may do in the namespaces it serves: what tuning_operator/cluster says that it needs, and nothing else. */}}
{{- define "tuning-operator.rules" -}}
- apiGroups: [tuning.study]
  resources: [tuningstudies]
  verbs: [get, list, watch]
- apiGroups: [tuning.study]
  resources: [tuningstudies/status]
  verbs: [patch]
- apiGroups: [tuning.study]
  resources: [tuningtrials]
  verbs: [get, list, watch, create]
- apiGroups: [tuning.study]
  resources: [tuningtrials/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
{{- range .Values.trialKinds }}
- apiGroups: [{{ .group }}]
  resources: [{{ .plural }}]
  verbs: [get, list, watch, create, delete]
{{- end }}
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- if .Values.rbac.podLogs }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
- apiGroups: [""]
  resources: [services]
  verbs: [create, get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create, patch]
{{- end -}}

{{/* For people: look at studies and trials. */}}
{{- define "tuning-operator.viewRules" -}}
- apiGroups: [tuning.study]
  resources: [tuningstudies, tuningtrials]
  verbs: [get, list, watch]
{{- end -}}

{{/* For people: write studies. Trials are written by the operator alone. */}}
{{- define "tuning-operator.editRules" -}}
- apiGroups: [tuning.study]
  resources: [tuningstudies]
  verbs: [create, update, patch, delete, deletecollection]
{{- end -}}
