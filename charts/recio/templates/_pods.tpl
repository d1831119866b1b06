{{/*
Parts of pods. Every pod is restricted (pod security standards): not root, nothing to gain, a root
file system that cannot be written.
*/}}

{{- define "recio.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "recio.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "recio.container" -}}
image: {{ include "recio.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "recio.containerSecurity" . | nindent 2 }}
{{- end -}}

{{/* Head of a pod's spec: {root, account} */}}
{{- define "recio.podSpec" -}}
serviceAccountName: {{ .account }}
enableServiceLinks: false
securityContext:
  {{- include "recio.podSecurity" . | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of a pod: {root, component, environment, annotations} */}}
{{- define "recio.podMetadata" -}}
labels:
  {{- include "recio.selector" . | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (default dict .annotations) .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Probes of every process of ours: 2 minutes to start, then alive and ready apart. */}}
{{- define "recio.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end -}}

{{/* Variables of a map, name → text. */}}
{{- define "recio.variables" -}}
{{- range $name, $text := . }}
- name: {{ $name }}
  value: {{ $text | quote }}
{{- end }}
{{- end -}}

{{/* Addresses of PostgreSQL as JSON: variables without a user, each service logs in as itself. */}}
{{- define "recio.databaseVariables" -}}
{{- $at := include "recio.database" . | fromJson -}}
{{- $options := printf "sslmode=%s" $at.sslMode -}}
{{- if eq "verify-full" $at.sslMode }}{{ $options = "sslmode=verify-full&sslrootcert=system" }}{{ end -}}
{{- dict
  "RECIO_DATABASE_URL" (printf "postgresql://%s:%d/%s?%s" $at.host (int $at.port) .Values.database.name $options)
  "RECIO_DATABASE_LISTEN_URL" (printf "postgresql://%s:%d/%s?%s" $at.directHost (int $at.directPort) .Values.database.name $options)
  "RECIO_DATABASE_PASSWORDS_DIR" "/etc/recio/database" | toJson -}}
{{- end -}}

{{/*
Variables of one process as JSON: {root, environment, services}. Those of the whole process first,
then what each service is told.
*/}}
{{- define "recio.environmentVariables" -}}
{{- $root := .root -}}
{{- $environment := index $root.Values.environments .environment -}}
{{- $made := include "recio.databaseVariables" $root | fromJson -}}
{{- $_ := set $made "RECIO_ENVIRONMENT" .environment -}}
{{- $_ := set $made "RECIO_MODE" $environment.mode -}}
{{- $_ := set $made "RECIO_SERIES" (join "," $environment.series) -}}
{{- $_ := set $made "RECIO_REDIS_URL" (include "recio.redisUrl" $root) -}}
{{- if include "recio.redisSecret" $root -}}
{{- $_ := set $made "RECIO_REDIS_PASSWORD_FILE" "/etc/recio/redis/password" -}}
{{- end -}}
{{- $_ := set $made "RECIO_HTTP_HOST" "0.0.0.0" -}}
{{- $_ := set $made "RECIO_HTTP_PORT" "8080" -}}
{{- $_ := set $made "RECIO_LOG_LEVEL" $root.Values.services.logLevel -}}
{{- if eq $environment.mode "paper" -}}
{{- $simulator := include "recio.simulator" . -}}
{{- $_ := set $made "RECIO_EXCHANGE_REST_URL" (printf "http://%s:8080" $simulator) -}}
{{- $_ := set $made "RECIO_EXCHANGE_WEBSOCKET_URL" (printf "ws://%s:8080" $simulator) -}}
{{- $_ := set $made "RECIO_PRICE_SOURCE" (ternary "live" "recording" (eq $environment.priceSource "LiveFeed")) -}}
{{- end -}}
{{- toJson $made -}}
{{- end -}}

{{/* The user's extra variables that concern these services, as JSON: {root, services} */}}
{{- define "recio.extraVariables" -}}
{{- $made := dict -}}
{{- $all := concat (include "recio.planeServices" . | fromJsonArray) (include "recio.sharedServices" . | fromJsonArray) (list "main_app" "exchange_simulator") -}}
{{- $services := .services -}}
{{- range $name, $text := .root.Values.services.extraEnvironment -}}
{{- $owner := "" -}}
{{- range $all }}{{ if hasPrefix (printf "RECIO_%s_" (upper .)) $name }}{{ $owner = . }}{{ end }}{{ end -}}
{{- if or (eq $owner "") (has $owner $services) }}{{ $_ := set $made $name $text }}{{ end -}}
{{- end -}}
{{- toJson $made -}}
{{- end -}}

{{/*
Deployment and Service of one process of ours: {root, name, component, environment (its label, or
""), services, variables, mounts: {market, credentials…}, resources}.
mounts is a list of {name, secret, path, items}.
*/}}
{{- define "recio.process" -}}
{{- $root := .root -}}
{{- $logins := .services -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "recio.metadata" . | nindent 2 }}
spec:
  replicas: 1
  revisionHistoryLimit: 3
  # One at a time: a second copy would only wait for the first one's lease.
  strategy:
    type: Recreate
  selector:
    matchLabels:
      {{- include "recio.selector" . | nindent 6 }}
  template:
    metadata:
      {{- include "recio.podMetadata" . | nindent 6 }}
    spec:
      {{- include "recio.podSpec" (dict "root" $root "account" (printf "%s-services" (include "recio.fullname" $root))) | nindent 6 }}
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 30
      initContainers:
        # Nothing of this version runs before the database is as this version wants it.
        - name: gate
          {{- include "recio.container" $root | nindent 10 }}
          args: [migrate, --wait, "600"]
          env:
            {{- include "recio.variables" .gate | trim | nindent 12 }}
            {{- with .awaited }}
            # Nobody reads it. The kubelet asks for a missing variable every ten seconds, for a missing
            # volume ever more rarely: so the volume is optional and this waits for the key.
            - name: MARKET_KEY_ID
              valueFrom:
                secretKeyRef: {name: {{ . }}, key: key-id}
            {{- end }}
          resources:
            {{- toYaml .resources | nindent 12 }}
          volumeMounts:
            - {name: database, mountPath: /etc/recio/database, readOnly: true}
            - {name: tmp, mountPath: /tmp}
      containers:
        - name: {{ .component }}
          {{- include "recio.container" $root | nindent 10 }}
          args: {{ concat (list "run") .services | toJson }}
          env:
            {{- include "recio.variables" .variables | trim | nindent 12 }}
          ports:
            - {name: http, containerPort: 8080}
          {{- include "recio.probes" . | nindent 10 }}
          resources:
            {{- toYaml .resources | nindent 12 }}
          volumeMounts:
            - {name: database, mountPath: /etc/recio/database, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            {{- range .mounts }}
            - {name: {{ .name }}, mountPath: {{ .path }}, readOnly: true}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        - name: database
          projected:
            defaultMode: 0440
            sources:
              {{- range $logins }}
              - secret:
                  name: {{ include "recio.fullname" $root }}-login-{{ . | replace "_" "-" }}
                  items: [{key: password, path: recio_{{ . }}}]
              {{- end }}
        {{- range .mounts }}
        - name: {{ .name }}
          {{- toYaml .source | nindent 10 }}
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "recio.metadata" . | nindent 2 }}
spec:
  selector:
    {{- include "recio.selector" . | nindent 4 }}
  ports:
    - {name: http, port: {{ default 8080 .servicePort }}, targetPort: http}
{{- end -}}

{{/* Volume of the Redis password as JSON, empty without one. */}}
{{- define "recio.redisMount" -}}
{{- with include "recio.redisSecret" . -}}
{{- list (dict "name" "redis" "path" "/etc/recio/redis" "source" (dict "secret" (dict "secretName" . "defaultMode" 288 "items" (list (dict "key" "password" "path" "password"))))) | toJson -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}
