{{/* The ports of a media pod: its own, and of each worker gRPC, and media by UDP and TCP at the node's address. */}}
{{- define "parley.sfuPorts" -}}
{{- $workers := until (int .Values.sfu.workers) -}}
{{- $ports := list (dict "name" "grpc" "containerPort" 7000) -}}
{{- range $i := $workers -}}
{{- $ports = append $ports (dict "name" (printf "grpc-%d" $i) "containerPort" (add 7001 $i)) -}}
{{- end -}}
{{- $ports = append $ports (dict "name" "metrics" "containerPort" 9100) -}}
{{- range $i := $workers -}}
{{- $ports = append $ports (dict "name" (printf "media-%d" $i) "containerPort" (add 7800 $i) "hostPort" (add 7800 $i) "protocol" "UDP") -}}
{{- end -}}
{{- range $i := $workers -}}
{{- $ports = append $ports (dict "name" (printf "media-tcp-%d" $i) "containerPort" (add 7800 $i) "hostPort" (add 7800 $i) "protocol" "TCP") -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}
