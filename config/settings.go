package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/logging"
)

// setting is one variable of the environment.
type setting struct {
	name   string // of the variable
	field  string // of the struct, which the env library's errors name
	value  reflect.Value
	secret bool
	byHand string // default, as written in the tag
}

// settings lists all settings of a Config in the order of its fields.
func settings(v reflect.Value) []setting {
	var all []setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, tagged := f.Tag.Lookup("env")
		switch {
		case tagged:
			all = append(all, setting{name, f.Name, v.Field(i), f.Tag.Get("secret") == "true", f.Tag.Get("envDefault")})
		case f.Type.Kind() == reflect.Struct:
			all = append(all, settings(v.Field(i))...)
		}
	}
	return all
}

// Names lists the environment variables that Load reads.
func Names() []string {
	var names []string
	for _, s := range settings(reflect.ValueOf(Config{})) {
		names = append(names, s.name)
	}
	return names
}

// Effective lists the effective settings in the order of Names, secrets and what
// may be secret in URLs masked.
func (c *Config) Effective() []httpapi.Setting {
	var out []httpapi.Setting
	for _, s := range settings(reflect.ValueOf(*c)) {
		one := httpapi.Setting{Name: s.name, Value: s.text(), Default: s.byHand, Secret: s.secret}
		one.Changed = one.Value != one.Default
		if s.secret && one.Value != "" {
			one.Value = logging.Masked
		} else {
			one.Value = s.shown()
		}
		if c.presets[s.name] {
			one.Mode = "PERFORMANCE_MODE"
		}
		out = append(out, one)
	}
	return out
}

// Write prints the effective settings as NAME=value, secrets masked. What
// differs from the default is marked.
func (c *Config) Write(w io.Writer) error {
	for _, s := range c.Effective() {
		mark := ""
		switch {
		case s.Mode != "":
			mark = "   # by " + s.Mode
		case s.Changed:
			mark = "   # not the default"
		}
		if _, err := fmt.Fprintf(w, "%s=%s%s\n", s.Name, s.Value, mark); err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
	}
	return nil
}

// notPositive names the numbers and durations of a part that are zero or less,
// but for zeros that are the default and stand for something else.
func notPositive(part any) []error {
	var faults []error
	for _, s := range settings(reflect.ValueOf(part)) {
		if s.value.CanInt() && s.value.Int() <= 0 && s.text() != s.byHand {
			faults = append(faults, fmt.Errorf("%s %s: want more than 0", s.name, s.text()))
		}
	}
	return faults
}

// shown is the text without what may be secret in URLs.
func (s setting) shown() string {
	list, ok := s.value.Interface().([]string)
	if !ok {
		return logging.MaskURL(s.text())
	}
	all := make([]string, 0, len(list))
	for _, entry := range list {
		all = append(all, logging.MaskURL(entry))
	}
	return strings.Join(all, ",")
}

func (s setting) text() string {
	switch v := s.value.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return short(v)
	default:
		return fmt.Sprint(v)
	}
}

// short is a duration without the zeros that Duration.String adds: 5m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseFaults says in the words of users what the env library could not read.
// The library names fields of structs; users know variables.
func parseFaults(err error, vars map[string]string) []error {
	all := settings(reflect.ValueOf(Config{}))
	var faults []error
	for _, e := range split(err) {
		var parse env.ParseError
		if !errors.As(e, &parse) {
			faults = append(faults, e)
			continue
		}
		for _, s := range all {
			if value, set := vars[s.name]; set && s.field == parse.Name && s.value.Type() == parse.Type {
				faults = append(faults, fmt.Errorf("%s %q: want %s", s.name, value, wanted(s.value)))
			}
		}
	}
	return faults
}

func wanted(v reflect.Value) string {
	switch v.Interface().(type) {
	case bool:
		return "true or false"
	case time.Duration:
		return "a duration such as 500ms, 25s or 5m"
	default:
		return "a whole number"
	}
}

// absent are settings that this version does not have, but would be worse to
// ignore than not to start: who restricts tokens wants none in that breaks it.
func absent(vars map[string]string) []error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if strings.HasPrefix(name, "AUTH_JWT_") && !slices.Contains(Names(), name) && !off(vars[name]) {
			faults = append(faults, fmt.Errorf("%s is set, but this version has no such setting: unset it", name))
		}
	}
	return faults
}

// off tells whether a value turns a switch off.
func off(value string) bool {
	on, err := strconv.ParseBool(value)
	return err == nil && !on
}
