{{/*
Names, labels, and values completed by the profile. Every template begins with recio.init.
*/}}

{{/* Complete .Values by the profile's; whatever the user set wins. Doing it twice changes nothing. */}}
{{- define "recio.init" -}}
{{- $file := printf "profiles/%s.yaml" .Values.profile -}}
{{- $merged := mergeOverwrite (.Files.Get $file | fromYaml) (deepCopy .Values.AsMap) -}}
{{- range $key, $value := $merged }}{{ $_ := set $.Values $key $value }}{{ end -}}
{{- end -}}

{{/* What every object of the release is called after. 20 characters leave room for the longest
part: -<environment of 11>-unified-production-coordinator in 63. */}}
{{- define "recio.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = ternary .Release.Name (printf "%s-recio" .Release.Name) (contains "recio" .Release.Name) -}}
{{- end -}}
{{- if gt (len $name) 20 -}}
{{- fail (printf "the name %q has %d characters, expected at most 20: choose a shorter release name, or set fullnameOverride" $name (len $name)) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Labels that select: they never change, or an upgrade could not replace a Deployment. */}}
{{- define "recio.selector" -}}
app.kubernetes.io/name: recio
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .environment }}
recio.io/environment: {{ . }}
{{- end }}
{{- end -}}

{{- define "recio.labels" -}}
{{ include "recio.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: recio
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Head of an object: {root, name, component, environment} */}}
{{- define "recio.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "recio.labels" . | nindent 2 }}
{{- end -}}

{{/* Reference of an image: {registry, repository, tag, digest} */}}
{{- define "recio.reference" -}}
{{ .registry }}/{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end -}}

{{- define "recio.image" -}}
{{- $image := .Values.image -}}
{{ include "recio.reference" (dict "registry" $image.registry "repository" $image.repository "digest" $image.digest "tag" (default .Chart.AppVersion $image.tag)) }}
{{- end -}}

{{/* Names of the environments that run, as JSON, in alphabetical order. */}}
{{- define "recio.environments" -}}
{{- $names := list -}}
{{- range $name, $environment := .Values.environments }}
{{- if $environment.enabled }}{{ $names = append $names $name }}{{ end }}
{{- end -}}
{{- toJson (sortAlpha $names) -}}
{{- end -}}

{{/* The services of a market plane, in the order of the flow. */}}
{{- define "recio.planeServices" -}}
["btc_price_watchdog", "kalshi_api_watchdog", "unified_production_coordinator"]
{{- end -}}

{{/* The shared services that need no page. */}}
{{- define "recio.sharedServices" -}}
["db_poller", "system_monitor", "cascading_failure_detector"]
{{- end -}}

{{- define "recio.marketSecret" -}}
{{- $environment := index .root.Values.environments .environment -}}
{{- if eq $environment.mode "paper" -}}
{{ include "recio.fullname" .root }}-{{ .environment }}-market-key
{{- else -}}
{{ $environment.marketCredentials.existingSecret }}
{{- end -}}
{{- end -}}

{{- define "recio.simulator" -}}
{{ include "recio.fullname" .root }}-{{ .environment }}-exchange-simulator
{{- end -}}

{{/* Where PostgreSQL is, as JSON: {host, port, directHost, directPort, sslMode, ownerSecret, podLabels, directPodLabels, cidrs} */}}
{{- define "recio.database" -}}
{{- $database := .Values.database -}}
{{- $name := printf "%s-db" (include "recio.fullname" .) -}}
{{- if eq $database.mode "cnpg" -}}
{{- dict "host" (printf "%s-pooler" $name) "port" 5432 "directHost" (printf "%s-rw" $name) "directPort" 5432
  "sslMode" "require" "ownerSecret" (printf "%s-app" $name)
  "podLabels" (dict "cnpg.io/poolerName" (printf "%s-pooler" $name))
  "directPodLabels" (dict "cnpg.io/cluster" $name "cnpg.io/podRole" "instance")
  "cidrs" list | toJson -}}
{{- else -}}
{{- $external := $database.external -}}
{{- dict "host" $external.host "port" (int $external.port)
  "directHost" (default $external.host $external.directHost)
  "directPort" (int (ternary $external.directPort $external.port (ne $external.directHost "")))
  "sslMode" (ternary "verify-full" $external.sslMode (hasPrefix "verify-" $external.sslMode)) "ownerSecret" $external.ownerSecret
  "podLabels" dict "directPodLabels" dict "cidrs" $external.cidrs | toJson -}}
{{- end -}}
{{- end -}}

{{/* Variables by which libpq itself trusts the system's authorities, as JSON. */}}
{{- define "recio.trustVariables" -}}
{{- if eq (include "recio.database" . | fromJson).sslMode "verify-full" -}}
{"PGSSLROOTCERT": "system"}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{- define "recio.redisUrl" -}}
{{- if eq .Values.redis.mode "internal" -}}
redis://{{ include "recio.fullname" . }}-redis:6379/0
{{- else -}}
{{ .Values.redis.external.url }}
{{- end -}}
{{- end -}}

{{- define "recio.redisSecret" -}}
{{- if eq .Values.redis.mode "internal" -}}
{{ include "recio.fullname" . }}-redis
{{- else -}}
{{ .Values.redis.external.passwordSecret }}
{{- end -}}
{{- end -}}

{{- define "recio.redisPort" -}}
{{- $port := "6379" -}}
{{- if eq .Values.redis.mode "external" -}}
{{- $port = default "6379" (regexFind "[0-9]+$" (urlParse .Values.redis.external.url).host) -}}
{{- end -}}
{{ $port }}
{{- end -}}

{{- define "recio.priorityClass" -}}
{{- with .Values.priorityClass -}}
{{- if .create -}}
{{ $.Release.Namespace }}-{{ include "recio.fullname" $ }}-trading
{{- else -}}
{{ .existingName }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity of memory in MiB. */}}
{{- define "recio.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- if hasSuffix "Gi" . }}{{ mul $number 1024 }}{{ else if hasSuffix "Mi" . }}{{ $number }}
{{- else }}{{ fail (printf "expected memory in Mi or Gi, received %q" .) }}{{ end -}}
{{- end -}}

{{/* Connections to PostgreSQL, as values.yaml explains. */}}
{{- define "recio.maxConnections" -}}
{{- $direct := add 4 2 (mul 6 (int .Values.accounts.capacity)) -}}
{{- range $environment := .Values.environments -}}
{{- if $environment.enabled }}{{ $direct = add $direct (ternary 4 3 (eq $environment.mode "paper")) }}{{ end -}}
{{- end -}}
{{- $cnpg := .Values.database.cnpg -}}
{{- $pooled := mul (int $cnpg.pooler.instances) (int $cnpg.pooler.serverConnections) -}}
{{- add $direct $pooled (int $cnpg.reservedConnections) -}}
{{- end -}}
