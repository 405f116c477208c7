{{/* The configuration files. No secret is in them: those come by the environment. */}}

{{/* All of them by name, as JSON. */}}
{{- define "portunus.jcfg.files" -}}
{{- $files := dict -}}
{{- $_ := set $files "janus.jcfg" (include "portunus.jcfg.janus" .) -}}
{{- $_ := set $files "janus.transport.http.jcfg" (include "portunus.jcfg.http" .) -}}
{{- $_ := set $files "janus.transport.websockets.jcfg" (include "portunus.jcfg.websockets" .) -}}
{{- $_ := set $files "janus.plugin.videoroom.jcfg" (include "portunus.jcfg.videoroom" .) -}}
{{- if include "portunus.collector" . -}}
{{- $_ := set $files "janus.eventhandler.sampleevh.jcfg" (include "portunus.jcfg.sampleevh" .) -}}
{{- end -}}
{{ $files | toJson }}
{{- end -}}

{{- define "portunus.jcfg.value" -}}
{{- if kindIs "slice" . -}}
[ {{ range $i, $item := . }}{{ if $i }}, {{ end }}{{ $item | toString | quote }}{{ end }} ]
{{- else if kindIs "bool" . -}}
{{ . }}
{{- else if kindIs "string" . -}}
{{ . | quote }}
{{- else -}}
{{ . | int64 }}
{{- end -}}
{{- end -}}

{{- define "portunus.jcfg.janus" -}}
{{- $mode := include "portunus.mediaMode" . -}}
{{- $nat := .Values.janus.nat -}}
# Written by Helm. Secrets are in the environment.
general: {
  configs_folder = "/janus/etc/janus_host"
  debug_level = {{ .Values.janus.debugLevel | int }}
  debug_colors = false
  {{- if or .Values.janus.tokenSecret .Values.janus.tokenAuth }}
  token_auth = true
  {{- end }}
};

nat: {
  full_trickle = {{ $nat.fullTrickle }}
  {{- if eq $mode "none" }}
  # Nothing is published: the gateway sends checks itself.
  ice_lite = false
  trickle_hold_ms = {{ $nat.trickleHoldMs | int }}
  {{- if $nat.stunServer }}
  stun_server = {{ $nat.stunServer | quote }}
  stun_port = {{ $nat.stunPort | int }}
  {{- end }}
  {{- else }}
  # Clients can reach the one port{{ if eq $mode "stunner" }}, from the TURN pods{{ end }}: no checks of our own, no STUN and no TURN.
  ice_lite = true
  {{- end }}
  {{- if $nat.niceDebug }}
  nice_debug = true
  {{- end }}
};

events: {
  broadcast = {{ if include "portunus.collector" . }}true{{ else }}false{{ end }}
};
{{- if .Values.stunner.enabled }}
{{- $ice := .Values.stunner.iceServers }}

ice_servers: {
  policy = "relay"
  ttl_s = {{ $ice.ttlSeconds | int }}
  {{- if eq $ice.source "authService" }}
  auth_service = {{ $ice.authService | quote }}
  auth_namespace = {{ .Release.Namespace | quote }}
  auth_gateway = {{ include "portunus.gatewayName" . | quote }}
  {{- else }}
  urls = {{ include "portunus.jcfg.value" (include "portunus.turnUrls" . | fromJsonArray) }}
  {{- end }}
};
{{- else if .Values.iceServers.urls }}

ice_servers: {
  policy = {{ .Values.iceServers.policy | quote }}
  ttl_s = {{ .Values.iceServers.ttlSeconds | int }}
  urls = {{ include "portunus.jcfg.value" .Values.iceServers.urls }}
  {{- with .Values.iceServers.username }}
  username = {{ . | quote }}
  {{- end }}
};
{{- end }}

portunus: {
  udp_port = {{ include "portunus.mediaPort" . }}
  single_port = true
  workers = {{ .Values.janus.workers | int }}
  # Less than the pod's grace period.
  drain_timeout_s = {{ include "portunus.drainTimeout" . }}
  log_format = {{ .Values.janus.logFormat | quote }}
  recordings_roots = [ {{ include "portunus.recordFolder" . | quote }} ]
  {{- if .Values.recordings.page.enabled }}
  recordings_page = true
  {{- end }}
  # In the container there would be pages without a word.
  demos_folder = {{ ternary "/janus/html" "" .Values.samples.enabled | quote }}
};
{{ end -}}

{{- define "portunus.jcfg.certificates" -}}
{{- if .Values.tls.enabled }}

certificates: {
  cert_pem = {{ printf "/etc/certs/%s" .Values.tls.certFile | quote }}
  cert_key = {{ printf "/etc/certs/%s" .Values.tls.keyFile | quote }}
};
{{- end }}
{{- with .Values.janus.allowOrigin }}

cors: {
  allow_origin = {{ . | quote }}
};
{{- end }}
{{- end -}}

{{- define "portunus.jcfg.http" -}}
{{- $tls := .Values.tls.enabled -}}
general: {
  json = "indented"
  base_path = "/janus"
  http = {{ not $tls }}
  https = {{ $tls }}
  {{ ternary "secure_port" "port" $tls }} = {{ .Values.janus.sessionPort | int }}
};

admin: {
  admin_base_path = "/admin"
  {{- if .Values.janus.adminPort }}
  admin_http = {{ not $tls }}
  admin_https = {{ $tls }}
  {{ ternary "admin_secure_port" "admin_port" $tls }} = {{ .Values.janus.adminPort | int }}
  {{- if not .Values.admin.service.enabled }}
  # For kubectl port-forward only.
  {{ ternary "admin_secure_ip" "admin_ip" $tls }} = "127.0.0.1"
  {{- end }}
  {{- else }}
  admin_http = false
  admin_https = false
  {{- end }}
};
{{- include "portunus.jcfg.certificates" . }}
{{ end -}}

{{- define "portunus.jcfg.websockets" -}}
{{- $on := .Values.websockets.enabled -}}
{{- $tls := .Values.tls.enabled -}}
general: {
  ws = {{ and $on (not $tls) }}
  wss = {{ and $on $tls }}
  {{- if $on }}
  {{ ternary "wss_port" "ws_port" $tls }} = {{ .Values.websockets.port | int }}
  # A client that vanished is noticed.
  pingpong_trigger = 30
  pingpong_timeout = 10
  {{- end }}
};
{{- if $on }}
{{- include "portunus.jcfg.certificates" . }}
{{- end }}
{{ end -}}

{{- define "portunus.jcfg.videoroom" -}}
general: {
  string_ids = {{ .Values.janus.stringIds }}
};
{{- range $index, $id := keys (.Values.janus.rooms | default dict) | sortAlpha }}
{{- $room := get $.Values.janus.rooms $id | default dict }}

room-{{ $id }}: {
  secret = "${ROOM_{{ $index }}_SECRET}"
  {{- if get $room "pin" }}
  pin = "${ROOM_{{ $index }}_PIN}"
  {{- end }}
  rec_dir = {{ get $room "rec_dir" | default (include "portunus.recordFolder" $) | quote }}
  {{- range $key := keys (omit $room "secret" "pin" "rec_dir") | sortAlpha }}
  {{ $key }} = {{ include "portunus.jcfg.value" (get $room $key) }}
  {{- end }}
};
{{- end }}
{{ end -}}

{{- define "portunus.jcfg.sampleevh" -}}
general: {
  enabled = true
  events = "core,sessions"
  grouping = true
  json = "indented"
  backend = {{ .Values.janus.eventBackendUrl | quote }}
  backend_user = {{ .Values.janus.eventUser | quote }}
};
{{ end -}}
