package helm

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// The modules that the schemas are in.
const (
	kubernetes = "k8s.io/kubernetes@v1.37.2"
	gatewayAPI = "sigs.k8s.io/gateway-api@v1.6.3"
	prometheus = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
)

// object is one of JSON.
type object = map[string]any

// moduleDir downloads a module and returns its folder.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // outside this module, which does not depend on it
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.Output()
	var said struct{ Dir, Error string }
	if e := json.Unmarshal(out, &said); e != nil || err != nil || said.Error != "" {
		t.Fatalf("download %s: %v %v %s", module, err, e, said.Error)
	}
	return said.Dir
}

// schemas writes one strict schema for every kind, as kubeconform looks for
// them, and returns where.
func schemas(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	kinds := builtin(t)
	maps.Copy(kinds, custom(t, filepath.Join(moduleDir(t, gatewayAPI), "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml")))
	for _, kind := range []string{"servicemonitors", "podmonitors", "prometheusrules"} {
		maps.Copy(kinds, custom(t, filepath.Join(moduleDir(t, prometheus), "example/prometheus-operator-crd/monitoring.coreos.com_"+kind+".yaml")))
	}
	for name, schema := range kinds {
		raw, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fileName is what kubeconform calls a kind: deployment-apps-v1.
func fileName(group, version, kind string) string {
	parts := []string{strings.ToLower(kind)}
	if group != "" {
		parts = append(parts, strings.Split(group, ".")[0])
	}
	return strings.Join(append(parts, version), "-")
}

// wanted are Kubernetes' own kinds that the chart may render.
func wanted() []string {
	return []string{
		"ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "Pod",
		"PodDisruptionBudget", "Secret", "Service", "ServiceAccount", "StatefulSet",
	}
}

// builtin are the schemas of Kubernetes' own kinds.
func builtin(t *testing.T) map[string]object {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(moduleDir(t, kubernetes), "api/openapi-spec/swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct{ Definitions map[string]object }
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	all := object{}
	for name, def := range spec.Definitions {
		all[name] = strict(def, true)
		if strings.HasSuffix(name, ".resource.Quantity") {
			all[name] = object{"type": []any{"string", "number"}}
		}
	}
	kinds := map[string]object{}
	for name, def := range spec.Definitions {
		gvks, _ := def["x-kubernetes-group-version-kind"].([]any)
		if len(gvks) != 1 {
			continue // options and the like
		}
		gvk := gvks[0].(object)
		group, version, kind := gvk["group"].(string), gvk["version"].(string), gvk["kind"].(string)
		if !slices.Contains(wanted(), kind) {
			continue
		}
		apiVersion := strings.TrimPrefix(group+"/"+version, "/")
		used := object{}
		use(name, all, used)
		kinds[fileName(group, version, kind)] = rooted(object{"$ref": definitions + name}, apiVersion, kind, used)
	}
	return kinds
}

const definitions = "#/definitions/"

// use copies a definition, and those that it refers to.
func use(name string, all, used object) {
	if used[name] != nil {
		return
	}
	used[name] = all[name]
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok {
				use(strings.TrimPrefix(ref, definitions), all, used)
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(all[name])
}

// rooted is a schema for documents of one kind.
func rooted(schema object, apiVersion, kind string, used object) object {
	return object{
		"allOf": []any{
			schema,
			object{
				"required":   []any{"apiVersion", "kind", "metadata"},
				"properties": object{"apiVersion": object{"enum": []any{apiVersion}}, "kind": object{"enum": []any{kind}}},
			},
		},
		"definitions": used,
	}
}

// custom are the schemas of a CustomResourceDefinition, of all its versions.
func custom(t *testing.T, file string) map[string]object {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema object `yaml:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(raw, &crd); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]object{}
	for _, v := range crd.Spec.Versions {
		schema := v.Schema.OpenAPIV3Schema
		schema["properties"].(object)["metadata"] = object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
		kinds[fileName(crd.Spec.Group, v.Name, crd.Spec.Names.Kind)] = rooted(strict(schema, true), crd.Spec.Group+"/"+v.Name, crd.Spec.Names.Kind, object{})
	}
	if len(kinds) == 0 {
		t.Fatalf("%s holds no schema", file)
	}
	return kinds
}

// strict is a schema of OpenAPI as JSON Schema, in which fields that are not
// described are not allowed, and fields that may be left out may be null.
func strict(s object, required bool) object {
	if ref, ok := s["$ref"]; ok {
		return orNull(object{"$ref": ref}, required)
	}
	o := object{}
	for _, key := range []string{"type", "enum", "required", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"} {
		if v, ok := s[key]; ok {
			o[key] = v
		}
	}
	if s["format"] == "int-or-string" || s["x-kubernetes-int-or-string"] == true {
		o = object{"type": []any{"string", "integer"}}
	}
	if properties, ok := s["properties"].(object); ok {
		names, _ := s["required"].([]any)
		out := object{}
		for name, p := range properties {
			out[name] = strict(p.(object), slices.Contains(names, any(name)))
		}
		o["properties"] = out
		if s["x-kubernetes-preserve-unknown-fields"] != true {
			o["additionalProperties"] = false
		}
	}
	if more, ok := s["additionalProperties"].(object); ok {
		o["additionalProperties"] = strict(more, true)
	}
	if items, ok := s["items"].(object); ok {
		o["items"] = strict(items, true)
	}
	return orNull(o, required)
}

func orNull(o object, required bool) object {
	if required || o["type"] == nil && o["$ref"] == nil {
		return o
	}
	return object{"anyOf": []any{o, object{"type": "null"}}}
}

// conforms holds a rendering against the schemas.
func conforms(t *testing.T, dir, rendered string) error {
	t.Helper()
	out, said, err := tool(t, []byte(rendered), "kubeconform", "-strict", "-summary", "-output", "text",
		"-schema-location", filepath.Join(dir, "{{.ResourceKind}}{{.KindSuffix}}.json"), "-")
	if err != nil {
		return fmt.Errorf("%w: %s%s", err, out, said)
	}
	return nil
}
