{{/* The release as the operator reads it, as pretty JSON. */}}
{{- define "recio.release" -}}
{{- $root := . -}}
{{- $fullname := include "recio.fullname" . -}}
{{- $at := include "recio.database" . | fromJson -}}
{{- $environments := list -}}
{{- range $name := include "recio.environments" . | fromJsonArray -}}
{{- $environments = append $environments (include "recio.releaseEnvironment" (dict "root" $root "environment" $name) | fromJson) -}}
{{- end -}}
{{- $network := .Values.networkPolicy -}}
{{- $redis := dict "url" (include "recio.redisUrl" .) "passwordSecret" (include "recio.redisSecret" .) "port" (include "recio.redisPort" . | int) -}}
{{- if eq .Values.redis.mode "internal" -}}
{{- $_ := set $redis "podLabels" (include "recio.selector" (dict "root" . "component" "redis") | fromYaml) -}}
{{- else -}}
{{- $_ := set $redis "cidrs" .Values.redis.external.cidrs -}}
{{- end -}}
{{- dict
  "name" .Release.Name
  "fullname" $fullname
  "namespace" .Release.Namespace
  "version" .Chart.AppVersion
  "image" (dict "reference" (include "recio.image" .) "pullPolicy" .Values.image.pullPolicy "pullSecrets" .Values.image.pullSecrets)
  "database" (dict
    "host" $at.host "directHost" $at.directHost "name" .Values.database.name
    "port" (int $at.port) "directPort" (int $at.directPort) "sslMode" $at.sslMode
    "podLabels" $at.podLabels "directPodLabels" $at.directPodLabels "cidrs" $at.cidrs)
  "redis" $redis
  "environments" $environments
  "workloads" (include "recio.releaseWorkloads" . | fromJson)
  "network" (dict
    "isEnabled" $network.enabled
    "dnsNamespaceLabels" $network.dnsNamespaceLabels
    "dnsPodLabels" $network.dnsPodLabels
    "exchangeCidrs" $network.exchangeCidrs
    "exceptCidrs" $network.exceptCidrs
    "clients" (include "recio.clients" . | fromJsonArray)
    "metricsNamespaceLabels" $network.metricsNamespaceLabels)
  "targets" (include "recio.targets" . | fromJsonArray)
  "owner" (dict "apiVersion" "v1" "kind" "ConfigMap" "name" (printf "%s-release" $fullname))
  | mustToPrettyJson -}}
{{- end -}}

{{/* Labels of the pods that look at accounts: the monitor's. */}}
{{- define "recio.clients" -}}
{{- $monitor := ternary "shared" "system-monitor" (eq .Values.services.topology "Compact") -}}
{{- list (include "recio.selector" (dict "root" . "component" $monitor) | fromYaml) | toJson -}}
{{- end -}}

{{- define "recio.releaseEnvironment" -}}
{{- $environment := index .root.Values.environments .environment -}}
{{- $made := dict "name" .environment "mode" $environment.mode "series" $environment.series "marketSecret" (include "recio.marketSecret" .) -}}
{{- if eq $environment.mode "paper" -}}
{{- $simulator := include "recio.simulator" . -}}
{{- $_ := set $made "priceSource" $environment.priceSource -}}
{{- $_ := set $made "exchange" (dict
  "restUrl" (printf "http://%s:8080" $simulator)
  "websocketUrl" (printf "ws://%s:8080" $simulator)
  "adminSecret" (printf "%s-exchange-admin" (include "recio.fullname" .root))
  "podLabels" (include "recio.selector" (dict "root" .root "component" "exchange-simulator" "environment" .environment) | fromYaml)) -}}
{{- end -}}
{{- toJson $made -}}
{{- end -}}

{{- define "recio.releaseWorkloads" -}}
{{- $accounts := .Values.accounts -}}
{{- $resources := dict -}}
{{- range $service := list "auto_entry_supervisor" "active_trade_supervisor" "trade_initiator" "trade_executor" "kalshi_account_sync" "trade_manager" -}}
{{- $_ := set $resources $service (default $accounts.resources.perService (index $accounts.resources.services $service)) -}}
{{- end -}}
{{- dict
  "resources" $resources
  "compact" $accounts.resources.compact
  "pooled" $accounts.resources.pooled
  "nodeSelector" $accounts.nodeSelector
  "tolerations" $accounts.tolerations
  "priorityClassName" (default (include "recio.priorityClass" .) $accounts.priorityClassName)
  "terminationGracePeriodSeconds" (int $accounts.terminationGracePeriodSeconds)
  "extraEnvironment" $accounts.extraEnvironment | toJson -}}
{{- end -}}
