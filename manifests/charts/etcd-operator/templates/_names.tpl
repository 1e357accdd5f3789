{{/* Labels of every object. What tells releases apart is Helm's own. */}}
{{- define "etcd-operator.labels" -}}
app.kubernetes.io/name: etcd-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What selects coordinators. Never more than this: the selector of a Deployment cannot be changed. */}}
{{- define "etcd-operator.selector" -}}
app.kubernetes.io/name: etcd-operator
app.kubernetes.io/component: coordinator
{{- end }}

{{/* What is behind names outside of namespaces: nothing for the one that looks after all, else its own namespace. */}}
{{- define "etcd-operator.suffix" -}}
{{- if .Values.namespaces }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{/* The coordinator as the API server calls it, in CEL. */}}
{{- define "etcd-operator.user" -}}
'system:serviceaccount:{{ .Release.Namespace }}:{{ .Values.serviceAccount.name }}'
{{- end }}

{{/* Whom the coordinator's roles are bound to. */}}
{{- define "etcd-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ .Values.serviceAccount.name | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}
