package arch

import (
	"slices"
	"testing"
)

func TestTheModuleKeepsItsRules(t *testing.T) {
	src := load(t, "../..")
	for _, r := range slices.Concat(importRules(), layerRules(), stateRules(), limitRules(), documentRules()) {
		t.Run(r.name, func(t *testing.T) {
			for _, breach := range r.breaches(src) {
				t.Error(breach)
			}
		})
	}
}
