{{/*
The WasmPlugin of the base with what the values say, for a dict of:
  root       the chart's context
  plugin     the values of the comparer or the guard
  traffic    CLIENT or SERVER
  selection  what selects the proxies: a dict with selector or targetRefs
  config     the filter's config, over the base's
*/}}
{{- define "serin.plugin" -}}
{{- $module := .root.Values.module -}}
{{- $url := required "module.url is missing: say where the module is, oci://registry/serin@sha256:…" $module.url -}}
{{- $plugin := .root.Files.Get "files/wasmplugin.yaml" | fromYaml -}}
{{- $spec := mergeOverwrite $plugin.spec (deepCopy .selection) (dict "url" $url "match" (list (dict "mode" .traffic))) -}}
{{- $sum := $module.sha256 -}}
{{- if hasPrefix "oci://" $url -}}
{{- $digest := last (splitList "@sha256:" $url) -}}
{{- if and $sum (ne $sum $digest) -}}
{{- fail "module.sha256 is not the digest in module.url: leave it out for an image" -}}
{{- end -}}
{{- $sum = $digest -}}
{{- end -}}
{{- if $sum -}}
{{- $_ := set $spec "sha256" $sum -}}
{{- end -}}
{{- with $module.imagePullSecret -}}
{{- $_ := set $spec "imagePullSecret" . -}}
{{- end -}}
{{- $_ := set $spec "pluginConfig" (mergeOverwrite $spec.pluginConfig (deepCopy .config)) -}}
{{- $_ := set $plugin "metadata" (dict "name" .plugin.name "namespace" (.plugin.namespace | default .root.Release.Namespace)) -}}
{{- toYaml $plugin -}}
{{- end -}}

{{/*
The objects of one of the chart's files, all in one namespace, for a dict of root, file and namespace.
Addresses in the file become those of the values.
*/}}
{{- define "serin.objects" -}}
{{- $text := .root.Files.Get (printf "files/%s" .file) -}}
{{- $text = replace "http://prometheus.istio-system:9090" .root.Values.prometheus $text -}}
{{- $text = replace "http://serin-serve-verdict.istio-system:" (printf "http://serin-serve-verdict.%s:" .root.Release.Namespace) $text -}}
{{- range splitList "\n---\n" $text }}
{{- /* The end of the line that was split off belongs to a text in the object. */}}
{{- $object := fromYaml (printf "%s\n" .) }}
{{- $_ := set $object.metadata "namespace" $.namespace }}
---
{{ toYaml $object }}
{{- end }}
{{- end -}}
