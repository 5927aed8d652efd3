{{/* Labels of every object. The first is also the selector of the pods. */}}
{{- define "customs.labels" -}}
app.kubernetes.io/name: customs
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "customs.selector" -}}
app.kubernetes.io/name: customs
{{- end }}

{{/* The beginning of an object's metadata: name, namespace, labels. Takes a dict of name and root. */}}
{{- define "customs.metadata" -}}
name: {{ .name }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- include "customs.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "customs.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{- define "customs.trustDomain" -}}
{{ first .Values.trustDomains | default "cluster.local" }}
{{- end }}

{{/* The name that the provider, the DestinationRule and the certificate share. */}}
{{- define "customs.host" -}}
customs.{{ .Release.Namespace }}.svc.{{ first .Values.clusterDomains | default "cluster.local" }}
{{- end }}

{{- define "customs.gatewayIdentity" -}}
{{ include "customs.trustDomain" . }}/ns/{{ .Values.gateway.namespace }}/sa/{{ .Values.gateway.serviceAccount }}
{{- end }}

{{/*
Maps that a value replaces as a whole. Their defaults are here, because Helm would merge a default in
values.yaml with what is set, and a selector of two labels selects less than one of them.
*/}}
{{- define "customs.gatewaySelector" -}}
{{- if or .Values.gateway.selector (not .Values.gateway.name) -}}
{{ .Values.gateway.selector | default (dict "istio" "egressgateway") | toYaml }}
{{- end -}}
{{- end }}

{{- define "customs.istiodLabels" -}}
{{ .Values.istiod.labels | default (dict "app" "istiod") | toYaml }}
{{- end }}

{{- define "customs.collectorLabels" -}}
{{ .Values.collector.podLabels | default (dict "app.kubernetes.io/name" "opentelemetry-collector") | toYaml }}
{{- end }}

{{- define "customs.auditVolume" -}}
{{ .Values.audit.file.volume | default (dict "emptyDir" (dict "sizeLimit" "2Gi")) | toYaml }}
{{- end }}

{{/* The directories of --policies, with commas between them. */}}
{{- define "customs.directories" -}}
{{- $base := "/etc/customs/policies" -}}
{{- if .Values.policies.gitSync.repository -}}
{{ clean (printf "/etc/customs/git/current/%s" .Values.policies.gitSync.directory) }}
{{- else if gt (len .Values.policies.configMaps) 1 -}}
{{- $directories := list -}}
{{- range .Values.policies.configMaps }}{{ $directories = append $directories (printf "%s/%s" $base .name) }}{{ end -}}
{{ join "," $directories }}
{{- else -}}
{{ $base }}
{{- end -}}
{{- end }}

{{/* Egress to the cluster's DNS. */}}
{{- define "customs.dns" -}}
- to:
  - namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: kube-system
  ports:
  - port: 53
    protocol: UDP
  - port: 53
    protocol: TCP
{{- end }}

{{/* Whether the pods have a volume whose files only their group may read or write. */}}
{{- define "customs.needsGroup" -}}
{{- if or (eq .Values.tls.mode "secret") .Values.audit.file.enabled (ne .Values.policies.gitSync.auth "none") }}true{{ end }}
{{- end }}
