{{- define "csi-zfs.agentSecret" -}}
{{- if eq .Values.tls.mode "existingSecret" -}}
{{ required "tls.mode existingSecret needs tls.agentSecret" .Values.tls.agentSecret }}
{{- else -}}
{{ include "csi-zfs.fullname" . }}-agent-tls
{{- end }}
{{- end }}

{{- define "csi-zfs.controllerSecret" -}}
{{- if eq .Values.tls.mode "existingSecret" -}}
{{ required "tls.mode existingSecret needs tls.controllerSecret" .Values.tls.controllerSecret }}
{{- else -}}
{{ include "csi-zfs.fullname" . }}-controller-tls
{{- end }}
{{- end }}

{{- /* The names by which the two know each other. */}}
{{- define "csi-zfs.agentIdentity" -}}
agent.{{ .Values.driverName }}
{{- end }}

{{- define "csi-zfs.controllerIdentity" -}}
controller.{{ .Values.driverName }}
{{- end }}

{{- define "csi-zfs.tlsItems" -}}
- key: ca.crt
  path: tls/ca.crt
- key: tls.crt
  path: tls/tls.crt
- key: tls.key
  path: tls/tls.key
{{- end }}

{{- /* A certificate of the chart's own authority: (list CA IDENTITY DAYS). The common name stays short: X.509 allows 64. */}}
{{- define "csi-zfs.certificate" -}}
{{- $ca := index . 0 }}
{{- $made := genSignedCertWithKey "csi-zfs" nil (list (index . 1)) (index . 2) $ca (genPrivateKey "ecdsa") }}
{{- dict "ca.crt" ($ca.Cert | b64enc) "tls.crt" ($made.Cert | b64enc) "tls.key" ($made.Key | b64enc) | toJson }}
{{- end }}

{{- /* The names in the certificates are those of the driver: another name is another generation. */}}
{{- define "csi-zfs.tlsGeneration" -}}
{{ .Values.tls.generation }} {{ .Values.driverName }}
{{- end }}

{{- define "csi-zfs.generationOf" -}}
{{ dig "metadata" "annotations" "csi-zfs.io/tls-generation" "" . }}
{{- end }}

{{- define "csi-zfs.tlsSecret" -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "csi-zfs.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  annotations:
    csi-zfs.io/tls-generation: {{ include "csi-zfs.tlsGeneration" .root | quote }}
type: kubernetes.io/tls
data:
  {{- toYaml .data | nindent 2 }}
{{- end }}
