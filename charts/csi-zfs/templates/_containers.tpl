{{- /* What the Pod Security level "restricted" asks of a container, and a root that nobody writes to. */}}
{{- define "csi-zfs.restricted" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "csi-zfs.restrictedPod" -}}
securityContext:
  runAsNonRoot: true
  # All containers of the pod share one user, to whom alone the driver's socket belongs.
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- /* An upstream sidecar in the pod of a node: root, to whom the socket belongs, with nothing else of root's. */}}
{{- define "csi-zfs.besideTheNode" -}}
securityContext:
  runAsUser: 0
  runAsGroup: 0
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /*
A sidecar of the controller: a dict of root, name, values, port, and args of its own.
*/}}
{{- define "csi-zfs.sidecar" -}}
- name: {{ .name }}
  image: {{ include "csi-zfs.imageOf" .values.image }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args:
    - --csi-address=/run/csi-zfs/csi.sock
    - --leader-election
    - --http-endpoint=:{{ .port }}
    - --kube-api-qps={{ .values.qps }}
    - --kube-api-burst={{ int .values.burst }}
    - --timeout={{ .values.timeout }}
    - --retry-interval-max={{ .values.retryIntervalMax }}
    {{- range .args }}
    - {{ . }}
    {{- end }}
    - --logging-format={{ .root.Values.log.format }}
    - --v={{ ternary 4 2 (eq .root.Values.log.level "debug") }}
    {{- range .values.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  env:
    - name: NAMESPACE
      valueFrom:
        fieldRef:
          fieldPath: metadata.namespace
    - name: POD_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
  {{- include "csi-zfs.restricted" . | nindent 2 }}
  ports:
    - name: {{ .short }}-metrics
      containerPort: {{ .port }}
  # It fails when a leader has lost its lease and goes on.
  livenessProbe:
    httpGet:
      path: /healthz/leader-election
      port: {{ .short }}-metrics
    initialDelaySeconds: 10
    periodSeconds: 20
    timeoutSeconds: 5
  {{- with .values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - name: socket
      mountPath: /run/csi-zfs
{{- end }}
