{{/* Values that a schema cannot hold against one another. Included by the Deployment, so every rendering is checked. */}}
{{- define "portunus.validate" -}}
{{- $mode := include "portunus.mediaMode" . -}}
{{- $janus := .Values.janus -}}

{{- if and (eq $mode "loadBalancer") (not (include "portunus.mediaAddress" .)) -}}
{{- fail "media.expose loadBalancer needs its address: set env.clusterIp or media.publicIp" -}}
{{- end -}}
{{- if and (eq $mode "nodePort") (not .Values.media.nodePort) -}}
{{- fail "media.expose nodePort needs media.nodePort: candidates carry the port, so Kubernetes must not choose it" -}}
{{- end -}}

{{- $most := ternary .Values.autoscaling.maxReplicas .Values.replicas .Values.autoscaling.enabled | int -}}
{{- if and (gt $most 1) (has $mode (list "loadBalancer" "nodePort")) -}}
{{- fail (printf "media.expose %s sends a client's media to any pod: with more than one use stunner.enabled or media.expose hostPort" $mode) -}}
{{- end -}}
{{- if and (gt $most 1) (include "portunus.oneNodeVolume" .) -}}
{{- fail "recordings of several pods need a claim with ReadWriteMany, azureFile or emptyDir" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (not (or .Values.autoscaling.targetCPUUtilizationPercentage .Values.autoscaling.targetHandlesPerPod)) -}}
{{- fail "autoscaling needs targetCPUUtilizationPercentage or targetHandlesPerPod" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (.Values.autoscaling.minReplicas | int) (.Values.autoscaling.maxReplicas | int)) -}}
{{- fail "autoscaling.minReplicas is more than maxReplicas" -}}
{{- end -}}

{{- if ge (.Values.drain.marginSeconds | int) (.Values.drain.gracePeriodSeconds | int) -}}
{{- fail "drain.marginSeconds must be less than drain.gracePeriodSeconds, or calls are cut off by the kill" -}}
{{- end -}}

{{- $password := or $janus.eventPassword $janus.existingSecret -}}
{{- if and (or $janus.eventBackendUrl $janus.eventUser $janus.eventPassword) (not (and $janus.eventBackendUrl $janus.eventUser $password)) -}}
{{- fail "janus.eventBackendUrl, janus.eventUser and janus.eventPassword go together: all three or none" -}}
{{- end -}}
{{- range list "adminSecret" "apiSecret" "tokenSecret" "eventPassword" -}}
{{- if and $janus.existingSecret (get $janus .) -}}
{{- fail (printf "janus.%s and janus.existingSecret exclude each other" .) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := dict "iceServers.secret" .Values.iceServers.secret "iceServers.credential" .Values.iceServers.credential "recordings.page.password" .Values.recordings.page.password -}}
{{- if and $janus.existingSecret $value -}}
{{- fail (printf "%s and janus.existingSecret exclude each other" $name) -}}
{{- end -}}
{{- end -}}
{{- if eq ($janus.adminSecret | default "") "janusoverlord" -}}
{{- fail "janus.adminSecret janusoverlord is in everybody's samples: choose another, or none and one is generated" -}}
{{- end -}}

{{- if .Values.admin.service.enabled -}}
{{- if not $janus.adminPort -}}
{{- fail "admin.service.enabled needs janus.adminPort" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.admin.from) -}}
{{- fail "admin.service.enabled needs admin.from: the peers that may reach the Admin API" -}}
{{- end -}}
{{- end -}}

{{- if .Values.stunner.enabled -}}
{{- $names := list -}}
{{- range .Values.stunner.listeners -}}{{- $names = append $names .name -}}{{- end -}}
{{- if ne (len $names) (len (uniq $names)) -}}
{{- fail "two of stunner.listeners have one name" -}}
{{- end -}}
{{- if and (not .Values.stunner.gatewayClass.create) (not .Values.stunner.gatewayClass.name) -}}
{{- fail "stunner.gatewayClass.create false needs stunner.gatewayClass.name" -}}
{{- end -}}
{{- if and (not .Values.stunner.gatewayClass.create) (eq .Values.stunner.iceServers.source "secret") (not .Values.stunner.auth.existingSecret) -}}
{{- fail "with a GatewayClass of your own, stunner.iceServers.source secret needs stunner.auth.existingSecret: the Secret of its GatewayConfig" -}}
{{- end -}}
{{- if and (eq .Values.stunner.iceServers.source "secret") (not .Values.stunner.iceServers.publicAddress) -}}
{{- fail "stunner.iceServers.source secret needs stunner.iceServers.publicAddress, which clients are told" -}}
{{- end -}}
{{- if .Values.iceServers.urls -}}
{{- fail "iceServers is for clients without STUNner: with it they must use no other server (stunner.iceServers)" -}}
{{- end -}}
{{- end -}}
{{- $ice := .Values.iceServers -}}
{{- if and $ice.secret (or $ice.username $ice.credential) -}}
{{- fail "iceServers.secret makes credentials, iceServers.username and credential are fixed ones: set one kind" -}}
{{- end -}}
{{- if and (include "portunus.turnByValues" .) (not $janus.existingSecret) (not $ice.secret) (not (and $ice.username $ice.credential)) -}}
{{- fail "TURN servers in iceServers.urls need iceServers.secret, or iceServers.username and credential" -}}
{{- end -}}

{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled needs ingress.host" -}}
{{- end -}}
{{- if .Values.ingress.sameValueSamePod -}}
{{- if not (and .Values.ingress.enabled .Values.websockets.enabled) -}}
{{- fail "ingress.sameValueSamePod needs ingress.enabled and websockets.enabled: only a WebSocket keeps a whole session on one connection" -}}
{{- end -}}
{{- if hasKey .Values.ingress.annotations "nginx.ingress.kubernetes.io/upstream-hash-by" -}}
{{- fail "ingress.sameValueSamePod and the annotation upstream-hash-by exclude each other" -}}
{{- end -}}
{{- end -}}
{{- if and (eq (include "portunus.recordingsVolume" .) "azureFile") (not .Values.env.shareName) -}}
{{- fail "recordings.volume azureFile needs env.shareName" -}}
{{- end -}}

{{- $ports := list ($janus.sessionPort | int) (.Values.metrics.port | int) -}}
{{- if $janus.adminPort -}}{{- $ports = append $ports ($janus.adminPort | int) -}}{{- end -}}
{{- if .Values.websockets.enabled -}}{{- $ports = append $ports (.Values.websockets.port | int) -}}{{- end -}}
{{- if .Values.nginx.enabled -}}{{- $ports = append $ports (.Values.nginx.httpsPort | int) -}}{{- end -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- fail "two of janus.sessionPort, janus.adminPort, metrics.port, websockets.port and nginx.httpsPort are the same" -}}
{{- end -}}
{{- if and .Values.nginx.enabled (not .Values.tls.enabled) -}}
{{- fail "nginx.enabled needs tls.enabled: its virtual host is HTTPS only" -}}
{{- end -}}
{{- end -}}
