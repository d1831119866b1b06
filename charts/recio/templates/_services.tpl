{{/*
One process of the release, from what it hosts: {root, name, component, environment, services, own
(its services' variables), market, targets, exchangeAdmin, servicePort}. Without an environment it
works for all of them, and the first one in the alphabet is its own.
*/}}
{{- define "recio.service" -}}
{{- $root := .root -}}
{{- $fullname := include "recio.fullname" $root -}}
{{- $environments := include "recio.environments" $root | fromJsonArray -}}
{{- $environment := default (first $environments) .environment -}}
{{- $variables := include "recio.environmentVariables" (dict "root" $root "environment" $environment) | fromJson -}}
{{- if not .environment }}{{ $_ := set $variables "RECIO_ENVIRONMENTS" (join "," $environments) }}{{ end -}}
{{- $mounts := list -}}
{{- if ne .component "exchange-simulator" -}}
{{- $mounts = include "recio.redisMount" $root | fromJsonArray -}}
{{- end -}}
{{- if .market -}}
{{- $_ := set $variables "RECIO_CREDENTIALS_DIR" "/etc/recio/credentials" -}}
{{- $secret := include "recio.marketSecret" (dict "root" $root "environment" $environment) -}}
{{- $items := list (dict "key" "key-id" "path" "market/key-id") (dict "key" "private-key" "path" "market/private-key") -}}
{{- $mounts = append $mounts (dict "name" "credentials" "path" "/etc/recio/credentials" "source" (dict "secret" (dict "secretName" $secret "optional" true "defaultMode" 288 "items" $items))) -}}
{{- end -}}
{{- if .exchangeAdmin -}}
{{- $_ := set $variables "RECIO_EXCHANGE_SIMULATOR_ADMIN_TOKEN_FILE" "/etc/recio/exchange-admin/token" -}}
{{- $_ := unset $variables "RECIO_REDIS_PASSWORD_FILE" -}}
{{- $mounts = append $mounts (dict "name" "exchange-admin" "path" "/etc/recio/exchange-admin" "source" (dict "secret" (dict "secretName" (printf "%s-exchange-admin" $fullname) "defaultMode" 288))) -}}
{{- end -}}
{{- if .targets -}}
{{- $mounts = append $mounts (dict "name" "targets" "path" "/etc/recio/targets" "source" (dict "configMap" (dict "name" (printf "%s-account-targets" $fullname) "optional" true))) -}}
{{- end -}}
{{- $extra := include "recio.extraVariables" (dict "root" $root "services" .services) | fromJson -}}
{{- $variables = mergeOverwrite $variables (default dict .own) $extra -}}
{{- $gate := include "recio.gateVariables" (dict "root" $root "service" (first .services)) | fromJson -}}
{{- $awaited := ternary (include "recio.marketSecret" (dict "root" $root "environment" $environment)) "" (default false .market) -}}
{{- include "recio.process" (merge (dict "variables" $variables "gate" $gate "awaited" $awaited "mounts" $mounts "resources" (index $root.Values.services.resources .component)) .) -}}
{{- end -}}

{{/* Variables of the gate, which waits until the schema is what this version wants. */}}
{{- define "recio.gateVariables" -}}
{{- $url := (include "recio.databaseVariables" .root | fromJson).RECIO_DATABASE_LISTEN_URL -}}
{{- dict "RECIO_DATABASE_URL" (replace "postgresql://" (printf "postgresql://recio_%s@" .service) $url)
  "RECIO_DATABASE_PASSWORDS_DIR" "/etc/recio/database" | toJson -}}
{{- end -}}

{{/* What system_monitor probes of the chart's own, as JSON: <services>=<base URL>. */}}
{{- define "recio.targets" -}}
{{- $fullname := include "recio.fullname" . -}}
{{- $compact := eq .Values.services.topology "Compact" -}}
{{- $plane := include "recio.planeServices" . | fromJsonArray -}}
{{- $shared := include "recio.sharedServices" . | fromJsonArray -}}
{{- $made := list -}}
{{- range $name := include "recio.environments" . | fromJsonArray -}}
{{- if eq (index $.Values.environments $name).mode "paper" -}}
{{- $made = append $made (printf "exchange_simulator=http://%s-%s-exchange-simulator:8080" $fullname $name) -}}
{{- end -}}
{{- if $compact -}}
{{- $made = append $made (printf "%s=http://%s-%s-plane:8080" (join "+" $plane) $fullname $name) -}}
{{- else -}}
{{- range $plane }}{{ $made = append $made (printf "%s=http://%s-%s-%s:8080" . $fullname $name (replace "_" "-" .)) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $compact -}}
{{- $made = append $made (printf "%s=http://%s-shared:8080" (join "+" $shared) $fullname) -}}
{{- else -}}
{{- range $shared }}{{ $made = append $made (printf "%s=http://%s-%s:8080" . $fullname (replace "_" "-" .)) }}{{ end -}}
{{- end -}}
{{- $made = append $made (printf "main_app=http://%s-main-app:%d" $fullname (int .Values.page.servicePort)) -}}
{{- toJson $made -}}
{{- end -}}
