package config

import (
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/tuning"
)

// preset adds what PERFORMANCE_MODE stands for to the variables. What is set
// by hand stays.
func (c *Config) preset(vars map[string]string) {
	if on, err := strconv.ParseBool(vars["PERFORMANCE_MODE"]); err != nil || !on {
		return
	}
	c.presets = map[string]bool{}
	for _, p := range tuning.Mode(gateway.MemoryLimit()) {
		if vars[p.Name] == "" && (p.Instead == "" || vars[p.Instead] == "") {
			vars[p.Name], c.presets[p.Name] = p.Value, true
		}
	}
}
