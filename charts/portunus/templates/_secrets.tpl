{{/* Secrets: which there are, where they come from, and how they reach the gateway. */}}

{{/* The Secret of the values under `janus`. */}}
{{- define "portunus.secretName" -}}
{{- default (include "portunus.fullname" .) .Values.janus.existingSecret -}}
{{- end -}}

{{/* Whether there are TURN servers among iceServers.urls: only they need credentials. */}}
{{- define "portunus.turnByValues" -}}
{{- if not .Values.stunner.enabled -}}
{{- range .Values.iceServers.urls -}}{{- if hasPrefix "turn" . -}}true{{- end -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/*
  Keys of that Secret as JSON: name, variable, value given (if any), whether it is made up when nothing is given, and whether an
  existing Secret may lack it.
*/}}
{{- define "portunus.secretKeys" -}}
{{- $janus := .Values.janus -}}
{{- $theirs := not (empty $janus.existingSecret) -}}
{{- $keys := list -}}
{{- if $janus.adminPort -}}
{{- $keys = append $keys (dict "key" "admin-secret" "variable" "ADMIN_SECRET" "given" ($janus.adminSecret | default "") "generate" true) -}}
{{- end -}}
{{- if or $janus.apiSecret $theirs -}}
{{- $keys = append $keys (dict "key" "api-secret" "variable" "PORTUNUS_GENERAL_API_SECRET" "given" ($janus.apiSecret | default "") "optional" true) -}}
{{- end -}}
{{- if or $janus.tokenSecret (and $theirs $janus.tokenAuth) -}}
{{- $keys = append $keys (dict "key" "token-secret" "variable" "PORTUNUS_GENERAL_TOKEN_AUTH_SECRET" "given" ($janus.tokenSecret | default "") "optional" true) -}}
{{- end -}}
{{- if include "portunus.collector" . -}}
{{- $keys = append $keys (dict "key" "event-password" "variable" "PORTUNUS_SAMPLEEVH_BACKEND_PWD" "given" ($janus.eventPassword | default "")) -}}
{{- end -}}
{{- if .Values.recordings.page.enabled -}}
{{- $keys = append $keys (dict "key" "recordings-password" "variable" "PORTUNUS_RECORDINGS_PASSWORD" "given" (.Values.recordings.page.password | default "") "generate" true) -}}
{{- end -}}
{{- $ice := .Values.iceServers -}}
{{- if include "portunus.turnByValues" . -}}
{{- if $ice.username -}}
{{- $keys = append $keys (dict "key" "ice-credential" "variable" "PORTUNUS_ICE_SERVERS_CREDENTIAL" "given" ($ice.credential | default "")) -}}
{{- else -}}
{{- $keys = append $keys (dict "key" "ice-secret" "variable" "PORTUNUS_ICE_SERVERS_SECRET" "given" ($ice.secret | default "")) -}}
{{- end -}}
{{- end -}}
{{ dict "keys" $keys | toJson }}
{{- end -}}

{{/*
  Rooms' secrets and PINs, always in the chart's own Secret: files of Secrets would hide the whole room, so the .jcfg file names
  variables. Numbered, since ids of rooms make no names of variables.
*/}}
{{- define "portunus.roomKeys" -}}
{{- $keys := list -}}
{{- range $index, $id := keys (.Values.janus.rooms | default dict) | sortAlpha -}}
{{- $room := get $.Values.janus.rooms $id | default dict -}}
{{- $keys = append $keys (dict "key" (printf "room-%s-secret" $id) "variable" (printf "ROOM_%d_SECRET" $index) "given" (get $room "secret" | toString) "generate" true) -}}
{{- if get $room "pin" -}}
{{- $keys = append $keys (dict "key" (printf "room-%s-pin" $id) "variable" (printf "ROOM_%d_PIN" $index) "given" (get $room "pin" | toString)) -}}
{{- end -}}
{{- end -}}
{{ dict "keys" $keys | toJson }}
{{- end -}}

{{/* What was given, else what the Secret has already, else 40 random characters. Takes: root, secret, key, given. */}}
{{- define "portunus.secretValue" -}}
{{- if .given -}}
{{ .given }}
{{- else -}}
{{- $old := lookup "v1" "Secret" .root.Release.Namespace .secret | default dict -}}
{{- $kept := get (get $old "data" | default dict) .key -}}
{{- if $kept -}}{{ $kept | b64dec }}{{- else -}}{{ randAlphaNum 40 }}{{- end -}}
{{- end -}}
{{- end -}}

{{/*
  Changes when a secret that was given changes, so that pods are replaced. Not a plain hash: whoever may see pods but no Secrets
  could try short secrets on it. What is generated is left out, as it is known only after it was written.
*/}}
{{- define "portunus.secretsChecksum" -}}
{{- $given := list -}}
{{- range concat (include "portunus.secretKeys" . | fromJson).keys (include "portunus.roomKeys" . | fromJson).keys -}}
{{- with .given -}}{{- $given = append $given . -}}{{- end -}}
{{- end -}}
{{- with .Values.stunner.auth -}}
{{- range list .password .secret -}}
{{- with . -}}{{- $given = append $given . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if $given -}}
{{ derivePassword 1 "maximum" ($given | toJson) (include "portunus.fullname" .) "secrets" | sha256sum }}
{{- else -}}
none
{{- end -}}
{{- end -}}

{{/* Environment variables out of Secrets. */}}
{{- define "portunus.secretEnv" -}}
{{- $name := include "portunus.secretName" . -}}
{{- range (include "portunus.secretKeys" . | fromJson).keys }}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $name }}
      key: {{ .key }}
      {{- if and .optional $.Values.janus.existingSecret }}
      optional: true
      {{- end }}
{{- end }}
{{- range (include "portunus.roomKeys" . | fromJson).keys }}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ include "portunus.fullname" $ }}
      key: {{ .key }}
{{- end }}
{{- if and .Values.stunner.enabled (eq .Values.stunner.iceServers.source "secret") }}
{{- $turn := include "portunus.turnSecretName" . }}
{{- if eq .Values.stunner.auth.type "ephemeral" }}
- name: PORTUNUS_ICE_SERVERS_SECRET
  valueFrom:
    secretKeyRef: { name: {{ $turn }}, key: secret }
{{- else }}
- name: PORTUNUS_ICE_SERVERS_USERNAME
  valueFrom:
    secretKeyRef: { name: {{ $turn }}, key: username }
- name: PORTUNUS_ICE_SERVERS_CREDENTIAL
  valueFrom:
    secretKeyRef: { name: {{ $turn }}, key: password }
{{- end }}
{{- end }}
{{- end -}}
