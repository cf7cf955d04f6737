{{/* Folders, not single files: only those follow a ConfigMap or Secret that changes. */}}
{{- define "ws-gateway.mounts" -}}
{{- $v := .Values }}
{{- if or $v.policy $v.existingPolicy }}
- {name: policy, mountPath: /etc/ws-gateway/policy, readOnly: true}
{{- end }}
{{- if or $v.admin.keys $v.admin.existingSecret.name }}
- {name: keys, mountPath: /etc/ws-gateway/keys, readOnly: true}
{{- end }}
{{- if $v.tls.existingSecret }}
- {name: tls, mountPath: /etc/ws-gateway/tls, readOnly: true}
{{- end }}
{{- if $v.redis.tls.caSecret }}
- {name: redis-ca, mountPath: /etc/ws-gateway/redis, readOnly: true}
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ws-gateway.volumes" -}}
{{- $v := .Values }}
{{- if or $v.policy $v.existingPolicy }}
- name: policy
  configMap:
    name: {{ default (printf "%s-policy" (include "ws-gateway.fullname" .)) $v.existingPolicy }}
{{- end }}
{{- if $v.admin.existingSecret.name }}
- name: keys
  secret:
    secretName: {{ $v.admin.existingSecret.name }}
    defaultMode: 0440
    items: [{key: {{ $v.admin.existingSecret.key }}, path: keys}]
{{- else if $v.admin.keys }}
- name: keys
  secret:
    secretName: {{ include "ws-gateway.fullname" . }}-admin-keys
    defaultMode: 0440
{{- end }}
{{- with $v.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with $v.redis.tls.caSecret }}
- name: redis-ca
  secret:
    secretName: {{ . }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
