{{/* What values.schema.json cannot say, each with what to do about it. */}}
{{- define "etcd-operator.checks" -}}
{{- $kubernetes := .Capabilities.KubeVersion.Version }}
{{- if and .Values.crds.install (semverCompare "<1.29.0-0" $kubernetes) }}
  {{- fail (printf "the kinds of this chart are for API servers from 1.29, and this one is %s: apply manifests/crds/without-cel and set crds.install to false" $kubernetes) }}
{{- end }}
{{- if and .Values.leasePriority.enabled (semverCompare "<1.29.0-0" $kubernetes) }}
  {{- fail (printf "leasePriority is for API servers from 1.29, and this one is %s" $kubernetes) }}
{{- end }}
{{- if and .Values.protection.enabled (semverCompare "<1.30.0-0" $kubernetes) }}
  {{- fail (printf "protection is for API servers from 1.30, and this one is %s" $kubernetes) }}
{{- end }}
{{- if and .Values.priorityClass.create (not .Values.priorityClass.name) }}
  {{- fail "priorityClass.create makes a class of the name priorityClass.name, which is empty" }}
{{- end }}
{{- range $label, $value := include "etcd-operator.selector" . | fromYaml }}
  {{- if hasKey ($.Values.podLabels | default dict) $label }}
    {{- fail (printf "podLabels cannot have %s: the coordinator's pods are selected by it" $label) }}
  {{- end }}
{{- end }}
{{- end }}
