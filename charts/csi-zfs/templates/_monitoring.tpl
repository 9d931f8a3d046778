{{- /* Every port with metrics: of the drivers, and of the sidecars that there are. */}}
{{- define "csi-zfs.metricsPorts" -}}
{{- $ports := list (dict "name" "metrics" "port" 9808) (dict "name" "prov-metrics" "port" 9811) }}
{{- if include "csi-zfs.hasSnapshots" . }}
{{- $ports = append $ports (dict "name" "snap-metrics" "port" 9812) }}
{{- end }}
{{- append $ports (dict "name" "resize-metrics" "port" 9813) | toJson }}
{{- end }}

{{- define "csi-zfs.metricsEndpoints" -}}
{{- $root := index . 0 }}
{{- $monitor := index . 1 }}
{{- range include "csi-zfs.metricsPorts" $root | fromJsonArray }}
- port: {{ .name }}
  path: /metrics
  interval: {{ $monitor.interval }}
{{- end }}
{{- end }}
