{{- define "csi-zfs.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* Room is left for what is put behind it: "-controller", "-node-<group>". */}}
{{- define "csi-zfs.fullname" -}}
{{- $name := include "csi-zfs.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "csi-zfs.labels" -}}
{{ include "csi-zfs.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "csi-zfs.selector" -}}
app.kubernetes.io/name: {{ include "csi-zfs.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "csi-zfs.agentsService" -}}
{{ include "csi-zfs.fullname" . }}-agents
{{- end }}

{{- define "csi-zfs.forgotten" -}}
{{ include "csi-zfs.fullname" . }}-forgotten
{{- end }}

{{- define "csi-zfs.topologyKey" -}}
{{ default (printf "topology.%s/node" .Values.driverName) .Values.topologyKey }}
{{- end }}

{{- /* The driver's own image. */}}
{{- define "csi-zfs.image" -}}
{{ include "csi-zfs.imageOf" (set (deepCopy .Values.image) "tag" (default .Chart.AppVersion .Values.image.tag)) }}
{{- end }}

{{- define "csi-zfs.imageOf" -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag }}
{{- end }}
{{- end }}

{{- /* Whether a switch of `apis` is on: (list . SWITCH API). */}}
{{- define "csi-zfs.hasApi" -}}
{{- $root := index . 0 }}
{{- $switch := index $root.Values.apis (index . 1) }}
{{- if or (eq $switch "always") (and (eq $switch "auto") ($root.Capabilities.APIVersions.Has (index . 2))) -}}
true
{{- end }}
{{- end }}

{{- define "csi-zfs.hasSnapshots" -}}
{{ include "csi-zfs.hasApi" (list . "snapshots" "snapshot.storage.k8s.io/v1/VolumeSnapshotClass") }}
{{- end }}

{{- /* The snapshotter serves groups beside snapshots: without these there are none. */}}
{{- define "csi-zfs.hasGroupSnapshots" -}}
{{- if include "csi-zfs.hasSnapshots" . -}}
{{ include "csi-zfs.hasApi" (list . "groupSnapshots" "groupsnapshot.storage.k8s.io/v1/VolumeGroupSnapshotClass") }}
{{- end }}
{{- end }}

{{- define "csi-zfs.hasVolumeAttributesClasses" -}}
{{ include "csi-zfs.hasApi" (list . "volumeAttributesClasses" "storage.k8s.io/v1/VolumeAttributesClass") }}
{{- end }}

{{- /* (list . NAME): the chart's own PriorityClass where it is made, else NAME. */}}
{{- define "csi-zfs.priorityClassName" -}}
{{- $root := index . 0 }}
{{- if $root.Values.priorityClass.create -}}
{{ default (include "csi-zfs.fullname" $root) $root.Values.priorityClass.name }}
{{- else -}}
{{ index . 1 }}
{{- end }}
{{- end }}
