{{/* What NOTES.txt says. A template of its own, so that checks can render it. */}}
{{- define "customs.notes" -}}
customs {{ .Chart.AppVersion }} is installed in {{ .Release.Namespace }}, mode {{ .Values.mode }}{{ if eq .Values.mode "trial" }}: it evaluates and records, and denies nothing{{ end }}.
{{- if not .Values.namespace.create }}

The namespace needs these labels:

    kubectl label namespace {{ .Release.Namespace }} --overwrite istio-injection={{ ternary "enabled" "disabled" (has .Values.tls.mode (list "sidecar" "meshCertificates")) }} pod-security.kubernetes.io/enforce=restricted
{{- end }}
{{- range .Values.policies.configMaps }}
{{- if not .files }}

The pods wait for the ConfigMap {{ .name }} in {{ $.Release.Namespace }}, which you own.
{{- end }}
{{- end }}

No gateway asks customs yet. Two steps are left, in this order:

1. Register customs with istiod, in the list meshConfig.extensionProviders:

    - name: {{ .Values.gateway.authorizationPolicy.provider }}
      envoyExtAuthzGrpc:
        service: {{ include "customs.host" . }}
        port: 9191
        timeout: 0.5s
        failOpen: {{ eq .Values.mode "trial" }}
        statusOnError: "503"

2. Make the gateway ask. {{ if .Values.gateway.authorizationPolicy.create }}This release contains the AuthorizationPolicy already: until istiod knows the
   provider, the gateway denies every request.
{{- else }}Only when istiod knows the provider, because the gateway denies every request before:

    helm upgrade {{ .Release.Name }} CHART --namespace {{ .Release.Namespace }} --reuse-values --set gateway.authorizationPolicy.create=true
{{- end }}

   This makes {{ if .Values.gateway.name }}the Gateway {{ .Values.gateway.name }}{{ else }}the pods with {{ include "customs.gatewaySelector" . | fromYaml | toJson }}{{ end }} in {{ .Values.gateway.namespace }} ask.

Ask the pods how they are: helm test {{ .Release.Name }} --namespace {{ .Release.Namespace }}
{{- end }}
