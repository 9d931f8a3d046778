{{- /* The groups of nodes, as YAML below the key `groups`: first the nodes without a label, then each group of its own. */}}
{{- define "csi-zfs.nodeGroups" -}}
{{- $groups := list }}
{{- if .Values.pools }}
{{- $groups = append $groups (dict "name" "" "pools" .Values.pools "settings" .Values.node.settings "kubeletDir" .Values.kubeletDir) }}
{{- end }}
{{- range .Values.nodeGroups }}
{{- $settings := merge (dict) (.settings | default dict) $.Values.node.settings }}
{{- $groups = append $groups (dict "name" .name "pools" .pools "settings" $settings "kubeletDir" (default $.Values.kubeletDir .kubeletDir)) }}
{{- end }}
{{- if not $groups }}
{{- fail "no node would have a pool: give `pools`, or groups of nodes with pools in `nodeGroups`" }}
{{- end }}
groups: {{ toJson $groups }}
{{- end }}

{{- /* (list . GROUP) */}}
{{- define "csi-zfs.nodeName" -}}
{{- $group := index . 1 }}
{{- include "csi-zfs.fullname" (index . 0) }}-node{{ if $group.name }}-{{ $group.name }}{{ end }}
{{- end }}

{{- /* Where the driver's socket is: (list . GROUP). */}}
{{- define "csi-zfs.pluginDir" -}}
{{ (index . 1).kubeletDir }}/plugins/{{ (index . 0).Values.driverName }}
{{- end }}

{{- /* The label by which a node belongs to a group. */}}
{{- define "csi-zfs.groupLabel" -}}
{{ .Values.driverName }}/pools
{{- end }}

{{- define "csi-zfs.stateDir" -}}
{{- if .Values.node.stateDir -}}
{{ .Values.node.stateDir }}
{{- else if eq .Values.driverName "csi-zfs.io" -}}
/run/csi-zfs
{{- else -}}
/run/csi-zfs-{{ .Values.driverName }}
{{- end }}
{{- end }}

{{- /*
The directories of the machine that hold a group's embedded pools, as YAML below `directories`: the parent of each, since
a pool's directory is made with the pool. One that is missing is made only for a pool that may be made itself; anything
else could be a disk that is not mounted.
*/}}
{{- define "csi-zfs.poolDirectories" -}}
{{- $directories := dict }}
{{- range .pools }}
{{- if .path }}
{{- $parent := dir .path }}
{{- if has $parent (list "/" "/boot" "/dev" "/etc" "/proc" "/run" "/sys" "/usr" "/var" "/var/lib") }}
{{- fail (printf "pool %s: the driver is shown the directory around a pool, and %s is not one to show: put the pool one directory deeper than %s" .name $parent .path) }}
{{- end }}
{{- $type := ternary "DirectoryOrCreate" "Directory" (or (dig "create" false .) (eq (get $directories $parent) "DirectoryOrCreate")) }}
{{- $_ := set $directories $parent $type }}
{{- end }}
{{- end }}
directories: {{ toJson $directories }}
{{- end }}
