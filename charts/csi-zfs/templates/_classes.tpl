{{- /* What the classes of snapshots and of groups share: (list . CLASS DEFAULT-ANNOTATION). */}}
{{- define "csi-zfs.snapshotClass" -}}
{{- $root := index . 0 }}
{{- $class := index . 1 -}}
metadata:
  name: {{ $class.name }}
  labels:
    {{- include "csi-zfs.labels" $root | nindent 4 }}
    {{- with $class.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or $class.default $class.annotations }}
  annotations:
    {{- if $class.default }}
    {{ index . 2 }}: "true"
    {{- end }}
    {{- with $class.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
driver: {{ $root.Values.driverName }}
deletionPolicy: {{ default "Delete" $class.deletionPolicy }}
{{- with $class.parameters }}
parameters:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
