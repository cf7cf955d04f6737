{{/* Names. */}}
{{- define "ws-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "ws-gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ws-gateway.selector" -}}
app.kubernetes.io/name: {{ include "ws-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- define "ws-gateway.redisSelector" -}}
app.kubernetes.io/name: {{ include "ws-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: redis
{{- end -}}

{{- define "ws-gateway.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ default .Chart.AppVersion .Values.image.tag | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: {{ include "ws-gateway.name" . }}
{{- end -}}

{{- define "ws-gateway.labels" -}}
{{ include "ws-gateway.selector" . }}
{{ include "ws-gateway.commonLabels" . }}
{{- end -}}

{{- define "ws-gateway.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ws-gateway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ws-gateway.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What a stop may take: the drain, what the process ends after it, and a reserve. */}}
{{- define "ws-gateway.graceSeconds" -}}
{{- $d := .Values.drain -}}
{{- add (int $d.preStopSeconds) (int $d.delaySeconds) (int $d.windowSeconds) (int $d.closeSeconds) 40 -}}
{{- end -}}

{{/* Whether there is a Redis: "true" or "". */}}
{{- define "ws-gateway.redis" -}}
{{- $r := .Values.redis -}}
{{- if or $r.host $r.external $r.sentinel.addresses $r.cluster.addresses $r.bundled.enabled -}}true{{- end -}}
{{- end -}}

{{- define "ws-gateway.redisName" -}}
{{- printf "%s-redis" (include "ws-gateway.fullname" .) -}}
{{- end -}}

{{/* The names that a Service has in the cluster, as a list. */}}
{{- define "ws-gateway.serviceNames" -}}
{{- $ns := .context.Release.Namespace -}}
{{- list .name (printf "%s.%s" .name $ns) (printf "%s.%s.svc" .name $ns) (printf "%s.%s.svc.cluster.local" .name $ns) | toYaml -}}
{{- end -}}

{{/* The names under which the admin port may be asked for. */}}
{{- define "ws-gateway.adminHosts" -}}
{{- $own := dict "context" . "name" (printf "%s-admin" (include "ws-gateway.fullname" .)) | include "ws-gateway.serviceNames" | fromYamlArray -}}
{{- concat $own .Values.admin.allowedHosts | join "," -}}
{{- end -}}

{{/* The names under which clients may ask, those inside of the cluster included; "" for any. */}}
{{- define "ws-gateway.hosts" -}}
{{- with .Values.security.allowedHosts -}}
{{- $own := dict "context" $ "name" (include "ws-gateway.fullname" $) | include "ws-gateway.serviceNames" | fromYamlArray -}}
{{- concat . $own | join "," -}}
{{- end -}}
{{- end -}}

{{/* What the chart's own Secret holds; {} when everything comes from elsewhere. */}}
{{- define "ws-gateway.secrets" -}}
{{- $v := .Values -}}
{{- $s := dict -}}
{{- if $v.auth.jwt.secret -}}{{- $_ := set $s "AUTH_JWT_SECRET" $v.auth.jwt.secret -}}{{- end -}}
{{- if $v.signing.secrets -}}{{- $_ := set $s "SIGNING_SECRETS" (join "," $v.signing.secrets) -}}{{- end -}}
{{- if and $v.redis.password (not $v.redis.bundled.enabled) -}}{{- $_ := set $s "REDIS_PASSWORD" $v.redis.password -}}{{- end -}}
{{- if $v.redis.sentinel.password -}}{{- $_ := set $s "REDIS_SENTINEL_PASSWORD" $v.redis.sentinel.password -}}{{- end -}}
{{- toYaml $s -}}
{{- end -}}

{{/* Single secrets of Secrets that exist: name of the setting to {name, key}. */}}
{{- define "ws-gateway.secretRefs" -}}
{{- $v := .Values -}}
{{- $s := dict -}}
{{- if $v.auth.jwt.existingSecret.name -}}{{- $_ := set $s "AUTH_JWT_SECRET" $v.auth.jwt.existingSecret -}}{{- end -}}
{{- if $v.signing.existingSecret.name -}}{{- $_ := set $s "SIGNING_SECRETS" $v.signing.existingSecret -}}{{- end -}}
{{- if $v.redis.existingSecret.name -}}{{- $_ := set $s "REDIS_PASSWORD" $v.redis.existingSecret -}}
{{- else if $v.redis.bundled.enabled -}}{{- $_ := set $s "REDIS_PASSWORD" (dict "name" (include "ws-gateway.redisName" .) "key" "password") -}}{{- end -}}
{{- if $v.redis.sentinel.existingSecret.name -}}{{- $_ := set $s "REDIS_SENTINEL_PASSWORD" $v.redis.sentinel.existingSecret -}}{{- end -}}
{{- toYaml $s -}}
{{- end -}}

{{/* Every setting that follows from values, then those of `config`. */}}
{{- define "ws-gateway.env" -}}
{{- $v := .Values -}}
{{- $e := dict
  "NODE_ENV" "production"
  "LOG_FORMAT" "json"
  "HOST" $v.listenHost
  "PORT" "3007"
  "ADMIN_HOST" $v.listenHost
  "ADMIN_PORT" "9007"
  "ADMIN_ALLOWED_HOSTS" (include "ws-gateway.adminHosts" .)
  "SECURITY_LEVEL" $v.security.level
  "DRAIN_DELAY" (printf "%ds" (int $v.drain.delaySeconds))
  "DRAIN_WINDOW" (printf "%ds" (int $v.drain.windowSeconds))
  "CLOSE_TIMEOUT" (printf "%ds" (int $v.drain.closeSeconds))
  "TRUSTED_PROXY_HEADER" $v.security.proxyHeader -}}
{{- with $v.auth.mode }}{{- $_ := set $e "AUTH_MODE" . -}}{{- end -}}
{{- with $v.auth.serviceUrl }}{{- $_ := set $e "AUTH_SERVICE_URL" . -}}{{- end -}}
{{- with $v.auth.jwt.jwksUrl }}{{- $_ := set $e "AUTH_JWT_JWKS_URL" . -}}{{- end -}}
{{- with $v.auth.jwt.issuer }}{{- $_ := set $e "AUTH_JWT_ISSUER" . -}}{{- end -}}
{{- with $v.auth.jwt.audience }}{{- $_ := set $e "AUTH_JWT_AUDIENCE" . -}}{{- end -}}
{{- with $v.security.allowedOrigins }}{{- $_ := set $e "ALLOWED_ORIGINS" (join "," .) -}}{{- end -}}
{{- with include "ws-gateway.hosts" . }}{{- $_ := set $e "ALLOWED_HOSTS" . -}}{{- end -}}
{{- with $v.security.trustedProxies }}{{- $_ := set $e "TRUSTED_PROXIES" (join "," .) -}}{{- end -}}
{{- with $v.webhook.url }}{{- $_ := set $e "WEBHOOK_URL" . -}}{{- end -}}
{{- if $v.proxyProtocol }}{{- $_ := set $e "PROXY_PROTOCOL" "true" -}}{{- end -}}
{{- if or $v.policy $v.existingPolicy }}{{- $_ := set $e "POLICY_FILE" "/etc/ws-gateway/policy/policy.yaml" -}}{{- end -}}
{{- if or $v.admin.keys $v.admin.existingSecret.name }}{{- $_ := set $e "ADMIN_API_KEYS_FILE" "/etc/ws-gateway/keys/keys" -}}{{- end -}}
{{- if $v.tls.existingSecret }}{{- $_ := set $e "TLS_CERT_FILE" "/etc/ws-gateway/tls/tls.crt" -}}{{- $_ := set $e "TLS_KEY_FILE" "/etc/ws-gateway/tls/tls.key" -}}{{- end -}}
{{- $r := $v.redis -}}
{{- if $r.bundled.enabled -}}{{- $_ := set $e "REDIS_HOST" (include "ws-gateway.redisName" .) -}}
{{- else if $r.host -}}{{- $_ := set $e "REDIS_HOST" $r.host -}}{{- $_ := set $e "REDIS_PORT" (toString (int $r.port)) -}}{{- end -}}
{{- with $r.sentinel.addresses }}{{- $_ := set $e "REDIS_SENTINEL_ADDRS" (join "," .) -}}{{- $_ := set $e "REDIS_SENTINEL_MASTER" $r.sentinel.master -}}{{- end -}}
{{- with $r.sentinel.username }}{{- $_ := set $e "REDIS_SENTINEL_USERNAME" . -}}{{- end -}}
{{- with $r.cluster.addresses }}{{- $_ := set $e "REDIS_CLUSTER_ADDRS" (join "," .) -}}{{- end -}}
{{- with $r.username }}{{- $_ := set $e "REDIS_USERNAME" . -}}{{- end -}}
{{- if $r.database }}{{- $_ := set $e "REDIS_DB" (toString (int $r.database)) -}}{{- end -}}
{{- with $r.keyPrefix }}{{- $_ := set $e "REDIS_KEY_PREFIX" . -}}{{- end -}}
{{- if $r.tls.enabled }}{{- $_ := set $e "REDIS_TLS" "true" -}}{{- end -}}
{{- if $r.tls.caSecret }}{{- $_ := set $e "REDIS_TLS_CA_FILE" "/etc/ws-gateway/redis/ca.crt" -}}{{- end -}}
{{- range $name, $value := $v.config -}}
{{- if has $name (include "ws-gateway.owned" $ | fromYamlArray) -}}
{{- fail (printf "config.%s: the chart sets this one from a value of its own; see values.yaml" $name) -}}
{{- end -}}
{{- if has $name (include "ws-gateway.secretNames" $ | fromYamlArray) -}}
{{- fail (printf "config.%s is a secret, and config becomes a ConfigMap: see admin, signing, auth.jwt and redis in values.yaml, or put it into the Secret of existingSecret" $name) -}}
{{- end -}}
{{- /* Numbers may arrive as floats: 1000000 must not become 1e+06. */ -}}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) -}}
{{- $_ := set $e $name (printf "%.0f" $value) -}}
{{- else -}}
{{- $_ := set $e $name (toString $value) -}}
{{- end -}}
{{- end -}}
{{- toYaml $e -}}
{{- end -}}

{{/* Settings that follow from values of their own. */}}
{{- define "ws-gateway.owned" -}}
[HOST, PORT, ADMIN_HOST, ADMIN_PORT, ADMIN_ALLOWED_HOSTS, ADMIN_API_KEYS_FILE, PEER_URL, ADVERTISE_URL,
AUTH_MODE, AUTH_SERVICE_URL, AUTH_JWT_JWKS_URL, AUTH_JWT_ISSUER, AUTH_JWT_AUDIENCE,
SECURITY_LEVEL, ALLOWED_ORIGINS, ALLOWED_HOSTS, TRUSTED_PROXIES, TRUSTED_PROXY_HEADER, PROXY_PROTOCOL,
DRAIN_DELAY, DRAIN_WINDOW, CLOSE_TIMEOUT, POLICY_FILE, TLS_CERT_FILE, TLS_KEY_FILE, WEBHOOK_URL,
REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_DB, REDIS_KEY_PREFIX, REDIS_TLS, REDIS_TLS_CA_FILE,
REDIS_SENTINEL_ADDRS, REDIS_SENTINEL_MASTER, REDIS_SENTINEL_USERNAME, REDIS_CLUSTER_ADDRS]
{{- end -}}

{{/* Settings that no ConfigMap may hold. */}}
{{- define "ws-gateway.secretNames" -}}
[ADMIN_API_KEYS, AUTH_JWT_SECRET, SIGNING_SECRETS, REDIS_URL, REDIS_PASSWORD, REDIS_SENTINEL_PASSWORD,
OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TRACES_HEADERS]
{{- end -}}
