{{- define "curlew.fullname" -}}
{{- if contains "curlew" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-curlew" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "curlew.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "curlew.selector" -}}
app.kubernetes.io/name: curlew
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "curlew.labels" -}}
{{ include "curlew.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* Behind a sidecar every TCP connect succeeds. */ -}}
{{- define "curlew.meshLabels" -}}
sidecar.istio.io/inject: "false"
istio.io/dataplane-mode: none
kuma.io/sidecar-injection: disabled
{{- end -}}

{{- define "curlew.meshAnnotations" -}}
linkerd.io/inject: disabled
consul.hashicorp.com/connect-inject: "false"
{{- end -}}

{{- define "curlew.env" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- end -}}

{{- /* Liveness is the event loop alone, never a target: a restart heals none. */ -}}
{{- define "curlew.probes" -}}
livenessProbe:
  httpGet:
    path: /-/healthy
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /-/ready
    port: http
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
startupProbe:
  httpGet:
    path: /-/healthy
    port: http
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
{{- end -}}

{{- define "curlew.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "curlew.pullSecrets" -}}
{{- if .Values.image.pullSecrets }}
imagePullSecrets:
{{- range .Values.image.pullSecrets }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* A ClusterRole and its binding, or in a namespace a Role: root, name, rules; namespace. */ -}}
{{- define "curlew.role" -}}
{{- $kind := ternary "Role" "ClusterRole" (hasKey . "namespace") -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ .name }}
{{- if hasKey . "namespace" }}
  namespace: {{ .namespace }}
{{- end }}
  labels:
    {{- include "curlew.labels" .root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .name }}
{{- if hasKey . "namespace" }}
  namespace: {{ .namespace }}
{{- end }}
  labels:
    {{- include "curlew.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .accountNamespace }}
{{- end -}}

{{- /* The labels namespace, service and so on are those of the targets that Curlew probes: where it runs itself, instance tells (node/pod). */ -}}
{{- define "curlew.relabelings" -}}
relabelings:
  - sourceLabels: [__meta_kubernetes_pod_node_name, pod]
    separator: /
    regex: (.+/.+)
    targetLabel: instance
  - action: labeldrop
    regex: namespace|service|pod|container|endpoint
{{- end -}}
