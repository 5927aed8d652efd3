{{/* Where the policies come from: mounts and volumes of each kind of source, and git-sync. */}}

{{- define "customs.policyMounts" -}}
{{- $maps := .Values.policies.configMaps -}}
{{- if .Values.policies.gitSync.repository -}}
- name: git
  mountPath: /etc/customs/git
  readOnly: true
{{- else if gt (len $maps) 1 -}}
{{- range $index, $entry := $maps }}
- name: {{ include "customs.policyVolume" $index }}
  mountPath: /etc/customs/policies/{{ $entry.name }}
  readOnly: true
{{- end }}
{{- else -}}
- name: policies
  mountPath: /etc/customs/policies
  readOnly: true
{{- end }}
{{- end }}

{{- define "customs.policyVolume" -}}
policies{{ if . }}-{{ . }}{{ end }}
{{- end }}

{{- define "customs.policyVolumes" -}}
{{- with .Values.policies }}
{{- if .gitSync.repository -}}
- name: git
  emptyDir:
    sizeLimit: 512Mi
- name: git-tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if ne .gitSync.auth "none" }}
- name: git-secret
  secret:
    secretName: {{ .gitSync.secretName }}
    defaultMode: 288   # 0440
{{- end }}
{{- else if .imageVolume.reference -}}
- name: policies
  image:
    reference: {{ .imageVolume.reference }}
    pullPolicy: {{ .imageVolume.pullPolicy }}
{{- else }}
{{- range $index, $entry := .configMaps }}
- name: {{ include "customs.policyVolume" $index }}
  configMap:
    name: {{ $entry.name }}
    # Required: without it the pod waits and reports it, instead of starting without rules.
    optional: false
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "customs.gitSync" -}}
{{- with .Values.policies.gitSync -}}
- name: git-sync
  image: {{ .image }}
  imagePullPolicy: IfNotPresent
  # Starts before customs, ends after it.
  restartPolicy: Always
  args:
  - {{ printf "--repo=%s" .repository | quote }}
  - {{ printf "--ref=%s" .ref | quote }}
  - --root=/git
  - --link=current
  - --period={{ .period }}
  # Retry forever: with the default, one failure would end the container.
  - --max-failures=-1
  # The previous files stay for a while, so that customs never reads a directory that is being deleted.
  - --stale-worktree-timeout=5m
  - --http-bind=:9194
  {{- if eq .auth "ssh" }}
  - --ssh-key-file=/etc/git-secret/ssh
  - --ssh-known-hosts-file=/etc/git-secret/known_hosts
  {{- else if eq .auth "token" }}
  - --password-file=/etc/git-secret/password
  env:
  - name: GITSYNC_USERNAME
    valueFrom:
      secretKeyRef:
        name: {{ .secretName }}
        key: username
  {{- end }}
  ports:
  - name: git-sync
    containerPort: 9194
  # Answers 200 after the first fetch; customs starts then.
  startupProbe:
    httpGet:
      path: /
      port: git-sync
    periodSeconds: 2
    failureThreshold: 150
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    runAsUser: 65533   # the user of the image, whose files others may read
    runAsGroup: 65533
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: [ALL]
  volumeMounts:
  - name: git
    mountPath: /git
  - name: git-tmp
    mountPath: /tmp
  {{- if ne .auth "none" }}
  - name: git-secret
    mountPath: /etc/git-secret
    readOnly: true
  {{- end }}
{{- end }}
{{- end }}
