{{/* Names and labels. */}}
{{- define "portunus.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "portunus.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "portunus.selectorLabels" -}}
app.kubernetes.io/name: {{ include "portunus.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- define "portunus.labels" -}}
{{ include "portunus.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "portunus.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "portunus.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "portunus.image" -}}
{{- $name := .Values.janus.imageName -}}
{{- with .Values.janus.containerRegistry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .) $name -}}
{{- end -}}
{{- if .Values.janus.imageDigest -}}
{{- printf "%s@%s" $name .Values.janus.imageDigest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.janus.imageTag | toString) -}}
{{- end -}}
{{- end -}}

{{/* How clients' media comes in: stunner, loadBalancer, nodePort, hostPort or none. */}}
{{- define "portunus.mediaMode" -}}
{{- if .Values.stunner.enabled -}}
stunner
{{- else if ne .Values.media.expose "auto" -}}
{{ .Values.media.expose }}
{{- else if or .Values.media.publicIp .Values.env.clusterIp -}}
loadBalancer
{{- else -}}
none
{{- end -}}
{{- end -}}

{{- define "portunus.mediaPublished" -}}
{{- if has (include "portunus.mediaMode" .) (list "loadBalancer" "nodePort" "hostPort") -}}true{{- end -}}
{{- end -}}

{{/* Candidates carry the port of the pod, so a NodePort must be the same number. */}}
{{- define "portunus.mediaPort" -}}
{{- if eq (include "portunus.mediaMode" .) "nodePort" -}}
{{ .Values.media.nodePort | int }}
{{- else -}}
{{ .Values.media.port | int }}
{{- end -}}
{{- end -}}

{{/* The public address of media as far as it is known here; a node's own is only known to its pod. */}}
{{- define "portunus.mediaAddress" -}}
{{- $mode := include "portunus.mediaMode" . -}}
{{- if eq $mode "loadBalancer" -}}
{{- .Values.media.publicIp | default .Values.env.clusterIp -}}
{{- else if has $mode (list "nodePort" "hostPort") -}}
{{- .Values.media.publicIp -}}
{{- end -}}
{{- end -}}

{{- define "portunus.recordFolder" -}}
{{- $folder := .Values.janus.recordFolder | default "./janus-recordings" -}}
{{- if hasPrefix "/" $folder -}}
{{ clean $folder }}
{{- else -}}
{{ clean (printf "/janus/bin/%s" $folder) }}
{{- end -}}
{{- end -}}

{{- define "portunus.recordingsVolume" -}}
{{- if ne .Values.recordings.volume "auto" -}}
{{ .Values.recordings.volume }}
{{- else if .Values.env.shareName -}}
azureFile
{{- else -}}
emptyDir
{{- end -}}
{{- end -}}

{{- define "portunus.claimName" -}}
{{- default (printf "%s-recordings" (include "portunus.fullname" .)) .Values.recordings.persistentVolumeClaim.existingClaim -}}
{{- end -}}

{{/* A volume that one node alone may mount. */}}
{{- define "portunus.oneNodeVolume" -}}
{{- if and (eq (include "portunus.recordingsVolume" .) "persistentVolumeClaim") (not (has "ReadWriteMany" .Values.recordings.persistentVolumeClaim.accessModes)) -}}true{{- end -}}
{{- end -}}

{{- define "portunus.strategy" -}}
{{- if ne .Values.strategy "auto" -}}
{{ .Values.strategy }}
{{- else if or (include "portunus.mediaPublished" .) (include "portunus.oneNodeVolume" .) -}}
recreate
{{- else -}}
rollingUpdate
{{- end -}}
{{- end -}}

{{- define "portunus.drainTimeout" -}}
{{ sub (.Values.drain.gracePeriodSeconds | int) (.Values.drain.marginSeconds | int) }}
{{- end -}}

{{- define "portunus.collector" -}}
{{- if .Values.janus.eventBackendUrl -}}true{{- end -}}
{{- end -}}

{{/* Ports that an URL names, or those of its scheme. */}}
{{- define "portunus.urlPort" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- if $port -}}{{ $port }}{{- else if eq $url.scheme "https" -}}443{{- else -}}80{{- end -}}
{{- end -}}

{{/* STUNner's names. A GatewayClass is cluster-wide, hence the namespace in its name. */}}
{{- define "portunus.gatewayName" -}}
{{ printf "%s-turn" (include "portunus.fullname" .) }}
{{- end -}}

{{- define "portunus.gatewayClassName" -}}
{{- default (printf "%s-%s" .Release.Namespace (include "portunus.fullname" .) | trunc 63 | trimPrefix "-" | trimSuffix "-") .Values.stunner.gatewayClass.name -}}
{{- end -}}

{{- define "portunus.turnSecretName" -}}
{{- default (printf "%s-turn" (include "portunus.fullname" .)) .Values.stunner.auth.existingSecret -}}
{{- end -}}

{{/* Labels that the operator gives to the pods of a Gateway. */}}
{{- define "portunus.turnPodLabels" -}}
app: stunner
stunner.l7mp.io/related-gateway-name: {{ include "portunus.gatewayName" . }}
stunner.l7mp.io/related-gateway-namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* turn: addresses of all listeners, as a JSON list. */}}
{{- define "portunus.turnUrls" -}}
{{- $address := .Values.stunner.iceServers.publicAddress -}}
{{- if contains ":" $address -}}{{- $address = printf "[%s]" $address -}}{{- end -}}
{{- $urls := list -}}
{{- range .Values.stunner.listeners -}}
{{- $scheme := ternary "turns" "turn" (has .protocol (list "TURN-TLS" "TURN-DTLS")) -}}
{{- $transport := ternary "udp" "tcp" (has .protocol (list "TURN-UDP" "TURN-DTLS")) -}}
{{- $urls = append $urls (printf "%s:%s:%d?transport=%s" $scheme $address (.port | int) $transport) -}}
{{- end -}}
{{ $urls | toJson }}
{{- end -}}
