{{- /* A table of TOML: a string of JSON is one of TOML, and so is a number. Keys of the parameter come in order. */}}
{{- define "csi-zfs.toml" -}}
{{- range $key, $value := . }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}

{{- define "csi-zfs.sharedSettings" -}}
driver_name = {{ toJson .Values.driverName }}
topology_key = {{ include "csi-zfs.topologyKey" . | toJson }}
tls_dir = "/etc/csi-zfs/tls"
metrics_address = {{ printf "%s:9808" .Values.listenHost | toJson }}
log_format = {{ toJson .Values.log.format }}
log_level = {{ toJson .Values.log.level }}
{{- end }}

{{- /* The settings of the nodes of a group: (list . GROUP). */}}
{{- define "csi-zfs.nodeSettings" -}}
{{- $root := index . 0 }}
{{- $group := index . 1 }}
{{- include "csi-zfs.sharedSettings" $root }}
endpoint = {{ printf "unix://%s/csi.sock" (include "csi-zfs.pluginDir" .) | toJson }}
agent_address = {{ printf "%s:9809" $root.Values.listenHost | toJson }}
kubelet_dir = {{ toJson $group.kubeletDir }}
registration_dir = {{ ternary "" (printf "%s/plugins_registry" $group.kubeletDir) $root.Values.sidecars.nodeDriverRegistrar.enabled | toJson }}
state_dir = "/run/csi-zfs/state"
proc_dir = "/host/proc"
{{- include "csi-zfs.toml" $group.settings }}
{{- range $group.pools }}

[[pools]]
{{- include "csi-zfs.toml" . }}
{{- end }}
{{ end }}

{{- define "csi-zfs.controllerSettings" -}}
{{- include "csi-zfs.sharedSettings" . }}
endpoint = "unix:///run/csi-zfs/csi.sock"
agents_service = {{ printf "%s/%s" .Release.Namespace (include "csi-zfs.agentsService" .) | toJson }}
forgotten_config_map = {{ printf "%s/%s" .Release.Namespace (include "csi-zfs.forgotten" .) | toJson }}
{{- include "csi-zfs.toml" .Values.controller.settings }}
{{ end }}

{{- /* What is asked of a grace time, and a little more, so that the driver ends by itself: (list SETTINGS). */}}
{{- define "csi-zfs.gracePeriod" -}}
{{ add 15 (ceil (dig "shutdown_grace_s" 25 .)) }}
{{- end }}
