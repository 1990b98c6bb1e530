{{- define "edge-claims.labels" -}}
app.kubernetes.io/name: edge-claims
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* What a WasmPlugin has in spec, and a TrafficExtension in spec.wasm. */}}
{{- define "edge-claims.module" -}}
url: {{ .Values.image.url | quote }}
sha256: {{ .Values.image.sha256 | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.image.pullSecret }}
imagePullSecret: {{ . }}
{{- end }}
failStrategy: FAIL_RELOAD
pluginConfig: {{- toYaml .Values.config | nindent 2 }}
{{- end }}
