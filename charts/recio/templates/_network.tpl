{{/* Parts of network policies. */}}

{{/* A selector of pods of ours: {root, components, environment} */}}
{{- define "recio.selectComponents" -}}
matchLabels:
  app.kubernetes.io/name: recio
  app.kubernetes.io/instance: {{ .root.Release.Name }}
  {{- with .environment }}
  recio.io/environment: {{ . }}
  {{- end }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
{{- end -}}

{{/* Pods of accounts, of one environment or of all: {Release, environment} */}}
{{- define "recio.fromAccounts" -}}
{{- $root := . -}}
{{- range $label := list "recio.io/account" "recio.io/pool" }}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: recio
      app.kubernetes.io/instance: {{ $root.Release.Name }}
      {{- with $root.environment }}
      recio.io/environment: {{ . }}
      {{- end }}
    matchExpressions:
      - {key: {{ $label }}, operator: Exists}
{{- end }}
{{- end -}}

{{- define "recio.toDns" -}}
- to:
    - namespaceSelector:
        matchLabels:
          {{- toYaml .Values.networkPolicy.dnsNamespaceLabels | nindent 10 }}
      podSelector:
        matchLabels:
          {{- toYaml .Values.networkPolicy.dnsPodLabels | nindent 10 }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "recio.toApiServer" -}}
- {{ with .Values.networkPolicy.apiServerCidrs }}to:
    {{- include "recio.toCidrs" (dict "cidrs" .) | nindent 4 }}
  {{ end }}ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* Addresses: {cidrs, except}; exceptions are only allowed within their block, so only for all of IPv4. */}}
{{- define "recio.toCidrs" -}}
{{- $except := .except -}}
{{- range .cidrs }}
- ipBlock:
    cidr: {{ . }}
    {{- if and $except (eq . "0.0.0.0/0") }}
    except: {{ toJson $except }}
    {{- end }}
{{- end }}
{{- end -}}
