{{/*
What the schema cannot say: values that do not fit one another. Each message says what is wrong, where,
and what to write.
*/}}
{{- define "customs.checks" -}}
{{- $policies := .Values.policies -}}
{{- $sources := list -}}
{{- if $policies.configMaps }}{{ $sources = append $sources "policies.configMaps" }}{{ end -}}
{{- if $policies.gitSync.repository }}{{ $sources = append $sources "policies.gitSync.repository" }}{{ end -}}
{{- if $policies.imageVolume.reference }}{{ $sources = append $sources "policies.imageVolume.reference" }}{{ end -}}
{{- if not $sources -}}
  {{- fail "policies: no source of policies is set, so customs would never be ready: set policies.configMaps, policies.gitSync.repository or policies.imageVolume.reference" -}}
{{- end -}}
{{- if gt (len $sources) 1 -}}
  {{- fail (printf "policies: %s are both set, and only one source is possible: %s" (join " and " $sources) (ternary "set policies.configMaps to [] or remove the other" "remove one of them" (not (empty $policies.configMaps)))) -}}
{{- end -}}
{{- $names := list -}}
{{- range $index, $entry := $policies.configMaps -}}
  {{- $place := printf "policies.configMaps[%d] (%s)" $index $entry.name -}}
  {{- if has $entry.name $names }}{{ fail (printf "%s: this name is already in the list" $place) }}{{ end -}}
  {{- $names = append $names $entry.name -}}
  {{- if has $entry.name (list "customs-settings" "customs-dashboard" "customs-collector") }}{{ fail (printf "%s: the chart uses this name for another ConfigMap; choose another one" $place) }}{{ end -}}
  {{- $size := 0 -}}
  {{- range $file, $text := $entry.files -}}
    {{- $size = add $size (len $file) (len $text) -}}
  {{- end -}}
  {{- if gt (int $size) 1048576 -}}
    {{- fail (printf "%s: its files have %d bytes, and a ConfigMap holds 1048576: split it into several entries, or keep large sets out of the values, since Helm stores these in a Secret of the same limit" $place (int $size)) -}}
  {{- end -}}
{{- end -}}
{{- if and $policies.gitSync.repository (ne $policies.gitSync.auth "none") (not $policies.gitSync.secretName) -}}
  {{- fail (printf "policies.gitSync.secretName: empty, and policies.gitSync.auth %s needs a Secret: name it" $policies.gitSync.auth) -}}
{{- end -}}
{{- if and $policies.gitSync.secretName (eq $policies.gitSync.auth "none") -}}
  {{- fail "policies.gitSync.auth: none, so policies.gitSync.secretName would not be used: set auth to ssh or token" -}}
{{- end -}}
{{- if and (ne $policies.gitSync.auth "none") (not $policies.gitSync.repository) -}}
  {{- fail "policies.gitSync.repository: empty, so policies.gitSync.auth would not be used: name the repository" -}}
{{- end -}}
{{- $tls := .Values.tls -}}
{{- if eq $tls.mode "secret" -}}
  {{- if not $tls.secretName }}{{ fail "tls.secretName: empty, and tls.mode secret needs the Secret with tls.crt, tls.key and ca.crt: name it" }}{{ end -}}
  {{- if not $tls.gatewaySecretName }}{{ fail "tls.gatewaySecretName: empty, and tls.mode secret needs the Secret of the gateway's certificate in the gateway's namespace: name it" }}{{ end -}}
{{- else -}}
  {{- range $key := list "secretName" "gatewaySecretName" -}}
    {{- if get $tls $key }}{{ fail (printf "tls.%s: not used with tls.mode %s: set tls.mode to secret, or remove it" $key $tls.mode) }}{{ end -}}
  {{- end -}}
  {{- if $tls.certManager.create }}{{ fail (printf "tls.certManager.create: not used with tls.mode %s: set tls.mode to secret, or remove it" $tls.mode) }}{{ end -}}
{{- end -}}
{{- $volume := .Values.audit.file.volume -}}
{{- if .Values.audit.file.enabled -}}
  {{- $kinds := list -}}
  {{- range $kind, $source := $volume }}{{ $kinds = append $kinds $kind }}{{ end -}}
  {{- if gt (len $kinds) 1 }}{{ fail (printf "audit.file.volume: one volume source expected, not %d (%s): remove the others" (len $kinds) (join ", " $kinds)) }}{{ end -}}
  {{- if and (has "persistentVolumeClaim" $kinds) (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) -}}
    {{- fail "audit.file.volume: one persistentVolumeClaim for several replicas, and an audit file has one writer: use ephemeral, which makes a claim for each pod" -}}
  {{- end -}}
{{- end -}}
{{- if not (or .Values.audit.stdout .Values.audit.file.enabled .Values.audit.otlp.endpoint) -}}
  {{- fail "audit: no sink is set, so nothing would be recorded: set audit.stdout, audit.file.enabled or audit.otlp.endpoint" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
  {{- fail (printf "autoscaling.minReplicas: %d is more than autoscaling.maxReplicas, %d" (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if hasKey .Values.podLabels "app.kubernetes.io/name" -}}
  {{- fail "podLabels: app.kubernetes.io/name is the label by which the Service and the NetworkPolicy select the pods: remove it" -}}
{{- end -}}
{{- if and $policies.imageVolume.reference (semverCompare "<1.33-0" .Capabilities.KubeVersion.Version) -}}
  {{- fail (printf "policies.imageVolume.reference: Kubernetes %s has no volumes of images; 1.33 is the first (with the feature gate ImageVolume until 1.35)" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- range $argument := .Values.extraArgs -}}
  {{- range $own := list "config" "policies" "listen" "admin" "drain-delay" "drain-timeout" "enforcement" "tls" "audit" "trust-domains" "cluster-domains" -}}
    {{- if or (eq $argument (printf "--%s" $own)) (hasPrefix (printf "--%s=" $own) $argument) }}{{ fail (printf "extraArgs: %s is set by the chart; use the value for it (README.md)" $argument) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- range $setting := keys .Values.settings | sortAlpha -}}
  {{- if has $setting (list "policies" "listen" "admin" "drain_delay" "drain_timeout" "enforcement" "tls" "audit" "trust_domains" "cluster_domains") }}{{ fail (printf "settings.%s: the chart writes the flag, which would override it; use the value for it (README.md)" $setting) }}{{ end -}}
{{- end -}}
{{- end }}
